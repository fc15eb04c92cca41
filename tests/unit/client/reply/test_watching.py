"""`status --watch`: frames that replace each other on a terminal, lines anywhere else."""

from __future__ import annotations

import json

import pyte
import pytest

from taskmaster_common.commands.table import Request
from taskmasterctl.reply.mirror import unexpected
from taskmasterctl.reply.render import Look
from taskmasterctl.reply.watching import Screen, watch_reply
from tests.support.fakedaemon import end, process

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from taskmasterctl.reply.astext import Reply

DAEMON = {"type": "daemon", "version": "9.9", "protocol": 1, "pid": 4711, "uptime_s": 60.0}
TICK = {"type": "tick"}


class Clock:
    """A clock that stands still until it is moved, and a terminal of some size."""

    def __init__(self, columns: int = 80, lines: int = 24) -> None:
        self.now = 0.0
        self.size = (columns, lines)

    def surroundings(self) -> Screen:
        return Screen(
            now=lambda: self.now,
            wall=lambda: "10:02:03",
            stamp=lambda: "2026-11-23T10:02:03.004+00:00",
            size=lambda: self.size,
        )


def snapshot(*processes: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        DAEMON,
        {"type": "snapshot", "sequence": 0, "count": len(processes)},
        {"type": "processes", "processes": list(processes)},
    ]


def change(name: str, before: str, state: str, **fields: Any) -> dict[str, Any]:
    return {
        "type": "change", "sequence": 1, "name": name, "before": before, "state": state,
        "process": process(name, state), "reason": "", "removed": False, **fields,
    }  # fmt: skip


def said(reply: Reply, *messages: dict[str, Any]) -> str:
    return "".join(text for message in messages for _stream, text in reply.take(message))


def watching(clock: Clock, *, in_place: bool, **flags: bool) -> Reply:
    request = Request("status", {"watch": True, **flags})
    return watch_reply(request, Look(), clock.surroundings(), in_place=in_place, as_json=False)


def screen_of(text: str, columns: int, lines: int) -> list[str]:
    screen = pyte.Screen(columns, lines)
    pyte.Stream(screen).feed(text.replace("\n", "\r\n"))
    return [row.rstrip() for row in screen.display]


def test_a_frame_stands_where_the_one_before_stood() -> None:
    clock = Clock()
    reply = watching(clock, in_place=True)
    text = said(reply, *snapshot(process("web"), process("db")))
    clock.now = 1.0
    text += said(reply, change("db", "RUNNING", "FATAL"))
    rows = screen_of(text, 80, 24)
    assert rows[0] == "10:02:03  1/2 running  1 fatal  (q leaves)"
    assert [row.split()[:2] for row in rows[1:4]] == [["NAME", "STATE"], ["web", "RUNNING"], ["db", "FATAL"]]
    assert not any(rows[4:])


def test_uptimes_grow_though_nothing_happens_and_a_storm_is_not_drawn_frame_by_frame() -> None:
    clock = Clock()
    reply = watching(clock, in_place=True)
    said(reply, *snapshot(process("web", uptime_s=1.0)))
    assert said(reply, TICK) == ""
    clock.now = 1.0
    assert "  2s  " in said(reply, TICK)
    frames = [said(reply, change("web", "RUNNING", "BACKOFF")) for _ in range(100)]
    assert not any(frames)
    clock.now = 1.1
    assert "BACKOFF" in said(reply, TICK)


def test_a_small_terminal_gets_what_fits_and_how_much_there_is_more() -> None:
    clock = Clock(30, 8)
    reply = watching(clock, in_place=True)
    rows = screen_of(said(reply, *snapshot(*(process(f"web{number}") for number in range(20)))), 30, 8)
    assert rows[0].startswith("10:02:03")
    assert [row.split()[0] for row in rows[1:6]] == ["NAME", "web0", "web1", "web2", "web3"]
    assert rows[6] == "... and 16 more"


def test_failed_shows_only_what_is_not_as_wanted() -> None:
    clock = Clock()
    text = said(watching(clock, in_place=True, failed=True), *snapshot(process("web"), process("db", "FATAL")))
    assert "web" not in text
    assert "db" in text
    lines = watching(clock, in_place=False, failed=True)
    said(lines, *snapshot(process("web")))
    assert said(lines, change("web", "STOPPED", "STARTING")) == ""
    assert said(lines, change("web", "STARTING", "FATAL")) == "10:02:03 web STARTING -> FATAL\n"


def test_a_failure_is_shown_with_the_last_line_of_its_stderr() -> None:
    reply = watching(Clock(), in_place=False)
    said(reply, *snapshot(process("web")))
    failed = change("web", "RUNNING", "FATAL", reason="exit 3 after 2s (try 4 of 4)")
    failed["process"]["stderr"] = "bind: in use\x1b[2J"
    assert said(reply, failed) == (
        '10:02:03 web RUNNING -> FATAL (exit 3 after 2s: "bind: in use\\x1b[2J" (try 4 of 4))\n'
    )


def test_lines_are_the_table_and_then_each_change_of_state() -> None:
    reply = watching(Clock(), in_place=False)
    assert said(reply, *snapshot(process("web"))).startswith("NAME  STATE")
    assert said(reply, change("web", "RUNNING", "RUNNING"), TICK) == ""
    assert said(reply, change("web", "RUNNING", "BACKOFF", reason="exit 3")) == (
        "10:02:03 web RUNNING -> BACKOFF (exit 3)\n"
    )
    assert said(reply, change("web", "STOPPING", "STOPPED", removed=True)) == "10:02:03 web STOPPING -> removed\n"


def test_after_a_reload_only_what_came_and_went_is_told() -> None:
    reply = watching(Clock(), in_place=False)
    said(reply, *snapshot(process("web"), process("db")))
    assert said(reply, *snapshot(process("web"), process("cron"))) == "10:02:03 db removed\n10:02:03 cron added\n"
    assert said(reply, *snapshot(process("web"), process("cron"))) == ""


def test_an_error_is_told_as_everywhere() -> None:
    for in_place in (False, True):
        text = said(watching(Clock(), in_place=in_place), end(4, "unknown-name", 'no program named "wbe"', ["look"]))
        assert text == 'taskmasterctl: no program named "wbe"\n  look\n'


def test_names_that_a_terminal_might_obey_are_written_out() -> None:
    reply = watching(Clock(), in_place=False)
    said(reply, *snapshot())
    assert "\x1b" not in said(reply, change("web", "RUNNING", "FATAL", reason="\x1b[2J"))


def test_each_object_of_json_has_the_time_of_the_wall_clock() -> None:
    clock = Clock()
    reply = watch_reply(Request("subscribe"), Look(), clock.surroundings(), in_place=False, as_json=True)
    chunks = [chunk for message in snapshot(process("web")) for chunk in reply.take(message)]
    assert [json.loads(text)["time"] for _stream, text in chunks] == ["2026-11-23T10:02:03.004+00:00"] * 3


def test_a_change_of_phase_alone_is_told_of_a_daemon_that_names_phases() -> None:
    web = process("web", "STARTING", phase="", detail="")
    opened = change("web", "STARTING", "STARTING", process=web, before_phase="held")
    lines = said(watching(Clock(), in_place=False), *snapshot(process("web")), opened).splitlines()
    assert lines[-1].endswith("web STARTING (waits no longer)")
    other = change("web", "STARTING", "STARTING", process=web, before_phase="")
    assert len(said(watching(Clock(), in_place=False), *snapshot(process("web")), other).splitlines()) == 2
    request = Request("subscribe")
    reply = watch_reply(request, Look(), Clock().surroundings(), in_place=False, as_json=True)
    assert said(reply, other) == ""
    assert json.loads(said(reply, opened))["before_phase"] == "held"


@pytest.mark.parametrize(
    ("before", "verdict", "detail", "shown"),
    [
        ("healthy", "unhealthy", "unhealthy: http 503 (3 of 3)", "web RUNNING (unhealthy: http 503 (3 of 3))"),
        ("unhealthy", "healthy", "", "web RUNNING (healthy)"),
        ("healthy", "healthy", "", ""),
    ],
)
def test_a_change_of_the_verdict_alone_is_told(before: str, verdict: str, detail: str, shown: str) -> None:
    web = process("web", "RUNNING", detail=detail, health={"verdict": verdict})
    change_of_verdict = change("web", "RUNNING", "RUNNING", process=web, before_health=before, reason=detail)
    lines = said(watching(Clock(), in_place=False), *snapshot(process("web")), change_of_verdict).splitlines()[2:]
    assert [line.partition(" ")[2] for line in lines] == ([shown] if shown else [])
    assert unexpected(change_of_verdict) is bool(shown)


def test_subscribe_in_json_has_no_change_from_a_state_to_itself() -> None:
    reply = watch_reply(Request("subscribe"), Look(), Clock().surroundings(), in_place=False, as_json=True)
    change = {
        "type": "change",
        "name": "web",
        "before": "STARTING",
        "process": process("web", "STARTING"),
        "removed": False,
    }
    assert reply.take({**change, "state": "STARTING"}) == []
    assert len(reply.take({**change, "state": "RUNNING"})) == 1
    assert len(reply.take({**change, "state": "STARTING", "removed": True})) == 1
