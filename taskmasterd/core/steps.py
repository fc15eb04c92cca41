"""Work in steps: a generator that yields wherever others may have their turn, and returns its result.

Who has no time hands it to the loop, who has runs it at once.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator
    from typing import TypeVar

    Result = TypeVar("Result")
    Steps = Generator[None, None, Result]


def run(steps: Steps[Result]) -> Result:
    """Do all of it now, and return the result."""
    while True:
        try:
            next(steps)
        except StopIteration as done:
            return done.value  # type: ignore[no-any-return]
