"""Restarts and stops of a unit. Pure."""

from __future__ import annotations

from taskmaster_common.text.units import MAX_SECONDS
from taskmasterctl.convert.kinds.systemd.commands import hook, signal_of
from taskmasterctl.convert.kinds.systemd.part import UnitPart
from taskmasterctl.convert.kinds.systemd.syntax import EXIT_NAMES, INFINITY, boolean, plain, seconds
from taskmasterctl.convert.outcome.model import Plain
from taskmasterctl.convert.reading.signals import signal_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

DEFAULT_STOP_S = 90
LONGEST_STOP_S = 86_400
RESTARTS = {
    "no": ("never", ""),
    "always": ("always", ""),
    "on-failure": ("unexpected", "an end by HUP, INT, TERM or PIPE is clean there, and unexpected here"),
    "on-success": ("always", "it starts again after failures, too"),
    "on-abnormal": ("unexpected", "it starts again after a bad exit code, too"),
    "on-abort": ("unexpected", "it starts again after a bad exit code, too"),
    "on-watchdog": ("never", "only its watchdog started it again there"),
}
KILL_MODES: dict[str, Any] = {"control-group": True, "mixed": "leader", "process": False, "none": False}


class UnitStops(UnitPart):
    """How a unit is stopped."""

    def convert(self, known: Mapping[str, str]) -> None:
        """Set the keys; `known` are the variables that have a value."""
        directive, value = self._take("KillSignal", signal_name)
        if directive is not None and value:
            self._set("stopsignal", value, directive)
        self._stop_commands(known)
        directive, value = self._take("KillMode", str.strip)
        if directive is not None and value in KILL_MODES:
            self._set("stopasgroup", KILL_MODES[value], directive)
            if value == "none":
                self._drop(directive, "at the end of stoptime it is killed", key="stopasgroup")
        elif directive is not None:
            self._unit.refuse(directive, "no KillMode of systemd")
        directive, value = self._take("SendSIGKILL", boolean)
        if directive is not None and value is False:
            self._drop(directive, "at the end of stoptime it is killed", "a longer stoptime")
        elif directive is not None:
            self._outcome.carried()
        self._times()

    def _stop_commands(self, known: Mapping[str, str]) -> None:
        directives = self._unit.take("ExecStop")
        lines = self._lines(directives, known)
        if not lines:
            return
        name = signal_of(lines[0]) if len(lines) == 1 else ""
        if name:
            self._set("stopsignal", name, directives[0])
            return
        self._block.set("stop_cmd", hook(lines, directives[0].value, None))
        self._outcome.carried(len(directives))

    def _times(self) -> None:
        both, value = self._take("TimeoutSec", seconds)
        stop, stop_s = self._take("TimeoutStopSec", seconds)
        start, start_s = self._take("TimeoutStartSec", seconds)
        stop_s = value if stop is None else stop_s
        self._block.set("stoptime", DEFAULT_STOP_S if stop_s is None else plain(min(stop_s, LONGEST_STOP_S)))
        named = stop or both
        if named is not None and stop_s == INFINITY:
            self._set_changed("stoptime", Plain("1d"), named, "a stop may take a day at most")
        for directive in (both, stop if stop_s != INFINITY else None):
            self._outcome.carried(directive is not None)
        start_s = value if start is None else start_s
        notify = "ready" in self._block.keys
        waits = notify or self._block.keys.get("type") == "oneshot"
        if start_s is not None and waits:
            self._block.set("start_timeout", 0 if start_s == INFINITY else plain(start_s))
        elif notify:
            self._block.set("start_timeout", 90)
        self._outcome.carried(start is not None)


class UnitRestarts(UnitPart):
    """When a unit is started again."""

    def convert(self, *, job: bool) -> None:
        """Set the keys; a `job` is done when it ends."""
        directive, value = self._take("Restart", str.strip)
        if directive is None:
            if not job:
                self._block.set("autorestart", "never")
        elif value not in RESTARTS:
            self._unit.refuse(directive, "no Restart of systemd")
        else:
            word, text = RESTARTS[value]
            if text:
                self._set_changed("autorestart", word, directive, text)
            else:
                self._set("autorestart", word, directive)
        self._delays()
        self._success()
        self._longest(job=job)
        directive, span = self._take("WatchdogSec", seconds)
        if directive is not None and span and span != INFINITY:
            text = "a silent program is stopped by the stop rule there (SIGABRT), and restarted here"
            self._set_changed("health", {"watchdog": plain(span), "action": "restart"}, directive, text)
        elif directive is not None:
            self._outcome.carried()

    def _longest(self, *, job: bool) -> None:
        directive, span = self._take("RuntimeMaxSec", seconds)
        if directive is None or span is None:
            return
        if not span or span == INFINITY or job:  # a job has no such limit there either
            self._outcome.carried()
        elif self._block.keys["autorestart"] == "never":
            self._drop(directive, "what is not started again runs as long as it likes", "cmd: timeout TIME COMMAND")
        else:
            text = "it is replaced as planned, which is no failure, and one instance after the other"
            self._set_changed("recycle", {"age": plain(min(max(span, 1), MAX_SECONDS))}, directive, text)

    def _delays(self) -> None:
        directive, span = self._take("RestartSec", seconds)
        if directive is not None and span is not None:
            value = plain(min(span, LONGEST_STOP_S))
            self._set_changed(
                "restart_delay",
                value,
                directive,
                "it holds for failed starts, and doubles with each",
                "restart_burst: slows others down",
            )
            if value > 30:
                self._block.set("restart_max_delay", value)
        for name, key in (
            ("StartLimitBurst", "restart_burst"),
            ("StartLimitIntervalSec", "restart_window"),
            ("StartLimitInterval", "restart_window"),
        ):
            directive, value = self._take(name, int if name == "StartLimitBurst" else seconds)
            if directive is not None and value is not None:
                value = 0 if value == INFINITY else plain(value)
                self._set_changed(key, value, directive, "restarts beyond the limit wait, they never end")

    def _success(self) -> None:
        directives = self._unit.take("SuccessExitStatus")
        codes: dict[int, None] = {0: None}
        for directive in directives:
            signals: list[str] = []
            for word in directive.value.split():
                if word.isdecimal() and int(word) < 256:
                    codes[int(word)] = None
                elif word in EXIT_NAMES:
                    codes[EXIT_NAMES[word]] = None
                else:
                    signals.append(word)
            if signals:
                self._change(directive, f"an end by {', '.join(signals)} is never expected", key="exitcodes")
            else:
                self._outcome.carried()
        if directives and "exitcodes" not in self._block.keys:
            self._block.set("exitcodes", [*codes])
