"""Names of signals."""

from __future__ import annotations

import re
import signal

_REAL_TIME = re.compile(r"RTMIN(\+[0-9]{1,2})?|RTMAX(-[0-9]{1,2})?")


def signal_name(text: str) -> str:
    """Return the name of a signal without SIG: of `SIGTERM`, `term`, `15`, `RTMIN+3`. Raises ValueError."""
    name = text.strip().upper().removeprefix("SIG")
    if name.isascii() and name.isdecimal() and len(name) < 4:
        name = next((each.name.removeprefix("SIG") for each in signal.Signals if each == int(name)), "")
    if name not in {each.name.removeprefix("SIG") for each in signal.Signals} and not _REAL_TIME.fullmatch(name):
        raise ValueError("there is no such signal")
    return name
