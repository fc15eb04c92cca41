"""One program on its way to a unit: its settings, and the words of its commands. Pure."""

from __future__ import annotations

import re

from taskmasterctl.convert.export.targets.draft import TargetDraft
from taskmasterctl.convert.export.targets.source import TEXT, pieces, readable, variables_in
from taskmasterctl.convert.export.targets.systemd.units import (
    UnitFile,
    command_path,
    command_word,
    whole,
    whole_problem,
)
from taskmasterctl.convert.report import LESS_PROTECTED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from taskmasterctl.convert.export.targets.draft import ExportContext
    from taskmasterctl.convert.export.targets.source import ExportSource

USUAL_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_NAME = re.compile(r"[A-Za-z0-9:_.@+-]+")


class UnitDraft(TargetDraft):
    """A program as a unit. `needed` are the variables that its commands use, `files` the units beside it."""

    def __init__(self, source: ExportSource, context: ExportContext) -> None:
        super().__init__(source, context)
        self.unit = UnitFile()
        self.files: dict[str, UnitFile] = {}
        self.needed: dict[str, None] = {}

    @property
    def template(self) -> bool:
        """Whether it is a template, with an instance for each number."""
        return self.source.config.numprocs > 1

    @property
    def job(self) -> bool:
        """Whether it is a one-shot."""
        return bool(self.source.config.policy.type == "oneshot")

    def set(self, name: str, value: str, section: str = "Service") -> None:
        """Add a setting, with the number of its only instance in place where it is no template."""
        self.unit.set(section, name, value)

    def _say(self, word: str, key: str, text: str, instead: str, *, shown: bool = True) -> None:
        super()._say(word, key, text, instead, shown=shown)
        self.unit.comment("Service", self.problems[-1].comment)

    def whole(self, key: str, name: str, text: str, before: str = "") -> None:
        """Add a setting whose value is one text, or say why it cannot be."""
        problem = whole_problem(text)
        if problem:
            guard = f"; {LESS_PROTECTED}" if key in ("user", "group", "umask") else ""
            self.dropped(key, f"the value {problem}, which {name}= cannot hold{guard}")
        else:
            self.set(name, before + whole(text))

    def command(self, key: str, words: Sequence[str], *, shell: bool) -> str:
        """Return a command line; say what is different about it."""
        if shell:
            return f"/bin/sh -c {command_word(words[0])}"
        for name in variables_in(list(words)):
            self.needed[name] = None
        first = self._found(key, words[0])
        rest = " ".join(map(command_word, words[1:]))
        if "$" in first or [*variables_in(first)] or not re.match(r"[A-Za-z0-9/\0]", first):
            return f"/bin/sh -c 'exec \"$$@\"' sh {command_word(first)}{' ' * bool(rest)}{rest}"
        return command_path(first) + " " * bool(rest) + rest

    def _found(self, key: str, word: str) -> str:
        """Return the file of a command's first word."""
        directory = self.source.config.workingdir
        if word.startswith("/"):  # a variable whose value begins so, too
            return word
        if "/" in word:
            return f"{directory.rstrip('/')}/{word.removeprefix('./')}"
        path = self.source.config.env.get("PATH") or self.context.environment.get("PATH", USUAL_PATH)
        plain = [*pieces(word)] == [(TEXT, word)]
        found = self.context.find(word, path, directory) if plain else ""
        if found:
            self.changed(key, f"{word} is {found} here, and stays that file")
            return found
        self.changed(
            key, f"{readable(word)} is not found here; systemd looks for it in a path of its own", "write its path"
        )
        return word


def unit_name(program: str) -> str:
    """Return the name of a unit, without its ending: `@` marks templates there."""
    name = program.replace("@", "-")
    return name if _NAME.fullmatch(name) else "-"
