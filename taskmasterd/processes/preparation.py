"""From a program's configuration to what the kernel needs: identity, environment, words."""

from __future__ import annotations

import os

from taskmaster_common.config import DEFAULT_PATH, LIKE_THE_DAEMON, for_instance
from taskmaster_common.config.words import value_files
from taskmaster_common.records import Record
from taskmasterd.ondemand import Made, on_demand
from taskmasterd.output.targets import is_another
from taskmasterd.processes.members.proofs import ROLE
from taskmasterd.system.spawner import ChildSpec, Identity

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from taskmaster_common.config import ProgramConfig
    from taskmasterd.processes.instance import Input
    from taskmasterd.processes.limits import limits
    from taskmasterd.processes.limits.limits import Grants
    from taskmasterd.processes.members.proofs import Proofs
    from taskmasterd.system import users
    from taskmasterd.system.spawner import SetupStep, variables
    from taskmasterd.system.users import Account
else:
    limits = on_demand("taskmasterd.processes.limits.limits")
    users = on_demand("taskmasterd.system.users")
    variables = on_demand("taskmasterd.system.spawner.variables")


OF_SYSTEMD = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES")
"""Variables that mean the daemon alone. Source: sd_notify(3), sd_watchdog_enabled(3), sd_listen_fds(3)."""
READ_WITHIN_S = 30.0
"""Longest time from the fork of a child that reads files of variables to its exec, seconds; a shorter `start_timeout` holds."""
OF_A_SHELL = ("PWD", "OLDPWD", "_")
OF_A_TERMINAL = ("COLUMNS", "LINES")
"""Variables that contradict the terminal itself once its size changes."""


class Inherited(Record):
    """What every child gets from the daemon. `log_dir` None: an omitted stream is the daemon's own.

    `nofile` is the pair of limits that the daemon itself was started with, `null` /dev/null, open; `limits` knows how to set what
    programs may use.
    """

    environment: Mapping[str, str]
    proofs: Proofs
    umask: int
    log_dir: str | None
    nofile: tuple[int, int] | None
    null: int
    limits: Made[Grants] = Made(lambda: limits.Grants(None))


class Announcement(Record):
    """By what an instance says that it is ready: variables, and a descriptor of ours with its number in the child, or None."""

    environment: Mapping[str, str] = {}
    extra: tuple[int, int] | None = None


class ChildInput(Record):
    """What an instance reads: our end, None of a file, and the child's descriptor for 0, which is closed after the spawn.

    `terminal` is the path of the terminal that all of its standard streams lead to, "" without one.
    """

    ours: Input | None
    stdin: int
    terminal: str = ""


def child_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the daemon's own variables less those that speak of it alone, of its role, or of the shell that started it."""
    return {name: value for name, value in environment.items() if name not in (*OF_SYSTEMD, *OF_A_SHELL, ROLE)}


def inherited_by_children(
    environment: Mapping[str, str], proofs: Proofs, umask: int, log_dir: str | None, nofile: tuple[int, int]
) -> Inherited:
    """Return what every child gets; `environment` and `nofile` are those with which the daemon was started."""
    soft, hard = nofile
    null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    may_be_set = Made(lambda: limits.Grants(nofile))
    mine = nofile if soft != hard else None
    return Inherited(child_environment(environment), proofs, umask, log_dir, mine, null, may_be_set)


def child_spec(program: ProgramConfig, index: int, inherited: Inherited, account: Account | None) -> ChildSpec:
    """Return everything that the child of this slot is made from."""
    words = ("/bin/sh", "-c", program.cmd[0]) if program.shell else program.cmd
    return ChildSpec(
        argv=tuple(for_instance(word, index) for word in words),
        environment=_environment(program, index, inherited, account),
        workingdir=for_instance(program.workingdir, index),
        umask=inherited.umask if program.umask is None else program.umask,
        identity=Identity(account.uid, account.gid, account.groups)
        if account and is_another(account, program)
        else None,
        nofile=inherited.nofile,
        tag=inherited.proofs.lineage.tag((program.name, index)),
        steps=(*_reading(program, index), *_limiting(program, inherited)),
    )


def _limiting(program: ProgramConfig, inherited: Inherited) -> tuple[SetupStep, ...]:
    """Return the steps that set what the child may use, none where that is what the daemon has."""
    return inherited.limits().steps(program.may_use) if program.may_use != LIKE_THE_DAEMON else ()


def _reading(program: ProgramConfig, index: int) -> tuple[SetupStep, ...]:
    """Return the step in which the child reads what stands in files, none where nothing does."""
    values = {name: for_instance(path, index) for name, path in value_files(program.env).items()}
    if not (program.env_file or values):
        return ()
    within_s = min(READ_WITHIN_S, program.policy.start_timeout or READ_WITHIN_S)
    files = tuple(for_instance(path, index) for path in program.env_file)
    step: SetupStep = variables.reading_step(files, values, program.env, within_s)
    return (step,)


def _environment(program: ProgramConfig, index: int, inherited: Inherited, account: Account | None) -> dict[str, str]:
    of_slot = inherited.proofs.variables(program.name, index)
    # these come first: the daemon reads only the first bytes of a process's variables
    environment = {**of_slot, **_of_the_daemon(program, inherited, account)}
    environment.setdefault("PYTHONUNBUFFERED", "1")
    environment["PWD"] = for_instance(program.workingdir, index)
    if program.tty:
        environment["TERM"] = program.tty["term"]
        for name in OF_A_TERMINAL:
            environment.pop(name, None)
    if account and program.run_as.user is not None:
        environment.update(_of_user(account))
    for name, text in program.env.items():
        if not isinstance(text, str):  # the child reads a file
            environment.pop(name, None)
        else:
            environment[name] = for_instance(text, index)
    environment.update(of_slot)
    return environment


def _of_the_daemon(program: ProgramConfig, inherited: Inherited, account: Account | None) -> Mapping[str, str]:
    """Return the daemon's variables, or what `clear_env` leaves of them, with those that every program needs."""
    if program.clear_env is False:
        return inherited.environment
    kept = () if program.clear_env is True else program.clear_env
    own = {name: inherited.environment[name] for name in kept if name in inherited.environment}
    return {"PATH": DEFAULT_PATH, **_of_user(account or users.account(str(os.geteuid()), None)), **own}


def _of_user(account: Account) -> dict[str, str]:
    return {"HOME": account.home, "USER": account.name, "LOGNAME": account.name, "SHELL": account.shell}
