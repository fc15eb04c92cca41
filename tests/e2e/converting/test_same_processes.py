"""The same file under its own supervisor and, imported, under taskmasterd: the same processes, signals and logs."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.daemon import Daemon
from tests.support.standin import Endings, StandIn, Started, started, stops
from tests.support.wait import wait_until

HEAD = "[supervisord]\nnodaemon=true\n"
PLAIN = """\
[program:plain]
command={note} plain "two words" 'it''s' --x=1
directory=/
umask=027
environment=A="1",B='x,y=z',C=plain
[program:other]
command={note} other --here %(here)s %(program_name)s %(group_name)s ${{HOME}} $$X %%
[group:pair]
programs=other
"""
MANY = """\
[program:many]
process_name=%(program_name)s_%(process_num)02d
command={note} many 10%(process_num)02d %(numprocs)d
numprocs=4
[program:late]
process_name=%(program_name)s_%(process_num)d
command={note} late 80%(process_num)02d
numprocs=3
numprocs_start=9
"""
VARIABLES = """\
[program:bare]
command={note} bare %(ENV_QUEUES)s --list=%(ENV_QUEUES)s '$HOME' "a b"
[program:quoted]
command={note} quoted "%(ENV_QUEUES)s" '%(ENV_QUEUES)s'
environment=COPY="%(ENV_QUEUES)s",LIST=%(ENV_WORD)s
[program:own]
command={note} own %(ENV_PORT)s
environment=PORT="80 81"
[program:shell]
command=/bin/sh -c 'exec {note} shell ${{QUEUES}} "$WORD" $1' x y
"""
GLOBAL = """\
[program:a]
command={note} a
environment=SITE="two",URL="http://h/?a=1&b=%%20#x"
[program:b]
command={note} b
  --continued
    deeper ; a comment
priority=1
"""
TREE = {
    "conf.d/10.conf": "[program:x]\ncommand={note} x %(here)s\n",
    "conf.d/20.conf": "[program:y]\ncommand={note} y\ndirectory=%(here)s\n",
}
STOPS = """\
[program:alone]
command={note} alone --child
stopsignal=INT
stopwaitsecs=6
[program:both]
command={note} both --child
stopasgroup=true
stopsignal=QUIT
[program:stubborn]
command={note} stubborn --stubborn
stopwaitsecs=6
[program:patient]
command={note} patient --stubborn
stopwaitsecs=12
stopasgroup=true
"""
LOGS = """\
[program:two]
command={note} two
stdout_logfile={logs}/two.out
stderr_logfile={logs}/two.err
[program:one]
command={note} one
stdout_logfile={logs}/one.log
redirect_stderr=true
[program:none]
command={note} none
stdout_logfile=NONE
stderr_logfile=/dev/null
[program:same]
command={note} same
stdout_logfile={logs}/same.log
stderr_logfile={logs}/same.log
[program:number]
process_name=%(process_num)d
numprocs=2
command={note} number
stdout_logfile={logs}/number-%(process_num)d.log
redirect_stderr=true
"""
USER = '[program:nobody]\ncommand={note} nobody\nuser=nobody\nenvironment=HOME="/srv"\n[program:root]\ncommand={note} root\n'
SLACK_S = 2.5
"""How much two supervisors may differ in the moment of KILL, seconds: half of the shortest time that there is before it."""
LOOKS_S = 1.0
"""How long supervisord sleeps until it looks whose time has passed, seconds."""
ENVIRONMENT = {"QUEUES": "high low", "WORD": "w"}


class Site:
    """A daemon's home with the input in it, and a stand-in for its commands."""

    def __init__(self, daemon: Daemon) -> None:
        self.daemon = daemon
        self.home = daemon.home
        self.home.chmod(0o755)
        self.home.parent.chmod(0o755)
        self.logs = self.home / "logs"
        self.logs.mkdir()
        self.standin = StandIn(self.home)
        daemon.environment.update(ENVIRONMENT)

    def write(self, name: str, text: str) -> Path:
        """Write a file of the input with the stand-in and the logs in it."""
        path = self.home / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text.format(note=self.standin.path, logs=self.logs))
        return path

    def starts(self, count: int) -> list[Started]:
        """Wait for so many starts and return them."""
        wait_until(lambda: len(self.standin.read("start")) >= count, within_s=30)
        return sorted((started(note) for note in self.standin.read("start")), key=lambda each: (each.argv, each.env))

    @contextmanager
    def supervisord(self, path: Path) -> Generator[None, None, None]:
        """Run supervisord with this file in the site's home, and stop it orderly."""
        with (self.home / "s.out").open("w") as out:
            words = [
                "-n",
                "-c",
                str(path),
                "-l",
                str(self.home / "s.log"),
                "-j",
                str(self.home / "s.pid"),
                "-q",
                str(self.logs),
            ]
            running = subprocess.Popen(
                [sys.executable, "-m", "supervisor.supervisord", *words],
                cwd=self.home, env=self.daemon.environment, stdout=out, stderr=out,
            )  # fmt: skip
            try:
                yield
            finally:
                running.send_signal(signal.SIGTERM)
                running.wait(30)

    def imported(self, path: Path, *words: str, code: tuple[int, ...] = (0, 3)) -> list[str]:
        """Import the file to the daemon's configuration; return the report."""
        done = self.daemon.run(
            "taskmasterctl", "import", str(path), "-o", str(self.daemon.config), "--force", "--check", *words
        )
        assert done.returncode in code, done.stderr
        assert "a fault of taskmasterctl" not in done.stderr
        return done.stderr.splitlines()

    @contextmanager
    def taskmasterd(self) -> Generator[None, None, None]:
        """Run taskmasterd with its configuration, and stop it orderly."""
        self.standin.clear()
        self.daemon.start_foreground()
        yield
        done = self.daemon.ctl("shutdown", within_s=60)
        assert done.returncode == 0, done.stderr


@pytest.fixture
def site(make_daemon: Callable[..., Daemon]) -> Site:
    """A site whose daemon is not started yet."""
    return Site(make_daemon())


def on_both_sides(site: Site, path: Path, count: int, *words: str) -> tuple[list[Started], list[Started], list[str]]:
    """Return the processes under supervisord and under taskmasterd, and the report of the import."""
    with site.supervisord(path):
        theirs = site.starts(count)
    report = site.imported(path, *words)
    with site.taskmasterd():
        ours = site.starts(count)
    return theirs, ours, report


@pytest.mark.slow
def test_an_imported_file_runs_with_the_words_and_variables_that_it_had(site: Site) -> None:
    path = site.write("web.conf", PLAIN + MANY)
    site.imported(path)
    with site.taskmasterd():
        ours = {each.argv[:2]: each for each in site.starts(9)}
    plain = ours["plain", "two words"]
    assert (plain.argv, plain.cwd, plain.umask) == (("plain", "two words", "its", "--x=1"), "/", 0o027)
    assert {("A", "1"), ("B", "x,y=z"), ("C", "plain")} <= set(plain.env)
    assert plain.leads
    other = ours["other", "--here"]
    assert other.argv[2:] == (str(site.home), "other", "pair", "${HOME}", "$$X", "%")
    assert {argv for argv in ours if argv[0] in ("many", "late")} == {
        ("many", "1000"), ("many", "1001"), ("many", "1002"), ("many", "1003"), ("late", "8009"), ("late", "8010"), ("late", "8011"),
    }  # fmt: skip


@pytest.mark.sweep
@pytest.mark.parametrize(
    ("text", "count"),
    [(PLAIN, 2), (MANY, 7), (VARIABLES, 4), (GLOBAL, 2)],
    ids=["plain", "many", "variables", "global"],
)
def test_the_same_file_gives_the_same_processes_under_both(site: Site, text: str, count: int) -> None:
    head = HEAD + ('environment=SITE="one",KEEP=%(ENV_WORD)s\n' if text == GLOBAL else "")
    theirs, ours, _ = on_both_sides(site, site.write("web.conf", head + text), count)
    assert ours == theirs


@pytest.mark.sweep
def test_included_files_give_the_same_processes_under_both(site: Site) -> None:
    for name, text in TREE.items():
        site.write(name, text)
    path = site.write("main.conf", f"{HEAD}[include]\nfiles=conf.d/*.conf\n")
    theirs, ours, _ = on_both_sides(site, path, 2)
    assert ours == theirs


@pytest.mark.sweep
@pytest.mark.skipif(os.getuid() != 0, reason="changes the user")
def test_users_are_the_same_under_both(site: Site) -> None:
    theirs, ours, report = on_both_sides(site, site.write("web.conf", HEAD + USER), 2)
    assert ours == theirs
    assert [line for line in report if "HOME, USER, LOGNAME and SHELL" in line]


@pytest.mark.sweep
def test_a_stop_sends_the_same_signals_under_both(site: Site) -> None:
    path = site.write("web.conf", HEAD + STOPS)
    with site.supervisord(path):
        site.starts(4)
        ends = Endings(site.standin.read("start"))
    wait_until(
        lambda: len(stops(site.standin.read("stop"))) >= 5
    )  # of one of them the child gets it, too, and nobody waits for that
    theirs = site.standin.read("stop")
    waited = ends.outlived_s(theirs)
    site.imported(path)
    with site.taskmasterd():
        site.starts(4)
        ends = Endings(site.standin.read("start"))
    assert_alike(ends.outlived_s(site.standin.read("stop")), waited, late_s=LOOKS_S)
    assert len(waited) == 4

    def ours() -> list[tuple[tuple[str, ...], str, str]]:
        return [each for each in stops(site.standin.read("stop")) if each[:2] != (("alone", "--child"), "child")]

    wait_until(lambda: len(ours()) >= len(stops(theirs)))
    assert ours() == stops(theirs), "what the leader `alone` left is ended here, as the report says"


@pytest.mark.sweep
def test_logs_have_the_same_bytes_at_the_same_paths_under_both(site: Site) -> None:
    path = site.write("web.conf", HEAD + LOGS)
    count, lines = 6, 10

    def all_written() -> bool:
        return sum(map(len, written().values())) >= lines

    def written() -> dict[str, list[str]]:
        files = {
            each.name: sorted(each.read_text().splitlines()) for each in site.logs.iterdir() if "---" not in each.name
        }
        return {name: lines for name, lines in files.items() if lines}

    with site.supervisord(path):
        site.starts(count)
        wait_until(all_written)
        theirs = written()
    for each in site.logs.iterdir():
        each.unlink()
    site.imported(path)
    with site.taskmasterd():
        site.starts(count)
        wait_until(all_written)
        ours = written()
    assert ours == theirs
    assert set(ours) == {"two.out", "two.err", "one.log", "same.log", "number-0.log", "number-1.log"}


PROCFILE = """\
web: {note} web "two words" --x=1
shell: VAR=1 exec {note} shell $VALUE ${{NAME:-none}} "$RAW"
slow: exec {note} slow --stubborn
port: {note} port $PORT
"""
DOTENV = "export MODE=production\nVALUE=a\nNAME=\"with spaces\"\nRAW='single $HOME'\n"


@pytest.mark.sweep
def test_a_procfile_gives_the_same_processes_under_honcho(site: Site) -> None:
    if shutil.which("honcho") is None and not Path(sys.executable).with_name("honcho").exists():
        pytest.skip("honcho is not installed")
    path = site.write("Procfile", PROCFILE)
    (site.home / ".env").write_text(DOTENV.replace("export ", ""))  # honcho 2 does not know it
    with (site.home / "h.out").open("w") as out:
        running = subprocess.Popen(
            [sys.executable, "-m", "honcho", "start"],
            cwd=site.home,
            env=site.daemon.environment,
            stdout=out,
            stderr=out,
        )
        theirs = site.starts(4)
        ends = Endings(site.standin.read("start"))
        running.send_signal(signal.SIGTERM)
        running.wait(30)
        waited = ends.outlived_s(site.standin.read("stop"))
    report = site.imported(path)
    with site.taskmasterd():
        ours = site.starts(4)
        ends = Endings(site.standin.read("start"))
    (named,) = [line for line in report if "a stop waits" in line]
    assert_alike(ends.outlived_s(site.standin.read("stop")), waited, more_s=5.0)
    assert "a stop waits 10 s before it kills (there 5)" in named
    own = ("VAR", "PORT")
    assert [each.replace(env=tuple(pair for pair in each.env if pair[0] not in own), leads=True) for each in ours] == [
        each.replace(env=tuple(pair for pair in each.env if pair[0] not in own), leads=True) for each in theirs
    ]
    assert [dict(each.env).get("PORT") for each in ours] == [dict(each.env).get("PORT") for each in theirs]
    assert [alike(each) for each in ours] == [alike(each) for each in theirs]
    assert [dict(each.env)["PORT"] for each in ours] == [dict(each.env)["PORT"] for each in theirs]


CIRCUS = """\
[circus]
endpoint = ipc://{logs}/e
pubsub_endpoint = ipc://{logs}/p
check_delay = 1

[watcher:web]
cmd = {note} web 10$(circus.wid)
args = "two words" $(circus.env.queues) '$HOME' --port $(circus.env.port)
copy_env = True
working_dir = /
stop_children = True

[watcher:bare]
cmd = {note} bare $(circus.env.PORT)

[watcher:slow]
cmd = {note} slow --stubborn
graceful_timeout = 6
stop_signal = INT

[env:web*, bare]
PORT = 80
URL = http://h/?a=1&b=%20
"""


@pytest.mark.sweep
def test_a_file_of_circus_gives_the_same_processes_under_circusd(site: Site) -> None:
    pytest.importorskip("circus")
    path = site.write("circus.ini", CIRCUS)
    with (site.home / "c.out").open("w") as out:
        running = subprocess.Popen(
            [sys.executable, "-m", "circus.circusd", str(path)],
            cwd=site.home, env=site.daemon.environment, stdout=out, stderr=out,
        )  # fmt: skip
        theirs = site.starts(3)
        ends = Endings(site.standin.read("start"))
        running.send_signal(signal.SIGTERM)
        running.wait(60)
        sent, waited = stops(site.standin.read("stop")), ends.outlived_s(site.standin.read("stop"))
    report = site.imported(path)
    with site.taskmasterd():
        ours = site.starts(3)
        ends = Endings(site.standin.read("start"))
    assert_alike(ends.outlived_s(site.standin.read("stop")), waited)
    assert stops(site.standin.read("stop")) == sent
    named = next(line for line in report if "nothing of the daemon's environment but" in line)
    left = [each.replace(env=tuple(pair for pair in each.env if pair[0] not in named)) for each in ours]
    assert left == [each.replace(env=tuple(pair for pair in each.env if pair[0] not in named)) for each in theirs]


def assert_alike(
    ours: dict[tuple[str, ...], float],
    theirs: dict[tuple[str, ...], float],
    *,
    more_s: float = 0.0,
    late_s: float = 0.0,
) -> None:
    """Assert that each process has outlived its stop signal as long under both, or `more_s` longer here; they may be `late_s` late."""
    assert ours.keys() == theirs.keys()
    for words, waited_s in theirs.items():
        longer = more_s if waited_s > SLACK_S else 0.0
        assert -SLACK_S - late_s <= ours[words] - waited_s - longer <= SLACK_S, words


def alike(process: Started) -> Started:
    """Return a process without what differs by design: who leads its group where honcho has a shell between."""
    return process.replace(leads=True)
