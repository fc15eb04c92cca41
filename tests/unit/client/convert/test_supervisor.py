"""supervisord.conf: each option, the sections, and what the report says."""

from __future__ import annotations

import pytest

from taskmaster_common.config.sockets import socket_on_stdin, sockets_of
from taskmasterctl.convert.kinds.supervisor.rows import PROGRAM, SUPERVISORD, UNIX_SERVER
from tests.support.converting import Imported, Importer

FRAGMENT = "[program:web]\ncommand=/bin/sleep 1\nstopasgroup=true\n"
WEB_STACK = """\
[supervisord]
nodaemon=true
user=root
logfile=/dev/null      ; nothing is kept
logfile_maxbytes=0
pidfile=/run/stack.pid

[program:front]
command=/bin/sleep 1001
priority=20
stopsignal=QUIT
autorestart=true
stdout_logfile=/dev/stdout
stdout_logfile_maxbytes=0
stderr_logfile=/dev/stderr
stderr_logfile_maxbytes=0

[program:backend]
command=/bin/sh -c "exec /bin/sleep 1002"   # started first
priority=10
stopsignal=QUIT
autorestart=unexpected
exitcodes=0,2
startsecs=0
stdout_logfile=/dev/fd/1
stdout_logfile_maxbytes=0
redirect_stderr=true
"""
WORKERS = """\
[program:mail-queue]
process_name=%(program_name)s_%(process_num)02d
command=/bin/sleep 10%(process_num)02d
numprocs=4
autorestart=true
stopasgroup=true
killasgroup=true
stopwaitsecs=3600
redirect_stderr=true
stdout_logfile=/tmp/logs/mail-queue.log
stdout_logfile_maxbytes=10MB
stdout_logfile_backups=3

[program:tick]
command=/bin/sh -c "while true; do sleep 60; done"
umask=027
stopsignal=INT
stdout_logfile=/tmp/logs/tick.out
stdout_logfile_maxbytes=1MB
stderr_logfile=/tmp/logs/tick.err
stderr_logfile_maxbytes=5MB
"""
SCREEN = """\
[program:screen]
command=/bin/sleep "%(ENV_WIDTH)s"0"%(ENV_HEIGHT)s"
priority=1
autorestart=true
startsecs=0

[program:viewer]
command=/bin/sleep 4002
priority=2
environment=DISPLAY=":1",HOME="/srv/kiosk",OPTS='a,b=c',PLAIN=yes
startretries=0
stdout_logfile=NONE
stderr_logfile=AUTO
"""
TREE = {
    "supervisord.conf": """\
[supervisord]
nodaemon=true
childlogdir=%(here)s
environment=SITE="one",TOKEN="%(ENV_TOKEN)s"
umask=027
directory=/tmp

[include]
files=conf.d/*.conf more/none-*.conf
""",
    "conf.d/10-a.conf": "[program:a]\ncommand=/bin/sleep 7001 --from %(here)s\ndirectory=/\n",
    "conf.d/20-b.conf": '[program:b]\ncommand=/bin/sleep 7002\nenvironment=SITE="two"\n',
}


def one(importer: Importer, text: str, *words: str, environment: dict[str, str] | None = None) -> Imported:
    return importer({"web.conf": text}, *words, environment=environment)


# -- whole files


def test_a_stack_in_the_foreground_starts_by_priority_and_stops_at_once(importer: Importer) -> None:
    done = one(importer, WEB_STACK)
    assert done.code == 3
    assert [each.name for each in done.config.programs] == ["backend", "front"]
    front, backend = done.program("front"), done.program("backend")
    assert (front.output.stdout, front.output.stderr) == ("inherit", "inherit")
    assert (backend.output.stdout, backend.output.stderr) == ("inherit", "stdout")
    assert "log_maxbytes" not in done.text
    assert backend.policy.exitcodes == (0, 2)
    assert backend.policy.starttime == 0
    assert backend.stopsignal == 3
    assert backend.cmd == ("/bin/sh", "-c", "exec /bin/sleep 1002")
    assert [line.split(": ")[2] for line in done.lines("changed")] == [
        "program:front priority=20",
        "program:backend priority=10",
    ]
    assert not done.lines("dropped")
    assert done.text.splitlines()[1] == "# start it: taskmasterd -n -c taskmaster.yaml"
    assert "    # started first\n    cmd:" in done.text


def test_the_order_of_stopping_is_kept_by_soft_edges(importer: Importer) -> None:
    done = one(importer, WEB_STACK, "--ordered")
    assert done.code == 0
    assert "depends_on: {backend: {condition: started, required: false}}" in done.text
    assert not done.program("backend").policy.depends_on


def test_instances_are_counted_and_their_limits_are_in_mebibytes(importer: Importer) -> None:
    done = one(importer, WORKERS)
    assert done.code == 3
    queue, tick = done.program("mail-queue"), done.program("tick")
    assert queue.numprocs == 4
    assert "cmd: /bin/sleep 100${TASKMASTER_INSTANCE}" in done.text
    assert (queue.policy.stoptime, queue.output.stderr, queue.output.log_backups) == (3600, "stdout", 3)
    assert queue.output.log_maxbytes == 10 * 1024**2
    assert (tick.umask, tick.stopsignal, tick.output.log_maxbytes) == (0o027, 2, 5 * 1024**2)
    assert done.line("changed", "stderr_logfile_maxbytes=5MB")
    assert done.line("there is no [supervisord] here")
    assert done.line("called NAME:0, NAME:1")
    assert "  shutdown_timeout: 3605" in done.text, "supervisor's own stop has no limit"


def test_variables_stay_variables_and_the_last_line_names_them(importer: Importer) -> None:
    done = one(importer, SCREEN, environment={"WIDTH": "4", "HEIGHT": "1"})
    assert done.code == 3
    assert done.program("screen").cmd == ("/bin/sleep", "401")
    viewer = done.program("viewer")
    assert dict(viewer.env) == {"DISPLAY": ":1", "HOME": "/srv/kiosk", "OPTS": "a,b=c", "PLAIN": "yes"}
    assert viewer.output.stdout == "null"
    assert viewer.policy.startretries == 0
    assert done.report[-1].endswith("; needs WIDTH, HEIGHT in the environment")
    assert "# needs in its environment: WIDTH, HEIGHT" in done.text


def test_included_files_have_their_own_here_and_the_daemons_environment(importer: Importer) -> None:
    done = importer(TREE, environment={"TOKEN": "t"})
    assert done.code == 3
    a, b = done.program("a"), done.program("b")
    assert a.cmd == ("/bin/sleep", "7001", "--from", "/etc/tm/conf.d"), "CONFIG_DIR of the test's host"
    assert (dict(a.env), dict(b.env)) == ({"SITE": "one", "TOKEN": "t"}, {"SITE": "two", "TOKEN": "t"})
    assert a.workingdir == "/"
    assert done.config.daemon.log_dir == "/etc/tm"
    assert [line.split(": ")[2] for line in done.lines("ignored")] == [
        "supervisord umask=027",
        "supervisord directory=/tmp",
    ]
    assert done.line("more/none-*.conf")


# -- options


def test_every_option_of_the_reference_is_carried_or_has_a_line(importer: Importer) -> None:
    values = {
        "command": "/bin/true", "process_name": "%(program_name)s_%(process_num)d", "numprocs": "2", "numprocs_start": "0",
        "priority": "1", "autostart": "false", "autorestart": "true", "startsecs": "5", "startretries": "1", "exitcodes": "1",
        "stopsignal": "HUP", "stopwaitsecs": "3", "stopasgroup": "true", "killasgroup": "true", "user": "www",
        "redirect_stderr": "false", "environment": "A=1", "directory": "/srv", "umask": "077", "serverurl": "http://x",
        "stdout_logfile": "/l/o", "stdout_logfile_maxbytes": "1MB", "stdout_logfile_backups": "1", "stdout_capture_maxbytes": "1MB",
        "stdout_events_enabled": "true", "stdout_syslog": "false", "stderr_logfile": "/l/e", "stderr_logfile_maxbytes": "1MB",
        "stderr_logfile_backups": "1", "stderr_capture_maxbytes": "1MB", "stderr_events_enabled": "true", "stderr_syslog": "true",
    }  # fmt: skip
    assert values.keys() == PROGRAM.keys()
    whole = _result(importer, values)
    for name in values.keys() - {"command", "process_name"}:
        assert _result(importer, {each: value for each, value in values.items() if each != name}) != whole, name


def _result(importer: Importer, values: dict[str, str]) -> tuple[str, tuple[str, ...]]:
    done = one(importer, "[program:web]\n" + "".join(f"{name}={value}\n" for name, value in values.items()))
    assert done.code in (0, 3), done.report
    return done.text, done.report


def test_every_option_of_the_daemon_is_carried_or_has_a_line(importer: Importer) -> None:
    values = {
        "logfile": "/l/d", "logfile_maxbytes": "1MB", "logfile_backups": "1", "loglevel": "blather", "pidfile": "/l/p",
        "umask": "077", "nodaemon": "false", "silent": "true", "minfds": "4096", "minprocs": "100", "nocleanup": "true",
        "childlogdir": "/l", "user": "www", "directory": "/srv", "strip_ansi": "true", "environment": "A=1", "identifier": "x",
    }  # fmt: skip
    assert values.keys() == SUPERVISORD.keys()
    section = "".join(f"{name}={value}\n" for name, value in values.items())
    done = one(importer, f"[supervisord]\n{section}{FRAGMENT}")
    daemon = done.config.daemon
    assert (daemon.logfile, daemon.loglevel, daemon.pidfile, daemon.log_dir) == ("/l/d", "debug", "/l/p", "/l")
    assert (daemon.umask, daemon.user) == (0o077, "www")
    web = done.program("web")
    assert (web.workingdir, dict(web.env)) == ("/srv", {"A": "1"})
    dropped = {line.split(": ")[2].split("=")[0] for line in done.lines("dropped")}
    assert dropped == {"supervisord silent", "supervisord strip_ansi", "supervisord identifier"}
    whole = (done.text, done.report)
    for name in values:
        less = section.replace(f"{name}={values[name]}\n", "")
        done = one(importer, f"[supervisord]\n{less}{FRAGMENT}")
        assert (done.text, done.report) != whole, name


def test_the_control_socket_keeps_its_path_and_loses_its_password(importer: Importer) -> None:
    server = "[unix_http_server]\nfile=/run/s.sock\nchmod=0766\nchown=nobody:www\nusername=ada\npassword=lovelace\n"
    done = one(importer, server + FRAGMENT)
    daemon = done.config.daemon
    assert (daemon.socket, daemon.socket_mode, daemon.socket_group) == ("/run/s.sock", 0o660, "www")
    assert "chmod=0766" in done.line("changed")
    assert done.line("dropped", "password=…")
    assert "lovelace" not in done.text + "".join(done.report)
    assert {
        line.split("unix_http_server ")[1].split("=")[0] for line in done.report if "unix_http_server " in line
    } == (UNIX_SERVER.keys() - {"file"})


def test_the_network_is_dropped_and_a_password_on_it_comes_first(importer: Importer) -> None:
    done = one(importer, f"[inet_http_server]\nport=*:9001\npassword=lovelace\n{FRAGMENT}strange=1\n")
    assert done.code == 3
    assert "less protected" in done.report[0]
    assert done.line("dropped", "port=*:9001")


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ("stopasgroup=true", True),
        ("stopasgroup=true\nkillasgroup=true", True),
        ("killasgroup=true", "leader"),
        ("", "leader"),
    ],
)
def test_a_stop_reaches_those_that_it_reached(importer: Importer, options: str, expected: object) -> None:
    done = one(importer, f"[program:web]\ncommand=/bin/true\n{options}\n")
    assert done.program("web").stopasgroup == expected
    assert bool([line for line in done.report if "it lived on" in line]) == (not options)


def test_strict_stop_leaves_alone_what_supervisor_left_alone(importer: Importer) -> None:
    assert "stopasgroup: false" in one(importer, "[program:web]\ncommand=/bin/true\n", "--strict-stop").text


@pytest.mark.parametrize(
    ("value", "written", "word"),
    [
        ("NONE", "stdout: null", ""),
        ("/dev/null", "stdout: null", ""),
        ("/proc/1/fd/1", "stdout: inherit", ""),
        ("/dev/stderr", "stdout: inherit", "changed"),
        ("syslog", "stdout: syslog", "changed"),
        ("/var/log/%(program_name)s-%(process_num)d.log", "stdout: /var/log/web-${TASKMASTER_INSTANCE}.log", ""),
    ],
)
def test_a_stream_goes_where_it_went(importer: Importer, value: str, written: str, word: str) -> None:
    done = one(importer, f"{FRAGMENT}stdout_logfile={value}\n")
    assert f"    {written}\n" in done.text
    assert [line.split(": ")[1] for line in done.report if "stdout_logfile" in line] == ([word] if word else [])


def test_a_log_of_two_programs_becomes_two(importer: Importer) -> None:
    done = one(importer, "".join(f"[program:{name}]\ncommand=/bin/true\nstdout_logfile=/l/all.log\n" for name in "ab"))
    assert done.program("a").output.stdout == "/l/all.log"
    assert done.program("b").output.stdout == "/l/all.b.log"
    assert "program:b stdout_logfile=/l/all.log" in done.line("changed")


def test_numbers_that_are_computed_with_become_programs(importer: Importer) -> None:
    text = (
        "[program:web]\nprocess_name=%(program_name)s_%(process_num)02d\nnumprocs=3\nnumprocs_start=8\n"
        "command=/bin/serve --port 80%(process_num)02d\n"
    )
    done = one(importer, text)
    assert [each.name for each in done.config.programs] == ["web-08", "web-09", "web-10"]
    assert done.program("web-10").cmd == ("/bin/serve", "--port", "8010")
    assert "web: [web-08, web-09, web-10]" in done.text
    assert "one program for each: web-08 … web-10" in done.line("changed", "numprocs=3")


def test_an_unknown_option_is_ignored_and_the_meant_one_is_named(importer: Importer) -> None:
    done = one(importer, f"{FRAGMENT}depend=db\nunmask=022\nnonsense=1\n")
    assert done.code == 0
    assert "depends_on: [db]" in done.line("ignored", "depend=db")
    assert "umask is what it seems to mean" in done.line("ignored", "unmask")
    assert done.line("ignored", "nonsense=1")


def test_groups_keep_their_names(importer: Importer) -> None:
    two = "".join(f"[program:{name}]\ncommand=/bin/true\nstopasgroup=true\n" for name in "ab")
    done = one(importer, f"{two}[group:all-of-them]\nprograms=b,a\npriority=1\n")
    assert done.config.groups == {"all-of-them": ("b", "a")} or "all-of-them: [b, a]" in done.text
    assert "group:all-of-them priority=1" in done.line("dropped")
    assert one(importer, f"{two}[group:g]\nprograms=a,c\n").code == 6


def test_listeners_are_comments_and_say_what_to_do(importer: Importer) -> None:
    text = (
        f"{FRAGMENT}stdout_events_enabled=true\n"
        "[eventlistener:kill]\ncommand=/bin/kill.py\nevents=PROCESS_STATE_FATAL\n"
        "[eventlistener:http]\ncommand=httpok -p web http://localhost/\nevents=TICK_60\n"
        "[eventlistener:tick]\ncommand=/bin/look\nevents=TICK_60\nbuffer_size=10\n"
    )
    done = one(importer, text)
    assert [each.name for each in done.config.programs] == ["web"]
    assert "essential" in done.line("dropped", "PROCESS_STATE_FATAL")
    assert "interval: 60" in done.line("dropped", "eventlistener:tick", "TICK_60")
    assert done.line("dropped", "buffer_size")
    assert done.line("dropped", "stdout_events_enabled")
    assert done.line("changed", "httpok")
    assert done.program("web").health["http"] == "http://localhost/"
    assert "  # tick:\n" in done.text
    assert "  #   cmd: /bin/look\n" in done.text


FCGI = "[fcgi-program:pages]\ncommand=/bin/php\nstopasgroup=true\n"


@pytest.mark.parametrize(
    ("options", "listen", "user", "group", "mode", "backlog"),
    [
        ("socket=unix:///run/p.sock", "/run/p.sock", "", "", 0o700, 4096),
        ("socket=unix:///run/p.sock\nuser=www", "/run/p.sock", "www", "", 0o700, 4096),
        ("socket=unix:///run/%(program_name)s.sock\nsocket_owner=web:staff\nsocket_mode=0770\nuser=www", "/run/pages.sock", "web", "staff", 0o770, 4096),
        ("socket=unix:///run/p.sock\nsocket_owner=web\nsocket_backlog=7", "/run/p.sock", "web", "", 0o700, 7),
        ("socket=unix://%(ENV_HOME)s/p.sock", "/root/p.sock", "", "", 0o700, 4096),
        ("socket=tcp://localhost:9000\nuser=www\nsocket_backlog=100", "127.0.0.1:9000", "", "", 0o666, 100),
        ("socket=tcp://0.0.0.0:%(ENV_PORT)s", "0.0.0.0:81", "", "", 0o666, 4096),
    ],
)  # fmt: skip
def test_an_fcgi_program_has_its_socket_as_descriptor_0(
    importer: Importer, options: str, listen: str, user: str, group: str, mode: int, backlog: int
) -> None:
    done = one(importer, f"{FCGI}{options}\n").replace(environment={"HOME": "/root", "PORT": "81"})
    assert (done.code, done.lines("dropped"), done.lines("changed")) == (0, [], []), done.report
    program = done.program("pages")
    (socket,) = sockets_of(program.sockets, program.socket_options)
    assert (socket.listen, socket.user, socket.group, socket.mode, socket.backlog) == (
        listen,
        user,
        group,
        mode,
        backlog,
    )
    assert socket_on_stdin(program.stdin) == socket.name
    assert done.line("note", "descriptor 3")


def test_a_socket_whose_host_has_to_be_looked_up_makes_its_program_a_comment(importer: Importer) -> None:
    done = one(importer, f"{FRAGMENT}{FCGI}socket=tcp://web.example:9000\nsocket_backlog=7\n")
    assert [each.name for each in done.config.programs] == ["web"]
    assert "looks up no name" in done.line("dropped", "socket=tcp://web.example:9000")
    assert done.line("dropped", "socket_backlog=7")
    assert "  # pages:\n  #   cmd: /bin/php\n" in done.text


@pytest.mark.parametrize(
    ("options", "words"),
    [("", "has a socket"), ("socket=run.sock", "neither unix:///PATH nor tcp://"), ("socket=unix://run.sock", "begins with a slash"),
     ("socket=tcp://localhost:9\nsocket_mode=0700", "for the path of a UNIX socket"), ("socket=tcp://localhost:65536", "at most 65535"),
     ("socket=unix:///x\nsocket_backlog=0", "between 1 and 65535"), ("socket=unix:///x\nsocket_mode=9", "not an octal number"),
     ("socket=unix:///" + "x" * 108, "at most 107 bytes")],
)  # fmt: skip
def test_sockets_that_supervisor_refuses_are_refused(importer: Importer, options: str, words: str) -> None:
    done = one(importer, f"{FCGI}{options}\n")
    assert (done.code, done.text) == (6, "")
    assert words in "\n".join(done.report)


def test_supervisors_variables_are_set_where_a_value_mentions_them(importer: Importer) -> None:
    assert "env:" not in one(importer, FRAGMENT).text
    for done in (
        one(importer, FRAGMENT, "--supervisor-env"),
        one(importer, "[program:web]\ncommand=/bin/sh -c 'echo $SUPERVISOR_PROCESS_NAME'\n"),
    ):
        assert dict(done.program("web").env)["SUPERVISOR_PROCESS_NAME"] == "web"


def test_the_directory_of_supervisord_is_that_of_programs_without_one(importer: Importer) -> None:
    done = one(importer, FRAGMENT, "--workdir", "/srv/old")
    assert done.program("web").workingdir == "/srv/old"
    assert not [line for line in done.report if "without `directory`" in line]
    assert [line for line in one(importer, FRAGMENT).report if "without `directory`" in line]
