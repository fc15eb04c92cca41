"""Messages for log daemons. Pure.

A UNIX socket gets the old local form, since log daemons misread RFC 5424 there; the network gets RFC 5424.
"""

from __future__ import annotations

from taskmaster_common.records import Record
from taskmaster_common.text.syslog import CUT, ENTERPRISE, MOST_LOCAL, MOST_TAG, local_head, priority
from taskmasterd.core.words.alerts import program_of, severity

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    Event = Mapping[str, Any]

MOST_HOST, MOST_WORD = 255, 32
"""Most characters of fields. Source: RFC 5424, 6 (HOSTNAME, MSGID)."""
BOM = b"\xef\xbb\xbf"
"""Says that a message is UTF-8. Source: RFC 5424, 6.4."""


class LogSender(Record):
    """As whom messages are sent: facility, tag and pid of the daemon, name of the host."""

    facility: str
    tag: str
    pid: int
    host: str


def local_message(sender: LogSender, event: Event, text: str, when: Sequence[int]) -> bytes:
    """Return a message for a UNIX socket: `<30>Nov 28 10:02:31 taskmaster[71]: ...`; `when` is (month, day, h, min, s), local."""
    head = local_head(priority(sender.facility, severity(event)), when, sender.tag, sender.pid)
    return cut((head + text).encode("utf-8", "backslashreplace"), MOST_LOCAL)


def network_message(sender: LogSender, event: Event, text: str, when: str, most: int) -> bytes:
    """Return a message as RFC 5424 has it; `when` is a time as RFC 3339, `most` the bytes that it may have."""
    program, instance = program_of(event)
    word = str(event["event"])
    pairs = {
        "program": program,
        "instance": str(instance) if program else "",
        "event": word,
        "seq": str(event.get("seq", "")),
    }
    data = "".join(f' {name}="{_parameter(value)}"' for name, value in pairs.items() if value)
    number = priority(sender.facility, severity(event))
    host, tag = _name(sender.host, MOST_HOST), _name(sender.tag, MOST_TAG)
    head = f"<{number}>1 {when} {host} {tag} {sender.pid} {_name(word, MOST_WORD)} [{ENTERPRISE}{data}] "
    return cut(head.encode() + BOM + text.encode("utf-8", "backslashreplace"), most)


def cut(message: bytes, most: int) -> bytes:
    """Return a message of at most `most` bytes, in whole characters."""
    if len(message) <= most:
        return message
    return message[: most - len(CUT)].decode("utf-8", "ignore").encode() + CUT


def _name(text: str, most: int) -> str:
    """Return a field of printable ASCII without blanks, "-" for none. Source: RFC 5424, 6 (PRINTUSASCII)."""
    return "".join(each if "!" <= each <= "~" else "_" for each in text[:most]) or "-"


def _parameter(value: str) -> str:
    """Return a value of structured data. Source: RFC 5424, 6.3.3."""
    return "".join(f"\\{each}" if each in '"\\]' else each for each in value if each.isprintable())[:100]
