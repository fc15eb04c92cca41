"""A target of the event log that keeps what is written."""

from __future__ import annotations


class Paper:
    """Takes the place of a log sink."""

    def __init__(self) -> None:
        self.text = b""

    def append(self, block: bytes, /) -> None:
        """Keep it."""
        self.text += block
