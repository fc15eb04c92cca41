"""The configuration that an export reads, as `taskmasterd -t` reads it, with the variables that are still in its texts.

It is decoded with the values of the environment first, then with a mark for each variable. A variable in a number or a word
cannot be a mark; it stays a value.
"""

from __future__ import annotations

import os

from taskmaster_common.errors import ConfigError
from taskmaster_common.records import Record
from taskmaster_common.schema import decode
from taskmasterctl.convert.export.host import ExportHost, surroundings
from taskmasterctl.convert.export.targets.source import (
    BEGIN,
    KEYS,
    ExportSource,
    filled,
    mark,
    texts_in,
    variables_in,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from taskmaster_common.config import Config
    from taskmaster_common.schema import Loaded, Program, Surroundings

MOST_TRIED = 30
"""Most variables that are tried one by one as marks."""


class Read(Record):
    """A configuration: its programs as an export sees them, and what is doubtful about it here.

    `fixed` are variables that can only be values, `unset` those that are not set and have a default.
    """

    config: Config
    sources: Mapping[str, ExportSource]
    fixed: tuple[str, ...] = ()
    unset: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


class _MarkedEnvironment(dict[str, str]):
    """The environment. `used` are the names that were asked for and are set, `unset` those that are not."""

    def __init__(self, values: Mapping[str, str], marked: Iterable[str] = ()) -> None:
        super().__init__(values)
        self.marked = frozenset(marked)
        self.used: dict[str, None] = {}
        self.unset: dict[str, None] = {}

    def get(self, name: str, default: str | None = None) -> str | None:  # type: ignore[override]
        found = super().get(name, default)
        (self.unset if found is None else self.used)[name] = None
        return mark(name, found) if name in self.marked and found is not None else found


def read_configuration(path: str, environment: Mapping[str, str], text: str | None = None) -> Read:
    """Return the configuration at a path, or in a text that could be there. Raises ConfigError with every problem."""
    host = ExportHost(text)
    values = _MarkedEnvironment(environment)
    loaded, programs = _decoded(path, surroundings(host, values, environment))
    names = tuple(values.used) if _unmarked(programs) else ()
    marked = _marked(path, environment, names, text) if names else programs
    sources = {name: _source(program, (marked or programs)[name], environment) for name, program in programs.items()}
    open_ = {name for source in sources.values() for key in KEYS for name in variables_in(source.opened(key))}
    texts = {node.source for program in programs.values() for node in (program.key, *program.nodes.values())}
    named = [name for name in (*values.used, *values.unset) if any(f"${{{name}" in each.text for each in texts)]
    fixed = tuple(name for name in named if name in values.used and name not in open_)
    unset = tuple(name for name in named if name in values.unset)
    return Read(loaded.config, sources, fixed, unset, (*host.doubts, *loaded.warnings))


def _decoded(path: str, host: Surroundings) -> tuple[Loaded, Mapping[str, Program]]:
    placed: dict[str, Program | None] = {}
    loaded = decode(path, host, placed)
    return loaded, {name: program for name, program in placed.items() if program is not None}


def _unmarked(programs: Mapping[str, Program]) -> bool:
    """Return whether no text looks as if it held a mark."""
    return not any(
        BEGIN in text for program in programs.values() for key in KEYS for text in texts_in(program.config.value(key))
    )


def _marked(path: str, environment: Mapping[str, str], names: Sequence[str], text: str | None) -> Mapping[str, Program]:
    """Return the programs with marks for as many of the variables as can be marks, {} for none."""
    found = _tried(path, environment, names, text)
    if found is None and len(names) <= MOST_TRIED:
        names = [name for name in names if _tried(path, environment, (name,), text) is not None]
        found = _tried(path, environment, names, text)
    return found or {}


def _tried(
    path: str, environment: Mapping[str, str], names: Iterable[str], text: str | None
) -> Mapping[str, Program] | None:
    try:
        marked = _MarkedEnvironment(environment, names)
        return _decoded(path, surroundings(ExportHost(text), marked, environment))[1]
    except (ConfigError, UnicodeEncodeError):
        return None


def _source(program: Program, marked: Program, environment: Mapping[str, str]) -> ExportSource:
    places = {key: (node.source.shown, node.line + 1) for key, node in program.nodes.items()}
    places[""] = (program.key.source.shown, program.key.line + 1)
    written = frozenset(key for key in program.nodes if key in KEYS)
    config, opened = program.config, marked.config
    other = [key for key in KEYS if filled(opened.value(key), environment) != config.value(key)]
    return ExportSource(config, opened.with_keys(**{key: config.value(key) for key in other}), written, places)


def found_file(word: str, path: str, directory: str) -> str:
    """Return the file that execvp(3) would find for a word without a slash, "" for none."""
    for each in path.split(":"):
        candidate = os.path.normpath(os.path.join(directory, each, word))
        if os.path.isfile(candidate) and os.access(candidate, os.X_OK):
            return candidate
    return ""
