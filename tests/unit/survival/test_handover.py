"""What is under way that an exec would lose."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from taskmasterd.survival.handover import Handover, ProcessParts


def unsettled(
    *,
    reading: bool = False,
    settled: bool = True,
    programs: tuple[str, ...] = (),
    noted: bool = True,
    kept: bool = True,
    hook: str = "",
) -> str:
    """Return what a daemon of which this is so cannot hand over; a reader of one of its logs is slow."""
    context: Any = SimpleNamespace(
        reloading=SimpleNamespace(made=SimpleNamespace(busy=reading)),
        performer=SimpleNamespace(settled=settled, instances=SimpleNamespace(unsettled=programs)),
        supervisor=SimpleNamespace(table=SimpleNamespace(name=str)),
    )
    nothing: Any = None
    slow_log: Any = SimpleNamespace(busy=True)
    guard: Any = SimpleNamespace(idle=noted)
    hooks: Any = SimpleNamespace(made=SimpleNamespace(unsettled=hook))
    keeping: Any = SimpleNamespace(made=SimpleNamespace(at_rest=lambda: kept))
    parts = ProcessParts(nothing, slow_log, nothing, guard, nothing, nothing, hooks, keeping, nothing, tuple)
    return Handover(nothing, nothing, context, nothing, parts, lambda: False).unsettled()


def test_a_slow_reader_of_a_log_holds_up_no_upgrade_and_what_only_this_interpreter_knows_does() -> None:
    assert unsettled() == ""
    assert unsettled(reading=True) == "the configuration is being read"
    assert unsettled(settled=False) == "programs are being started or ended"
    named = unsettled(settled=False, programs=("web", "db"))
    assert named == "programs are being started or ended: db, web"
    assert unsettled(hook="a hook has ended") == "a hook has ended"
    assert unsettled(kept=False) == "a message to the keeper is under way"
    assert unsettled(noted=False) == "a message to the guardian is under way"
