"""Which values a report may not show. Pure."""

from __future__ import annotations

import re

SECRET_NAMES = ("PASS", "SECRET", "TOKEN", "KEY")
HIDDEN = "…"
_ASSIGNED = re.compile(r"(?:PASS|SECRET|TOKEN|KEY)[A-Z0-9_]*['\"]?\s*[=:]", re.IGNORECASE)
_OPTION = re.compile(r"--?[a-z-]*(?:pass|secret|token|key)[a-z-]*[ =]", re.IGNORECASE)
_LOGIN = re.compile(r"://[^/@\s]*:[^/@\s]*@")


def is_secret(name: str) -> bool:
    """Return whether a variable or option of this name holds a secret."""
    upper = name.upper()
    return any(word in upper for word in SECRET_NAMES)


def veiled(name: str, value: str) -> str:
    """Return the value, or `…` where its name, or what stands in it, says that it is a secret."""
    if value and (is_secret(name) or _ASSIGNED.search(value) or _OPTION.search(value) or _LOGIN.search(value)):
        return HIDDEN
    return value
