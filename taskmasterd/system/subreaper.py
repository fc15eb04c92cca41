"""Makes this process inherit the orphans of its descendants. Linux only; elsewhere nothing happens."""

from __future__ import annotations

import os
import sys

PR_SET_CHILD_SUBREAPER = 36


def be_subreaper() -> str:
    """Inherit the orphans of our programs; the flag survives exec, but no child has it. Source: prctl(2).

    Where that is refused, what a leader leaves behind is still known by its session, and ended while its leader lives.
    Returns why it was refused, or "".
    """
    if sys.platform != "linux":
        return ""
    try:
        import ctypes  # noqa: PLC0415 - 0.4 MB that a resident daemon needs only when its guardian has died

        failed = ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    except (ImportError, OSError, AttributeError) as error:
        return f"{error}"  # an interpreter without it, or a C library that cannot be opened again
    return os.strerror(ctypes.get_errno()).lower() if failed else ""
