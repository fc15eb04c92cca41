"""What the decoder asks of this machine for a conversion: what is missing is a doubt, since one often converts somewhere else."""

from __future__ import annotations

import grp
import os
import pwd
import signal

from taskmaster_common.schema import User
from taskmaster_common.text.formats import with_real_time


class Machine:
    """Knows accounts and files, and collects in `doubts` what this machine lacks."""

    def __init__(self) -> None:
        self.doubts: dict[str, None] = {}

    def lacks(self, thing: str) -> None:
        """Note something that this machine has not."""
        self.doubts[f"warning: {thing}: not on this machine"] = None

    def user(self, name: str) -> User | None:
        """Return the account of a name or number; one for a missing name, too."""
        try:
            found = pwd.getpwuid(int(name)) if name.isdecimal() else pwd.getpwnam(name)
        except (KeyError, OverflowError):
            if not name.isdecimal():
                self.lacks(f"user {name}")
            return User(uid=os.geteuid(), gid=os.getegid(), name=name)
        return User(uid=found.pw_uid, gid=found.pw_gid, name=found.pw_name, home=found.pw_dir, shell=found.pw_shell)

    def group(self, name: str) -> int | None:
        """Return the gid of a name or number."""
        if name.isdecimal():
            return int(name)
        try:
            return grp.getgrnam(name).gr_gid
        except KeyError:
            self.lacks(f"group {name}")
            return os.getegid()

    @staticmethod
    def identity(path: str) -> str:
        """Return the resolved path of a regular or missing file, "" for anything else."""
        return os.path.realpath(path) if os.path.isfile(path) or not os.path.exists(path) else ""


def signal_numbers() -> dict[str, int]:
    """Return the signals of this machine by name."""
    return with_real_time({each.name.removeprefix("SIG"): each.value for each in signal.Signals})
