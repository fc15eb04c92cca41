"""Records of the history as text: what `events` shows after the event's word, and alerts say. Pure; loaded with the first such text."""

from __future__ import annotations

from taskmasterd.core.process.state import BECAUSE, ITS
from taskmasterd.core.words.describe import left_text, names_text, not_allowed, seconds_text, status_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    Fields = Mapping[str, Any]
    Signals = Mapping[int, str]

MOST_SAID = 200
"""Characters of a claim that is quoted."""


def record_text(record: Fields, signals: Signals) -> str:
    """Return what a record says, without name and word: "exit 1 after 0.2s (try 4 of 4)"."""
    tell = TEXTS.get(record["event"])
    text = tell(record, signals) if tell else _any(record, signals)
    return f"{text} ({record['more']} more like this)" if record.get("more") else text


def by_text(by: Fields | None) -> str:
    """Return who asked: `uid 0 (login alice, "taskmasterctl reload")`, or because of what: "because db went down"."""
    if not by:
        return "somebody"
    if by.get("text"):
        return str(by["text"])
    claims = [f"login uid {by['login']}"] if "login" in by else []
    claims += [f'"{str(by["command"])[:MOST_SAID]}"'] if by.get("command") else []
    claims += [f"from {str(by['from'])[:MOST_SAID]}"] if by.get("from") else []
    return f"uid {by.get('uid')}" + (f" ({', '.join(claims)})" if claims else "")


def asked_text(by: Fields | None) -> str:
    """Return ", asked by uid 0", ", because db went down", or "" where nobody has asked."""
    if not by:
        return ""
    text = by_text(by)
    if text.startswith(BECAUSE):
        return f", {text}"
    return f", by {text}" if text.startswith(ITS) else f", asked by {text}"


def ended_text(record: Fields, signals: Signals) -> str:
    """Return how an instance ended: "exit 1 after 0.2s"; the reason where it never began, or was given up."""
    if "after" not in record:
        return str(record.get("reason", "it never ran"))
    why = f" ({record['reason']})" if record.get("reason") else ""
    return f"{status_text(record.get('status'), signals)} after {seconds_text(record['after'])}{why}"


def tries_text(record: Fields) -> str:
    """Return " (try 2 of 4)", or "" where tries are not counted."""
    return f" (try {record['try']} of {record['of']})" if record.get("try") else ""


def _started(record: Fields, _signals: Signals) -> str:
    cause = "" if record.get("by") else CAUSE_TEXTS.get(record.get("cause", ""), "")
    if record.get("reason"):
        cause = f", {record['reason']}"
    return f"pid {record.get('pid')}{tries_text(record)}{asked_text(record.get('by'))}{cause}"


def _ready(record: Fields, _signals: Signals) -> str:
    return f"after {seconds_text(record['after'])}{_in_brackets(record)}"


def _pid(record: Fields, _signals: Signals) -> str:
    return f"pid {record.get('pid')}"


def _exited(record: Fields, signals: Signals) -> str:
    left = f"; left {left_text(tuple(record['left']))}" if record.get("left") else ""
    return f"{ended_text(record, signals)}, {'expected' if record.get('expected') else 'unexpected'}{left}"


def _backoff(record: Fields, _signals: Signals) -> str:
    pause = seconds_text((record.get("deadline") or record["mono"]) - record["mono"])
    retry = f"retry {record['try']} of {record['of']} in {pause}" if record.get("try") else f"again in {pause}"
    return f"{retry}; {record['reason']}" if record.get("reason") else retry


def _fatal(record: Fields, signals: Signals) -> str:
    return ended_text(record, signals) + tries_text(record)


def _done(record: Fields, signals: Signals) -> str:
    return f"{status_text(record.get('status'), signals)} in {seconds_text(record['after'])}"


def _stopping(record: Fields, _signals: Signals) -> str:
    if record.get("left"):
        return f"ends what it left behind: {left_text(tuple(record['left']))}"
    return f"{record.get('reason') or record.get('signal', '')}{asked_text(record.get('by'))}"


def _killed(record: Fields, _signals: Signals) -> str:
    return f"SIGKILL {seconds_text(record['after'])} after it was to stop{asked_text(record.get('by'))}"


def _stuck(record: Fields, _signals: Signals) -> str:
    if record.get("refused"):
        return not_allowed(tuple(record["refused"]))
    return f"still there {seconds_text(record['after'])} after it was to stop, in spite of SIGKILL"


def _stopped(record: Fields, _signals: Signals) -> str:
    killed = ", SIGKILL was needed" if record.get("killed") else ""
    took = f" in {seconds_text(record['after'])}" if "after" in record else f"; it was {record.get('was')}"
    return f"by {by_text(record.get('by'))}{took}{killed}"


def _signalled(record: Fields, _signals: Signals) -> str:
    return f"{record.get('signal')} to its leader: {record.get('reason')}"


def _attach(record: Fields, _signals: Signals) -> str:
    who = f"by {by_text(record.get('by'))}{', read-only' if record.get('read_only') else ''}"
    if "after" not in record:
        return who
    return f"ended {who}, after {seconds_text(record['after'])}, {record.get('typed', 0)} bytes typed"


def _healthy(record: Fields, _signals: Signals) -> str:
    return f"after {seconds_text(record['after'])}" if "after" in record else ""


def _gate(record: Fields, _signals: Signals) -> str:
    return str(record.get("reason", "")).partition(" ")[2]  # the first word is that of the event


def _daemon(record: Fields, _signals: Signals) -> str:
    config = f", {record['config']}" if record.get("config") else ""
    return f"taskmasterd {record.get('version')}, pid {record.get('pid')}{config}"


def _daemon_stop(record: Fields, _signals: Signals) -> str:
    return f"exit {record.get('code')}{asked_text(record.get('by'))}"


def _crashed(_record: Fields, _signals: Signals) -> str:
    return "the daemon before this one died"


def _reload(record: Fields, _signals: Signals) -> str:
    keys = f": {', '.join(record['keys'])}" if record.get("keys") else ""
    if record["name"]:
        return f"{record.get('change')}{keys}{asked_text(record.get('by'))}"
    changed = record.get("changed", 0)
    return f"{changed} program{'' if changed == 1 else 's'} changed{keys}{asked_text(record.get('by'))}"


def _request_text(record: Fields) -> str:
    return names_text((" ".join((record.get("verb", ""), *record.get("flags", ()))), *record.get("targets", ())))


def _operator(record: Fields, _signals: Signals) -> str:
    words = _request_text(record)
    return f"{words} by {by_text(record.get('by'))}"


def _denied(record: Fields, _signals: Signals) -> str:
    words = _request_text(record) if record.get("verb") else ""
    whom = f" to {by_text(record['by'])}" if record.get("by") and record["by"].get("pid") else ""
    return f"{words}{whom}: {record.get('reason', '')}".strip(": ")


def _any(record: Fields, _signals: Signals) -> str:
    return f"{record.get('reason') or ''}{asked_text(record.get('by'))}".removeprefix(", ")


def _refused(record: Fields, _signals: Signals) -> str:
    said = "; ".join(record.get("words") or ())
    return f"{record['reason']}{': ' if said else ''}{said}"


def _in_brackets(record: Fields) -> str:
    return f" ({record['reason']})" if record.get("reason") else ""


CAUSE_TEXTS = {
    "crash": ", after an unexpected end",
    "exit": ", after its end",
    "unhealthy": ", because it was unhealthy",
}
"""Why something starts for which nobody has asked; a failed start has its number of tries."""
TEXTS: Mapping[str, Callable[[Fields, Signals], str]] = {
    "alert-failed": lambda record, _signals: f"{record['rule']}: {record['reason']}",
    "started": _started,
    "ready": _ready,
    "running": _pid,
    "exited": _exited,
    "failed": ended_text,
    "backoff": _backoff,
    "fatal": _fatal,
    "done": _done,
    "signalled": _signalled,
    "attach": _attach,
    "refused": _refused,
    "stopping": _stopping,
    "killed": _killed,
    "stuck": _stuck,
    "stopped": _stopped,
    "adopted": _pid,
    "healthy": _healthy,
    "waiting": _gate,
    "blocked": _gate,
    "daemon-start": _daemon,
    "daemon-stop": _daemon_stop,
    "crashed": _crashed,
    "upgrade": _daemon,
    "reload": _reload,
    "operator": _operator,
    "denied": _denied,
}
