"""Runs `taskmasterctl import` in this process, and decodes the outcome as `taskmasterd -t` does."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Generator, Mapping
from pathlib import Path

import pytest

from taskmaster_common.config import Config, ProgramConfig
from taskmaster_common.records import Record
from taskmaster_common.schema import User
from taskmasterctl.cli import main
from tests.support.host import ENVIRONMENT, load


class Imported(Record):
    """What an import gave: its exit code, the outcome's text, the lines of its report, and where it ran."""

    code: int
    text: str
    report: tuple[str, ...]
    directory: str
    environment: Mapping[str, str] = {}

    @property
    def config(self) -> Config:
        """The outcome as the daemon understands it, on a host that has every user and directory."""
        own = {**ENVIRONMENT, **self.environment}
        return load(self.text, environment=own, user=_anybody, group=_any_group).config

    def program(self, name: str) -> ProgramConfig:
        """One program of the outcome."""
        found = self.config.program(name)
        assert found is not None, f"no program {name} in\n{self.text}"
        return found

    def lines(self, word: str) -> list[str]:
        """The lines of the report with this word."""
        return [line for line in self.report if f": {word}: " in line or line.startswith(f"{word}: ")]

    def line(self, *words: str) -> str:
        """The one line of the report, besides its last, that holds all these words."""
        found = [line for line in self.report[:-1] if all(word in line for word in words)]
        assert len(found) == 1, "\n".join(self.report)
        return found[0]


def _anybody(name: str) -> User:
    return User(0, 0, name, "/root", "/bin/sh", (0,))


def _any_group(_name: str) -> int:
    return 7


class Importer:
    """Writes files into a directory of its own and imports them."""

    def __init__(self, directory: Path, capture: pytest.CaptureFixture[str]) -> None:
        self.directory = directory
        self._capture = capture

    def write(self, files: Mapping[str, str | bytes]) -> None:
        """Write files, by their paths in the directory."""
        for name, content in files.items():
            path = self.directory / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else content.encode())

    def errors(self) -> str:
        """What was written to standard error since it was last read."""
        return self._capture.readouterr().err

    def __call__(
        self, files: Mapping[str, str | bytes], *words: str, environment: Mapping[str, str] | None = None
    ) -> Imported:
        """Write the files and import the first one, unless `words` name others."""
        self.write(files)
        named = [word for word in words if word in files or word == "-"]
        first = [] if named else [next(iter(files))]
        self._capture.readouterr()
        with _inside(self.directory):
            code = main(["import", *words, *first])
        out, err = self._capture.readouterr()
        return Imported(code, out, tuple(err.splitlines()), str(self.directory), environment or {})


@contextlib.contextmanager
def _inside(directory: Path) -> Generator[None, None, None]:
    before = os.getcwd()
    os.chdir(directory)
    try:
        yield
    finally:
        os.chdir(before)
