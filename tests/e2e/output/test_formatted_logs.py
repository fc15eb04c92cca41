"""Formatted logs of a real daemon, which dies and is replaced; the examples of docs/programs/output.md."""

from __future__ import annotations

import datetime as dt
import json
import re
import shutil
import socket
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from tests.support.daemon import ROOT, Daemon
from tests.support.guarded import kill_daemon
from tests.support.talk import upgrade
from tests.support.variants import in_the_sweep
from tests.support.wait import wait_until
from tests.support.wire import resident

pytestmark = pytest.mark.slow
PAGE = (ROOT / "docs" / "programs" / "output.md").read_text()
STAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}[+-]\d\d:\d\d")
COUNTER = f"""{sys.executable} -c "
import sys, time
n = 0
while True:
    n += 1
    out = sys.stderr if n % 3 == 0 else sys.stdout
    out.write('%d ' % n)
    out.flush()
    out.write(chr(233) * (n % 40) + chr(10))
    out.flush()
    n % 10 or time.sleep(0.001)
" """


def example(number: int) -> tuple[str, list[str]]:
    """Return the configuration of an example, and the lines that the page shows."""
    configuration = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)[number]
    return configuration, re.findall(r"```text\n(.*?)```", PAGE, re.DOTALL)[number].splitlines()


def objects(daemon: Daemon, name: str) -> list[dict[str, object]]:
    """Return all objects of a log and of its rotated files."""
    files = sorted((daemon.home / "log").glob(f"{name}.log.*"), key=lambda path: -int(path.suffix[1:]))
    texts = [path.read_bytes() for path in files] + [daemon.log(name)]
    return [json.loads(line) for text in texts for line in text.splitlines()]


def written(daemon: Daemon) -> int:
    """Return the size of a log and its rotated files, 0 while they are being renamed."""
    with suppress(FileNotFoundError):
        return sum(path.stat().st_size for path in (daemon.home / "log").glob("count.log*"))
    return 0


@pytest.mark.sweep
def test_the_example_of_syslog_sends_what_the_page_says(daemon: Daemon) -> None:
    configuration = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)[2]
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as remote,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as local,
    ):
        remote.bind(("127.0.0.1", 0))
        local.bind(f"{daemon.home}/local")
        for each in (remote, local):
            each.settimeout(20)
        daemon.write(
            configuration.replace(":514", f":{remote.getsockname()[1]}").replace("/dev/log", f"{daemon.home}/local")
        )
        daemon.start()
        assert re.match(rb"<158>1 .* talk \d+ - .* started$", remote.recv(4096))
        assert re.match(rb"<27>[A-Z].* talker\[\d+\]: broken$", local.recv(4096))


def test_lines_look_as_the_page_shows_them(daemon: Daemon) -> None:
    examples = [example(0), example(1)]
    daemon.write("programs:\n" + "".join(text.replace("programs:\n", "") for text, _ in examples))
    daemon.start()
    for name, (_, shown) in zip(("greeter", "counter"), examples):
        wait_until(lambda name=name, shown=shown: len(daemon.log(name).splitlines()) >= len(shown))  # type: ignore[misc]
        pid = str(daemon.status()[name]["pid"])
        lines = [STAMP.sub("TIME", line).replace(pid, "71") for line in daemon.log(name).decode().splitlines()]
        assert lines == [STAMP.sub("TIME", line) for line in shown]
    assert daemon.ctl("stop", "counter").returncode == 0
    last = json.loads(daemon.log("counter").splitlines()[-1])
    assert (last["stream"], last["message"].partition(" after")[0]) == ("event", "counter ended: killed by SIGTERM")
    spools = daemon.home / "spool"
    # one for each stream of the other program: those of this one go with the last who holds its pipes
    wait_until(lambda: len(list(spools.iterdir())) == 2)
    assert {path.stat().st_mode & 0o777 for path in (spools, *spools.iterdir())} == {0o700, 0o600}
    assert daemon.ctl("shutdown").returncode == 0
    assert not spools.exists()


def test_instances_in_one_file_have_whole_lines_that_name_them(daemon: Daemon) -> None:
    cmd = 'for i in 1 2 3; do printf "$TASKMASTER_INSTANCE"; sleep 0.05; echo "$TASKMASTER_INSTANCE"; done; sleep 300'
    program = {"cmd": cmd, "shell": True, "numprocs": 2, "stdout": f"{daemon.home}/both", "stderr": "stdout"}
    formatted = {"log_format": "prefix", "log_prefix": "{time} {name}/{stream}[{pid}] ", "log_time": "utc"}
    daemon.write(json.dumps({"programs": {"web": {**program, **formatted}}}))
    daemon.start()
    both = Path(daemon.home / "both")
    wait_until(lambda: both.exists() and both.read_text().count("\n") == 6)
    pids = {name: status["pid"] for name, status in daemon.status().items()}
    seen = sorted(STAMP.sub("TIME", line) for line in both.read_text().splitlines())
    assert seen == sorted(
        [f"TIME web:{number}/stdout[{pids[f'web:{number}']}] {number}{number}" for number in (0, 1) for _ in range(3)]
    )
    assert both.read_text()[23:29] == "+00:00"


@pytest.mark.sweep
def test_the_daemons_own_output_has_whole_lines_of_each_program(make_daemon: Callable[..., Daemon]) -> None:
    program = {"cmd": "echo up; echo bad >&2; sleep 300", "shell": True, "stdout": "inherit", "stderr": "inherit"}
    daemon = make_daemon(
        json.dumps({"programs": {"web": {**program, "log_format": "prefix", "log_prefix": "{name} | "}}})
    )
    daemon.start_foreground()
    wait_until(lambda: "web | up\n" in (daemon.home / "stdout").read_text())
    wait_until(lambda: "web | bad\n" in (daemon.home / "stderr").read_text())


@pytest.mark.sweep
@pytest.mark.parametrize("kills", [2, *in_the_sweep(40)])
@pytest.mark.parametrize("way", ["kill", "guardian", "upgrade"])
def test_no_line_is_lost_or_doubled_when_one_daemon_follows_another(daemon: Daemon, way: str, kills: int) -> None:
    log = {"log_format": "json", "log_maxbytes": "60KB", "log_backups": 999, "stderr": "stdout"}
    daemon.write(json.dumps({"programs": {"count": {"cmd": COUNTER, "starttime": 0, "stopsignal": "KILL", **log}}}))
    daemon.start(*(["--guard"] if way == "guardian" else []))
    for _ in range(kills):
        before = written(daemon)
        wait_until(lambda before=before: written(daemon) > before + 20_000)  # type: ignore[misc]
        if way == "upgrade":
            upgrade(daemon)
        elif way == "kill":
            daemon.kill()
            daemon.start()
        else:
            kill_daemon(daemon)
            resident(daemon)
    assert daemon.ctl("stop", "count").returncode == 0
    lines: dict[str, list[str]] = {"stdout": [], "stderr": []}
    begun = dict.fromkeys(lines, "")
    for each in objects(daemon, "count"):
        stream, text = str(each["stream"]), str(each["message"])
        begun[stream] += text
        if not each.get("partial"):
            lines[stream].append(begun[stream])
            begun[stream] = ""
    last = max(int(line.split()[0]) for each in lines.values() for line in each)
    assert last > 100
    for stream, is_third in (("stdout", False), ("stderr", True)):
        wrote = [f"{n} {'é' * (n % 40)}" for n in range(1, last + 1) if (n % 3 == 0) == is_third]
        assert lines[stream] == wrote[: len(lines[stream])]
        assert len(wrote) - len(lines[stream]) <= 1, "the last one may have been killed on its way"


@pytest.mark.sweep
def test_a_reload_from_one_form_to_another_restarts_the_program(daemon: Daemon) -> None:
    program = {"cmd": "echo up; sleep 300", "shell": True, "starttime": 0}
    daemon.write(json.dumps({"programs": {"web": program}}))
    daemon.start()
    wait_until(lambda: daemon.log("web") == b"up\n")
    pid = daemon.status()["web"]["pid"]
    daemon.write(json.dumps({"programs": {"web": {**program, "log_format": "prefix", "log_events": True}}}))
    assert daemon.ctl("reload").returncode == 0
    assert daemon.status()["web"]["pid"] != pid
    wait_until(lambda: daemon.log("web").endswith(b" up\n"))
    assert STAMP.sub("TIME", daemon.log("web").decode()).startswith("up\nTIME web started (pid ")
    daemon.write(json.dumps({"programs": {"web": {**program, "log_format": "prefix", "log_events": False}}}))
    pid = daemon.status()["web"]["pid"]
    assert daemon.ctl("reload").returncode == 0
    assert daemon.status()["web"]["pid"] == pid, "log_events is live"


def test_logs_of_a_period_go_by_the_times_of_the_lines_over_rotated_files(daemon: Daemon) -> None:
    now = time.time()
    lines = [
        f"{dt.datetime.fromtimestamp(now - ago).astimezone().isoformat(timespec='milliseconds')} {ago}\n"
        for ago in range(180, 0, -6)
    ]

    def between() -> str:
        """Return how long ago it is now that the time between lines 19 and 20 was, three seconds from both."""
        return f"{63 + time.time() - now:.2f}"

    logs = daemon.home / "log"
    logs.mkdir()
    for name, part in (("web.log.2", lines[:5]), ("web.log.1", lines[5:24]), ("web.log", lines[24:])):
        (logs / name).write_text("".join(part))
    daemon.write(json.dumps({"programs": {"web": {"cmd": "sleep 300", "starttime": 0, "log_format": "prefix"}}}))
    daemon.start()
    assert daemon.ctl("logs", "web", "--since", between()).stdout == "".join(lines[20:])
    assert daemon.ctl("logs", "web", "--since", "1h", "--until", between()).stdout == "".join(lines[:20])
    assert daemon.ctl("logs", "web", "-n", "2", "--since", between()).stdout == "".join(lines[-2:])
    moment = lines[20].split()[0]
    assert daemon.ctl("logs", "web", "--since", moment).stdout == "".join(lines[20:])
    assert daemon.ctl("logs", "web", "--since", "boot", "--until", moment).stdout == "".join(lines[:20])
    assert daemon.ctl("logs", "web", "--since", "start").stdout == ""
    assert daemon.ctl("logs", "web", "--since", "tomorrow").returncode == 2
    events = daemon.ctl("logs", "--daemon", "web", "--since", "1h").stdout
    assert " info web started (pid " in events
    assert daemon.ctl("logs", "--daemon", "--until", "1h").stdout == ""
    assert daemon.ctl("logs", "-f", "web", "--until", "1h").returncode == 2
    (logs / "db.log").write_text(lines[-1].replace(" 6", " between"))
    daemon.write(
        daemon.config.read_text().replace('"programs": {', '"programs": {"db": {"cmd": "sleep 300", "starttime": 0}, ')
    )
    assert daemon.ctl("reload").returncode == 0
    shown = daemon.ctl("logs", "--merge", "web", "db", "-n", "2").stdout.splitlines()
    assert [each.split()[0] + each.split()[-1] for each in shown] == ["web12", "web6", "dbbetween"]
    assert daemon.ctl("logs", "--merge", "-f").returncode == 2
    assert daemon.ctl("logs", "--merge", "--json").returncode == 2


def test_a_failed_start_is_explained_by_the_message_and_not_by_its_object(daemon: Daemon) -> None:
    program = {
        "cmd": "echo nothing; echo no config >&2; exit 3",
        "shell": True,
        "startretries": 0,
        "log_format": "json",
    }
    daemon.write(json.dumps({"programs": {"web": {**program, "log_events": True}}}))
    daemon.start()
    daemon.wait_for("web", "FATAL")
    assert "web last line of stderr: no config\n" in daemon.events()


@pytest.mark.sweep
def test_without_a_directory_for_spools_the_start_fails_and_says_why(make_daemon: Callable[..., Daemon]) -> None:
    daemon = make_daemon(
        json.dumps({"programs": {"web": {"cmd": "sleep 300", "log_format": "json", "startretries": 0}}})
    )
    (daemon.home / "spool").write_text("in the way")
    daemon.start()
    assert "spool" in daemon.wait_for("web", "FATAL")["detail"]


@pytest.mark.sweep
def test_a_spool_directory_that_somebody_removes_is_made_again(daemon: Daemon) -> None:
    daemon.write("programs: {web: {cmd: 'echo hello; exec sleep 300', shell: true, starttime: 0, log_format: json}}")
    daemon.start()
    wait_until(lambda: b"hello" in daemon.log("web"))
    (spools,) = daemon.home.rglob("spool")
    shutil.rmtree(spools)
    assert daemon.ctl("restart", "web").returncode == 0
    wait_until(lambda: daemon.log("web").count(b"hello") == 2)
    pids = {json.loads(line)["pid"] for line in daemon.log("web").splitlines()}
    assert len(pids) == 2
