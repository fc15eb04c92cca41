"""What the texts of the command table are made of."""

from __future__ import annotations

from taskmaster_common.records import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping


class Help(Record):
    """What there is to say about one verb; `flags` maps the names of its flags to their texts."""

    group: str
    summary: str
    exits: str
    details: str = ""
    examples: tuple[str, ...] = ()
    flags: Mapping[str, str] = {}


NO_WAIT = "return at once; the operation goes on in the daemon"
NO_DEPS = "without a look at dependencies: start nothing else, wait for nothing"
