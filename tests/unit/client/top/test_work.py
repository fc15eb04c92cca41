"""An action's progress in one line, and the output in the lower pane."""

from __future__ import annotations

from taskmasterctl.reply.render import Look
from taskmasterctl.top.work import KEPT_LINES, Action, Pane

LOOK = Look()


def action(verb: str = "restart", *targets: str) -> Action:
    return Action(verb, targets or ("all",), LOOK, 10.0)


def result(name: str, *, ok: bool = True, **more: object) -> dict[str, object]:
    return {"type": "result", "name": name, "ok": ok, "outcome": "restarted" if ok else "failed", **more}


def test_the_line_counts_what_is_done_and_ends_with_a_summary() -> None:
    acting = action()
    assert acting.text == "restart all ..."
    acting.take({"type": "ack", "verb": "restart"}, 10.0)
    acting.take({"type": "progress", "name": "a", "text": "stopping"}, 10.0)
    assert acting.text == "restart: a: stopping"
    acting.take(result("a"), 11.0)
    acting.take(result("b"), 11.0)
    assert acting.text.startswith("restart: 2 done; b restarted")
    acting.take({"type": "end", "exit": 0}, 12.5)
    assert (acting.text, acting.over, acting.failed) == ("restart: 2 done in 2.5s", True, False)


def test_one_success_is_said_as_it_is() -> None:
    acting = action("stop", "web")
    acting.take({**result("web"), "outcome": "stopped", "seconds": 0.1}, 10.1)
    acting.take({"type": "end", "exit": 0}, 10.1)
    assert acting.text == "web stopped (in 0.1s)"


def test_failures_stay_and_are_counted() -> None:
    acting = action("start", "a", "b")
    acting.take(result("a", ok=False, reason="exit 1", state="FATAL"), 11.0)
    acting.take(result("b", ok=False, reason="exit 2"), 11.0)
    acting.take({"type": "end", "exit": 1}, 11.0)
    assert acting.text == "a did not start: exit 1, now FATAL (and 1 more)"
    assert acting.failed


def test_a_name_that_is_gone_is_what_the_daemon_says() -> None:
    acting = action("stop", "web:3")
    acting.take(
        {"type": "end", "exit": 5, "error": {"code": "unknown-name", "message": 'no program named "web:3"\x1b'}}, 11.0
    )
    assert acting.text == 'no program named "web:3"\\x1b'


def test_the_pane_has_lines_without_colours_and_one_that_is_not_over_yet() -> None:
    pane = Pane("web")
    pane.take({"type": "output", "name": "web", "text": "\x1b[31mred\x1b[0m\n\tb\x07"})
    pane.take({"type": "output", "name": "web", "text": "c"})
    assert pane.newest(5) == ["red", "    b\\x07c"]
    assert pane.newest(1) == ["    b\\x07c"]
    assert pane.newest(0) == []
    pane.take({"type": "missed", "bytes": 7})
    pane.take({"type": "end", "exit": 1, "error": {"code": "stopping", "message": "the daemon is being shut down"}})
    assert pane.newest(9)[-1] == "-- the daemon is being shut down --"


def test_the_pane_keeps_a_bounded_number_of_lines() -> None:
    pane = Pane("web")
    pane.take({"type": "output", "name": "web", "text": "x\n" * (KEPT_LINES * 3)})
    assert len(pane.lines) == KEPT_LINES
