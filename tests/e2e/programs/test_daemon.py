"""The daemon as a process: launch, locks, what its children inherit, what it holds."""

from __future__ import annotations

import grp
import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from taskmaster_common.paths import default_places
from tests.support.daemon import PROGRAMS, ROOT, Daemon, command_environment, marked, process_exists
from tests.support.variants import in_the_sweep
from tests.support.wait import wait_until

pytestmark = pytest.mark.slow
PY = sys.executable
SLEEPER = "programs: {p: {cmd: sleep 300, starttime: 0}}"
ALLOWED = Path(__file__).with_name("resident_modules.txt")


def test_the_launcher_returns_when_the_socket_answers_and_the_daemon_is_detached(daemon: Daemon) -> None:
    daemon.write(SLEEPER)
    done = daemon.launch()
    assert done.returncode == 0, done.stderr
    assert str(daemon.config) in done.stdout
    assert str(daemon.socket) in done.stdout
    assert daemon.ctl("pid").stdout.strip() == str(daemon.pid)
    assert os.getsid(daemon.pid) not in (os.getsid(0), daemon.pid)
    assert os.readlink(f"/proc/{daemon.pid}/cwd") == "/"
    for fd in (0, 1, 2):
        assert os.readlink(f"/proc/{daemon.pid}/fd/{fd}") == "/dev/null"
    assert Path(f"/proc/{daemon.pid}/comm").read_text() == "taskmasterd\n"
    assert os.listdir(f"/proc/{daemon.pid}/task") == [str(daemon.pid)], "the daemon has one thread: fork is safe"


def test_a_child_inherits_three_descriptors_and_nothing_else(daemon: Daemon) -> None:
    daemon.write(
        f"{{taskmasterd: {{umask: '027'}}, programs: {{p: {{cmd: [{PY}, {PROGRAMS}/dumps_itself.py, stay], starttime: 0, "
        "umask: 077, workingdir: /tmp, env: {ANSWER: 42, PATH: null, E: ''}}, q: {cmd: ["
        f"{PY}, {PROGRAMS}/dumps_itself.py, stay]}}}}}}"
    )
    environment = dict(daemon.environment, NOTIFY_SOCKET="", SECRET="x")
    blocked = {signal.SIGTERM, signal.SIGUSR1}
    signal.pthread_sigmask(signal.SIG_BLOCK, blocked)
    hangup = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        done = subprocess.run(
            [PY, "-m", "taskmasterd", "-c", str(daemon.config)],
            env=environment, cwd=daemon.home, capture_output=True, text=True, check=False, restore_signals=False,
        )  # fmt: skip
    finally:
        signal.signal(signal.SIGHUP, hangup)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, blocked)
    assert done.returncode == 0, done.stderr
    wait_until(lambda: daemon.log("p").endswith(b"}\n") and daemon.log("q").endswith(b"}\n"))
    p, q = json.loads(daemon.log("p")), json.loads(daemon.log("q"))
    assert set(p["fds"]) <= {"0", "1", "2", "3"}  # 3 is the listing itself
    assert p["fds"]["0"] == "/dev/null"
    assert p["fds"]["1"] == p["fds"]["2"]
    assert not p["fds"].get("3", "").startswith(("socket:", "pipe:", "anon"))
    # the interpreter itself ignores SIGPIPE and SIGXFSZ; 32 and 33 are the C library's own
    ignored = {number for number in range(1, 65) if int(p["ignored"], 16) >> number - 1 & 1}
    assert ignored - {32, 33} == {signal.SIGPIPE, signal.SIGXFSZ}
    assert int(p["blocked"], 16) == 0
    assert p["pid"] == p["sid"] == p["pgid"]
    assert p["umask"] == 0o077
    assert p["cwd"] == "/tmp"
    assert q["umask"] == 0o027
    assert q["cwd"] == str(daemon.home)
    assert p["env"]["ANSWER"] == "42"
    assert p["env"]["E"] == ""
    assert "PATH" not in p["env"]
    assert p["env"]["SECRET"] == "x"
    assert p["env"]["PYTHONUNBUFFERED"] == "1"
    assert "NOTIFY_SOCKET" not in p["env"]
    assert (p["env"]["TASKMASTER_PROGRAM"], p["env"]["TASKMASTER_INSTANCE"]) == ("p", "0")
    assert p["env"]["TASKMASTER_SOCKET"] == str(daemon.socket)


@pytest.mark.parametrize("option", ["--loglevel=info", *in_the_sweep("-n")])
def test_what_the_caller_left_open_reaches_neither_daemon_nor_children(daemon: Daemon, option: str) -> None:
    daemon.write(SLEEPER)
    reader, left_open = os.pipe()
    with subprocess.Popen(
        [PY, "-m", "taskmasterd", "-c", str(daemon.config), option],
        env=daemon.environment, cwd=daemon.home, pass_fds=[left_open], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    ) as launcher:  # fmt: skip
        os.close(left_open)
        wait_until(lambda: daemon.ctl("pid").returncode == 0)
        os.set_blocking(reader, False)
        wait_until(lambda: _is_at_end(reader))
        daemon.wait_for("p", "RUNNING")
        assert daemon.ctl("shutdown").returncode == 0
        assert launcher.wait(timeout=10) == 0
    os.close(reader)


def _is_at_end(pipe: int) -> bool:
    """Return whether nobody holds the other end any more."""
    try:
        return os.read(pipe, 1) == b""
    except BlockingIOError:
        return False


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="becomes another user")
def test_user_sets_groups_gid_uid_and_the_variables_that_go_with_them(daemon: Daemon) -> None:
    daemon.home.parent.chmod(0o755)
    daemon.home.chmod(0o755)
    (daemon.home / "private").mkdir(mode=0o700)
    daemon.write(
        f"programs: {{n: {{cmd: [{PY}, -S, {PROGRAMS}/dumps_itself.py], user: nobody, starttime: 0, autorestart: never, startretries: 0}}, "
        f"g: {{cmd: [/usr/bin/python3, -S, {PROGRAMS}/dumps_itself.py], user: daemon, group: nogroup, starttime: 0, autorestart: never, startretries: 0}}, "
        f"bad: {{cmd: sleep 300, user: nobody, workingdir: {daemon.home}/private, startretries: 0}}}}"
    )
    daemon.start()
    assert (
        f"cannot enter workingdir {daemon.home}/private: permission denied" in daemon.wait_for("bad", "FATAL")["detail"]
    )
    wait_until(lambda: daemon.state("n") in ("EXITED", "FATAL"))
    if daemon.state("n") == "FATAL":
        pytest.skip("the interpreter is out of nobody's reach: " + daemon.status()["n"]["detail"])
    dump = json.loads(daemon.log("n"))
    assert dump["uids"] == [65_534] * 3
    assert dump["gids"] == [65_534] * 3
    assert dump["groups"] == [65_534]
    assert (dump["env"]["USER"], dump["env"]["LOGNAME"], dump["env"]["HOME"]) == ("nobody", "nobody", "/nonexistent")
    assert (daemon.home / "log" / "n.log").stat().st_uid == 65_534


def test_a_second_daemon_is_refused_by_name_and_touches_nothing(daemon: Daemon) -> None:
    daemon.write(SLEEPER)
    daemon.start()
    before = daemon.wait_for("p", "RUNNING")["pid"]
    second = daemon.launch()
    assert second.returncode == 1
    assert f"another daemon (pid {daemon.pid})" in second.stderr
    other = daemon.home / "other.yaml"
    other.write_text(f"{{taskmasterd: {{pidfile: {daemon.home}/other.pid}}, programs: {{}}}}")
    third = subprocess.run(
        [PY, "-m", "taskmasterd", "-c", str(other)],
        env=daemon.environment, cwd=daemon.home, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert third.returncode == 1
    assert f"another daemon (pid {daemon.pid}) answers on {daemon.socket}" in third.stderr
    assert not (daemon.home / "other.pid").exists()
    assert daemon.status()["p"]["pid"] == before


@pytest.mark.parametrize("option", ["-n", *in_the_sweep("--loglevel=info")])
def test_a_full_disk_behind_the_standard_streams_keeps_no_daemon_from_starting(daemon: Daemon, option: str) -> None:
    daemon.write("programs: {p: {cmd: sleep 1000, starttime: 0}, q: {cmd: echo $HOME, autostart: false}}")
    assert "warning: programs.q.cmd" in daemon.launch("-t").stderr
    command = [PY, "-m", "taskmasterd", "-c", str(daemon.config), option]
    with (
        open("/dev/full", "w") as full,
        subprocess.Popen(command, env=daemon.environment, cwd=daemon.home, stdout=full, stderr=full) as launcher,
    ):
        wait_until(lambda: daemon.ctl("pid").returncode == 0)
        daemon.wait_for("p", "RUNNING")
        assert daemon.ctl("shutdown").returncode == 0
        assert launcher.wait(timeout=10) == 0


@pytest.mark.sweep
def test_of_several_daemons_started_at_once_exactly_one_wins(daemon: Daemon) -> None:
    daemon.write(SLEEPER)
    racers = [
        subprocess.Popen(
            [PY, "-m", "taskmasterd", "-c", str(daemon.config)],
            env=daemon.environment, cwd=daemon.home, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        )
        for _ in range(5)
    ]  # fmt: skip
    said = [racer.communicate(timeout=20)[1] for racer in racers]
    assert sorted(racer.returncode for racer in racers) == [0, 1, 1, 1, 1], said
    daemon.wait_for("p", "RUNNING")
    assert len(marked(daemon.socket)) == 1


def test_a_stale_socket_and_a_foreign_pid_in_the_pidfile_are_no_obstacle(daemon: Daemon) -> None:
    daemon.write(SLEEPER)
    daemon.pidfile.write_text("1\n")
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(daemon.socket))
    daemon.start()
    assert daemon.ctl("pid").stdout.strip() == str(daemon.pid)


@pytest.mark.sweep
def test_shutdown_leaves_room_for_the_next_daemon_at_once(daemon: Daemon) -> None:
    daemon.write(SLEEPER)
    daemon.start()
    for _ in range(3):
        assert daemon.ctl("shutdown").returncode == 0
        assert not daemon.socket.exists()
        assert not daemon.pidfile.exists()
        daemon.start()


def test_a_removed_socket_is_created_anew_on_a_signal_and_a_foreign_one_is_left_at_exit(daemon: Daemon) -> None:
    daemon.write(SLEEPER)
    daemon.start()
    daemon.socket.unlink()
    daemon.signal(signal.SIGUSR1)
    wait_until(lambda: daemon.ctl("pid").returncode == 0)  # a socket is there a moment before anybody listens on it
    pid = daemon.pid
    daemon.socket.unlink()
    daemon.socket.write_text("mine")
    daemon.signal(signal.SIGTERM)
    wait_until(lambda: not process_exists(pid))
    assert daemon.socket.read_text() == "mine"


@pytest.mark.parametrize(
    ("section", "exit_code", "says"),
    [
        ("socket: /nowhere/at/all/s", 4, "/nowhere/at/all/s"),
        ("logfile: /tmp", 4, "/tmp"),
        ("pidfile: /nowhere/at/all/p", 4, "/nowhere/at/all/p"),
        ("log_dir: /nowhere/at/all", 4, "/nowhere/at/all"),
    ],
)
def test_what_cannot_be_created_is_exit_4_with_the_path(
    daemon: Daemon, section: str, exit_code: int, says: str
) -> None:
    daemon.write(f"{{taskmasterd: {{{section}}}, programs: {{p: {{cmd: sleep 300}}}}}}")
    for options in ((), ("-n",)):
        done = daemon.launch(*options)
        assert done.returncode == exit_code, done.stderr
        assert says in done.stderr
        assert "Traceback" not in done.stderr
    assert marked(daemon.socket) == []
    assert not daemon.pidfile.exists()


def test_planted_links_are_not_followed(daemon: Daemon) -> None:
    victim = daemon.home / "victim"
    victim.write_text("precious")
    daemon.pidfile.symlink_to(victim)
    daemon.write("programs: {p: {cmd: echo x, stdout: planted, startretries: 0}}")
    refused = daemon.launch()
    assert refused.returncode == 4
    assert "symbolic link" in refused.stderr
    daemon.pidfile.unlink()
    (daemon.home / "planted").symlink_to(victim)
    daemon.start()
    assert "cannot open log file" in daemon.wait_for("p", "FATAL")["detail"]
    assert victim.read_text() == "precious"


def test_usage_errors_are_exit_2(daemon: Daemon) -> None:
    daemon.write(SLEEPER)
    assert daemon.launch("--frobnicate").returncode == 2
    assert daemon.launch("-t", "-T").returncode == 2
    assert daemon.launch("-t", "--env").returncode == 2
    assert daemon.launch("-V").returncode == 0


def test_the_effective_file_has_values_of_env_for_those_who_ask_only(daemon: Daemon) -> None:
    daemon.write("programs: {a: {cmd: sleep 1, env: {SECRET: hunter2}}}")
    assert "hunter2" not in daemon.launch("-T").stdout
    assert "hunter2" in daemon.launch("-T", "--env").stdout


def without_naming_it(daemon: Daemon) -> subprocess.CompletedProcess[str]:
    """Check the configuration that is found from the directory of this daemon."""
    variables = {**daemon.environment, "TASKMASTER_CONFIG": ""}
    words = [PY, "-m", "taskmasterd", "-t"]
    return subprocess.run(words, env=variables, cwd=daemon.home, capture_output=True, text=True, check=False)


def test_without_a_configuration_the_example_is_offered_and_it_is_one(daemon: Daemon) -> None:
    done = without_naming_it(daemon)
    assert done.returncode == 6
    assert "no configuration: " in done.stderr
    assert done.stderr.endswith("  Or begin with the example:  taskmasterd --example >taskmaster.yaml\n")
    example = daemon.launch("--example")
    assert (example.returncode, example.stderr) == (0, "")
    daemon.write(example.stdout)
    assert daemon.launch("-t").returncode == 0
    if os.geteuid() == 0:
        refused = without_naming_it(daemon)
        assert refused.returncode == 6
        assert "./taskmaster.yaml is here, but a daemon of root never reads the current directory" in refused.stderr


def test_files_names_every_place_of_the_configuration_and_says_what_nobody_has_made(daemon: Daemon) -> None:
    daemon.write(
        f"taskmasterd: {{logfile: {daemon.home}/my.log}}\n"
        f"programs: {{web: {{cmd: sleep 1, numprocs: 2, stdout: '{daemon.home}/o-${{TASKMASTER_INSTANCE}}.log'}},\n"
        "  own: {cmd: sleep 1, stderr: stdout}, quiet: {cmd: sleep 1, stdout: /dev/null, stderr: inherit}}"
    )
    log = daemon.home / "log"
    log.mkdir()
    lines = f"{default_places(os.geteuid(), daemon.environment).state_dir}/shell-history"
    assert daemon.launch("--files").stdout == (
        f"configuration     {daemon.config}\n"
        f"socket            {daemon.socket}  (not there)\n"
        f"pid file          {daemon.home}/taskmasterd.pid  (not there)\n"
        f"event log         {daemon.home}/my.log  (not there)\n"
        f"logs of programs  {log}\n"
        f"log of a program  {daemon.home}/o-0.log  (not there)\n"
        f"log of a program  {daemon.home}/o-1.log  (not there)\n"
        f"state, history    {daemon.home}\n"
        f"lines of a shell  {lines}  (not there)\n"
        f"examples          {ROOT}/config  (installed)\n"
        f"documentation     {ROOT}/docs  (installed)\n"
    )
    daemon.write("programs: 5")
    refused = daemon.launch("--files")
    assert refused.returncode == 6
    assert "cannot tell the files of a daemon whose configuration has problems" in refused.stderr


def test_the_check_counts_programs_and_processes_and_prints_the_effective_file(daemon: Daemon) -> None:
    daemon.write("programs: {a: {cmd: sleep 1, numprocs: 3}, b: {cmd: sleep 2}}")
    checked = daemon.launch("-t")
    assert (checked.returncode, checked.stdout) == (
        0,
        f"{daemon.config}: ok (2 programs, 4 processes)\n",
    )
    effective = daemon.launch("-T")
    assert effective.returncode == 0
    daemon.write(effective.stdout)
    assert daemon.launch("-T").stdout == effective.stdout
    assert not daemon.socket.exists()


def test_the_event_log_has_time_with_milliseconds_and_zone_first(daemon: Daemon) -> None:
    daemon.write(SLEEPER)
    daemon.start()
    daemon.wait_for("p", "RUNNING")
    lines = daemon.events().splitlines()
    for line in lines:
        time, level, _ = line.split(" ", 2)
        assert len(time) == len("2026-11-23T20:35:00.123+00:00"), line
        assert level in ("debug", "info", "warning", "error")
    assert any(" p started (pid " in line for line in lines)
    assert any(" p running (pid " in line for line in lines)


def test_the_resident_daemon_imports_only_what_is_on_the_list(daemon: Daemon) -> None:
    script = daemon.home / "script.py"
    script.write_text(
        f"import sys; sys.path[:0] = {daemon.environment['PYTHONPATH'].split(':')!r}\n"
        "import taskmasterd.resident\n"
        "print(*sys.modules)\n"
    )
    done = subprocess.run([PY, "-I", "-S", str(script)], capture_output=True, text=True, check=True)
    extra = set(done.stdout.split()) - set(ALLOWED.read_text().split())
    assert not extra, f"resident imports grew: {sorted(extra)}"


def test_without_a_name_the_configuration_is_searched_and_root_never_takes_the_current_directory(
    daemon: Daemon,
) -> None:
    daemon.write(SLEEPER)
    environment = command_environment(daemon.home)
    done = subprocess.run(
        [PY, "-m", "taskmasterd", "-t"], env=environment, cwd=daemon.home, capture_output=True, text=True, check=False
    )
    if os.geteuid() == 0:
        assert done.returncode in (0, 6)
        assert "/etc/taskmaster/taskmaster.yaml" in done.stderr + done.stdout or done.returncode == 0
        assert "1 program" not in done.stdout
    else:
        assert "ok (1 program, 1 process)" in done.stdout
    environment["TASKMASTER_CONFIG"] = str(daemon.config)
    named = subprocess.run(
        [PY, "-m", "taskmasterd", "-t"], env=environment, cwd="/", capture_output=True, text=True, check=False
    )
    assert "ok (1 program, 1 process)" in named.stdout


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="becomes another user")
def test_the_daemon_becomes_its_user_and_can_do_all_it_must_later(daemon: Daemon) -> None:
    daemon.home.parent.chmod(0o755)
    home = daemon.home / "nobodys"
    home.mkdir()
    os.chown(home, 65_534, 65_534)
    section = f"user: nobody, socket: {home}/s, logfile: {home}/log, log_dir: {home}, state_dir: {home}"
    daemon.write(
        f"{{taskmasterd: {{{section}}}, programs: {{p: {{cmd: sh -c 'id -un; exec sleep 300', starttime: 0}}}}}}"
    )
    daemon.home.chmod(0o755)
    daemon.config.chmod(0o644)
    done = daemon.launch()
    if f"cannot use {PY}" in done.stderr:
        pytest.skip("the interpreter is out of nobody's reach")
    assert done.returncode == 0, done.stderr
    daemon.pidfile = home / "s.pid"
    daemon.socket = home / "s"
    daemon.environment["TASKMASTER_SOCKET"] = str(home / "s")
    assert daemon.ctl("pid").stdout.strip() == str(daemon.pid)
    assert os.stat(f"/proc/{daemon.pid}").st_uid == 65_534
    assert os.stat(home / "s").st_uid == 65_534
    wait_until(lambda: (home / "p.log").exists() and (home / "p.log").read_text() == "nobody\n")
    daemon.kill()
    assert daemon.launch().returncode == 0, "what an earlier daemon of that user has left is no obstacle"
    assert daemon.status()["p"]["restarts"] == 0, "and its program was taken over"
    (home / "s").unlink()
    daemon.signal(signal.SIGHUP)
    wait_until(lambda: daemon.ctl("pid").returncode == 0)
    assert daemon.ctl("reload").returncode == 0
    assert daemon.ctl("shutdown").returncode == 0
    assert sorted(path.name for path in home.iterdir()) == ["history", "log", "p.log"]


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="becomes another user")
def test_a_place_where_the_daemons_user_cannot_work_is_exit_4_with_the_path(daemon: Daemon) -> None:
    places = daemon.home / "roots"
    places.mkdir(mode=0o700)
    section = f"user: nobody, socket: {places}/s, logfile: {places}/log, log_dir: /tmp, state_dir: /tmp"
    daemon.write(f"{{taskmasterd: {{{section}}}, programs: {{}}}}")
    done = daemon.launch()
    assert done.returncode == 4
    assert str(places) in done.stderr
    assert not (places / "s.pid").exists()


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="becomes another user")
def test_members_of_the_socket_group_may_operate_the_daemon_and_others_may_not(daemon: Daemon) -> None:
    daemon.home.parent.chmod(0o755)
    daemon.home.chmod(0o755)
    daemon.write(
        "{taskmasterd: {socket_group: games, socket_mode: 0660}, programs: {p: {cmd: sleep 300, starttime: 0}}}"
    )
    daemon.start()
    found = os.stat(daemon.socket)
    assert found.st_mode & 0o777 == 0o660
    assert found.st_gid == grp.getgrnam("games").gr_gid
    for groups, answered in (([found.st_gid], True), ([], False)):
        assert _as_nobody(groups, str(daemon.socket)) is answered


def _as_nobody(groups: list[int], path: str) -> bool:
    """Return whether nobody, with these supplementary groups, is greeted at the socket."""
    pid = os.fork()
    if pid == 0:
        try:
            os.setgroups(groups)
            os.setgid(65_534)
            os.setuid(65_534)
            with socket.socket(socket.AF_UNIX) as channel:
                channel.settimeout(20)
                channel.connect(path)
                os._exit(0 if b'"type":"hello"' in channel.recv(65_536) else 1)
        except OSError:
            os._exit(1)
        finally:
            os._exit(2)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


@pytest.mark.parametrize("ends", ["by a signal", *in_the_sweep("by itself")])
def test_follow_shows_what_programs_write_and_ends_with_the_daemons_code(ends: str, daemon: Daemon) -> None:
    if ends == "by itself":
        cmd = "echo hello; until [ -e go ]; do sleep 0.02; done; exit 5"
    else:
        cmd = "trap 'echo bye; exit 0' TERM; echo hello; sleep 300 & wait"
    essential = {"cmd": cmd, "shell": True, "autorestart": "never", "essential": True}
    other = {"cmd": "echo aloud >&2; exec sleep 300", "shell": True}
    daemon.write(json.dumps({"programs": {"main": essential, "other": other}}))
    out = daemon.home / "out"
    with out.open("w") as stdout:
        process = subprocess.Popen(
            [PY, "-m", "taskmasterd", "--follow", "-c", str(daemon.config)],
            env=daemon.environment,
            cwd=daemon.home,
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stdout,
        )
        wait_until(lambda: {"main | hello", "other | aloud"} <= set(out.read_text().splitlines()))
        if ends == "by a signal":
            process.terminate()
        (daemon.home / "go").touch()
        assert process.wait(20) == (5 if ends == "by itself" else 0), out.read_text()
    assert ends == "by itself" or "main | bye" in out.read_text()
    assert marked(daemon.socket) == []


def test_follow_of_a_wrong_file_says_so_and_ends(daemon: Daemon) -> None:
    daemon.write("programs: 5")
    done = daemon.launch("--follow")
    assert done.returncode == 6
    assert "1 problem; nothing was started" in done.stderr
