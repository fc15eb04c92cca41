"""`stdout_logfile`, `stderr_logfile` and the options beside them -> `stdout`, `stderr`, `log_maxbytes`, `log_backups`. Pure."""

from __future__ import annotations

import re

from taskmasterctl.convert.kinds.supervisor.values import boolean, size, whole, written_size
from taskmasterctl.convert.outcome.model import Plain
from taskmasterctl.convert.outcome.texts import rendered

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from taskmasterctl.convert.kinds.supervisor.expand import Names
    from taskmasterctl.convert.kinds.supervisor.facts import InputFacts
    from taskmasterctl.convert.outcome.model import Block, Draft
    from taskmasterctl.convert.reading.ini import IniOption
    from taskmasterctl.convert.reading.taking import Taking

AUTO = ""
OWN_STREAM = re.compile(r"/dev/(stdout|stderr|fd/[12])|/proc/(?:self|[0-9]+)/fd/([12])")
DEFAULT_SIZE = 50 * 1024**2
DEFAULT_BACKUPS = 10


class LogOptions:
    """The streams of one program."""

    def __init__(self, taking: Taking, names: Names, outcome: Draft, facts: InputFacts, program: str) -> None:
        self._taking = taking
        self._names = names
        self._outcome = outcome
        self._facts = facts
        self._program = program
        self._limits: list[tuple[int, int]] = []

    def convert(self, block: Block) -> None:
        """Set the keys of the streams."""
        merged = self._value("redirect_stderr", boolean) is True
        out = self._stream(block, "stdout")
        err = self._merge(block) if merged else self._stream(block, "stderr")
        if not merged and err and err == out and err not in ("null", "inherit", "syslog"):
            err = "stdout"
        for key, value in (("stdout", out), ("stderr", err)):
            if value:
                block.set(key, Plain(value) if value == "null" else value)
                if option := self._taking.section.options.get(f"{key}_logfile"):
                    block.places[key] = self._taking.section.place(option)
        self._write_limits(block)
        if AUTO in (out, err):
            text = (
                "with a log of their own choice (AUTO): one file for both streams, which stays when the daemon restarts"
            )
            self._outcome.report.note(text, self._program)
            block.logs_by_default = True

    def _value(self, name: str, reader: Callable[[str], Any]) -> Any:
        """Return an option's value and count it, None if it is missing or wrong."""
        option = self._taking.take(name)
        if option is None:
            return None
        self._outcome.carried()
        try:
            return reader(self._names.expanded(option))
        except ValueError as error:
            self._outcome.report.refuse(self._taking.section.place(option), str(error))
            return None

    def _stream(self, block: Block, stream: str) -> str:
        option = self._taking.take(f"{stream}_logfile")
        to_syslog = self._value(f"{stream}_syslog", boolean) is True
        value = self._target(block, option, stream)
        limit = self._value(f"{stream}_logfile_maxbytes", size)
        backups = self._value(f"{stream}_logfile_backups", whole)
        if to_syslog:
            value = self._syslog(block, stream, f"{stream}_syslog")
        written = bool(value) or limit is not None or backups is not None
        if written and value not in ("null", "inherit", "syslog") and not value.startswith("/dev/"):
            self._limits.append(
                (DEFAULT_SIZE if limit is None else limit, DEFAULT_BACKUPS if backups is None else backups)
            )
        self._events(block, stream)
        return value

    def _target(self, block: Block, option: IniOption | None, stream: str) -> str:
        if option is None:
            return AUTO
        try:
            text = self._names.expanded(option).strip()
        except ValueError:  # reported when it was looked at first
            return AUTO
        for comment in option.comments:
            block.remark(comment, stream)
        lower = text.lower()
        if lower in ("none", "off", "/dev/null"):
            self._outcome.carried()
            return "null"
        if lower == "syslog":
            return self._syslog(block, stream, option.name)
        if found := OWN_STREAM.fullmatch(text):
            return self._inherit(block, option, stream, found[1] or found[2])
        if lower != "auto":
            return self._path(text)
        self._outcome.carried()
        return AUTO

    def _path(self, text: str) -> str:
        self._outcome.carried()
        if not text.startswith(("/", "\0")):
            if self._facts.workdir:
                text = f"{self._facts.workdir.rstrip('/')}/{text}"
            else:
                note = "with a relative path of a log: it begins at the directory of taskmaster.yaml; --workdir DIR says where supervisord was started"
                self._outcome.report.note(note, self._program)
                text = text if "/" in text else f"./{text}"
        return rendered(text)

    def _inherit(self, block: Block, option: IniOption, stream: str, device: str) -> str:
        place = self._taking.section.place(option)
        other = device in ("stderr", "fd/2", "2") if stream == "stdout" else device in ("stdout", "fd/1", "1")
        if other:
            text = f"inherit sends it to the daemon's own {stream}"
            self._outcome.change(place, text, "redirect the daemon's streams", on=block, key=stream)
        elif self._facts.foreground is False:
            text = "supervisord had left its terminal, so that this led nowhere"
            self._outcome.change(place, text, "run taskmasterd -n", on=block, key=stream)
        else:
            self._outcome.carried()
        return "inherit"

    def _syslog(self, block: Block, stream: str, name: str) -> str:
        option = self._taking.section.options[name]
        text = "each line goes to syslog alone, with the name of the program as its tag"
        self._outcome.change(self._taking.section.place(option), text, on=block, key=stream)
        return "syslog"

    def _merge(self, block: Block) -> str:
        """Report what stands beside redirect_stderr=true, and has no effect."""
        for name in ("logfile", "logfile_maxbytes", "logfile_backups", "capture_maxbytes", "events_enabled", "syslog"):
            option = self._taking.take(f"stderr_{name}")
            if option is None:
                continue
            text = "has no effect beside redirect_stderr=true"
            self._outcome.ignore(self._taking.section.place(option), text, on=block, key="stderr")
        return "stdout"

    def _events(self, block: Block, stream: str) -> None:
        for name in (f"{stream}_events_enabled", f"{stream}_capture_maxbytes"):
            option = self._taking.section.options.get(name)
            value = self._value(name, boolean if name.endswith("enabled") else size)
            if not value or option is None:
                continue
            self._outcome.report.carried -= 1
            place = self._taking.section.place(option)
            if self._facts.listens:
                self._outcome.drop(
                    place, "there are no events with a program's output", "read its log: logs -f", on=block
                )
            else:
                self._outcome.ignore(place, "nothing in this input listens to these events", on=block)

    def _write_limits(self, block: Block) -> None:
        """Write the limits of files; where the two streams differ, the larger one."""
        for key, default, place in (("log_maxbytes", DEFAULT_SIZE, 0), ("log_backups", DEFAULT_BACKUPS, 1)):
            values = {each[place] for each in self._limits}
            name = "logfile_maxbytes" if place == 0 else "logfile_backups"
            written = [option for option in self._taking.section.options.values() if option.name.endswith(name)]
            if not values or not written:
                continue
            largest = 0 if 0 in values and key == "log_maxbytes" else max(values)
            if largest != default:
                block.set(key, written_size(largest) if place == 0 else largest)
            elif place == 0:
                block.set(key, written_size(largest))
            if len(values) > 1:
                self._outcome.report.carried -= 1
                text = "both streams have one limit here, the larger one"
                self._outcome.change(self._taking.section.place(written[-1]), text, on=block, key=key)
