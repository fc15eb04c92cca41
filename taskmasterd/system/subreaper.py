"""Makes this process inherit the orphans of its descendants. Linux only; does nothing elsewhere."""

from __future__ import annotations

import os
import sys

PR_SET_CHILD_SUBREAPER = 36


def be_subreaper() -> str:
    """Inherit the orphans of our programs; the flag survives exec, but children do not have it. Source: prctl(2).

    If the system refuses, the daemon still recognizes survivors by their session, and ends them while their leader lives.
    Returns the reason of the refusal, or "".
    """
    if sys.platform != "linux":
        return ""
    try:
        import ctypes  # noqa: PLC0415 - 0.4 MB that a resident daemon needs only after its guardian's death

        failed = ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    except (ImportError, OSError, AttributeError) as error:
        return f"{error}"  # an interpreter without it, or a C library that cannot be opened again
    return os.strerror(ctypes.get_errno()).lower() if failed else ""
