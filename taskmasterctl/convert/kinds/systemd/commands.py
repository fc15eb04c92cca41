"""Command lines of a unit as `cmd` and hooks. Pure. Source: systemd.service(5), COMMAND LINES."""

from __future__ import annotations

import re

from taskmaster_common.records import Record
from taskmasterctl.convert.kinds.systemd.syntax import quoted_words, with_variables
from taskmasterctl.convert.outcome.texts import MARK, for_shell, names_in, rendered, split_words
from taskmasterctl.convert.reading.signals import signal_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

PREFIXES = "-@:+!|"
MAIN_PID = "MAINPID"
OWN_PID = "TASKMASTER_PID"
OURS = ("TASKMASTER_INSTANCE", "CONFIG_DIR")
"""Variables that Taskmaster expands by itself."""


class Line(Record):
    """One command: its words as texts with variables; `ignored`: its failure does not count; `prefixes` besides `-`."""

    words: tuple[str, ...]
    ignored: bool = False
    prefixes: str = ""

    @property
    def variables(self) -> list[str]:
        """The variables that are known only when it runs."""
        return [name for word in self.words for name in names_in(word) if name not in OURS]


def parsed(text: str, values: Mapping[str, str]) -> list[Line]:
    """Return the commands of one assignment, which `;` separates. Raises ValueError."""
    found: list[Line] = []
    rest = text.strip()
    stripped = rest.lstrip(PREFIXES)
    prefixes = rest[: len(rest) - len(stripped)]
    groups: list[list[tuple[str, bool]]] = [[]]
    for word, quoted in quoted_words(stripped):
        if word == ";" and not quoted:
            groups.append([])
        else:
            groups[-1].append((word, quoted))
    for number, group in enumerate(groups):
        words = [each for each, _ in group]
        if not words:
            continue
        own = prefixes
        if number:
            bare = words[0].lstrip(PREFIXES)
            own, words[0] = words[0][: len(words[0]) - len(bare)], bare
        keep = ":" in own
        expanded = [each for word in words for each in ([word] if keep else with_variables(word, values))]
        others = "".join(sorted(set(own) - set("-:")))
        if "@" in own and len(expanded) > 1:
            expanded = [expanded[0], *expanded[2:]]
        found.append(Line(words=tuple(expanded), ignored="-" in own, prefixes=others))
    if not found:
        raise ValueError("no command")
    return found


def by_shell(lines: Sequence[Line]) -> str:
    """Return the commands as one for /bin/sh, each after the one before has succeeded."""
    made = [" ".join(map(for_shell, _own_names(line.words))) + (" || true" if line.ignored else "") for line in lines]
    if len(made) == 1:
        return made[0] if lines[0].ignored else f"exec {made[0]}"
    return " && ".join(f"{{ {each}; }}" if " || " in each else each for each in made)


def _own_names(words: Sequence[str]) -> list[str]:
    return [
        word.replace(f"{MARK}{MAIN_PID}{MARK}", f"{MARK}{OWN_PID}{MARK}").replace(
            f"{MARK}-{MAIN_PID}{MARK}", f"{MARK}{OWN_PID}{MARK}"
        )
        for word in words
    ]


def as_text(text: str, line: Line) -> Any:
    """Return one command without a shell: as text if a POSIX shell splits it alike, else as words."""
    plain = rendered(" ".join(line.words))
    try:
        same = split_words(" ".join(line.words)) == list(line.words)
    except ValueError:
        same = False
    if same:
        return plain
    written = text.strip().lstrip(PREFIXES)
    try:
        if not line.prefixes and split_words(written) == list(line.words) and "$" not in written:
            return rendered(written)
    except ValueError:
        return [rendered(word) for word in line.words]
    return [rendered(word) for word in line.words]


def hook(lines: Sequence[Line], text: str, timeout: float | None) -> Any:
    """Return the value of a hook."""
    simple = len(lines) == 1 and not lines[0].ignored and not lines[0].variables
    value: dict[str, Any] = {"cmd": as_text(text, lines[0])} if simple else {"cmd": by_shell(lines), "shell": True}
    if timeout is not None:
        value["timeout"] = timeout
    return value["cmd"] if list(value) == ["cmd"] else value


def signal_of(line: Line) -> str:
    """Return the signal that `kill -SIGNAL $MAINPID` sends, "" for any other command."""
    words = [
        word.replace(f"{MARK}-{MAIN_PID}{MARK}", "$").replace(f"{MARK}{MAIN_PID}{MARK}", "$") for word in line.words
    ]
    if not re.fullmatch(r"(?:/usr)?(?:/bin/)?kill", words[0]) or words[-1] != "$":
        return ""
    options = words[1:-1]
    if not options:
        return "TERM"
    joined = " ".join(options)
    found = re.fullmatch(r"(?:-s |--signal[ =]|-)(?:SIG)?([A-Z0-9+]+)", joined)
    try:
        return signal_name(found[1]) if found else ""
    except ValueError:
        return ""
