"""One-shot programs with a real daemon: a migration before the web application, and what a daemon that dies makes of it."""

from __future__ import annotations

import pytest

from tests.support.daemon import Daemon
from tests.support.wait import wait_until

MIGRATION = """
programs:
  migrate: {{type: oneshot, cmd: 'echo run >> runs; {cmd}', shell: true}}
  web: {{cmd: sleep 98, starttime: 0, depends_on: [migrate]}}
"""


def runs(daemon: Daemon) -> int:
    """Return how often the job has run."""
    return (daemon.home / "runs").read_text().count("run")


def state(daemon: Daemon, name: str) -> str:
    """Return the state of a process, with its phase."""
    process = daemon.status()[name]
    return f"{process['state']} {process['phase']}".strip()


def test_a_job_that_is_done_lets_its_dependents_start_and_is_as_wanted_also_by_name(daemon: Daemon) -> None:
    daemon.write(MIGRATION.format(cmd="exit 0"))
    daemon.start()
    assert daemon.ctl("wait", "all").returncode == 0
    assert daemon.ctl("wait", "--for", "done", "migrate").returncode == 0
    never = daemon.ctl("wait", "--for", "done", "web")
    assert (never.returncode, "only a oneshot is ever done" in never.stderr) == (1, True)
    answer = daemon.ctl("status", "migrate")
    assert answer.returncode == 0
    assert "done (0) in" in answer.stdout
    assert state(daemon, "web") == "RUNNING"


def test_a_job_that_fails_is_fatal_blocks_its_dependents_and_ends_a_wait_at_once(daemon: Daemon) -> None:
    daemon.write(MIGRATION.format(cmd="exit 3"))
    daemon.start()
    assert daemon.ctl("wait", "web").returncode == 1
    assert (state(daemon, "migrate"), state(daemon, "web")) == ("FATAL", "BACKOFF blocked")
    assert "needs migrate, which is FATAL: exit 3" in daemon.ctl("status").stdout


@pytest.mark.sweep
def test_a_job_runs_once_over_restarts_of_what_needs_it_and_deaths_of_the_daemon(daemon: Daemon) -> None:
    daemon.write(MIGRATION.format(cmd="exit 0"))
    daemon.start()
    assert daemon.ctl("wait", "all").returncode == 0
    assert daemon.ctl("restart", "web").returncode == 0
    daemon.kill()
    daemon.start()
    assert daemon.ctl("restart", "web").returncode == 0
    assert daemon.ctl("upgrade").returncode == 0
    assert (runs(daemon), state(daemon, "migrate")) == (1, "EXITED")
    assert daemon.ctl("start", "migrate").returncode == 0
    assert runs(daemon) == 2


@pytest.mark.sweep
def test_a_job_under_way_is_taken_over_by_the_next_daemon(daemon: Daemon) -> None:
    daemon.write(MIGRATION.format(cmd="until test -e go; do sleep 0.05; done"))
    daemon.start()
    wait_until(lambda: state(daemon, "migrate") == "RUNNING")
    pid = daemon.status()["migrate"]["pid"]
    assert daemon.ctl("upgrade").returncode == 0
    assert (daemon.status()["migrate"]["pid"], state(daemon, "web")) == (pid, "STARTING held")
    (daemon.home / "go").touch()
    wait_until(lambda: state(daemon, "web") == "RUNNING")
    assert runs(daemon) == 1


@pytest.mark.sweep
def test_a_job_that_takes_too_long_is_ended(daemon: Daemon) -> None:
    daemon.write("programs:\n  slow: {type: oneshot, cmd: sleep 99, start_timeout: 0.5}\n")
    daemon.start()
    wait_until(lambda: state(daemon, "slow") == "FATAL")
    assert "not done within 0.5s" in daemon.status()["slow"]["detail"]
    assert "slow not done within 0.5s; ending it: TERM to its group" in daemon.events()


@pytest.mark.sweep
def test_the_last_of_several_essential_jobs_ends_the_daemon(daemon: Daemon) -> None:
    daemon.write(
        "programs:\n  job: {type: oneshot, cmd: 'until test -e go; do sleep 0.05; done; sleep 0.$TASKMASTER_INSTANCE', shell: true, "
        "numprocs: 3, essential: true}\n"
    )
    daemon.start_foreground()
    (daemon.home / "go").touch()
    assert daemon.foreground
    assert daemon.foreground.wait(30) == 0
    assert daemon.events().count("exited: exit 0") == 3
