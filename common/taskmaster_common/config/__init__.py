"""The configuration as immutable values, which `schema` decodes from YAML.

All that the daemon needs of the keys is here; their table with its texts, `keys`, is for `schema`, the client and the
generators, and never resident. Values are final except for the instance number: the decoder leaves `INSTANCE` where
`${TASKMASTER_INSTANCE}` stood, and `for_instance` puts the number in.
"""

from __future__ import annotations

from taskmaster_common.config.daemon import DAEMON_KEYS, DAEMON_LIVE_KEYS, DaemonConfig
from taskmaster_common.config.program import (
    KIND,
    PROGRAM_KEYS,
    RELOAD_CLASS,
    MayUse,
    Output,
    Policy,
    ProgramConfig,
    RunAs,
)
from taskmaster_common.config.words import (
    ALL_DONE,
    ALWAYS,
    DEFAULT_LOG,
    DEFAULT_PATH,
    DISCARD,
    EVENT_LOG_BACKUPS,
    EVENT_LOG_MAXBYTES,
    INHERIT,
    INSTANCE,
    JOURNAL,
    JSON,
    LEADER,
    LIVE,
    LIVE_OR_NEXT,
    LOG_LEVELS,
    NEVER,
    NEXT,
    NEXT_START,
    ON_FAILURE,
    ONESHOT,
    PIPE,
    PREFIX,
    RAW,
    RESTART,
    SAME_AS_STDOUT,
    SCALE,
    SERVICE,
    SYSLOG,
    UNEXPECTED,
    UTC,
    for_instance,
    is_elsewhere,
    said_of_instance,
)
from taskmaster_common.records import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

__all__ = [
    "ALL_DONE",
    "ALWAYS",
    "DAEMON_KEYS",
    "DAEMON_LIVE_KEYS",
    "DEFAULT_LOG",
    "DEFAULT_PATH",
    "DISCARD",
    "EVENT_LOG_BACKUPS",
    "EVENT_LOG_MAXBYTES",
    "INHERIT",
    "INSTANCE",
    "JOURNAL",
    "JSON",
    "KIND",
    "LEADER",
    "LIKE_THE_DAEMON",
    "LIVE",
    "LIVE_OR_NEXT",
    "LOG_LEVELS",
    "NEVER",
    "NEXT",
    "NEXT_START",
    "ONESHOT",
    "ON_FAILURE",
    "PIPE",
    "PREFIX",
    "PROGRAM_KEYS",
    "RAW",
    "RELOAD_CLASS",
    "RESTART",
    "SAME_AS_STDOUT",
    "SCALE",
    "SERVICE",
    "SYSLOG",
    "UNEXPECTED",
    "UTC",
    "Config",
    "DaemonConfig",
    "MayUse",
    "Output",
    "Policy",
    "ProgramConfig",
    "RunAs",
    "alerts_data",
    "for_instance",
    "groups_data",
    "groups_of",
    "is_elsewhere",
    "mode_of_socket",
    "said_of_instance",
]


LIKE_THE_DAEMON = MayUse()
"""What a program may use that says nothing about it."""


class Config(Record):
    """A whole configuration: the main file and what it includes.

    `programs` are in file order, those of included files after the main file's. `files` are (path, mtime_ns, size) of
    every file that was read, the main file first: `restart` compares them with the disk. `groups` are the names of each
    group's programs, inner groups and patterns resolved, in file order. `alerts` are the rules as data (`alerts.rule`), so
    that who has none loads nothing of them.
    """

    path: str
    daemon: DaemonConfig
    programs: tuple[ProgramConfig, ...]
    files: tuple[tuple[str, int, int], ...] = ()
    groups: Mapping[str, tuple[str, ...]] = {}
    alerts: Mapping[str, Mapping[str, Any]] = {}

    def program(self, name: str) -> ProgramConfig | None:
        """Return the program of that name, or None."""
        return next((program for program in self.programs if program.name == name), None)

    def to_data(self) -> dict[str, Any]:
        """Return the configuration as plain data."""
        return {
            "path": self.path,
            "daemon": self.daemon.to_data(),
            "programs": [program.to_data() for program in self.programs],
            "files": [list(entry) for entry in self.files],
            **groups_data(self.groups),
            **alerts_data(self.alerts),
        }

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Config:
        """Return the configuration that `to_data` was made from."""
        known: dict[tuple[object, ...], Record] = {}
        return cls(
            path=data["path"],
            daemon=DaemonConfig.from_data(data["daemon"]),
            programs=tuple(ProgramConfig.from_data(program, known) for program in data["programs"]),
            files=tuple((path, mtime, size) for path, mtime, size in data["files"]),
            groups=groups_of(data),
            alerts=data.get("alerts", {}),
        )


def groups_data(groups: Mapping[str, tuple[str, ...]]) -> dict[str, dict[str, list[str]]]:
    """Return the field `groups` of a configuration's data; without groups there is none."""
    return {"groups": {name: list(members) for name, members in groups.items()}} if groups else {}


def alerts_data(alerts: Mapping[str, Mapping[str, Any]], *, known: bool = True) -> dict[str, Any]:
    """Return the field `alerts` of a configuration's data; without rules there is none.

    Without `known`, URLs and headers are left out, and `unknown` stands in their place: they may be secrets.
    """
    if known or not alerts:
        return {"alerts": dict(alerts)} if alerts else {}
    return {"alerts": {name: _without_secrets(rule) for name, rule in alerts.items()}}


def _without_secrets(rule: Mapping[str, Any]) -> Mapping[str, Any]:
    http = rule.get("http", {})
    known = {name: value for name, value in http.items() if name not in ("url", "headers")}
    return rule if known == http else {**rule, "http": {**known, "unknown": True}}


def groups_of(data: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    """Return the groups that `groups_data` was made from."""
    return {name: tuple(members) for name, members in data.get("groups", {}).items()}


def mode_of_socket(daemon: DaemonConfig) -> int:
    """Return the mode of the control socket: with roles the credentials of who connects decide, and no longer the file."""
    if daemon.socket_mode is not None:
        return daemon.socket_mode
    return 0o666 if daemon.roles else 0o600
