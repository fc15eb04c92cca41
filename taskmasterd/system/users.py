"""Users and groups of the system, by name or number."""

from __future__ import annotations

import grp
import os
import pwd

from taskmaster_common.records import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType


class Account(Record):
    """A user of the system; `groups` are all its groups, `gid` among them."""

    uid: int
    gid: int
    groups: tuple[int, ...]
    name: str
    home: str
    shell: str


class ActingAs:
    """While entered, gives root the rights of `who`, with `gid` in place of that user's group; other users keep their own.

    The real and saved ids stay root's, so root can go back, and that user cannot signal the process. Source: setresuid(2).
    """

    def __init__(self, who: Account | None, gid: int | None = None) -> None:
        self._who = who
        self._wanted = gid if gid is not None or who is None else who.gid
        self._is_root = os.geteuid() == 0
        self._before = (os.getgroups(), os.getegid())

    def __enter__(self) -> None:
        if not self._is_root:
            return
        if self._who:
            os.setgroups(self._who.groups)
        if self._wanted is not None:
            os.setegid(self._wanted)
        if self._who:
            os.seteuid(self._who.uid)

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _traceback: TracebackType | None
    ) -> None:
        if self._is_root:
            groups, gid = self._before
            os.seteuid(0)
            os.setegid(gid)
            if self._who:
                os.setgroups(groups)


def account(user: str, group: str | None) -> Account:
    """Return the account of a user name or uid, with `group` (name or gid), if given, in place of the user's own.

    A uid without an entry gets the home `/` and no other groups. Raises LookupError with the reason.
    """
    entry = _entry(user)
    gid = group_id(group) if group is not None else entry.pw_gid if entry else int(user)
    if entry is None:
        return Account(int(user), gid, (gid,), user, "/", "/bin/sh")
    groups = tuple(os.getgrouplist(entry.pw_name, gid))
    return Account(entry.pw_uid, gid, groups, entry.pw_name, entry.pw_dir, entry.pw_shell or "/bin/sh")


def group_id(group: str) -> int:
    """Return the gid of a group name or number. Raises LookupError."""
    if group.isdecimal():
        return int(group)
    try:
        return grp.getgrnam(group).gr_gid
    except KeyError:
        raise LookupError(f'no group named "{group}"') from None


def member_ids(group: str) -> tuple[int, ...]:
    """Return the uids of those that the group database lists as members of a group (name or gid). Raises LookupError."""
    try:
        names = grp.getgrgid(group_id(group)).gr_mem
    except KeyError:
        return ()
    found: list[int] = []
    for name in names:
        try:
            found.append(pwd.getpwnam(name).pw_uid)
        except KeyError:
            continue
    return tuple(found)


def user_name(uid: int) -> str:
    """Return the name of a user, or "uid 4711" if the system knows no name."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"


def _entry(user: str) -> pwd.struct_passwd | None:
    try:
        return pwd.getpwuid(int(user)) if user.isdecimal() else pwd.getpwnam(user)
    except KeyError:
        if user.isdecimal():
            return None
        raise LookupError(f'no user named "{user}"') from None
