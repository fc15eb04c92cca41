"""Programs that run by the clock: overlaps, failures, stops, what `status`, `runs` and `why` say, and reloads."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Any

import pytest

from tests.support.daemon import Daemon
from tests.support.guarded import at_rest, sleeps_of
from tests.support.wait import wait_until

LIMIT = {"start_timeout": 600}


def configuration(programs: dict[str, Any]) -> str:
    return json.dumps({"programs": {name: {**LIMIT, **program} for name, program in programs.items()}})


def runs(daemon: Daemon, name: str, *more: str) -> dict[str, Any]:
    """Return what `runs NAME` says, as an object."""
    done = daemon.ctl("runs", name, *more, "--json")
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)["runs"][0]
    return found


def past(daemon: Daemon, name: str) -> list[dict[str, Any]]:
    """Return the runs that are over and were none that was left out."""
    return [run for run in runs(daemon, name)["history"] if not run["count"]]


HOUR = (time.gmtime().tm_hour + 6) % 24
"""An hour that does not come while the tests run."""
PROGRAMS: dict[str, Any] = {
    "skips": {"cmd": "sleep 600", "schedule": {"every": 1}},
    "queues": {"cmd": "sleep 1.3", "schedule": {"every": 1, "overlap": "queue", "history": 1000}},
    "replaces": {"cmd": "sleep 600", "schedule": {"every": 1, "overlap": "replace", "history": 1000}},
    "fails": {"cmd": "sh -c 'exit 3'", "schedule": {"every": 1, "history": 1000}},
    "hangs": {"cmd": "sleep 60", "schedule": {"every": 2}, "start_timeout": 1},
    "daily": {"cmd": "sh -c 'exit 0'", "schedule": {"cron": f"0 {HOUR} * * *", "timezone": "UTC"}},
    "manual": {"cmd": "sleep 600", "schedule": {"every": 3600}, "autostart": False},
    "plain": {"cmd": "sleep 60", "autostart": False},
}


@pytest.fixture(scope="module")
def shared(share_daemon: Callable[[str], Daemon]) -> Daemon:
    """Return a daemon with jobs that meet each other, fail and hang."""
    return share_daemon(configuration(PROGRAMS)).start()


def test_an_armed_job_is_as_wanted_and_says_when_it_runs_next(shared: Daemon) -> None:
    daily = shared.status()["daily"]
    assert (daily["state"], daily["wanted"], daily["type"]) == ("EXITED", True, "oneshot")
    assert daily["detail"].startswith(f"not run yet; next {HOUR:02}:00 (in ")
    assert daily["schedule"]["next"].endswith(f" {HOUR:02}:00:00+00:00")
    assert shared.ctl("status", "daily").returncode == 0
    why = shared.ctl("why", "daily").stdout
    assert "the job waits for its time." in why
    assert f"next      it runs at {HOUR:02}:00 (in " in why


def test_a_start_runs_it_now_and_the_times_stay_as_they_were(shared: Daemon) -> None:
    before = runs(shared, "daily")["next"]
    assert shared.ctl("start", "daily").returncode == 0
    (run,) = past(shared, "daily")
    assert (run["nominal"], run["ok"]) == (None, True)
    assert run["how"].startswith("uid ")
    assert runs(shared, "daily")["next"] == before
    assert shared.status()["daily"]["detail"].startswith("done (0) in ")


def test_the_next_runs_are_those_of_the_zone_from_any_time_on(shared: Daemon) -> None:
    found = runs(shared, "daily", "--from", "2026-03-28T23:30", "-n", "2")["next"]
    assert found == [f"2026-03-29 {HOUR:02}:00:00+00:00", f"2026-03-30 {HOUR:02}:00:00+00:00"]
    assert shared.ctl("runs", "daily", "--from", "noon").returncode == 2
    assert shared.ctl("runs", "plain").stdout == "plain has no schedule\n"


def test_a_failed_run_is_fatal_with_the_next_time_and_the_next_run_is_tried(shared: Daemon) -> None:
    wait_until(lambda: len(past(shared, "fails")) >= 2, within_s=20)
    assert {(run["ok"], run["result"].partition(" after ")[0]) for run in past(shared, "fails")} == {(False, "exit 3")}
    wait_until(lambda: "; next " in shared.status()["fails"]["detail"], within_s=20)


def test_what_is_stopped_stays_down_until_it_is_armed_or_started(shared: Daemon) -> None:
    wait_until(lambda: past(shared, "fails"), within_s=20)
    assert shared.ctl("stop", "fails").returncode == 0
    stopped = shared.status()["fails"]
    assert (stopped["state"], stopped["wanted"], stopped["schedule"]["off"]) == ("STOPPED", True, True)
    assert stopped["detail"].endswith("; schedule off")
    before, others = len(past(shared, "fails")), len(past(shared, "replaces"))
    wait_until(lambda: len(past(shared, "replaces")) >= others + 2, within_s=20)  # two seconds have passed
    assert (shared.state("fails"), len(past(shared, "fails"))) == ("STOPPED", before)
    done = shared.ctl("start", "--next", "fails")
    assert (done.returncode, done.stdout) == (0, "fails armed\n")
    wait_until(lambda: len(past(shared, "fails")) > before, within_s=20)


def test_a_job_without_autostart_is_armed_by_start_next_only(shared: Daemon) -> None:
    assert shared.status()["manual"]["detail"] == "not started; schedule off"
    assert shared.ctl("start", "--next", "manual").returncode == 0
    wait_until(lambda: "; next " in shared.status()["manual"]["detail"], within_s=10)
    assert shared.ctl("start", "--next", "plain").returncode == 2


def test_stop_run_ends_this_run_and_leaves_the_schedule_armed(shared: Daemon) -> None:
    shared.ctl("start", "--no-wait", "manual")
    shared.wait_for("manual", "RUNNING")
    assert shared.ctl("stop", "--run", "manual").returncode == 0
    manual = shared.status()["manual"]
    assert (manual["state"], manual["schedule"]["off"]) == ("EXITED", False)
    assert manual["detail"].startswith("stopped by uid ")
    assert past(shared, "manual")[-1]["result"].startswith("stopped by uid ")
    assert shared.ctl("wait", "--for", "done", "manual", "--timeout", "0.1").returncode != 0, "it was not done"


def test_each_run_that_is_due_ends_the_one_before_where_the_file_says_so(shared: Daemon) -> None:
    wait_until(lambda: len(past(shared, "replaces")) >= 2, within_s=20)
    assert {run["result"] for run in past(shared, "replaces")} == {"replaced"}


def test_a_run_that_waits_begins_at_the_end_of_the_one_before(shared: Daemon) -> None:
    wait_until(lambda: len(past(shared, "queues")) >= 2, within_s=20)
    first, second, *_ = past(shared, "queues")
    began, nominal = (datetime.fromisoformat(first[key]).timestamp() for key in ("began", "nominal"))
    assert first["how"] == "schedule" or began - nominal >= 1, "a busy machine is late, and says so"
    assert second["how"] == "late"


@pytest.mark.sweep
def test_a_run_that_takes_too_long_is_ended_and_the_next_one_is_tried(shared: Daemon) -> None:
    wait_until(lambda: len(past(shared, "hangs")) >= 2, within_s=20)
    assert {(run["ok"], run["result"]) for run in past(shared, "hangs")} == {(False, "not done within 1s")}


def test_from_the_third_skipped_run_on_a_job_is_not_as_wanted(shared: Daemon) -> None:
    wait_until(lambda: not shared.status()["skips"]["wanted"], within_s=20)
    skips = shared.status()["skips"]
    assert skips["schedule"]["skipped"] >= 3
    assert f", {skips['schedule']['skipped']} skipped" in skips["detail"]
    assert shared.ctl("status", "skips").returncode == 3
    assert len([run for run in runs(shared, "skips")["history"] if run["how"] == "skipped"]) == 1, "one line for all"
    assert "skipped" in shared.ctl("events", "skips").stdout


def test_the_table_has_a_line_for_each_job(shared: Daemon) -> None:
    lines = shared.ctl("runs").stdout.splitlines()
    assert lines[0].split() == ["NAME", "NEXT", "LAST", "RESULT", "TOOK", "SKIPPED"]
    assert [line.split()[0] for line in lines[1:]] == [name for name in PROGRAMS if name != "plain"]


# -- over reloads, ends and upgrades


def at(moment: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(moment))


@pytest.mark.sweep
def test_missed_runs_are_made_up_once_or_not_at_all(daemon: Daemon) -> None:
    often = {"cmd": "true", "schedule": {"every": 1}}
    daemon.write(configuration({"often": often}))
    daemon.start()
    due = int(time.time()) + 8
    programs = {
        "late": {"cmd": "true", "schedule": {"at": at(due)}},
        "never": {"cmd": "true", "schedule": {"at": at(due), "catch_up": 1}},
    }
    daemon.write(configuration({**programs, "often": often}))
    daemon.ctl("reload")
    daemon.ctl("shutdown")
    assert time.time() < due
    wait_until(lambda: time.time() > due + 2.2, within_s=20)
    daemon.start()
    wait_until(lambda: past(daemon, "late"), within_s=20)
    (run,) = past(daemon, "late")
    assert (run["how"], run["ok"]) == ("late", True)
    assert "s: the daemon was down)" in daemon.ctl("why", "late").stdout
    (missed,) = runs(daemon, "never")["history"]
    assert missed["result"].startswith("missed 1 (")
    assert daemon.status()["never"]["detail"] == "not run yet; no more runs"
    assert "missed" in daemon.ctl("events", "never").stdout
    history = runs(daemon, "often")["history"]
    assert [run["how"] for run in history].count("missed") == 1, "one line for all that were missed"


@pytest.mark.sweep
def test_a_running_job_goes_on_over_reload_kill_and_upgrade_and_its_end_is_in_runs(daemon: Daemon) -> None:
    job = {"cmd": "sh -c 'until [ -e go ]; do sleep 0.02; done'", "type": "oneshot"}
    gone = {"cmd": "true", "schedule": {"cron": "0 0 1 1 *"}}
    hour = time.gmtime(time.time() - 3600).tm_hour
    daemon.write(configuration({"job": {**job, "schedule": {"every": 3600}}, "other": gone}))
    daemon.start()
    daemon.ctl("start", "--no-wait", "job")
    pid = daemon.wait_for("job", "RUNNING")["pid"]
    passed = {"cmd": "true", "schedule": {"cron": f"0 {hour} * * *", "timezone": "UTC"}}
    daemon.write(
        configuration({"job": {**job, "cmd": f"{job['cmd']} x", "schedule": {"every": 1800}}, "other": passed})
    )
    assert daemon.ctl("reload").returncode == 0
    assert daemon.status()["job"]["pid"] == pid, "what runs is not touched, even if its command has changed"
    assert daemon.ctl("upgrade").returncode == 0
    daemon.kill()
    daemon.start()
    assert daemon.status()["job"]["pid"] == pid
    daemon.write(configuration({"job": job, "other": passed, "added": passed}))
    assert daemon.ctl("reload").returncode == 0
    assert daemon.status()["job"]["pid"] == pid
    (daemon.home / "go").touch()
    wait_until(lambda: past(daemon, "job"), within_s=20)
    assert past(daemon, "job")[0]["how"].startswith("uid ")
    assert [runs(daemon, name)["history"] for name in ("other", "added")] == [[], []], "nothing is due from before"


@pytest.mark.sweep
def test_an_upgrade_forgets_no_runs_where_they_cannot_be_written(daemon: Daemon) -> None:
    (daemon.home / "runs").write_text("no directory")
    daemon.write(configuration({"job": {"cmd": "true", "schedule": {"every": 1, "overlap": "queue"}}}))
    daemon.start()
    wait_until(lambda: "missed runs cannot be made up" in daemon.events())
    wait_until(lambda: past(daemon, "job"))
    daemon.ctl("stop", "job")
    before = past(daemon, "job")
    assert daemon.ctl("upgrade").returncode == 0
    assert past(daemon, "job") == before
    daemon.ctl("start", "job")
    assert past(daemon, "job")[: len(before)] == before


def _has_come(moment: float) -> bool:
    return time.time() > moment


@pytest.mark.sweep
@pytest.mark.parametrize("times", [2, pytest.param(20, marks=pytest.mark.sweep)])
def test_a_kill_about_the_time_of_a_run_lets_it_run_once_and_loses_none(daemon: Daemon, times: int) -> None:
    daemon.write(configuration({"job": {"cmd": "sh -c 'echo ran >> ran'", "schedule": {"every": 1, "history": 1000}}}))
    daemon.start()
    for number in range(times):
        due = datetime.fromisoformat(runs(daemon, "job", "-n", "1")["next"][0]).timestamp() + number % 5 * 0.01
        wait_until(partial(_has_come, due), within_s=20)
        daemon.kill()
        wait_until(
            lambda: daemon.launch().returncode == 0, within_s=20
        )  # a child that has not executed yet holds the lock
    daemon.ctl("stop", "job")
    history = [run for run in runs(daemon, "job")["history"] if not run["count"]]
    nominal = [run["nominal"] for run in history]
    assert len(nominal) == len(set(nominal)), "none runs twice"
    ran = (daemon.home / "ran").read_text().splitlines() if (daemon.home / "ran").exists() else []
    assert len(ran) <= len(history), "each run is in the history"


@pytest.mark.sweep
def test_who_has_no_schedule_pays_nothing_and_an_armed_one_wakes_nobody(daemon: Daemon) -> None:
    daemon.write(configuration({"job": {"cmd": "true", "schedule": "0 0 1 1 *"}}))
    daemon.start()
    wait_until(lambda: "; next " in daemon.status()["job"]["detail"], within_s=10)

    before = at_rest(daemon.pid)
    with pytest.raises(AssertionError):
        wait_until(lambda: sleeps_of(daemon.pid) != before, within_s=2)
