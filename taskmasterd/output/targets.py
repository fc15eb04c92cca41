"""Where the streams of a program lead, and with whose rights that is opened.

It looks up users and has no other effect. Raises `SetupError` with the step that failed.
"""

from __future__ import annotations

import os

from taskmaster_common.config import (
    DEFAULT_LOG,
    DISCARD,
    INHERIT,
    RAW,
    SAME_AS_STDOUT,
    SYSLOG,
    ProgramConfig,
    for_instance,
    is_elsewhere,
)
from taskmasterd.ondemand import on_demand
from taskmasterd.system.spawner import SetupError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from taskmaster_common.config import elsewhere
    from taskmasterd.system import users
else:
    elsewhere = on_demand("taskmaster_common.config.elsewhere")
    users = on_demand("taskmasterd.system.users")


OWN_STREAMS = ("/dev/stdout", "/dev/stderr")
"""The daemon's own streams, as paths."""


def account_of(program: ProgramConfig) -> users.Account | None:
    """Return the account that the program runs as, None for the daemon's own. Raises SetupError where that is impossible."""
    user, group = program.run_as.user, program.run_as.group
    if user is None and group is None:
        return None
    try:
        who = users.account(user if user is not None else str(os.geteuid()), group)
    except LookupError as error:
        raise SetupError("user", str(error)) from None
    if os.geteuid() != 0 and is_another(who, program):
        wanted = f"user {who.name}" if who.uid != os.geteuid() else f"group {group}"
        raise SetupError("user", f"cannot become {wanted}: the daemon runs as uid {os.geteuid()}, not as root")
    return who


def ids_of(who: users.Account | None) -> tuple[int, int] | None:
    """Return uid and gid of an account, None for the daemon's own."""
    return (who.uid, who.gid) if who else None


def is_another(who: users.Account, program: ProgramConfig) -> bool:
    """Return whether the child has to change its identity; as root it does even for `user: root`, which sets its groups."""
    if os.geteuid() == 0:
        return True
    return who.uid != os.geteuid() or (program.run_as.group is not None and who.gid != os.getegid())


def targets(program: ProgramConfig, index: int, log_dir: str | None) -> tuple[str, str]:
    """Return where stdout and stderr of a slot go: an absolute path, DISCARD, INHERIT, or the text of a target elsewhere.

    What is formatted passes the daemon on its way to the daemon's own streams, so these are paths then.
    """
    stdout, stderr = _targets(program, index, log_dir)
    if not (is_elsewhere(stdout) or is_elsewhere(stderr)):
        return stdout, stderr
    if is_elsewhere(stderr):
        stderr = elsewhere.addressed(stderr, program.name, index, "stderr")
    return elsewhere.addressed(stdout, program.name, index, "stdout") if is_elsewhere(stdout) else stdout, stderr


def _targets(program: ProgramConfig, index: int, log_dir: str | None) -> tuple[str, str]:
    output = program.output
    stdout = _target(program, output.stdout, index, log_dir)
    same = output.stderr in (SAME_AS_STDOUT, output.stdout)
    stderr = stdout if same else _target(program, output.stderr, index, log_dir)
    if output.log_format == RAW:
        return stdout, stderr
    own = OWN_STREAMS[output.stderr != SAME_AS_STDOUT]
    return OWN_STREAMS[0] if stdout == INHERIT else stdout, own if stderr == INHERIT else stderr


def _target(program: ProgramConfig, written: str, index: int, log_dir: str | None) -> str:
    if written == DEFAULT_LOG:
        if log_dir is None:
            return INHERIT
        return f"{log_dir}/{program.name}{f'-{index}' if index else ''}.log"
    return written if written in (DISCARD, INHERIT) or is_elsewhere(written) else for_instance(written, index)


def leads_to_a_pipe(target: str) -> bool:
    """Return whether bytes on their way to a target pass the daemon: a path, or syslog."""
    return target.startswith("/") or target.partition(" ")[0] == SYSLOG
