"""From configuration to launch: environment, words, targets."""

from __future__ import annotations

import os
from typing import Any

import pytest

from taskmaster_common.config import INSTANCE, MayUse, ProgramConfig
from taskmasterd.core.limits import needs_fork
from taskmasterd.output.targets import account_of, targets
from taskmasterd.processes.limits.limits import can
from taskmasterd.processes.members.proofs import Proofs
from taskmasterd.processes.preparation import Inherited, child_environment, child_spec
from taskmasterd.system.spawner import SetupError
from taskmasterd.system.users import Account

INHERITED = Inherited(
    {"PATH": "/bin", "HOME": "/root", "OLD": "1"}, Proofs(bytes(16), "/run/s"), 0o027, "/log", None, 0
)
BASE = ProgramConfig("web", ("run", f"--port=80{INSTANCE}"))


def test_the_instance_number_is_put_into_words_paths_and_values() -> None:
    program = BASE.replace(workingdir=f"/srv/{INSTANCE}", env={"N": f"n{INSTANCE}"})
    launch = child_spec(program, 3, INHERITED, None)
    assert launch.argv == ("run", "--port=803")
    assert launch.workingdir == "/srv/3"
    assert launch.environment["N"] == "n3"
    assert launch.environment["TASKMASTER_INSTANCE"] == "3"


def test_a_shell_program_is_run_by_sh() -> None:
    assert child_spec(BASE.replace(cmd=("a && b",), shell=True), 0, INHERITED, None).argv == ("/bin/sh", "-c", "a && b")


def test_env_adds_replaces_and_removes_and_the_marks_cannot_be_overridden() -> None:
    program = BASE.replace(env={"OLD": None, "PATH": "/x", "NEW": "", "TASKMASTER_SOCKET": "/fake"})
    environment = child_spec(program, 0, INHERITED, None).environment
    assert "OLD" not in environment
    assert environment["PATH"] == "/x"
    assert environment["NEW"] == ""
    assert environment["TASKMASTER_SOCKET"] == "/run/s"
    assert environment["TASKMASTER_PROGRAM"] == "web"


def test_the_directory_in_the_variables_is_the_programs_and_no_shell_speaks_through_them() -> None:
    inherited = INHERITED.replace(
        environment=child_environment(
            {"PWD": "/usr", "OLDPWD": "/root", "_": "/bin/tm", "A": "b", "TASKMASTER_ROLE": "hook"}
        )
    )
    environment = child_spec(BASE.replace(workingdir=f"/srv/{INSTANCE}/../x"), 3, inherited, None).environment
    assert (environment["PWD"], environment["A"]) == ("/srv/3/../x", "b")
    assert not {"OLDPWD", "_", "TASKMASTER_ROLE"} & set(environment)
    own = {"PWD": "/mine", "OLDPWD": "/before", "_": "me"}
    assert own.items() <= child_spec(BASE.replace(env=own), 0, inherited, None).environment.items()
    assert "PWD" not in child_spec(BASE.replace(env={"PWD": None}), 0, inherited, None).environment


def test_python_is_unbuffered_unless_something_else_is_asked() -> None:
    assert child_spec(BASE, 0, INHERITED, None).environment["PYTHONUNBUFFERED"] == "1"
    program = BASE.replace(env={"PYTHONUNBUFFERED": None})
    assert "PYTHONUNBUFFERED" not in child_spec(program, 0, INHERITED, None).environment
    inherited = INHERITED.replace(environment={"PYTHONUNBUFFERED": ""})
    assert child_spec(BASE, 0, inherited, None).environment["PYTHONUNBUFFERED"] == ""


def test_a_user_brings_home_and_friends_which_env_may_override() -> None:
    account = Account(7, 8, (8, 9), "ann", "/home/ann", "/bin/zsh")
    environment = child_spec(BASE.with_keys(user="ann", env={"SHELL": "/bin/sh"}), 0, INHERITED, account).environment
    assert (environment["HOME"], environment["USER"], environment["LOGNAME"]) == ("/home/ann", "ann", "ann")
    assert environment["SHELL"] == "/bin/sh"


def test_the_umask_is_the_daemons_unless_the_program_has_its_own() -> None:
    assert child_spec(BASE, 0, INHERITED, None).umask == 0o027
    assert child_spec(BASE.replace(umask=0o077), 0, INHERITED, None).umask == 0o077


def test_variables_that_speak_to_the_daemon_alone_are_kept_from_children() -> None:
    assert child_environment({"NOTIFY_SOCKET": "x", "WATCHDOG_USEC": "1", "LISTEN_FDS": "1", "A": "b"}) == {"A": "b"}


@pytest.mark.parametrize(
    ("stdout", "stderr", "index", "expected"),
    [
        ("default", "default", 0, ("/log/web.log", "/log/web.log")),
        ("default", "default", 2, ("/log/web-2.log", "/log/web-2.log")),
        ("/a", "stdout", 0, ("/a", "/a")),
        (f"/a{INSTANCE}", "null", 1, ("/a1", "null")),
        ("inherit", "default", 0, ("inherit", "/log/web.log")),
    ],
)
def test_streams_go_to_their_targets(stdout: str, stderr: str, index: int, expected: tuple[str, str]) -> None:
    assert targets(BASE.with_keys(stdout=stdout, stderr=stderr), index, "/log") == expected


def test_without_a_log_directory_an_omitted_stream_is_the_daemons_own() -> None:
    assert targets(BASE, 0, None) == ("inherit", "inherit")


def test_an_unknown_user_cannot_be_prepared() -> None:
    with pytest.raises(SetupError, match='no user named "nobody-of-that-name"'):
        account_of(BASE.with_keys(user="nobody-of-that-name"))


def test_the_daemons_own_user_is_no_change() -> None:
    account = account_of(BASE.with_keys(user=str(os.geteuid())))
    assert account is not None
    assert account.uid == os.geteuid()
    if os.geteuid() != 0:
        assert child_spec(BASE, 0, INHERITED, account).identity is None


@pytest.mark.skipif(os.geteuid() == 0, reason="root may become anybody")
def test_another_user_without_root_is_refused_with_the_reason() -> None:
    with pytest.raises(SetupError, match="the daemon runs as uid"):
        account_of(BASE.with_keys(user="root"))


@pytest.mark.parametrize(
    "keys",
    [
        {},
        {"env": {"A": "b"}, "clear_env": True, "umask": 0o27},
        {"may_use": MayUse(rlimits=("nofile 64 -",), cpu_affinity=(0,), oom_score_adj=1000)},
        {"may_use": MayUse(rlimits=("nofile 64 64",))},
        {"may_use": MayUse(rlimits=("stack 1048576 -",))},
        {"may_use": MayUse(nice=5)},
        {"env_file": ("a.env",)},
        {"env": {"A": {"file": "a"}}},
    ],
    ids=str,
)
def test_what_is_said_to_need_a_fork_is_what_has_a_step_that_only_a_child_can_take(keys: dict[str, Any]) -> None:
    program = BASE.replace(**keys)
    steps = child_spec(program, 0, INHERITED, None).steps
    needed = list(needs_fork(program, can(None), grouped=True))
    assert bool(needed) == any(step.around is None for step in steps)
