"""Results of many processes: what is not ordinary has a line, and a sum counts all."""

from __future__ import annotations

from taskmaster_common.commands.table import parse
from taskmasterctl.output import ERR, OUT
from taskmasterctl.reply.bulk import FEW
from taskmasterctl.reply.render import Look
from taskmasterctl.reply.replies import reply_for

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

END = {"type": "end", "exit": 0}
HEARTBEAT = {"type": "progress", "name": "w:9", "text": "STOPPING", "heartbeat": True}


def stopped(index: int, **more: Any) -> dict[str, Any]:
    return {"type": "result", "name": f"w:{index}", "ok": True, "outcome": "stopped", "seconds": 0.1, **more}


def refused(index: int) -> dict[str, Any]:
    return {"type": "result", "name": f"w:{index}", "ok": False, "outcome": "stuck", "reason": "it is stuck"}


def said(*messages: dict[str, Any], verb: str = "stop", quiet: bool = False) -> tuple[str, str]:
    reply = reply_for(parse([verb, "w"]), Look(quiet=quiet), as_json=False)
    chunks = [chunk for message in messages for chunk in reply.take(message)]
    return tuple("".join(text for to, text in chunks if to == stream) for stream in (OUT, ERR))  # type: ignore[return-value]


def test_few_results_have_a_line_each_in_their_order() -> None:
    few = [stopped(at, killed=at == 3) for at in range(FEW)]
    out, _ = said(*few, END)
    assert out.splitlines() == [f"w:{at} stopped ({'killed after' if at == 3 else 'in'} 0.1s)" for at in range(FEW)]


def test_of_many_only_what_is_not_ordinary_has_a_line_and_a_sum_counts_all() -> None:
    many = [stopped(at, killed=at == 3) for at in range(40)]
    late = stopped(40, outcome="already-stopped", reason="nobody started it")
    out, err = said(*many, late, refused(41), END)
    assert out == (
        "w:3 stopped (killed after 0.1s)\n"
        "w:40 already stopped (nobody started it)\n"
        "40 stopped, 1 already stopped, 1 did not stop\n"
    )
    assert err.startswith("taskmasterctl: w:41 did not stop: it is stuck\n")


def test_what_has_ended_is_shown_while_others_take_their_time() -> None:
    reply = reply_for(parse(["stop", "w"]), Look(), as_json=False)
    assert reply.take(stopped(0)) == []
    assert reply.take(HEARTBEAT) == [(OUT, "w:0 stopped (in 0.1s)\n")]
    assert reply.take(END) == []


def test_a_request_without_waiting_is_counted_as_such() -> None:
    asked = [stopped(at, outcome="requested", seconds=None) for at in range(40)]
    assert said(*asked, END)[0] == "stop of 40 requested\n"


def test_a_quiet_client_says_nothing_of_successes() -> None:
    out, err = said(*[stopped(at) for at in range(40)], refused(41), END, quiet=True)
    assert out == ""
    assert "w:41" in err


def test_an_error_of_the_whole_comes_after_the_results_that_are_there() -> None:
    lost = {"type": "end", "exit": 7, "error": {"code": "lost", "message": "the connection is lost"}}
    out, err = said(stopped(0), lost)
    assert (out, err) == ("w:0 stopped (in 0.1s)\n", "taskmasterctl: the connection is lost\n")
