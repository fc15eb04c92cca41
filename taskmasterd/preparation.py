"""From a program's configuration to what the kernel needs: identity, environment, words, targets of the streams.

No effect but looking up users. Raises `SetupError` with the step that cannot be done.
"""

from __future__ import annotations

import os

from taskmaster_common.config import DEFAULT_LOG, DISCARD, INHERIT, SAME_AS_STDOUT, ProgramConfig, for_instance
from taskmaster_common.records import Record
from taskmasterd.system.notify import HIDDEN_FROM_CHILDREN
from taskmasterd.system.spawner import Identity, Launch, SetupError
from taskmasterd.system.users import Account, account

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from taskmasterd.system.marks import Marks


OF_A_SHELL = ("PWD", "OLDPWD", "_")


class Surroundings(Record):
    """What every child gets from the daemon. `log_dir` None: an omitted stream is the daemon's own.

    `nofile` is the pair of limits that the daemon itself was started with.
    """

    environment: Mapping[str, str]
    marks: Marks
    umask: int
    log_dir: str | None
    nofile: tuple[int, int] | None


def child_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the daemon's own variables less those that speak of it alone, or of the shell that started it."""
    return {name: value for name, value in environment.items() if name not in (*HIDDEN_FROM_CHILDREN, *OF_A_SHELL)}


def launch_of(program: ProgramConfig, index: int, around: Surroundings, who: Account | None) -> Launch:
    """Return everything that the child of this slot is made from."""
    words = ("/bin/sh", "-c", program.cmd[0]) if program.shell else program.cmd
    return Launch(
        argv=tuple(for_instance(word, index) for word in words),
        environment=_environment(program, index, around, who),
        workingdir=for_instance(program.workingdir, index),
        umask=around.umask if program.umask is None else program.umask,
        identity=Identity(who.uid, who.gid, who.groups) if who and _is_another(who, program) else None,
        nofile=around.nofile,
        tag=around.marks.lineage.tag((program.name, index)),
    )


def account_of(program: ProgramConfig) -> Account | None:
    """Return who the program runs as, None for the daemon itself. Raises SetupError where that cannot be."""
    if program.user is None and program.group is None:
        return None
    try:
        who = account(program.user if program.user is not None else str(os.geteuid()), program.group)
    except LookupError as error:
        raise SetupError("user", str(error)) from None
    if os.geteuid() != 0 and _is_another(who, program):
        wanted = f"user {who.name}" if who.uid != os.geteuid() else f"group {program.group}"
        raise SetupError("user", f"cannot become {wanted}: the daemon runs as uid {os.geteuid()}, not as root")
    return who


def _is_another(who: Account, program: ProgramConfig) -> bool:
    """Return whether the child has to change its identity; as root even `user: root` sets its groups."""
    if os.geteuid() == 0:
        return True
    return who.uid != os.geteuid() or (program.group is not None and who.gid != os.getegid())


def _environment(program: ProgramConfig, index: int, around: Surroundings, who: Account | None) -> dict[str, str]:
    marks = around.marks.variables(program.name, index)
    # the marks come first: of the variables of a process only so many bytes are read
    environment = {**marks, **around.environment}
    environment.setdefault("PYTHONUNBUFFERED", "1")
    environment["PWD"] = for_instance(program.workingdir, index)
    if who and program.user is not None:
        environment.update(HOME=who.home, USER=who.name, LOGNAME=who.name, SHELL=who.shell)
    for name, text in program.env.items():
        if text is None:
            environment.pop(name, None)
        else:
            environment[name] = for_instance(text, index)
    environment.update(marks)
    return environment


def targets(program: ProgramConfig, index: int, log_dir: str | None) -> tuple[str, str]:
    """Return where stdout and stderr of a slot go: an absolute path, DISCARD or INHERIT."""
    stdout = _target(program, program.stdout, index, log_dir)
    stderr = (
        stdout
        if program.stderr in (SAME_AS_STDOUT, program.stdout)
        else _target(program, program.stderr, index, log_dir)
    )
    return stdout, stderr


def _target(program: ProgramConfig, written: str, index: int, log_dir: str | None) -> str:
    if written == DEFAULT_LOG:
        if log_dir is None:
            return INHERIT
        return f"{log_dir}/{program.name}{f'-{index}' if index else ''}.log"
    return written if written in (DISCARD, INHERIT) else for_instance(written, index)
