"""`stdout_stream.*` and `stderr_stream.*` -> `stdout`, `stderr`, `log_maxbytes`, `log_backups`. Pure."""

from __future__ import annotations

from taskmasterctl.convert.outcome.model import Plain
from taskmasterctl.convert.outcome.texts import rendered

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from taskmasterctl.convert.outcome.model import Block, Draft
    from taskmasterctl.convert.reading.ini import IniOption
    from taskmasterctl.convert.reading.taking import Taking

FILES = ("FileStream", "WatchedFileStream")
OWN = {"stdout": ("StdoutStream", "FancyStdoutStream"), "stderr": ("StderrStream",)}


class StreamOptions:
    """The streams of one watcher."""

    def __init__(self, taking: Taking, block: Block, expanded: Callable[[IniOption], str], outcome: Draft) -> None:
        self._taking = taking
        self._block = block
        self._expanded = expanded
        self._outcome = outcome
        self._limits: dict[str, set[int]] = {"log_maxbytes": set(), "log_backups": set()}

    def convert(self) -> None:
        """Set the keys."""
        out, err = self._stream("stdout"), self._stream("stderr")
        if err == out and "/" in err:
            err = "stdout"
        for key, value in (("stdout", out), ("stderr", err)):
            self._block.set(key, Plain(value) if value in ("null", "inherit") else value)
        for key, values in self._limits.items():
            if values:
                self._block.set(key, 0 if 0 in values and key == "log_maxbytes" else max(values))

    def _take(self, name: str) -> IniOption | None:
        option = self._taking.take(name)
        self._outcome.carried(option is not None)
        return option

    def _stream(self, stream: str) -> str:
        options: dict[str, Any] = {
            each: self._take(f"{stream}_stream.{each}") for each in ("class", "filename", "max_bytes", "backup_count")
        }
        closed = self._take(f"close_child_{stream}")
        for option in [
            each for each in self._taking.section.options.values() if each.name.startswith(f"{stream}_stream.")
        ]:
            if option.name.partition(".")[2] not in options and self._taking.take(option.name):
                text = "a line is written as it comes"
                instead = "log_format: prefix puts the time before it"
                self._outcome.drop(self._taking.section.place(option), text, instead, on=self._block, key=stream)
        kind = options["class"].value.rpartition(".")[2] if options["class"] else ""
        if options["filename"] is not None and options["filename"].value.strip() and kind in ("", *FILES):
            return self._file(stream, options)
        if closed is not None and closed.value.strip().lower() in ("true", "1", "yes", "on"):
            return "null"
        if kind and kind not in OWN[stream]:
            self._outcome.report.carried -= 1
            place = self._taking.section.place(options["class"])
            self._outcome.drop(
                place, f"there is no {kind}", f"{stream}: names a file, syslog or journal", on=self._block, key=stream
            )
        return "inherit"

    def _file(self, stream: str, options: dict[str, Any]) -> str:
        for name, key in (("max_bytes", "log_maxbytes"), ("backup_count", "log_backups")):
            option = options[name]
            if option is not None and option.value.isdecimal():
                self._limits[key].add(int(option.value))
        if options["max_bytes"] is None:
            self._limits["log_maxbytes"].add(0)
        place = self._block.places[stream] = self._taking.section.place(options["filename"])
        path = self._expanded(options["filename"]).strip()
        if "%(" in path:  # circus makes a file of that name
            self._outcome.report.carried -= 1
            self._outcome.drop(place, "%( in a path is supervisor's", "name another file", on=self._block, key=stream)
            return "inherit"
        return rendered(path if "/" in path else f"./{path}")
