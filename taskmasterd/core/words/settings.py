"""The settings of a program as an object of the wire. Pure."""

from __future__ import annotations

from taskmaster_common.config import INSTANCE, KIND, ProgramConfig
from taskmaster_common.config.hooks import written_hook
from taskmaster_common.config.limits import cpus_text, written_limits, written_rlimits
from taskmaster_common.config.words import FROM_SOCKET, is_elsewhere
from taskmaster_common.config.written import written_edges, written_probe
from taskmasterd.ondemand import on_demand

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from taskmaster_common.config import elsewhere, sockets
else:
    elsewhere = on_demand("taskmaster_common.config.elsewhere")
    sockets = on_demand("taskmaster_common.config.sockets")


def settings_view(program: ProgramConfig, signals: Mapping[int, str], *, values: bool) -> dict[str, Any]:
    """Return each key of a program with its value, typed as JSON has it.

    `env` is a list of names; with `values` an object. null means that the value is the daemon's own.
    """
    return {key: setting(program, key, signals, values=values) for key in KIND}


def default_keys(program: ProgramConfig, directory: str) -> list[str]:
    """Return the keys that have their default values. `directory` is that of the main file, the usual `workingdir`."""
    usual = ProgramConfig(program.name, ())
    found = [key for key in KIND if program.value(key) == usual.value(key)]
    return found if program.workingdir != directory or "workingdir" in found else [*found, "workingdir"]


def setting(program: ProgramConfig, key: str, signals: Mapping[int, str], *, values: bool) -> Any:
    """Return one key: seconds and sizes as numbers, a umask as octal text, and None for what is the daemon's own."""
    value = program.value(key)
    kind = KIND[key]
    if kind == "environment":
        names = sorted(value)
        return {name: _readable(value[name]) for name in names} if values else names
    if kind == "octal":
        return None if value is None else f"{value:03o}"
    if kind == "signal":
        return signals.get(value, str(value))
    if kind in WRITTEN:
        return _readable(WRITTEN[kind](program, value)) if value or kind == "dependencies" else None
    if kind == "command":
        return _readable(value[0]) if program.shell else [_readable(word) for word in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return list(value) if isinstance(value, tuple) else _readable(value)


def _input(_program: ProgramConfig, value: str) -> Any:
    return {"socket": value[len(FROM_SOCKET) :]} if value.startswith(FROM_SOCKET) else value


WRITTEN: Mapping[str, Callable[[ProgramConfig, Any], Any]] = {
    "dependencies": lambda _program, value: written_edges(value),
    "ready": lambda _program, value: written_probe(value),
    "health": lambda _program, value: written_probe(value),
    "update": lambda _program, value: value,
    "hook": lambda _program, value: written_hook(value),
    "stream": lambda _program, value: elsewhere.shown(value) if is_elsewhere(value) else value,
    "sockets": lambda program, value: sockets.written_sockets(value, program.socket_options),
    "input": _input,
    "rlimits": lambda _program, value: written_rlimits(value),
    "limits": lambda _program, value: written_limits(value),
    "processors": lambda _program, value: cpus_text(value),
}
"""How values of these kinds are written; where there is none, it is null."""


def _readable(value: Any) -> Any:
    if isinstance(value, list):
        return [_readable(each) for each in value]
    if isinstance(value, dict):
        return {name: _readable(each) for name, each in value.items()}
    return value.replace(INSTANCE, "${TASKMASTER_INSTANCE}") if isinstance(value, str) else value
