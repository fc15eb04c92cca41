"""Where the output of a unit goes. Pure. Source: systemd.exec(5), StandardOutput=."""

from __future__ import annotations

from taskmaster_common.config.elsewhere import USUAL, elsewhere_of
from taskmaster_common.config.words import (
    DEFAULT_LOG,
    DISCARD,
    INHERIT,
    JOURNAL,
    LOGGER,
    SAME_AS_STDOUT,
    is_elsewhere,
)
from taskmasterctl.convert.export.targets.draft import KeyRow, KeyRows, lost
from taskmasterctl.convert.export.targets.systemd.units import whole

TYPE_CHECKING = False
if TYPE_CHECKING:
    from taskmasterctl.convert.export.targets.systemd.draft import UnitDraft

SETTINGS = {"stdout": "StandardOutput", "stderr": "StandardError"}
LEVELS = ("emerg", "alert", "crit", "err", "warning", "notice", "info", "debug")
"""The severities of syslog, 0 to 7, as systemd calls them."""
JOURNALED = "its log is in the journal: `journalctl -u NAME`"
NOT_ROTATED = "nothing rotates its files, and their directories have to exist; config/logrotate shows a way"


def _stream(key: str) -> KeyRow:
    def carry(unit: UnitDraft) -> None:
        target = unit.source.value(key)
        if target == SAME_AS_STDOUT:
            unit.set(SETTINGS[key], "inherit")
        elif target == DISCARD:
            unit.set(SETTINGS[key], "null")
        elif target in (DEFAULT_LOG, INHERIT):
            _journal(unit, key, target)
        elif is_elsewhere(target):
            _elsewhere(unit, key, target)
        else:
            unit.whole(key, SETTINGS[key], unit.value(key), "append:")
            unit.note(NOT_ROTATED)

    return KeyRow("a path: `append:`; `null`; all else: the journal", carry)


def _journal(unit: UnitDraft, key: str, target: str) -> None:
    unit.set(SETTINGS[key], "journal")
    if target == INHERIT:
        unit.changed(key, "goes to the journal")
    else:
        unit.note(JOURNALED)


def _elsewhere(unit: UnitDraft, key: str, text: str) -> None:
    target = elsewhere_of(text)
    unit.set(SETTINGS[key], "journal")
    if target.kind == LOGGER:
        unit.changed(key, f"goes to the journal: a unit has no command that reads it ({target.command_text})")
        return
    if target.tag:
        unit.set("SyslogIdentifier", whole(target.tag))
    if target.severity != 6:
        unit.set("SyslogLevel", LEVELS[target.severity])
    if target.kind == JOURNAL:
        if target.address != USUAL[JOURNAL]:
            unit.changed(key, "goes to the journal of this host")
        return
    if target.facility != "daemon":
        unit.set("SyslogFacility", target.facility)
    usual = target.address == USUAL[target.kind]
    unit.changed(
        key, "goes to the journal, which a syslog daemon may read" if usual else "goes to the journal of this host"
    )


def _of_files(key: str) -> KeyRow:
    return lost(
        key, "a unit does not rotate", "the journal has limits of its own: journald.conf(5); files need logrotate"
    )


def _of_format(key: str) -> KeyRow:
    return lost(
        key, "a file holds what the program writes", "the journal notes time and stream: journalctl -o short-iso"
    )


OUTPUT: KeyRows = {
    **{key: _stream(key) for key in SETTINGS},
    **{key: _of_files(key) for key in ("log_maxbytes", "log_backups")},
    **{key: _of_format(key) for key in ("log_format", "log_prefix", "log_time", "log_levels", "log_events")},
}
"""The rows of output."""
