"""A target of the event log that keeps what is written."""

from __future__ import annotations


class Paper:
    """A log sink in memory."""

    def __init__(self) -> None:
        self.text = b""

    def append(self, block: bytes, /) -> None:
        """Keep a block."""
        self.text += block
