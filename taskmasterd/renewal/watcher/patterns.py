"""Which paths below a root a pattern means. Pure.

A pattern without `/` matches the name at any depth, one with `/` the whole path below the root; `*` and `?` do not match a `/`, `**`
does. There are no other special characters than these and `[...]`.
"""

from __future__ import annotations

import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

DEFAULT_IGNORED = (
    *(
        ".git",
        ".hg",
        ".svn",
        "node_modules",
        "__pycache__",
        ".venv",
        ".mypy_cache",
        ".pytest_cache",
        ".idea",
        ".vscode",
    ),
    *("*.swp", "*.swx", "*~", ".#*", "4913", ".DS_Store"),
)
"""Names that are ignored unless `default_ignores` is false: what version control, caches, editors and desktops keep beside one's files."""
SPECIAL = frozenset("*?[")


class Patterns:
    """Several patterns, each asked for a name and the path below the root."""

    def __init__(self, patterns: Iterable[str]) -> None:
        names: list[str] = []
        paths: list[str] = []
        for pattern in patterns:
            plain = pattern.strip("/") if pattern.endswith("/") else pattern.removeprefix("./")
            (paths if "/" in plain else names).append(_expression(plain.lstrip("/")))
        self._names = re.compile("|".join(names)) if names else None
        self._paths = re.compile("|".join(paths)) if paths else None

    def __bool__(self) -> bool:
        return bool(self._names or self._paths)

    def match(self, path: str) -> bool:
        """Return whether one of them means `path`, which is relative to the root."""
        name = path.rpartition("/")[2]
        return bool((self._names and self._names.fullmatch(name)) or (self._paths and self._paths.fullmatch(path)))


def is_special(text: str) -> bool:
    """Return whether a path is a pattern, and not a name."""
    return bool(SPECIAL.intersection(text))


def root_and_pattern(path: str) -> tuple[str, str]:
    """Split a path into the directories before the first pattern in it, "" for a relative one without any, and that pattern."""
    parts = path.split("/")
    at = next((number for number, part in enumerate(parts) if is_special(part)), len(parts))
    before = "/".join(parts[:at])
    return before or ("/" if path.startswith("/") else ""), "/".join(parts[at:])


def _expression(pattern: str) -> str:
    found, at = "", 0
    while at < len(pattern):
        if pattern.startswith("**/", at):
            found, at = found + "(?:.*/)?", at + 3
        elif pattern.startswith("**", at):
            found, at = found + ".*", at + 2
        elif pattern[at] in "*?":
            found, at = found + ("[^/]*" if pattern[at] == "*" else "[^/]"), at + 1
        elif pattern[at] == "[" and (end := pattern.find("]", at + 2)) > 0:
            inner = pattern[at + 1 : end].replace("\\", "\\\\")
            found, at = found + f"[{'^' + inner[1:] if inner[0] == '!' else inner}]", end + 1
        else:
            found, at = found + re.escape(pattern[at]), at + 1
    return f"(?:{found})"
