"""Decides whether root may obey a file: who else can write it, or put another one in its place.

A file is judged together with every directory and link on its way, as sshd judges a user's keys: a user who can replace
one of them decides what root runs. A sticky directory such as /tmp lets others add names but not replace root's; that
is enough for a file given by name, and too little for a pattern.
"""

from __future__ import annotations

from taskmaster_common.records import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from taskmaster_common.schema.surroundings import File, Step

OTHERS_WRITE, GROUP_WRITES, STICKY = 0o002, 0o020, 0o1000


class Doubt(Record):
    """Why the path `shown` cannot be trusted; `owner` is the uid to blame, None if the mode is."""

    shown: str
    reason: str
    refused: bool
    owner: int | None = None


def doubts_of_file(path: str, file: File, trusted: Sequence[int], *, included: bool) -> Iterator[Doubt]:
    """Yield why root should not obey this file; an included one must belong to root."""
    if file.mode & OTHERS_WRITE:
        yield Doubt(path, f"everybody may write to it (mode {file.mode & 0o777:04o}); chmod o-w", refused=True)
    if file.mode & GROUP_WRITES and file.gid != 0:
        yield Doubt(path, f"the group {file.gid} may write to what root obeys; chmod g-w", refused=False)
    if file.uid not in trusted:
        yield _foreign(path, file.uid, "it", refused=included)
    for step in file.way:
        yield from _doubts_of_step(step, trusted, included=included, adding=False)


def doubts_of_directory(way: Sequence[Step], trusted: Sequence[int]) -> Iterator[Doubt]:
    """Yield why root should not include what it finds in the directory at the end of this way."""
    for step in way:
        yield from _doubts_of_step(step, trusted, included=True, adding=step is way[-1])


def _doubts_of_step(step: Step, trusted: Sequence[int], *, included: bool, adding: bool) -> Iterator[Doubt]:
    if step.uid not in trusted:
        yield _foreign(step.path, step.uid, "this link" if step.link else "this directory", refused=included)
    if step.link or (step.mode & STICKY and not adding):
        return
    if step.mode & OTHERS_WRITE:
        may = "everybody may put files into this directory"
        yield Doubt(step.path, f"{may} (mode {step.mode:04o}), and root would obey them; chmod o-w", refused=True)
    elif step.mode & GROUP_WRITES and step.gid != 0:
        may = f"the group {step.gid} may put files into this directory"
        yield Doubt(step.path, f"{may}, and root would obey them; chmod g-w", refused=False)


def _foreign(path: str, uid: int, what: str, *, refused: bool) -> Doubt:
    return Doubt(path, f"{what} belongs to uid {uid}, who decides what root runs; chown root", refused, uid)
