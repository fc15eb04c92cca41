"""`StandardOutput=` and its kin -> `stdout`, `stderr`, `stdin`. Pure. Source: systemd.exec(5)."""

from __future__ import annotations

from taskmasterctl.convert.outcome.model import Plain
from taskmasterctl.convert.outcome.texts import rendered

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from taskmasterctl.convert.kinds.systemd.unit import Directive, Unit
    from taskmasterctl.convert.outcome.model import Block, Draft

JOURNALS = ("journal", "syslog", "kmsg", "journal+console", "syslog+console", "kmsg+console")


class UnitStreams:
    """The streams of one unit."""

    def __init__(self, unit: Unit, block: Block, expanded: Callable[[Directive], str], outcome: Draft) -> None:
        self._unit = unit
        self._block = block
        self._expanded = expanded
        self._outcome = outcome

    def convert(self) -> None:
        """Set the keys."""
        out = self._stream("StandardOutput", "stdout")
        err = self._stream("StandardError", "stderr")
        if err == "stdout" or (not err and out) or (err and err == out and "/" in err):
            err = "stdout" if out else ""
        for key, value in (("stdout", out), ("stderr", err)):
            if value:
                self._block.set(key, Plain(value) if value == "null" else value)
        if not out:
            self._outcome.report.note(
                "whose output goes to a file, LOG_DIR/NAME.log; the journal had it", self._block.name
            )
        self._input()

    def _input(self) -> None:
        directive = self._unit.last("StandardInput")
        if directive is None:
            return
        try:
            value = self._expanded(directive).strip()
        except ValueError as error:
            self._unit.refuse(directive, str(error))
            return
        kind, _colon, path = value.partition(":")
        is_file = kind == "file" and bool(path)
        if is_file:
            self._block.set("stdin", rendered(path))
        if is_file or value == "null":
            self._outcome.carried()
            return
        instead = "tty: true" if value.startswith("tty") else "stdin: a path, pipe or one of its sockets"
        self._drop(directive, "it reads from /dev/null", instead, "stdin")

    def _drop(self, directive: Directive, text: str, instead: str, key: str) -> None:
        self._outcome.drop(self._unit.place(directive), text, instead, on=self._block, key=key)

    def _stream(self, name: str, key: str) -> str:
        directive = self._unit.last(name)
        if directive is None:
            return ""
        try:
            value = self._expanded(directive).strip()
        except ValueError as error:
            self._unit.refuse(directive, str(error))
            return ""
        self._block.places[key] = self._unit.place(directive)
        kind, colon, path = value.partition(":")
        place = self._unit.place(directive)
        if kind in ("append", "file", "truncate") and colon:
            if kind == "append":
                self._outcome.carried()
            else:
                text = "the file is appended to" + (
                    ", and there written from its start" if kind == "file" else ", and there emptied"
                )
                self._outcome.change(place, text, on=self._block, key=key)
            return rendered(path)
        if value in ("null", "inherit"):
            self._outcome.carried()
            return "null" if value == "null" else "stdout" if key == "stderr" else ""
        if value in JOURNALS:
            text = "it goes to a file, LOG_DIR/NAME.log"
            self._outcome.change(place, text, f"{key}: journal keeps it there", on=self._block, key=key)
            return ""
        self._drop(directive, "there is no such stream", f"{key}: names a file, syslog or journal", key)
        return ""
