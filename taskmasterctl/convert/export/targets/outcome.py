"""What an export has made: files, and what is to be said about them. Pure."""

from __future__ import annotations

from taskmaster_common.records import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from taskmasterctl.convert.export.targets.draft import ExportContext, KeyRow, TargetDraft


class ExportFiles(Record):
    """The files of an export by name, and the drafts that they were made from. `secret`: those that others may not read.

    `needs`: the variables of the environment that they need.
    """

    files: Mapping[str, str]
    drafts: tuple[TargetDraft, ...]
    carried: int = 0
    secret: frozenset[str] = frozenset()
    needs: tuple[str, ...] = ()


class ExportTarget(Record):
    """A kind of export: what makes it, the rows of its keys, and the command that checks its files, () for none.

    `make` gets the comments for the head of each file. `together` says how files stand one after the other on standard output.
    """

    kind: str
    make: Callable[[ExportContext, Sequence[str]], ExportFiles]
    rows: Mapping[str, KeyRow]
    check: tuple[str, ...] = ()


def unique(name: str, taken: Iterable[str]) -> str:
    """Return a name that is not taken: with a number where it is."""
    known = set(taken)
    if name not in known:
        return name
    return next(f"{name}-{number}" for number in range(2, len(known) + 3) if f"{name}-{number}" not in known)
