"""`sockets` and `stdin: {socket: NAME}`: their forms, and everything about them that is refused or doubted."""

from __future__ import annotations

from typing import Any

import pytest

from taskmaster_common.config.sockets import Socket, descriptors, sockets_of
from taskmaster_common.errors import ConfigError
from taskmaster_common.paths import default_places
from taskmaster_common.schema.effective import effective_text
from taskmasterd.core.words.settings import settings_view
from tests.support.host import SIGNALS, host, load, problems, program, program_problems


def listen(address: str) -> str:
    """Return the address of a socket as it was decoded."""
    return sockets_of(program(f"sockets: {{http: '{address}'}}").sockets)[0].listen


@pytest.mark.parametrize(
    ("written", "decoded", "addresses"),
    [
        ("127.0.0.1:8000", "127.0.0.1:8000", ("127.0.0.1:8000",)),
        ("127.0.0.1:080", "127.0.0.1:80", ("127.0.0.1:80",)),
        ("[0:0::1]:80", "[::1]:80", ("[::1]:80",)),
        (":80", ":80", (":80",)),
        ("[::]:80", ":80", (":80",)),
        ("udp:[::0]:80", "udp::80", ("udp::80",)),
        ("localhost:80", "localhost:80", ("127.0.0.1:80", "[::1]:80")),
        ("udp:127.0.0.1:53", "udp:127.0.0.1:53", ("udp:127.0.0.1:53",)),
        ("udp::53", "udp::53", ("udp::53",)),
        ("udp:localhost:53", "udp:localhost:53", ("udp:127.0.0.1:53", "udp:[::1]:53")),
        ("/run//web.sock", "/run/web.sock", ("/run/web.sock",)),
        ("unix:/run/web.sock", "/run/web.sock", ("/run/web.sock",)),
        ("unix:web.sock", "/etc/tm/web.sock", ("/etc/tm/web.sock",)),
        ("run/web.sock", "/etc/tm/run/web.sock", ("/etc/tm/run/web.sock",)),
        ("@web", "@web", ("@web",)),
        (":800${TASKMASTER_INSTANCE}", ":800\0", (":8000",)),
        ("/run/${TASKMASTER_PROGRAM}-${TASKMASTER_INSTANCE}", "/run/web-\0", ("/run/web-0",)),
    ],
)
def test_each_form_of_an_address_is_decoded(written: str, decoded: str, addresses: tuple[str, ...]) -> None:
    assert listen(written) == decoded
    assert Socket("http", decoded).addresses(0) == addresses


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("8000", "write 127.0.0.1:8000 or :8000"),
        ("web.sock", "write HOST:PORT, or ./web.sock for a path"),
        ("127.0.0.1:0", "the port is not between 1 and 65535"),
        ("127.0.0.1:65536", "the port is not between 1 and 65535"),
        ("127.0.0.1:http", "has no port"),
        ("127.0.0.1:", "has no port"),
        ("::1:80", "an IPv6 address stands in brackets: [::1]:PORT"),
        ("[127.0.0.1]:80", "only an IPv6 address stands in brackets"),
        ("*:80", "for all addresses write :PORT"),
        ("example.org:80", "names are not looked up"),
        ("tcp://127.0.0.1:80", "write it without what it begins with: 127.0.0.1:80"),
        ("tcp:127.0.0.1:80", "write it without what it begins with: 127.0.0.1:80"),
        ("unix:", "has no path"),
        ("@", "a name after the @"),
        ("unix:@web", "for an abstract address write @web"),
        ("/", "is a directory"),
        ("./", "is a directory"),
        ("unix:..", "is a directory"),
        ("/" + "x" * 107, "has 108 bytes; at most 107 are allowed"),
    ],
)
def test_what_is_no_address_is_refused_with_a_hint(written: str, said: str) -> None:
    (problem,) = program_problems(f"sockets: {{http: '{written}'}}")
    assert said in problem


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ("sockets: {a-b: ':80'}", 'programs.web.sockets: "a-b" cannot be the name of a socket'),
        ("sockets: {a: {backlog: 3}}", "programs.web.sockets.a: listen is missing: the address"),
        ("sockets: {a: {listen: ':80', backlog: -1}}", 'programs.web.sockets.a.backlog: "-1" is not between 1 and'),
        ("sockets: {a: {listen: ':80', backlog: 0}}", 'programs.web.sockets.a.backlog: "0" is not between 1 and 65535'),
        ("sockets: {a: {listen: ':x'}, b: ':y'}", "programs.web.sockets.a.listen: "),
        ("sockets: {a: {listen: ':x'}, b: ':y'}", "programs.web.sockets.b: "),
        ("sockets: {a: ':80', b: '[::]:80'}", "programs.web.sockets.b: :80 is written twice"),
        ("sockets: {a: ./own.sock}", 'programs.web.sockets.a: "own.sock" is the control socket of taskmasterd'),
        ("sockets: {a: {address: ':80'}}", 'unknown key "address"; did you mean listen?'),
        (
            "sockets: {a: {listen: ':80', mode: 0600, user: root}}",
            "mode and user: only the path of a UNIX socket has these",
        ),
        ("sockets: {a: {listen: 'udp::80', backlog: 5}}", "a UDP socket has no queue of clients"),
        ("sockets: {a: {listen: /s, user: nosuch}}", 'programs.web.sockets.a: there is no user "nosuch"'),
        ("sockets: {a: {listen: /s, group: nosuch}}", 'there is no group "nosuch"'),
        ("sockets: {a: ':80', b: ':80'}", "programs.web.sockets.b: :80 is written twice"),
        ("numprocs: 3\nsockets: {a: ':6553${TASKMASTER_INSTANCE}', b: ':65532'}", ":65532 is written twice"),
        (
            "numprocs: 9\nsockets: {a: ':6553${TASKMASTER_INSTANCE}'}",
            "the port is not between 1 and 65535 for instance 6",
        ),
        (
            "numprocs: 11\nsockets: {a: '127.0.0.1:808${TASKMASTER_INSTANCE}'}",
            'sockets.a: "127.0.0.1:80810": the port is not between 1 and 65535 for instance 10',
        ),
        (
            "numprocs: 300\nsockets: {a: '127.0.0.${TASKMASTER_INSTANCE}:80'}",
            '"127.0.0.256" is neither a numeric address nor localhost for instance 256; names are not looked up',
        ),
        ("sockets: {a: ':${TASKMASTER_INSTANCE}'}", '":0": the port is not between 1 and 65535 for instance 0'),
        (
            "numprocs: 11\nsockets: {a: '@" + "x" * 105 + "${TASKMASTER_INSTANCE}'}",
            "has 108 bytes for instance 10; at most 107 are allowed",
        ),
        ("stdin: {socket: a}", 'programs.web.stdin: there is no socket "a"; write its address below sockets'),
        ("stdin: {pipe: a}", "expected null, pipe, a path or {socket: NAME}"),
        ("tty: true\nstdin: {socket: a}\nsockets: {a: ':80'}", "its terminal is what it reads"),
        (
            "ready: {fd: 4}\nsockets: {a: 'localhost:80'}",
            "descriptor 4 is one of its sockets; write a number from 5 on",
        ),
    ],
)
def test_what_cannot_be_is_refused(keys: str, said: str) -> None:
    found = program_problems(keys, places=default_places(0, {}).replace(socket="/etc/tm/own.sock"))
    assert any(said in problem for problem in found), found


def test_an_address_of_two_programs_is_one_socket_and_has_one_set_of_options() -> None:
    two = (
        "programs: {web: {cmd: run, sockets: {a: ':80'}}, api: {cmd: run, sockets: {b: {listen: ':80', backlog: %d}}}}"
    )
    assert load(two % 4096).warnings == ()
    (problem,) = problems(two % 5)
    assert "programs.api.sockets.b: web listens at :80, too, with another backlog; both share one socket" in problem


@pytest.mark.parametrize(
    ("one", "other", "overlap"),
    [
        (":80", "127.0.0.1:80", True),
        ("0.0.0.0:80", "127.0.0.1:80", True),
        (":80", "[::1]:80", True),
        (":80", "0.0.0.0:80", True),
        ("0.0.0.0:80", "[::1]:80", False),
        (":80", "127.0.0.1:81", False),
        ("udp::80", "127.0.0.1:80", False),
        (":80", "@127.0.0.1:80", False),
    ],
)
def test_an_address_that_another_program_has_taken_whole_is_doubted(one: str, other: str, overlap: bool) -> None:
    text = f"programs: {{web: {{cmd: run, sockets: {{a: '{one}'}}}}, api: {{cmd: run, sockets: {{b: '{other}'}}}}}}"
    said = f"programs.api.sockets.b: web listens at {one}, which is this address, too; only one can be open"
    assert [said in each for each in load(text).warnings] == [True] * overlap


def test_a_path_has_to_be_in_a_directory_and_none_itself() -> None:
    text = "sockets: {a: /tmp/x}"
    nothing: dict[str, Any] = {
        "may_enter": lambda path, _user: path == "/" or path.startswith("/usr"),
        "identity": lambda _path: "",
    }
    (problem,) = program_problems(text, identity=lambda _path: "")
    assert 'programs.web.sockets.a: "/tmp/x" is a directory' in problem
    for lenient in ({"lenient_users": True}, {"decided_by_others": lambda path: path == "/tmp/x"}):
        loaded = load(f"programs: {{web: {{cmd: run, {text}}}}}", identity=lambda _path: "", **lenient)
        assert any('"/tmp/x" is a directory' in warning for warning in loaded.warnings)
    warnings = load(f"programs: {{web: {{cmd: run, {text}}}}}", **nothing).warnings
    said = 'programs.web.sockets.a: there is no directory "/tmp" that the daemon can enter'
    assert any(said in warning for warning in warnings), warnings


def test_cmd_gets_the_number_of_a_socket_and_defaults_have_none() -> None:
    keys = "cmd: 'serve --fd ${SOCKET_http} ${SOCKET_admin}', sockets: {both: 'localhost:1', http: ':2', admin: /s}"
    found = load(f"programs: {{web: {{{keys}}}}}").config.programs[0]
    assert found.cmd == ("serve", "--fd", "5", "6")
    assert descriptors(sockets_of(found.sockets)) == {"both": 3, "http": 5, "admin": 6}
    with pytest.raises(ConfigError) as error:
        load("defaults: {sockets: {http: ':80'}}\nprograms: {web: {cmd: 'serve ${SOCKET_http}'}}")
    assert "sockets cannot be a default of all programs" in str(error.value)
    assert "the variable SOCKET_http is not set" in str(error.value)


def test_a_shell_between_the_daemon_and_the_program_is_doubted() -> None:
    text = "programs: {web: {cmd: '%s', shell: true, sockets: {http: ':80'}}}"
    (warning,) = load(text % "run").warnings
    assert "LISTEN_PID is that of the shell" in warning
    assert load(text % "exec run").warnings == ()


@pytest.mark.parametrize(
    ("keys", "way"),
    [
        ("ready: {tcp: 127.0.0.1:8000}", "tcp"),
        ("ready: {tcp: '8000'}", "tcp"),
        ("ready: {unix: /s}", "unix"),
        ("health: {tcp: localhost:8000}", "tcp"),
        ("ready: {http: 'http://127.0.0.1:8000/'}", ""),
        ("ready: {tcp: 127.0.0.1:9000}", ""),
        ("ready: {tcp: 127.0.0.1:53}", ""),
        ("health: {unix: /t}", ""),
    ],
)
def test_a_probe_that_the_daemon_s_own_socket_would_answer_is_doubted(keys: str, way: str) -> None:
    text = f"programs: {{web: {{cmd: run, sockets: {{a: ':8000', b: /s, c: 'udp::53'}}, {keys}}}}}"
    found = [each for each in load(text).warnings if f"so {way} always succeeds; use http or exec" in each]
    assert len(found) == bool(way)


def test_the_effective_configuration_decodes_to_the_same_and_show_has_what_was_written() -> None:
    text = "sockets: {http: ':80', u: {listen: /s, backlog: 7, mode: 0660}, v: {listen: '/${TASKMASTER_INSTANCE}', mode: 0}}\nstdin: {socket: u}"
    found = program(text)
    loaded = load(f"programs:\n  web:\n    cmd: run\n    {text.replace(chr(10), chr(10) + '    ')}")
    again = effective_text(loaded.config, SIGNALS, host({}).places)
    assert '"u": {listen: "/s", backlog: 7, mode: "0660"}  # descriptor 4' in again
    assert load(again).config.programs[0] == loaded.config.programs[0] == found
    view = settings_view(found, {}, values=False)
    assert view["sockets"]["v"] == {"listen": "/${TASKMASTER_INSTANCE}", "mode": "0000"}
    assert (view["sockets"]["http"], view["stdin"]) == (":80", {"socket": "u"})


def test_the_order_of_sockets_is_that_of_their_descriptors() -> None:
    assert program("sockets: {a: ':1', b: ':2'}") != program("sockets: {b: ':2', a: ':1'}")
    moved, queue = program("sockets: {a: ':2'}"), program("sockets: {a: {listen: ':1', backlog: 9}}")
    assert program("sockets: {a: ':1'}").changed_keys(moved) == ("sockets",)
    assert program("sockets: {a: ':1'}").changed_keys(queue) == ("socket_options",)
