"""The exposition of metrics as text, in either format. Pure.

Labels are names of the configuration: no pid, no user, no command, so that nothing grows with time. No sample has a time stamp:
the textfile collector refuses them. A value that is unknown is left out. Source: the pages "Exposition formats" of Prometheus
(text 0.0.4) and the OpenMetrics specification 1.0, which do not read each other's types and names of counters.
"""

from __future__ import annotations

from taskmaster_common.records import Record
from taskmaster_common.states import STATES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from typing import Any

    Labels = tuple[tuple[str, str], ...]
    Sample = tuple[Labels, float]
    Message = Mapping[str, Any]

PROMETHEUS, OPENMETRICS = "prometheus", "openmetrics"
FORMATS = (PROMETHEUS, OPENMETRICS)
CONTENT_TYPE = {
    PROMETHEUS: "text/plain; version=0.0.4; charset=utf-8",
    OPENMETRICS: "application/openmetrics-text; version=1.0.0; charset=utf-8",
}
GAUGE, COUNTER, INFO = "gauge", "counter", "info"
TOTAL, INFO_SUFFIX = "_total", "_info"


class Family(Record):
    """Samples of one metric. `name` is that of its samples, `kind` one of GAUGE, COUNTER and INFO."""

    name: str
    kind: str
    help: str
    samples: Sequence[Sample]


class Seen(Record):
    """What one look at everything has found.

    `processes` are PROCESS objects with `counters`, each with what is known of it besides: the times that are wall clock
    (`started_at`, `succeeded_at`), and its figures `cpu_s`, `memory_bytes`, `members`, `descriptors`; None where unknown.
    """

    daemon: Message
    started_at: float
    reloaded_at: float
    processes: Sequence[Message] = ()


def render(seen: Seen | None, form: str) -> str:
    """Return the whole exposition in a format; with None that of a daemon that does not answer."""
    families = families_of(seen) if seen else [_up(up=False)]
    lines = [line for family in families if family.samples for line in _lines(family, form)]
    return "\n".join([*lines, *(("# EOF",) if form == OPENMETRICS else ())]) + "\n"


def _lines(family: Family, form: str) -> Iterator[str]:
    name, kind = family.name, family.kind
    if form == OPENMETRICS:
        name = name.removesuffix({COUNTER: TOTAL, INFO: INFO_SUFFIX}.get(kind, ""))
    elif kind == INFO:
        kind = GAUGE
    yield f"# HELP {name} {family.help}"
    yield f"# TYPE {name} {kind}"
    for labels, value in family.samples:
        inner = ",".join(f'{label}="{_escaped(text)}"' for label, text in labels)
        yield f"{family.name}{'{' + inner + '}' if inner else ''} {_number(value)}"


def _escaped(text: str) -> str:
    """Return the value of a label as both formats have it; bytes that are no UTF-8 are shown as escapes."""
    shown = text.encode("utf-8", "backslashreplace").decode("utf-8")
    return shown.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(round(value, 6))


# -- what is told


def _up(*, up: bool) -> Family:
    return Family("taskmaster_up", GAUGE, "Whether taskmasterd answers.", (((), up),))


def families_of(seen: Seen) -> list[Family]:
    """Return all metrics of what was seen."""
    daemon = seen.daemon
    build = (("version", str(daemon.get("version"))), ("protocol", str(daemon.get("protocol"))))
    return [
        _up(up=True),
        Family(
            "taskmaster_start_time_seconds", GAUGE, "When taskmasterd started, Unix time.", (((), seen.started_at),)
        ),
        Family(
            "taskmaster_config_ok",
            GAUGE,
            "Whether the last reload was applied; 0 after one that was refused or taken back.",
            (((), not daemon.get("reload_problems")),),
        ),
        Family(
            "taskmaster_reload_timestamp_seconds",
            GAUGE,
            "When the configuration in use was loaded, Unix time.",
            (((), seen.reloaded_at),),
        ),
        Family("taskmaster_build_info", INFO, "The version of taskmasterd; the value is always 1.", ((build, 1),)),
        Family(
            "taskmaster_alerts_waiting",
            GAUGE,
            "Events that wait for the delivery of an alert rule.",
            [((("rule", str(rule)),), count) for rule, count in (daemon.get("alerts") or {}).items()],
        ),
        *_of_processes(seen.processes),
    ]


def _of_processes(processes: Sequence[Message]) -> Iterator[Family]:
    named = [(_labels(process), process) for process in processes]
    states = [((*labels, ("state", state)), process["state"] == state) for labels, process in named for state in STATES]
    yield Family("taskmaster_process_state", GAUGE, "1 for the state that a process is in, 0 for the others.", states)
    exits = [
        ((*labels, ("result", result)), count)
        for labels, process in named
        for result, count in _counters(process).get("exits", {}).items()
    ]
    for name, kind, text, value in PROCESS_METRICS:
        samples = [(labels, found) for labels, process in named if (found := value(process)) is not None]
        yield Family(f"taskmaster_{name}", kind, text, samples)
    yield Family("taskmaster_process_exits_total", COUNTER, "Ends of the leading process, by their result.", exits)


def _labels(process: Message) -> Labels:
    return ("program", str(process["program"])), ("instance", str(process["instance"]))


def _counters(process: Message) -> Message:
    found: Message = process.get("counters") or {}
    return found


def _healthy(process: Message) -> float | None:
    verdict = (process.get("health") or {}).get("verdict")
    return {"healthy": 1, "unhealthy": 0}.get(verdict or "")


def _last_duration(process: Message) -> float | None:
    success: Message | None = _counters(process).get("success")
    return success.get("took_s") if success else None


PROCESS_METRICS: Sequence[tuple[str, str, str, Callable[[Message], Any]]] = (
    ("process_wanted", GAUGE, "Whether a process is as wanted: not in BACKOFF or FATAL, not ended unexpectedly, not unhealthy.", lambda p: bool(p["wanted"])),
    ("process_healthy", GAUGE, "What the health checks of a process say; without an answer there is no sample.", _healthy),
    ("process_start_time_seconds", GAUGE, "When the leading process started, Unix time.", lambda p: p.get("started_at")),
    ("process_starts_total", COUNTER, "Starts of a process.", lambda p: _counters(p).get("starts")),
    ("process_restarts_total", COUNTER, "Starts for which nobody asked: after an end, or for bad health.", lambda p: _counters(p).get("restarts")),
    ("process_log_dropped_bytes_total", COUNTER, "Bytes of output that could not be written to the log.", lambda p: _counters(p).get("dropped_bytes")),
    ("process_cpu_seconds_total", COUNTER, "Processor time of a process and all that belongs to it.", lambda p: p.get("cpu_s")),
    ("process_memory_bytes", GAUGE, "Memory of a process and all that belongs to it, shared pages counted once.", lambda p: p.get("memory_bytes")),
    ("process_processes", GAUGE, "Number of processes that belong to a process, itself included.", lambda p: p.get("members")),
    ("process_open_fds", GAUGE, "Open file descriptors of a process and all that belongs to it.", lambda p: p.get("descriptors")),
    ("job_last_success_timestamp_seconds", GAUGE, "When a oneshot last ended well, Unix time.", lambda p: p.get("succeeded_at")),
    ("job_last_duration_seconds", GAUGE, "How long the last run of a oneshot took that ended well.", _last_duration),
)  # fmt: skip
"""Name without `taskmaster_`, type, text and value of each metric of a process; None where a value is unknown."""


def names() -> Iterable[str]:
    """Return the names of all metrics."""
    process = {"program": "", "instance": 0, "state": "", "wanted": True}
    seen = Seen(daemon={}, started_at=0.0, reloaded_at=0.0, processes=[process])
    return [family.name for family in families_of(seen)]
