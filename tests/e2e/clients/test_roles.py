"""`roles` as other users of the system meet them: what exists for them, what they may do, and what is written of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack
from socket import SHUT_WR
from typing import IO, Any, cast

import pytest

from taskmaster_common.commands.table import COMMANDS, LEVELS, Command, access_of, at_least, parse
from tests.support.daemon import Daemon
from tests.support.users import answers_on, ask_as, connected_as, connections_as, errors_of
from tests.support.variants import in_the_sweep
from tests.support.wait import wait_until

pytestmark = [
    pytest.mark.slow,
    pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0, reason="becomes other users"),
]

USERS = {level: 60_001 + number for number, level in enumerate(LEVELS)}
"""Who has each level, on `own` only but for the admin."""
STRANGER, MEMBER, GROUP = 60_050, 60_060, 60_061
SLEEPER = "cmd: sleep 300, starttime: 0"
ROLES = "".join(
    f"    {level}: {{users: [{uid}], level: {level}{', programs: [own]' if level != 'admin' else ''}}}\n"
    f"    sees-{level}: {{users: [{uid}], level: look, programs: ['see?']}}\n"
    for level, uid in USERS.items()
)
CONFIG = f"""\
taskmasterd:
  roles:
{ROLES}    group: {{groups: [{GROUP}], level: operate, programs: [team]}}
programs:
  own: {{{SLEEPER}}}
  seen: {{{SLEEPER}}}
  hidden: {{{SLEEPER}, depends_on: [own]}}
  needy: {{{SLEEPER}, depends_on: [hidden]}}
groups:
  team: [own, seen]
  secret: [hidden]
"""


def opened(daemon: Daemon) -> Daemon:
    """Let other users come to the socket."""
    daemon.home.parent.chmod(0o755)
    daemon.home.chmod(0o755)
    return daemon


@pytest.fixture(scope="module")
def shared(share_daemon: Callable[[str], Daemon]) -> Daemon:
    """Return a daemon with a role for each level."""
    daemon = opened(share_daemon(CONFIG)).start()
    assert daemon.ctl("wait", "all").returncode == 0
    return daemon


def pids(daemon: Daemon) -> dict[str, object]:
    return {name: process["pid"] for name, process in daemon.status().items()}


def requests(verb: Command, name: str) -> list[str]:
    """Return a request for this verb about a program, and one with each flag that needs a higher level."""
    words = {"signal": f"CONT {name}", "scale": f"{name} 1"}.get(verb.name, name)
    flags = [flag.name for flag in verb.flags if flag.access not in ("look", verb.access)]
    return [f"{verb.name} {words}", *(f"{verb.name} {flag} {words}" for flag in flags)]


def code_for(level: str, has: str, need: str) -> str:
    """Return the error that somebody gets who has `has` on a program, or nothing, and `level` elsewhere; "" for none."""
    if need == "admin" != level:
        return "permission"  # that is about the daemon, whatever names follow
    if not has:
        return "unknown-name"
    return "" if at_least(has, need) else "permission"


@pytest.mark.parametrize("level", LEVELS)
def test_each_verb_does_what_the_level_allows_and_else_nothing_at_all(shared: Daemon, level: str) -> None:
    before = pids(shared)
    of_programs = [
        verb for verb in COMMANDS if verb.module not in ("", "subscribe", "attach") and "TARGET" in verb.arguments
    ]
    for name, has in (("own", level), ("seen", "look"), ("hidden", ""), ("nosuch", "")):
        lines = [line for verb in of_programs for line in requests(verb, name)]
        held = level if level == "admin" and name != "nosuch" else has
        wanted = [code_for(level, held, access_of(parse(line.split()))) for line in lines]
        answers = ask_as(shared, USERS[level], *lines)[1:]
        assert dict(zip(lines, errors_of(answers), strict=True)) == dict(zip(lines, wanted, strict=True))
        refused = [answer[-1] for answer, code in zip(answers, wanted, strict=True) if code == "permission"]
        assert all(end["exit"] == 4 and end["error"]["needs"] and end["error"]["has"] for end in refused)
    touched = {name for name, pid in pids(shared).items() if pid != before[name]}
    assert touched <= ({"own"} if level != "admin" else set(before))
    assert touched or not at_least(level, "operate")


def texts(answers: object) -> str:
    return json.dumps(answers)


LOOKS = (
    "status",
    "show all",
    "deps",
    "deps --reverse",
    "wait all",
    "health",
    "pid all",
    "logs",
    "status own",
    "overrides",
    "help",
)


def test_what_one_may_not_look_at_is_named_nowhere(shared: Daemon) -> None:
    shared.ctl("stop", "hidden", "needy")
    shared.ctl("disable", "hidden")
    user = USERS["operate"]
    asked = ask_as(
        shared, user, *LOOKS, "show '*'", "status h*", "status hiden", "status secret", "stop own", "start own"
    )
    assert not {"hidden", "needy", "secret"} & set(texts(asked).replace('"', " ").replace(",", " ").split()), asked
    assert "hidden" not in texts(asked)
    assert errors_of(asked)[-5:] == ["unknown-name"] * 3 + [""] * 2
    assert errors_of(ask_as(shared, user, "enable hidden", "scale hidden 2")[1:]) == ["unknown-name"] * 2
    shared.ctl("enable", "hidden")
    with connected_as(shared, user) as channel:
        channel.sendall(b"subscribe\n")
        lines = channel.makefile("rb")
        while b'"type":"processes"' not in (line := lines.readline()):
            assert b"hidden" not in line
        assert {each["name"] for each in json.loads(line)["processes"]} == {"own", "seen"}
        shared.ctl("start", "needy")  # which starts hidden
        shared.ctl("restart", "own", "--dependents")
        while b'"name":"own"' not in (line := lines.readline()):
            assert b"hidden" not in line
            assert b"needy" not in line
        lines.close()


VAULT = f"""\
taskmasterd: {{roles: {{ci: {{users: [60001], level: operate, programs: [web, api]}}}}}}
programs:
  vault: {{{SLEEPER}, startretries: 0}}
  web: {{{SLEEPER}, depends_on: {{vault: {{restart: true}}}}}}
  api: {{{SLEEPER}, depends_on: {{web: {{restart: true}}, vault: started}}}}
"""


@pytest.mark.sweep
def test_whatever_a_hidden_program_does_to_those_that_one_sees_it_is_not_named(daemon: Daemon) -> None:
    opened(daemon).write(VAULT)
    daemon.start()
    assert daemon.ctl("wait", "all").returncode == 0
    with ExitStack() as stack:
        channel = stack.enter_context(connected_as(daemon, 60_001))
        channel.sendall(b"subscribe\n")
        heard = []
        for act in ("restart", "stop", "break"):
            if act == "break":
                daemon.write(VAULT.replace(SLEEPER, "cmd: 'false', starttime: 30", 1))
                daemon.ctl("reload")
                daemon.ctl("restart", "--no-wait", "all")
                wait_until(lambda: daemon.status()["web"]["phase"] == "blocked")
            else:
                daemon.ctl(act, "vault")
            heard += ask_as(daemon, 60_001, *LOOKS, "stop web", "start web", "restart --no-wait api", "check all")
        assert "vault" not in texts(heard)
        assert "may not see" in texts(heard)
        channel.shutdown(SHUT_WR)
        assert "vault" not in texts(answers_on(channel))


@pytest.mark.sweep
def test_what_is_needed_by_what_one_may_start_is_started_only_by_who_may_start_it(daemon: Daemon) -> None:
    opened(daemon).write(
        "taskmasterd: {roles: {ci: {users: [60001], level: operate, programs: [web]}, "
        "eye: {users: [60002], level: look}, db: {users: [60002], level: operate, programs: [db]}}}\n"
        f"programs: {{web: {{{SLEEPER}, depends_on: [db]}}, db: {{{SLEEPER}}}}}"
    )
    daemon.start()
    assert daemon.ctl("wait", "all").returncode == 0
    (end,) = ask_as(daemon, 60_002, "stop --dependents db")[1][-1:]
    assert "(web)" in end["error"]["message"]
    assert {each["state"] for each in daemon.status().values()} == {"RUNNING"}
    daemon.ctl("stop", "web", "db")
    (end,) = ask_as(daemon, 60_001, "start web")[1][-1:]
    assert end["error"]["code"] == "permission"
    assert "db" not in end["error"]["message"]
    (end,) = ask_as(daemon, 60_001, "restart web")[1][-1:]
    assert end["error"]["code"] == "permission"
    assert {each["state"] for each in daemon.status().values()} == {"STOPPED"}
    daemon.ctl("start", "db")
    assert errors_of(ask_as(daemon, 60_001, "start web", "restart web")[1:]) == ["", ""]
    daemon.ctl("stop", "db")
    assert errors_of(ask_as(daemon, 60_001, "start web", "restart web")[1:]) == ["", "permission"]
    assert daemon.status()["web"]["state"] == "RUNNING"


def test_all_and_patterns_mean_what_exists_and_one_that_may_not_be_touched_keeps_all_from_being_touched(
    shared: Daemon,
) -> None:
    before = pids(shared)
    refused = ask_as(shared, USERS["operate"], "restart all", "restart '*e*'", "restart own seen", "restart ?een")[1:]
    assert errors_of(refused) == ["permission", "unknown-name", "permission", "permission"]
    error = refused[0][-1]["error"]
    assert error["message"] == "restart seen: needs operate; uid 60003 has look (role sees-operate)"
    assert error["hints"] == ["a line for `roles`: {users: [60003], level: operate, programs: [seen]}"]
    assert pids(shared) == before
    assert errors_of(ask_as(shared, MEMBER, "restart all", groups=[GROUP])) == ["", ""]
    after = pids(shared)
    assert {name for name in after if after[name] != before[name]} == {"own", "seen"}


def test_somebody_without_a_role_is_told_so_and_costs_the_others_nothing(shared: Daemon) -> None:
    with connections_as(shared, STRANGER, 500) as channels:
        assert shared.status(), "it answers, though nobody reads"
        heard = [answers_on(channel) for channel in channels]
    assert all(len(each) == 1 and len(each[0]) == 1 for each in heard)
    (end,) = heard[0][0]
    assert (end["type"], end["exit"], end["error"]["code"]) == ("end", 4, "permission")
    assert end["error"]["hints"] == [f"a line for `roles`: {{users: [{STRANGER}], level: look}}"]


def test_one_user_by_a_role_has_so_many_connections_and_root_has_more(shared: Daemon) -> None:
    with connections_as(shared, USERS["look"], 17) as channels:
        greetings = [channel.recv(1000) for channel in channels]
        assert [b'"hello"' in each for each in greetings] == [True] * 16 + [False]
        assert b'"busy"' in greetings[-1]
        assert errors_of(ask_as(shared, USERS["read"], "status")) == ["", ""]
    wait_until(lambda: errors_of(ask_as(shared, USERS["look"], "status")) == ["", ""])  # it has seen the others go
    with connections_as(shared, 0, 20) as channels:
        assert all(b'"hello"' in channel.recv(1000) for channel in channels)


@pytest.mark.sweep
def test_each_request_that_acts_and_the_first_refusals_are_in_the_event_log(daemon: Daemon) -> None:
    opened(daemon).write(CONFIG)
    daemon.start()
    ask_as(daemon, USERS["operate"], "restart own")
    logs_in = 'echo 1000 >/proc/self/loginuid; cat /proc/self/loginuid; exec "$0" -m taskmasterctl restart own'
    environment = {**daemon.environment, "SSH_CONNECTION": '10.0.0.5 50122 "x"\n22'}
    words = ["sh", "-c", logs_in, sys.executable]
    done = subprocess.run(words, env=environment, check=True, capture_output=True, text=True)
    ask_as(daemon, USERS["look"], *["stop own"] * 1000)
    log = daemon.events()
    assert f"request from uid {USERS['operate']}, pid " in log
    mine = next(line for line in log.splitlines() if "request from uid 0" in line)
    login = (
        " (login uid 1000)" if done.stdout.startswith("1000own") else ""
    )  # else the kernel does not let us choose one
    assert f"request from uid 0{login}, pid " in mine
    assert mine.endswith(' from "10.0.0.5 50122 \\"x\\"\\n22": restart own')
    assert log.count("restart own") == 2
    refusals = [line for line in log.splitlines() if "refused" in line]
    assert len(refusals) == 10
    assert all(": stop own: needs operate, has look" in line for line in refusals)


def end_on(lines: IO[bytes]) -> dict[str, Any]:
    """Return the next `end` of a connection."""
    while (message := json.loads(next(lines)))["type"] != "end":
        pass
    return cast("dict[str, Any]", message)


def roles(*written: str) -> str:
    return f"taskmasterd: {{roles: {{{', '.join(written)}}}}}\nprograms: {{web: {{{SLEEPER}}}, db: {{{SLEEPER}}}}}\n"


@pytest.mark.parametrize("upgraded", [False, *in_the_sweep(True)])
def test_a_reload_that_takes_a_role_away_ends_streams_and_the_next_request_is_judged_by_it(
    daemon: Daemon, upgraded: bool
) -> None:
    reads = "r: {users: [60001], level: read, programs: [web]}"
    opened(daemon).write(roles(reads, "l: {users: [60001], level: look}"))
    daemon.start()
    with ExitStack() as stack:
        channels = stack.enter_context(connections_as(daemon, 60_001, 3))
        follower, subscriber, idle = [stack.enter_context(channel.makefile("rb")) for channel in channels]
        for channel, line in zip(channels, (b"logs -f web\n", b"subscribe web\n", b"logs web\n"), strict=True):
            channel.sendall(line)
        assert end_on(idle)["exit"] == 0
        if upgraded:
            assert daemon.ctl("upgrade").returncode == 0
        daemon.write(roles("l: {users: [60001], level: look}"))
        daemon.ctl("reload")
        end = end_on(follower)
        assert (end["exit"], end["error"]["code"], end["error"]["needs"]) == (4, "permission", "read")
        channels[2].sendall(b"status\nlogs web\n")
        assert end_on(idle)["exit"] == 0
        assert end_on(idle)["error"]["code"] == "permission"
        daemon.write(roles("o: {users: [60002], level: look}"))
        daemon.ctl("reload")
        assert end_on(subscriber)["error"]["code"] == "permission"
        channels[0].sendall(b"status\n")
        assert end_on(follower)["error"]["code"] == "permission"
        assert not follower.read(1)


def test_roles_open_the_socket_and_their_end_closes_it(daemon: Daemon) -> None:
    def mode() -> int:
        return daemon.socket.stat().st_mode & 0o777

    opened(daemon).write(roles())
    daemon.start()
    assert mode() == 0o600
    daemon.write(roles("l: {users: [60001], level: look}"))
    planned = daemon.ctl("reload", "--dry-run").stdout
    assert "taskmasterd.roles applied without a restart" in planned
    assert mode() == 0o600
    assert daemon.ctl("reload").stdout == planned
    assert "reload: taskmasterd.roles applied" in daemon.events()
    assert mode() == 0o666
    assert errors_of(ask_as(daemon, 60_001, "status")) == ["", ""]
    daemon.socket.unlink()
    daemon.signal(10)
    wait_until(lambda: daemon.ctl("pid").returncode == 0)  # a socket is there a moment before anybody listens on it
    assert mode() == 0o666
    daemon.write(roles())
    assert daemon.ctl("reload").returncode == 0
    assert mode() == 0o600
