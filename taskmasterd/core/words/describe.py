"""Says what happened: the reasons in `status`, `show`, results and the event log. Pure.

`signals` maps numbers to names without SIG; callers give it, because the core does not import signal.
"""

from __future__ import annotations

from taskmaster_common.config import ONESHOT
from taskmaster_common.states import BACKOFF, EXITED, FATAL, STARTING, STOPPED, STOPPING
from taskmaster_common.text.formats import format_seconds
from taskmasterd.core.process.ends import End, dumped_core, exit_code, exit_signal
from taskmasterd.core.process.state import AWAITED, BECAUSE, ENDS, RUNS, Process

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from taskmaster_common.config import Policy

AT_ONCE_S = 1.0
STDIN = "stdin is /dev/null here, a program that reads it ends at once"
"""Hint for a shell, a REPL or a filter, which ends at once and says nothing when it has no input."""
UNKNOWN = "unknown"
"""The verdict of the wire as long as there is none."""
OUT_OF_MEMORY = "out of memory"
"""How the `memory` of an end begins that its own limit has caused."""
NAMED_LEFT = 5
"""Most left-behind processes that a text names; it counts the others."""


def seconds_text(seconds: float) -> str:
    """Return a duration: tenths of a second below 10 s ("0.2s"), the format of uptimes above ("1m30s")."""
    return f"{max(0.0, seconds):.1f}s" if seconds < 9.95 else format_seconds(seconds)


def status_text(status: int | None, signals: Mapping[int, str]) -> str:
    """Return a wait status in words: "exit 1", "killed by SIGSEGV (core dumped)"."""
    if status is None:
        return "ended while no daemon was there, nobody knows how,"
    number = exit_signal(status)
    if number is None:
        return f"exit {exit_code(status)}"
    core = " (core dumped)" if dumped_core(status) else ""
    return f"killed by SIG{signals[number]}{core}" if number in signals else f"killed by signal {number}{core}"


def end_text(end: End, signals: Mapping[int, str]) -> str:
    """Return how a leader ended, without what followed: "exit 1 after 0.2s", "cannot execute /x: no such file"."""
    if end.failure is not None:
        return end.failure.text
    text = killed_text(end.status, seconds_text(end.after_s), end.memory, signals)
    if end.started:
        return text
    if exit_code(end.status) == 0 and end.left:
        return f"{text}: it put itself in the background ({left_text(end.left)}); use its option for the foreground"
    if exit_code(end.status) != 0:
        return text
    hint = f"; {STDIN}" if end.silent and end.after_s < AT_ONCE_S else ""
    return f"{text}, before {'it was ready' if end.unready else 'starttime'}{hint}"


def killed_text(status: int | None, after: str, memory: str, signals: Mapping[int, str]) -> str:
    """Return how and after which time a leader ended, and what was short: "killed: out of memory (...) after 0.2s"."""
    if memory.startswith(OUT_OF_MEMORY):
        return f"killed: {memory} after {after}"
    return f"{status_text(status, signals)} after {after}" + (f"; {memory}" if memory else "")


def left_text(left: tuple[str, ...]) -> str:
    """Return the first NAMED_LEFT of these processes, and the number of the others."""
    return names_text(left, ", ")


def names_text(names: Sequence[str], between: str = " ") -> str:
    """Return the first NAMED_LEFT of these names, and the number of the others."""
    more = f" and {len(names) - NAMED_LEFT} more" if len(names) > NAMED_LEFT else ""
    return between.join(names[:NAMED_LEFT]) + more


def failed_start_text(process: Process, policy: Policy, signals: Mapping[int, str]) -> str:
    """Return why a start failed for good: "exit 1 after 0.2s (try 4 of 4)"."""
    end = process.reason or (end_text(process.end, signals) if process.end else "never started")
    return f"{end} (try {process.tries} of {policy.startretries + 1})" if process.tries else end


def detail(process: Process, policy: Policy, now: float, signals: Mapping[int, str]) -> str:
    """Return the DETAIL column: why the process is in its state and what comes next; "" for a process that just runs."""
    if process.hook and process.hook_stage != ENDS:
        return _hook(process, now)
    end = end_text(process.end, signals) if process.end else ""
    if process.state == BACKOFF:
        return _backoff(process, policy, end, now)
    if process.state == STOPPING:
        return _stopping(process, end, now)
    if process.state == FATAL:
        return failed_start_text(process, policy, signals)
    if process.state == EXITED:
        return done_text(process, signals) if policy.type == ONESHOT else end
    if process.unhealthy:
        return process.reason
    if process.state == STARTING and process.executed and process.readiness == AWAITED:
        left = f", {seconds_text(process.deadline - now)} left" if process.deadline is not None else ""
        return f"not ready{left}"
    if process.state == STARTING and process.tries:
        return f"try {process.tries + 1} of {policy.startretries + 1}; {end}"
    if process.state == STOPPED:
        return f"stopped by {process.by}" if process.by else "not started"
    return often_text(process, now, signals)


def often_text(process: Process, now: float, signals: Mapping[int, str]) -> str:
    """Return "5 restarts in 41s; exit 3 after 8.0s" for a process that is up but keeps ending, otherwise ""."""
    times = process.comebacks(now)
    if not times or process.end is None:
        return ""
    return f"{len(times)} restarts in {seconds_text(now - times[0])}; {end_text(process.end, signals)}"


def _hook(process: Process, now: float) -> str:
    left = seconds_text((process.deadline or now) - now)
    if process.hook_stage == RUNS:
        return f"{process.hook}: running {seconds_text(now - process.hook_at)}, {left} left"
    if process.stuck:
        return f"{process.hook} is still there in spite of SIGKILL"
    return f"ending {process.hook}, " + ("SIGKILL sent" if process.killing else f"SIGKILL in {left}")


def _backoff(process: Process, policy: Policy, end: str, now: float) -> str:
    pause = seconds_text((process.deadline or now) - now)
    if process.shortages:
        return f"again in {pause}; {process.reason}"
    if process.tries:
        return f"retry {process.tries} of {policy.startretries} in {pause}; {process.reason or end}"
    return f"again in {pause}; {policy.restart_burst} restarts within {format_seconds(policy.restart_window)}; {end}"


def done_text(process: Process, signals: Mapping[int, str]) -> str:
    """Return how a job ended: "done (0) in 2.3s"."""
    end = process.end
    if end is None or not end.expected or end.failure is not None:
        return end_text(end, signals) if end else ""
    return f"done ({exit_code(end.status)}) in {seconds_text(end.after_s)}"


def not_allowed(named: tuple[str, ...]) -> str:
    """Return the complaint that these processes may not be signalled, with its reason."""
    return f"{left_text(named)} may not be signalled: operation not permitted"


def _stopping(process: Process, end: str, now: float) -> str:
    if process.unkillable:
        return not_allowed(process.refused)
    if process.stuck:
        there = f"pid {process.pid}" if process.pid or not process.end else left_text(process.end.left)
        return f"{there} still there {seconds_text(now - process.since)} after it was told to stop, in spite of SIGKILL"
    kill = "SIGKILL sent" if process.killing else f"SIGKILL in {seconds_text((process.deadline or now) - now)}"
    if process.refused:
        kill = not_allowed(process.refused)
    if process.reason:
        return f"{process.reason}; ending it, {kill}"
    if process.pid is None and process.end is not None and process.end.left:
        count = len(process.end.left)
        return f"{end}; ending {count} left-behind process{'es' if count != 1 else ''}, {kill}"
    return f"stopping {cause_text('for', process.by)}, {kill}" if process.by else f"stopping, {kill}"


def cause_text(verb: str, by: str) -> str:
    """Return who asked for a stop, or what has caused it: "asked by uid 0", "because db went down"."""
    return by if by.startswith(BECAUSE) else f"{verb} {by}"
