"""Exports of texts, without files but the configuration itself, and what the formats of the targets mean."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from taskmaster_common.config import DaemonConfig, ProgramConfig
from taskmasterctl.convert.export.configuration import read_configuration
from taskmasterctl.convert.export.targets.draft import ExportContext
from taskmasterctl.convert.export.targets.outcome import ExportFiles
from taskmasterctl.convert.export.targets.source import ExportSource, plain_source
from taskmasterctl.convert.export.targets.table import TARGETS
from tests.support.host import MAIN, SIGNALS

TRAPS = (
    "$X",
    "${X}",
    "$$",
    "%i",
    "%%h",
    "a;b",
    ";",
    "",
    "'",
    '"',
    "\\",
    "\\n",
    "a\nb",
    "$(X)",
    "#",
    "{a,b}",
    "é",
    "~",
    "*",
    "A=b",
    "-u",
)
"""Words that have a meaning of their own somewhere."""
ENVIRONMENT = {"HOME": "/root", "PATH": "/usr/bin:/bin", "WORD": "two words $x", "TOKEN_A": "s3cret"}


def context_of(sources: Mapping[str, ExportSource], **more: Any) -> ExportContext:
    """Return what an export of these programs sees, on a machine where every command is in /usr/bin."""
    standard: dict[str, Any] = {
        "daemon": DaemonConfig(),
        "sources": sources,
        "groups": {},
        "signals": SIGNALS,
        "environment": ENVIRONMENT,
        "find": lambda word, _path, _directory: f"/usr/bin/{word}",
        "settings": {"image": "image"},
        "directory": "/",
        "file": "taskmaster.yaml",
    }
    return ExportContext(**{**standard, **more})


def export(kind: str, *programs: ProgramConfig, **more: Any) -> ExportFiles:
    """Export programs as they are."""
    return TARGETS[kind].make(context_of({each.name: plain_source(each) for each in programs}, **more), ())


def export_text(kind: str, text: str, **more: Any) -> ExportFiles:
    """Export a configuration."""
    read = read_configuration(MAIN, ENVIRONMENT, text)
    standard: dict[str, Any] = {
        "daemon": read.config.daemon,
        "groups": read.config.groups,
        "directory": "/etc/tm",
        "file": "taskmaster.yaml",
    }
    return TARGETS[kind].make(context_of(read.sources, **{**standard, **more}), ())


def said(made: ExportFiles) -> list[str]:
    """Return the lines about all programs, notes among them."""
    return [
        text
        for draft in made.drafts
        for text in (*(each.comment for each in draft.problems), *(f"note: {note}" for note in draft.notes))
    ]


# -- systemd: systemd.syntax(7), systemd.service(5) "Command lines", systemd.unit(5) "Specifiers"

_ESCAPE = re.compile(r"\\(x[0-9a-fA-F]{2}|.)", re.DOTALL)
_MEANT = {"n": "\n", "t": "\t", "r": "\r", "\\": "\\", '"': '"', "'": "'", "s": " "}


def settings(unit: str, name: str) -> list[str]:
    """Return the values of a setting of a unit file, in their order."""
    return [line.partition("=")[2] for line in unit.splitlines() if line.startswith(f"{name}=")]


def systemd_words(value: str) -> list[str]:
    """Return the words of a value: quotes and escapes are gone, specifiers and variables are not."""
    words: list[str] = []
    at = 0
    while at < len(value):
        if value[at] == " ":
            at += 1
            continue
        word, quote = bytearray(), ""
        while at < len(value) and (quote or value[at] != " "):
            escape = _ESCAPE.match(value, at)
            if escape:
                code = escape.group(1)
                word += bytes([int(code[1:], 16)]) if len(code) == 3 else _MEANT[code].encode()
                at = escape.end()
                continue
            if value[at] == quote or (not quote and value[at] in "\"'"):
                quote = "" if quote else value[at]
            else:
                word += value[at].encode()
            at += 1
        words.append(word.decode())
    return words


def specified(word: str, instance: str = "") -> str:
    """Return a word with its specifiers resolved."""
    return re.sub("%(.)", lambda found: {"%": "%", "i": instance}[found.group(1)], word)


def systemd_argv(value: str, env: Mapping[str, str], instance: str = "") -> list[str]:
    """Return the arguments that systemd passes."""
    path, *words = [specified(word, instance) for word in systemd_words(value)]
    return [path, *(_with_variables(word, env) for word in words)]


def _with_variables(word: str, env: Mapping[str, str]) -> str:
    return re.sub(r"\$(?:\$|\{(\w+)\})", lambda found: env.get(found.group(1), "") if found.group(1) else "$", word)


def systemd_env(unit: str, instance: str = "") -> dict[str, str]:
    """Return the variables that a unit sets."""
    texts = [specified(word, instance) for value in settings(unit, "Environment") for word in systemd_words(value)]
    return {name: value for name, _, value in (text.partition("=") for text in texts)}
