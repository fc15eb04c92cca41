"""What all messages for log daemons have in common: facilities by number, limits, and how a local one begins."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

FACILITIES = (
    "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp", "ntp", "security", "console",
    "solaris-cron", "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7",
)  # fmt: skip
"""The facilities by number. Source: RFC 5424, 6.2.1; syslog.conf(5) for the words."""
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
MOST_LOCAL, MOST_UDP = 8192, 2048
"""Longest message, its header counted, by UNIX socket and by UDP. Source: RFC 5426, 3.2 (receivers should take 2048)."""
MOST_TAG = 48
"""Longest tag. Source: RFC 5424, 6 (APP-NAME)."""
CUT = "…".encode()
"""The end of a message that was too long."""
ENTERPRISE = "taskmaster@32473"
"""The name of our structured data. Source: RFC 5612, the number for documentation."""


def priority(facility: str, severity: int) -> int:
    """Return the number with which a message begins."""
    return FACILITIES.index(facility) * 8 + severity


def local_head(number: int, when: Sequence[int], tag: str, pid: int) -> str:
    """Return `<30>Nov 28 10:02:31 web[71]: `, the beginning of a message for a UNIX socket; a `pid` of 0 is left out.

    `number` is the priority, `when` is (month, day, hour, minute, second), local. Source: RFC 3164, 4.1, without the host's name.
    """
    month, day, hour, minute, second = when
    stamp = f"{MONTHS[month - 1]} {day:2d} {hour:02d}:{minute:02d}:{second:02d}"
    return f"<{number}>{stamp} {tag}{f'[{pid}]' if pid else ''}: "
