"""Why instances end: exit codes in words, and whose signal it was. Pure; loaded with the first `why`."""

from __future__ import annotations

from taskmasterd.core.process.ends import dumped_core, exit_code, exit_signal
from taskmasterd.core.process.state import BY_ITSELF, KILL_ORDER
from taskmasterd.core.words.describe import killed_text, seconds_text, status_text
from taskmasterd.core.words.told import by_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from taskmasterd.core.process.ends import End

    Fields = Mapping[str, Any]
    Signals = Mapping[int, str]

OF_SHELLS = {126: "a command that it ran cannot be executed", 127: "a command that it ran was not found"}
"""Source: POSIX XCU 2.8.2, exit status for commands."""
SYSEXITS = {
    64: "wrong use of a command",
    65: "wrong input data",
    66: "input cannot be read",
    67: "an unknown user",
    68: "an unknown host",
    69: "something that it needs is not available",
    70: "an internal error of the program",
    71: "an error of the operating system",
    72: "a system file is wrong or missing",
    73: "an output file cannot be created",
    74: "an error of input or output",
    75: "a failure that may pass: it asks to be tried again",
    76: "an error of a protocol",
    77: "no permission",
    78: "a wrong configuration",
}
"""Source: sysexits.h(3head)."""
FAULTS = {
    "SEGV": "a segmentation fault",
    "BUS": "a bus error",
    "FPE": "an arithmetic fault",
    "ILL": "an illegal instruction",
    "ABRT": "it aborted itself",
    "TRAP": "a trap",
    "SYS": "a system call that it may not use",
    "XCPU": "it has used more processor time than its limit (RLIMIT_CPU)",
    "XFSZ": "a file would have grown beyond its limit (RLIMIT_FSIZE)",
    "PIPE": "it wrote into a pipe that nobody reads",
    "ALRM": "its own alarm",
}
"""What a process does to itself. Source: signal(7)."""
DAY_S = 86_400.0
ENDS = ("exited", "failed")
MOST_CAUSES = 3
"""Different ends that a sentence about a running process names."""
SENT_S = 10.0
"""So long before an end somebody may have sent the signal by `signal`."""


def code_words(code: int, signals: Signals) -> str:
    """Return what an exit code means by convention, "" where that is the program's own affair."""
    if code in OF_SHELLS:
        return f": {OF_SHELLS[code]}"
    if code in SYSEXITS:
        return f", by convention: {SYSEXITS[code]}"
    return f": a child of it was killed by SIG{signals[code - 128]}" if code - 128 in signals else ""


def cause_of(end: Fields, before: Sequence[Fields], signals: Signals) -> str:
    """Return how an instance ended and why, as far as one can know: `end` is the record of its end, `before` what came before.

    "exit 1 after 0.2s", "exit 127 after 0.1s: a command that it ran was not found", "killed by SIGKILL after 3.0s, not sent by Taskmaster".
    """
    if "after" not in end:
        return str(end.get("reason") or "it never ran")
    took = f" after {seconds_text(end['after'])}"
    status = end.get("status")
    number = exit_signal(status)
    if number is None:
        code = exit_code(status)
        stopping = _last([each for each in before if each.get("pid") == end.get("pid")], "stopping")
        if code is None or stopping:
            return status_text(status, signals) + took + (f", {stop_text(stopping)}" if stopping else "")
        return f"exit {code}{took}{code_words(code, signals)}"
    name = signals.get(number, str(number))
    if end.get("memory"):
        return killed_text(status, seconds_text(end["after"]), end["memory"], signals)
    core = " (core dumped)" if dumped_core(status) else ""
    return f"killed by SIG{name}{core}{took}{_whose(name, end, before)}"


def _whose(name: str, end: Fields, before: Sequence[Fields]) -> str:
    """Return who sent a signal: we, and why; or nobody of us."""
    mine = [each for each in before if each.get("pid") == end.get("pid")]
    stopping = _last(mine, "stopping")
    killed = _last(mine, "killed")
    if killed and name == "KILL":
        if killed.get("cause") == KILL_ORDER:
            return f", sent by Taskmaster for {by_text(killed.get('by'))}"
        return f", sent by Taskmaster: it did not end within stoptime ({stop_text(stopping)})"
    if stopping and name == stopping.get("signal"):
        return f", sent by Taskmaster: {stop_text(stopping)}"
    asked = next((each for each in reversed(before) if _sends(each, name, end)), None)
    if asked:
        return f", sent by Taskmaster: {by_text(asked.get('by'))} asked for it (signal {name})"
    ours = next((each for each in reversed(mine) if each["event"] == "signalled" and each.get("signal") == name), None)
    if ours:
        return f", sent by Taskmaster: {ours.get('reason')}"
    why = FAULTS.get(name) or end.get("limit")
    fault = f": {why}" if why else ""
    return f"{fault}, not sent by Taskmaster"


def stop_text(stopping: Fields | None) -> str:
    """Return why an instance was to go: "stopped by uid 0", "stopped by a reload (uid 0)", "unhealthy: http 503"."""
    if not stopping:
        return "it was to stop"
    if stopping.get("reason"):
        return str(stopping["reason"])
    if not stopping.get("by"):
        return "it was to stop"
    text = by_text(stopping["by"])
    verb = "restarted" if stopping.get("cause") in ("restart", "dependency") else "stopped"
    return f"{verb} {text}" if text.startswith("because ") else f"{verb} by {text}"


def _last(records: Sequence[Fields], event: str) -> Fields | None:
    return next((each for each in reversed(records) if each["event"] == event), None)


def _sends(record: Fields, name: str, end: Fields) -> bool:
    """Return whether a request has sent this signal shortly before an end."""
    words = record.get("targets") or ("",)
    sent = str(words[0]).upper().removeprefix("SIG")
    recent = 0 <= end["mono"] - record["mono"] <= SENT_S and end.get("boot") == record.get("boot")
    return record["event"] == "operator" and record.get("verb") == "signal" and sent == name and recent


def tells_of(record: Fields, end: End) -> bool:
    """Return whether a record may be that of an end, and not of an earlier one."""
    return record.get("status") == (None if end.failure else end.status)


def restarts_text(records: Sequence[Fields], now: float, signals: Signals) -> str:
    """Return how often it was restarted by itself within the last day, and after which ends."""
    causes: dict[str, int] = {}
    for at, record in enumerate(records):
        recent = now - record["mono"] < DAY_S and record.get("boot") == records[-1].get("boot")
        again = record["event"] == "started" and record.get("cause") in BY_ITSELF
        if again and recent:
            ends = [number for number in range(at) if records[number]["event"] in ENDS]
            how = cause_of(records[ends[-1]], records[: ends[-1]], signals) if ends else "an end before"
            how = _without_time(how)
            causes[how] = causes.get(how, 0) + 1
    if not causes:
        return ""
    total = sum(causes.values())
    named = [f"{how} ({count} times)" if count > 1 else how for how, count in list(causes.items())[:MOST_CAUSES]]
    return f"; {total} restart{'s' if total > 1 else ''} in the last day: {'; '.join(named)}"


def _without_time(text: str) -> str:
    """Return how an end was without how long it took: ends that differ in that are alike."""
    head, _, tail = text.partition(" after ")
    cut = min((at for mark in ",:" if (at := tail.find(mark)) >= 0), default=len(tail))
    return head + tail[cut:]
