"""Work whose amount somebody else decides, done in slices: a bounded time of it a turn, so that nobody waits for the rest."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from typing import TypeVar

    from taskmasterd.system.reactor import Reactor

    Result = TypeVar("Result")

SLICE_S = 0.01


def in_slices(
    reactor: Reactor,
    work: Generator[None, None, Result],
    done: Callable[[Result], None],
    failed: Callable[[OSError], None] | None = None,
) -> None:
    """Do the steps of `work`, the first slice of them at once, and call `done` with what comes of it.

    Where it raises OSError `failed` is called instead; without one, the error is the loop's.
    """
    until = reactor.now() + SLICE_S
    try:
        while True:
            next(work)
            if reactor.now() >= until:
                reactor.call_soon(lambda: in_slices(reactor, work, done, failed))
                return
    except StopIteration as end:
        result: Result = end.value
    except OSError as error:
        if failed is None:
            raise
        failed(error)
        return
    done(result)
