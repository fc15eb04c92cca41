"""What programs have to know of the rest of the input. Pure."""

from __future__ import annotations

from taskmaster_common.records import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping


class InputFacts(Record):
    """`foreground`: nodaemon is true; None in a fragment, which does not say. `listens`: something reads the events of output.

    `environment` are supervisord's variables as texts with variables; `mentions_supervisor`: a value names SUPERVISOR_.
    `priorities` are all that programs have.
    """

    foreground: bool | None = None
    listens: bool = False
    environment: Mapping[str, str] = {}
    supervisor_env: bool = False
    priorities: tuple[int, ...] = ()
    ordered: bool = False
    strict_stop: bool = False
    workdir: str = ""
