"""The words of alerts: what happened in one line, the subject of a message, its text. Pure.

An event is a record of the history, or `recovered`, which `core.alerting` makes. What programs and operators have written into it
is foreign: all texts that leave here are printable, in lines, so nothing in them can end a line of a header.
"""

from __future__ import annotations

from taskmaster_common.text.formats import format_seconds
from taskmasterd.core.alerting import CRASHED, troubles_in
from taskmasterd.core.process.ends import exit_code, exit_signal
from taskmasterd.core.words.describe import seconds_text, status_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    Event = Mapping[str, Any]

RECOVERED = "recovered"
CLIENT = "taskmasterctl"
DAEMON = "taskmasterd"
"""Whose an event without a name is."""
IN_CAPITALS = ("fatal", "backoff", "stopped", "running", "exited")
"""Events that are called like a state."""
MOST_SUBJECT = 200
MOST_LINE = 900
"""Most characters of a line of a mail. Source: RFC 5322, 2.1.1 (998)."""
CLOCK = slice(len("2026-11-28T"), len("2026-11-28T10:02:31"))
"""The time of day in a time of the history."""
OPEN_WORDS = {
    "crash": "down",
    "oom": "down",
    "fatal": "FATAL",
    "log-trouble": "without its log",
    "skipped": "skipping runs",
}
"""How a slot was while a trouble was open."""
CRITICAL, ERROR, NOTICE, INFO = 2, 3, 5, 6
"""Severities of syslog. Source: RFC 5424, 6.2.1."""


def printable(text: str) -> str:
    """Return the text with control characters and lone surrogates as escapes."""
    return text if text.isprintable() else "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def is_trouble(event: Event) -> bool:
    """Return whether an event is trouble."""
    return bool(troubles_in(event))


def severity(event: Event) -> int:
    """Return the severity of an event in syslog."""
    if event["event"] in ("fatal", CRASHED):
        return CRITICAL
    if is_trouble(event):
        return ERROR
    return NOTICE if event["event"] == RECOVERED else INFO


def reason(event: Event, signals: Mapping[int, str]) -> str:
    """Return why something happened: "exit 1 after 0.2s (try 4 of 4)", "" where there is nothing to say."""
    if event["event"] == RECOVERED:
        return f"was {OPEN_WORDS.get(event['was'], event['was'])} for {_long(event['lasted'])}"
    parts: list[str] = []
    if event.get("reason"):
        parts.append(str(event["reason"]))
    elif "status" in event:
        parts.append(status_text(event["status"], signals))
    if event.get("after") is not None and ("status" in event or not parts):
        parts.append(f"after {seconds_text(event['after'])}")
    if event.get("try") and event.get("of"):
        parts.append(f"(try {event['try']} of {event['of']})")
    by = event.get("by")
    who = by.get("text") or (f"uid {by['uid']}" if "uid" in by else "") if isinstance(by, dict) else by
    if who:
        parts.append(f"by {who}")
    keys = event.get("keys")
    if isinstance(keys, (list, tuple)) and keys and not parts:
        parts.append(", ".join(map(str, keys)))
    return printable(" ".join(parts))


def _long(seconds: float) -> str:
    return seconds_text(float(seconds)) if seconds < 60 else format_seconds(float(seconds))


def headline(event: Event, signals: Mapping[int, str]) -> str:
    """Return what happened in one line: `web:1 FATAL: exit 1 after 0.2s`, `ok: web:1 RUNNING (was FATAL for 12m)`."""
    name, word, why = printable(str(event["name"])) or DAEMON, str(event["event"]), reason(event, signals)
    if word == RECOVERED:
        return f"ok: {name} {printable(str(event['state']))} ({why})"
    return f"{name} {word.upper() if word in IN_CAPITALS else printable(word)}{f': {why}' if why else ''}"


def summary(events: Sequence[Event], signals: Mapping[int, str]) -> str:
    """Return the events of a message in one line: one event itself, of several how many there are."""
    if len(events) == 1:
        return headline(events[0], signals)
    over = sum(event["event"] == RECOVERED for event in events)
    troubles = sum(is_trouble(event) for event in events)
    others = len(events) - over - troubles
    parts = [f"{count} {word}{'s' if word != 'over' and count != 1 else ''}"
             for count, word in ((troubles, "trouble"), (over, "over"), (others, "event")) if count]  # fmt: skip
    return f"{'ok: ' if over == len(events) else ''}{', '.join(parts) or 'no event'}"


def missing(left_out: int, lost: int) -> list[str]:
    """Return what a message says of the events that it has not."""
    lines = [f"{left_out} event{'s' if left_out != 1 else ''} left out (at_most)"] if left_out else []
    return lines + ([f"{lost} event{'s' if lost != 1 else ''} lost"] if lost else [])


def subject(host: str, events: Sequence[Event], left_out: int, lost: int, signals: Mapping[int, str]) -> str:
    """Return the subject of a mail: one line of at most MOST_SUBJECT characters."""
    more = missing(left_out, lost)
    text = summary(events, signals) if events or not more else ""
    text = ", ".join([*([text] if text else []), *more])
    whole = f"[{printable(host)}] {text}"
    return whole if len(whole) <= MOST_SUBJECT else f"{whole[: MOST_SUBJECT - 1]}…"


def paragraph(event: Event, signals: Mapping[int, str], command: str, story: Event | None = None) -> list[str]:
    """Return the lines about one event of a message: when, what, the story of `why`, its last words, how to see more."""
    lines = [headline(event, signals)]
    when = str(event.get("time", ""))
    if when:
        lines.append(f"  at        {printable(when)}")
    lines += _told(story) if story else []
    for number, word in enumerate(event.get("words") or (story or {}).get("said") or ()):
        lines.append(f"  {'said' if not number else '    '}      {printable(str(word))}")
    if story and story.get("next"):
        lines.append(f"  next      {printable(str(story['next']))}")
    if story and story.get("do"):
        lines.append(
            f"  do        {printable('   then   '.join(_command(str(each), command) for each in story['do']))}"
        )
    name, log = str(event["name"]), str(event.get("log", ""))
    if log.startswith("/") and is_trouble(event):
        lines.append(f"  log       {printable(log)}")
    if name and is_trouble(event):
        lines.append(f"  see       {command} why {printable(name)}   {command} logs --stderr {printable(name)}")
    return [line[:MOST_LINE] for line in lines]


def _command(line: str, command: str) -> str:
    """Return a command line of `why` as it is typed here, where the client has to be called by `command`."""
    return f"{command}{line.removeprefix(CLIENT)}" if line.startswith(f"{CLIENT} ") else line


def _told(story: Event) -> list[str]:
    """Return a story of `why`: how the process is now and why, and what led there, the times in UTC."""
    sentence = f"{story.get('name')} is {story.get('state')}: {story.get('sentence')}"
    lines = [f"  why       {printable(sentence)}"]
    for each in story.get("events") or ():
        more = f"      ({each['more']} more like this)" if each.get("more") else ""
        lines.append(f"            {printable(str(each['time']))[CLOCK]}Z  {printable(str(each['text']))}{more}")
    return lines


def text(  # noqa: PLR0913, PLR0917 - each is one part of the text
    rule: str,
    events: Sequence[Event],
    left_out: int,
    lost: int,
    signals: Mapping[int, str],
    command: str,
    stories: Mapping[str, Event] = {},
) -> str:
    """Return the text of a message: a paragraph for each event, what it has not, and which rule sends it.

    `stories` are those of `why`, by name; each is told once, with the last event about its process.
    """
    parts: list[str] = []
    last = {str(event["name"]): number for number, event in enumerate(events) if is_trouble(event)}
    for number, event in enumerate(events):
        story = stories.get(str(event["name"])) if last.get(str(event["name"])) == number else None
        parts.append("\n".join(paragraph(event, signals, command, story)))
    parts += ["\n".join(missing(left_out, lost))] if left_out or lost else []
    return "\n\n".join([*parts, f"rule {printable(rule)}"]) + "\n"


def in_short(events: Sequence[Event], left_out: int, lost: int, signals: Mapping[int, str]) -> str:
    """Return the events of a message as lines, one each: for a chat."""
    return "\n".join([*(headline(event, signals) for event in events), *missing(left_out, lost)])


def variables(event: Event, host: str, signals: Mapping[int, str]) -> dict[str, str]:
    """Return what a command learns of an event by its variables; those that mean nothing for it are missing."""
    name = str(event["name"])
    program, _, index = name.partition(":")
    found = {"TASKMASTER_EVENT": str(event["event"]), "TASKMASTER_NAME": name, "TASKMASTER_HOST": host}
    if program:
        found |= {"TASKMASTER_PROGRAM": program, "TASKMASTER_INSTANCE": index or "0"}
    found["TASKMASTER_REASON"] = reason(event, signals)
    pairs = (("STATE", "state"), ("BEFORE", "before"), ("PID", "pid"), ("SEQ", "seq"))
    found |= {f"TASKMASTER_{word}": str(event[key]) for word, key in pairs if event.get(key) is not None}
    status = event.get("status")
    code, number = exit_code(status), exit_signal(status)
    found |= {"TASKMASTER_EXIT_CODE": str(code)} if code is not None else {}
    found |= {"TASKMASTER_SIGNAL": signals.get(number, str(number))} if number is not None else {}
    return {name: printable(value) for name, value in found.items()}


def program_of(event: Event) -> tuple[str, int]:
    """Return program and instance of an event, ("", 0) for one of the daemon."""
    program, _, index = str(event["name"]).partition(":")
    return program, int(index) if index.isdecimal() else 0
