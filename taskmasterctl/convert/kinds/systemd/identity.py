"""Who a unit runs as, where, and with which variables. Reads the files that it names only where `env_file` cannot."""

from __future__ import annotations

import pwd
import re

from taskmaster_common.config import PROGRAM_KEYS
from taskmasterctl.convert.kinds.systemd.part import UnitPart
from taskmasterctl.convert.kinds.systemd.syntax import boolean, words
from taskmasterctl.convert.outcome.model import Plain
from taskmasterctl.convert.outcome.texts import literal, rendered
from taskmasterctl.convert.reading.dotenv import variables
from taskmasterctl.convert.reading.files import Unreadable
from taskmasterctl.convert.report import LESS_PROTECTED
from taskmasterctl.convert.secrets import is_secret

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from taskmasterctl.convert.kinds.systemd.unit import Directive, Unit
    from taskmasterctl.convert.outcome.model import Block, Draft
    from taskmasterctl.convert.reading.files import InputReader


class Environment:
    """The variables of a unit: `known` are those whose values stand in it; `files`: some come from a file at each start."""

    def __init__(
        self, unit: Unit, block: Block, expanded: Callable[[Directive], str], outcome: Draft, reader: InputReader
    ) -> None:
        self.known: dict[str, str] = {}
        self.files = False
        self._unit = unit
        self._block = block
        self._expanded = expanded
        self._outcome = outcome
        self._reader = reader
        self._written: dict[str, str | None] = {}

    def convert(self) -> None:
        """Set `env` and `env_file`."""
        for directive in self._unit.take("Environment"):
            self._assign(directive)
        self._read_files()
        for directive in self._unit.take("UnsetEnvironment"):
            for name in directive.value.split():
                self._written[name.partition("=")[0]] = None
            self._outcome.carried()
        if self._written:
            self._block.set("env", self._written)
        self._outcome.secret |= any(is_secret(name) for name in self._written)

    def _assign(self, directive: Directive) -> None:
        try:
            for word in words(self._expanded(directive)):
                name, equals, value = word.partition("=")
                if not equals:
                    self._unit.refuse(directive, f"{word}: no NAME=VALUE")
                self.known[name] = value
                self._written[name] = rendered(value)
        except ValueError as error:
            self._unit.refuse(directive, str(error))
        self._outcome.carried()
        for comment in directive.comments:
            self._block.remark(comment, "env")

    def _read_files(self) -> None:
        paths: list[str] = []
        for directive in self._unit.take("EnvironmentFile"):
            try:
                path = self._expanded(directive)
            except ValueError as error:
                self._unit.refuse(directive, str(error))
                continue
            optional, path = path.startswith("-"), path.removeprefix("-")
            self._outcome.carried()
            if "env_file" in PROGRAM_KEYS:
                paths.append(("?" if optional else "") + rendered(path))
            else:
                self._copy(directive, path, optional=optional)
        if paths:
            self.files = True
            if self.known:
                text = "it has env_file and env: for a name in both, env wins here, and the file there"
                self._outcome.report.note(text, self._block.name)
            for name in [*self.known]:  # the file wins over Environment= there, and env over the file here
                del self.known[name]
            self._block.set("env_file", paths[0] if len(paths) == 1 else paths)

    def _copy(self, directive: Directive, path: str, *, optional: bool) -> None:
        try:
            file = self._reader.included(path)
        except Unreadable as error:
            if not optional or self._reader.exists(path):
                self._outcome.report.carried -= 1
                self._outcome.drop(
                    self._unit.place(directive), str(error), "env: with its variables", on=self._block, key="env"
                )
            return
        for _, name, value in variables(file.text) if file is not None else ():
            if name:
                self.known[name] = value
                self._written[name] = literal(value)
                self._outcome.secret = True


class UnitIdentity(UnitPart):
    """User, group, umask and directory of a unit."""

    def convert(self) -> None:
        """Set the keys."""
        _, user = self._take("User", str.strip)
        _, group = self._take("Group", str.strip)
        for key, value in (("user", user), ("group", group)):
            if value:
                self._block.set(key, rendered(value))
                self._outcome.carried()
        directive, dynamic = self._take("DynamicUser", boolean)
        if directive is not None and dynamic:
            self._drop(
                directive,
                f"{LESS_PROTECTED}: it runs as the daemon's user",
                "user: with an account made for it",
                "user",
            )
        elif directive is not None:
            self._outcome.carried()
        directive, value = self._take("UMask", str.strip)
        if directive is not None and value:
            if re.fullmatch(r"[0-7]{1,4}", value):
                self._set(
                    "umask",
                    Plain(f"{int(value, 8):03o}" if int(value, 8) > 0o77 else f"0{int(value, 8):02o}"),
                    directive,
                )
            else:
                self._unit.refuse(directive, "not an octal number")
        self._directory(user)

    def _directory(self, user: str | None) -> None:
        directive, value = self._take("WorkingDirectory", str.strip)
        if directive is None or value is None:
            self._block.set("workingdir", "/")
            return
        path = value.removeprefix("-")
        if path == "~":
            try:
                path = pwd.getpwnam(user or "root").pw_dir
            except KeyError:
                self._drop(
                    directive,
                    f"there is no user {user} here whose home it could be",
                    "workingdir: names it",
                    "workingdir",
                )
                return
        self._set("workingdir", rendered(path), directive)
