"""What the decoder asks of this machine for a conversion: what is missing is a doubt, since one often converts somewhere else."""

from __future__ import annotations

import grp
import os
import pwd
import signal

from taskmaster_common.paths import default_places
from taskmaster_common.schema import File, Surroundings, User
from taskmaster_common.text.formats import with_real_time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


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


def surroundings_of(
    machine: Machine, read: Callable[[str], File], variables: Mapping[str, str], environment: Mapping[str, str]
) -> Surroundings:
    """Return a machine in the form that the decoder takes. Values are expanded with `variables`; `environment` gives the places.

    The decoder's other questions are about a daemon on this machine: the answer is always that all is well. A caller that knows
    better replaces it.
    """
    uid = os.geteuid()
    return Surroundings(
        environment=variables,
        signals=signal_numbers(),
        uid=uid,
        gid=os.getegid(),
        cwd=os.getcwd(),
        places=default_places(uid, environment),
        read=read,
        read_variables=read,
        expand=_no_doubts,
        listed=_no_doubts,
        user=machine.user,
        group=machine.group,
        members=_no_doubts,
        may_enter=_yes,
        find_command=_nothing,
        identity=machine.identity,
        shareable=_yes,
        decided_by_others=_yes,
        on_disk=_yes,
        probe_problem=_nothing,
        destination_doubts=_no_doubts,
        watched_directories=_none,
        writable_command=_no_doubts,
        limit_refusals=_no_doubts,
        cgroup_problem=_nothing,
        own_score=_none,
        zone_problem=_nothing,
        upcoming=_no_doubts,
        trusted=(0, uid),
        lenient_users=True,  # root may start the outcome, though somebody else converts
    )


def _yes(*_: object) -> bool:
    return True


def _nothing(*_: object) -> str:
    return ""


def _none(*_: object) -> int:
    return 0


def _no_doubts(*_: object) -> tuple[()]:
    return ()
