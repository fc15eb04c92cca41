"""A target of the event log that keeps everything written to it."""

from __future__ import annotations


class Paper:
    """A log sink in memory."""

    def __init__(self) -> None:
        self.text = b""

    def append(self, block: bytes, /) -> None:
        """Keep a block."""
        self.text += block
