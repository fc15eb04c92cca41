"""circus.ini."""

from __future__ import annotations

import pytest

from taskmaster_common.config import PROGRAM_KEYS
from taskmaster_common.config.sockets import socket_on_stdin, sockets_of
from taskmasterctl.convert.kinds.circus.rows import CIRCUS, WATCHER
from tests.support.converting import Imported, Importer

SITE = """\
[circus]
endpoint = tcp://127.0.0.1:5555
statsd = true
httpd = False
loglevel = DEBUG

[watcher:web]
cmd = /bin/sleep
args = 10$(circus.wid)
numprocesses = 3
copy_env = True
uid = nobody
stdout_stream.class = FileStream
stdout_stream.filename = /l/web.log
stdout_stream.max_bytes = 1000
stdout_stream.time_format = %Y
hooks.before_start = my.hook

[watcher:first]
cmd = /bin/sleep 5 ; not a part of it
priority = 5
stop_children = True
graceful_timeout = 5
respawn = False

[watcher:chaussette]
cmd = chaussette --fd $(circus.sockets.web) $(circus.sockets.named)

[env:web*, other]
PORT = 80

[socket:web]
host = localhost
[socket:named]
host = web.example
"""


def circus(importer: Importer, watcher: str, *words: str, more: str = "") -> Imported:
    return importer({"circus.ini": f"[watcher:web]\ncopy_env = true\n{watcher}\n{more}"}, *words)


def test_watchers_become_programs_by_priority_and_name(importer: Importer) -> None:
    done = importer({"circus.ini": SITE})
    assert done.code == 3
    assert [each.name for each in done.config.programs] == ["first", "web"]
    web, first = done.program("web"), done.program("first")
    assert (web.numprocs, web.run_as.user, web.policy.stoptime, web.stopasgroup) == (3, "nobody", 30, "leader")
    assert web.policy.autorestart == "always"
    assert dict(web.env) == {"PORT": "80"}
    assert (web.output.stdout, web.output.stderr, web.output.log_maxbytes) == ("/l/web.log", "inherit", 1000)
    assert first.cmd == ("/bin/sleep", "5")
    assert (first.policy.stoptime, first.stopasgroup, first.policy.autorestart) == (5, True, "never")
    assert done.config.daemon.loglevel == "debug"
    assert "counts from 1" in done.line("dropped", "watcher:web", "circus.wid")
    for setting in ("statsd", "time_format", "hooks.before_start", "socket:named host", "circus.sockets"):
        assert done.line("dropped", setting)
    assert "  # chaussette:\n" in done.text


def test_a_single_process_has_the_number_one(importer: Importer) -> None:
    assert circus(importer, "cmd = run $(circus.wid) ((CIRCUS.WID))").program("web").cmd == ("run", "1", "1")


def test_variables_of_the_environment_are_put_in_or_stay(importer: Importer) -> None:
    done = circus(importer, 'cmd = run "$(circus.env.port)" "((circus.env.X))"', more="[env]\nPORT = 80\n")
    assert done.text.count("80") == 2
    assert '"${X}"' in done.text
    bare = circus(importer, "cmd = run $(circus.env.X)")
    assert "cmd: exec run $X" in bare.text
    assert "splits the command" in bare.line("changed")


@pytest.mark.parametrize(
    ("options", "listen", "mode", "backlog"),
    [
        ("", "127.0.0.1:8080", 0o666, 2048),
        ("host = localhost\nport = 80\nfamily = AF_INET6\nbacklog = 7", "[::1]:80", 0o666, 7),
        ("host = 0.0.0.0", "0.0.0.0:8080", 0o666, 2048),
        ("host = ::\nport = 81", ":81", 0o666, 2048),
        ("type = SOCK_DGRAM\nport = 53", "udp:127.0.0.1:53", 0o666, 4096),
        ("path = /run/x.sock\nreplace = True", "/run/x.sock", 0o767, 2048),
        ("path = /run/x.sock\numask = 63\nfamily = AF_UNIX", "/run/x.sock", 0o700, 2048),
    ],
)
def test_a_socket_is_listened_at_and_its_number_stands_in_the_command(
    importer: Importer, options: str, listen: str, mode: int, backlog: int
) -> None:
    more = f"[socket:My-Web]\nblocking = true\n{options}\n"
    done = circus(importer, "cmd = serve --fd $(circus.sockets.my-WEB)\nuse_sockets = yes", more=more)
    assert (done.code, done.lines("dropped"), done.lines("changed")) == (0, [], []), done.report
    program = done.program("web")
    (socket,) = sockets_of(program.sockets, program.socket_options)
    assert (socket.listen, socket.mode, socket.backlog) == (listen, mode, backlog)
    assert program.cmd == ("serve", "--fd", "3")
    assert "cmd: serve --fd ${SOCKET_my_web}\n" in done.text
    assert "whose sockets are blocking" not in "\n".join(done.report)
    assert "whose sockets are blocking" in "\n".join(
        circus(importer, "cmd = serve $(circus.sockets.x)\nuse_sockets = yes", more="[socket:x]\n").report
    )


def test_watchers_share_a_socket_and_one_has_it_as_its_input(importer: Importer) -> None:
    other = "[watcher:php]\ncmd = php-cgi\nstdin_socket = One\n[socket:one]\n[socket:on.e]\nport = 81\n[socket:on-e]\nport = 82\n"
    done = circus(
        importer,
        "cmd = a $(circus.sockets.one) $(circus.sockets.on.e) $(circus.sockets.on-e)\nuse_sockets = 1",
        more=other,
    )
    assert "cmd: a ${SOCKET_one} ${SOCKET_on_e} ${SOCKET_on_e_2}\n" in done.text
    assert done.program("web").cmd == ("a", "3", "4", "5")
    assert done.program("php").sockets == done.program("web").sockets[:1]
    assert socket_on_stdin(done.program("php").stdin) == "one"


def test_a_socket_beside_a_variable_that_is_split_is_not_split(importer: Importer) -> None:
    done = circus(importer, "cmd = a $(circus.env.X) $(circus.sockets.s)\nuse_sockets = 1", more="[socket:s]\n")
    assert 'cmd: exec a $X "${SOCKET_s}"' in done.text


@pytest.mark.parametrize(
    ("watcher", "socket", "word", "words"),
    [
        ("cmd = a", "", "ignored", "no watcher uses this socket"),
        ("cmd = a\nuse_sockets = yes", "", "ignored", "its command names no socket"),
        ("cmd = a $(circus.sockets.s)", "", "changed", "there they are closed without use_sockets"),
        ("cmd = a $(circus.sockets.other)\nuse_sockets = 1", "", "dropped", "there is no [socket:other]"),
        ("cmd = a $(circus.sockets.s)\nuse_sockets = 1", "host = web.example", "dropped", "watcher:web cmd"),
        ("cmd = a\nstdin_socket = s", "type = SOCK_RAW", "dropped", "stdin_socket=s: no socket of the type SOCK_RAW"),
        ("cmd = a $(circus.sockets.s)\nuse_sockets = 1", "so_reuseport = yes", "dropped", "all instances share one queue"),
        ("cmd = a $(circus.sockets.s)\nuse_sockets = 1", "interface = eth0", "dropped", "not bound to an interface"),
        ("cmd = a $(circus.sockets.s)\nuse_sockets = 1", "blocking = no", "changed", "sockets are blocking"),
        ("cmd = a $(circus.sockets.s)\nuse_sockets = 1", "nonsense = 1", "ignored", "does not know this option of a socket"),
    ],
)  # fmt: skip
def test_what_becomes_otherwise_of_a_socket_is_said(
    importer: Importer, watcher: str, socket: str, word: str, words: str
) -> None:
    done = circus(importer, watcher, more=f"[socket:s]\nport = 80\n{socket}\n")
    assert done.line(f": {word}: ", words)
    assert done.config.programs or word == "dropped"


@pytest.mark.parametrize(
    ("options", "age", "jitter"),
    [
        ("max_age = 3600", 3615, 15),
        ("max_age = 60\nmax_age_variance = 0", 60, 0),
        ("max_age = 10\nmax_age_variance = 5", 12.5, 2.5),
    ],
)
def test_the_longest_age_is_that_of_circus(importer: Importer, options: str, age: float, jitter: float) -> None:
    done = circus(importer, f"cmd = run\n{options}")
    recycle = done.program("web").recycle
    assert (recycle["age"], recycle["jitter"]) == (age, jitter)
    assert "one instance after the other" in done.line("changed", "max_age=")
    assert circus(importer, "cmd = run\nmax_age = 0").program("web").recycle == {}


def test_a_child_gets_nothing_of_the_daemons_environment_unless_it_is_copied(importer: Importer) -> None:
    done = importer({"circus.ini": "[watcher:web]\ncmd = run\n"})
    assert ("clear_env: true" in done.text) == ("clear_env" in PROGRAM_KEYS)
    assert bool(done.lines("changed")) == ("clear_env" not in PROGRAM_KEYS)


def test_the_first_of_equal_options_counts(importer: Importer) -> None:
    done = circus(importer, "cmd = one\ncmd = two")
    assert done.program("web").cmd == ("one",)
    assert done.line("is written again and does not count")


def test_every_option_is_carried_or_has_a_line(importer: Importer) -> None:
    yes = ("shell", "singleton", "respawn", "stop_children", "copy_env", "copy_path", "send_hup", "use_sockets", "on_demand",
           "check_flapping", "close_child_stdin", "close_child_stdout", "close_child_stderr", "statsd", "httpd", "debug", "debug_gc")  # fmt: skip
    special = {"numprocesses": "2", "max_retry": "3", "graceful_timeout": "3", "stop_signal": "INT", "priority": "1", "autostart": "no",
               "respawn": "no", "loglevel": "info", "umask": "022", "include": "none.ini", "include_dir": "none", "stdin_socket": "s", "max_age": "60", "max_age_variance": "5"}  # fmt: skip

    def result(without: str = "") -> tuple[str, tuple[str, ...]]:
        lines: list[str] = []
        for head, rows in (("[circus]", CIRCUS), ("[watcher:web]", WATCHER)):
            lines.append(head)
            lines += [
                f"{name} = {special.get(name, 'yes' if name in yes else 'x')}"
                for name in rows
                if f"{head}{name}" != without
            ]
        lines.append("[socket:s]")
        done = importer({"circus.ini": "\n".join(lines)})
        assert done.code == 3, done.report
        return done.text, done.report

    whole = result()
    for head, rows in (("[circus]", CIRCUS), ("[watcher:web]", WATCHER)):
        for name in rows:
            if name != "cmd":
                assert result(f"{head}{name}") != whole, name


@pytest.mark.parametrize(
    ("text", "words"),
    [("cmd = run 'open", "no closing quotation"), ("args = x", "a watcher has a cmd"), ("cmd = x\nnumprocesses = many", "not a whole number"),
     ("cmd = x\nstdin_socket = y", "there is no [socket:y]"), ("cmd = x\n[socket:s]\nport = many", "port: not a whole number"),
     ("cmd = x\n[socket:s]\n[socket:t]\nport = 8080", "[socket:s] has this address, too"), ("cmd = x\n[socket:s]\nfamily = AF_X25", "AF_INET6 or AF_UNIX"), ("cmd = x\nrespawn = perhaps", "neither true nor false"), ("cmd = x\nwords alone", "no option=value")],
)  # fmt: skip
def test_what_circus_refuses_is_refused(importer: Importer, text: str, words: str) -> None:
    done = circus(importer, text)
    assert (done.code, done.text) == (6, "")
    assert words in "\n".join(done.report)
