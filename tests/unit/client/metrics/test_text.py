"""The exposition of metrics: both formats, as their own parsers read them."""

from __future__ import annotations

from typing import Any

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as prometheus

from taskmaster_common.states import STATES
from taskmasterctl.metrics.text import FORMATS, OPENMETRICS, PROMETHEUS, Seen, names, render

EXITS = {"expected": 1, "unexpected": 2, "signal": 3, "failed": 4}
DAEMON = {"version": "0.1.0", "protocol": 1, "reload_problems": []}


def process(program: str = "web", instance: int = 0, **more: object) -> dict[str, Any]:
    counters = {"starts": 5, "restarts": 2, "dropped_bytes": 0, "exits": EXITS}
    return {"program": program, "instance": instance, "state": "RUNNING", "wanted": True, "counters": counters, **more}


def seen(*processes: dict[str, Any], **daemon: object) -> Seen:
    return Seen({**DAEMON, **daemon}, 1000.0, 2000.0, processes)


def read(form: str, *processes: dict[str, Any]) -> dict[tuple[str, ...], float]:
    """Return the samples of an exposition, by name and values of labels."""
    parse = openmetrics if form == OPENMETRICS else prometheus
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in parse(render(seen(*processes), form))
        for sample in family.samples
    }


@pytest.mark.parametrize("form", FORMATS)
def test_both_formats_are_read_by_their_own_parser_with_the_same_names_and_labels(form: str) -> None:
    found = read(form, process(cpu_s=1.5, memory_bytes=4096, members=2, descriptors=7, started_at=1234.5))
    assert found["taskmaster_up",] == 1
    assert found["taskmaster_build_info", "0.1.0", "1"] == 1
    assert found["taskmaster_process_starts_total", "web", "0"] == 5
    assert found["taskmaster_process_cpu_seconds_total", "web", "0"] == 1.5
    assert found["taskmaster_process_memory_bytes", "web", "0"] == 4096
    assert found["taskmaster_process_start_time_seconds", "web", "0"] == 1234.5
    for result, count in EXITS.items():
        assert found["taskmaster_process_exits_total", "web", "0", result] == count
    states = {state: found["taskmaster_process_state", "web", "0", state] for state in STATES}
    assert states == {state: state == "RUNNING" for state in STATES}


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("name", ["a.b@c", 'quo"te', "back\\slash", "caf\u00e9", "x{y}=z,"])
def test_names_come_out_as_they_went_in(form: str, name: str) -> None:
    assert ("taskmaster_process_wanted", name, "3") in read(form, process(name, 3))


def test_bytes_that_are_no_utf_8_can_be_written() -> None:
    assert r"a\\udcff" in render(seen(process("a\udcff")), PROMETHEUS)


@pytest.mark.parametrize("form", FORMATS)
def test_what_is_unknown_is_left_out(form: str) -> None:
    found = {name for name, *_ in read(form, process(memory_bytes=None, health={"verdict": "unknown"}))}
    assert not found & {
        "taskmaster_process_memory_bytes", "taskmaster_process_healthy", "taskmaster_process_start_time_seconds",
        "taskmaster_process_open_fds", "taskmaster_job_last_success_timestamp_seconds",
    }  # fmt: skip
    assert "# TYPE taskmaster_process_memory_bytes" not in render(seen(process(memory_bytes=None)), form)


def test_health_jobs_and_a_refused_reload_have_their_samples() -> None:
    sick = process(health={"verdict": "unhealthy"}, wanted=False)
    job = process("job", succeeded_at=1700.0)
    job["counters"]["success"] = {"ago_s": 1, "took_s": 2.5}
    found = read(PROMETHEUS, sick, job)
    assert found["taskmaster_process_healthy", "web", "0"] == 0
    assert found["taskmaster_process_wanted", "web", "0"] == 0
    assert found["taskmaster_job_last_success_timestamp_seconds", "job", "0"] == 1700
    assert found["taskmaster_job_last_duration_seconds", "job", "0"] == 2.5
    assert "taskmaster_config_ok 0" in render(seen(reload_problems=["x"]), PROMETHEUS).splitlines()


@pytest.mark.parametrize("form", FORMATS)
def test_a_daemon_that_does_not_answer_is_one_sample(form: str) -> None:
    samples = [line for line in render(None, form).splitlines() if not line.startswith("#")]
    assert samples == ["taskmaster_up 0"]


def test_no_sample_has_a_time_stamp_or_a_pid_and_large_numbers_are_exact() -> None:
    text = render(seen(process(pid=4711, memory_bytes=(1 << 40) + 1)), PROMETHEUS)
    assert "4711" not in text
    assert str((1 << 40) + 1) in text
    assert all(len(line.split()) == 2 for line in text.splitlines() if not line.startswith("#"))


def test_a_process_has_21_series_at_most_and_a_job_two_more() -> None:
    full = process(cpu_s=1, memory_bytes=1, members=1, descriptors=1, started_at=1.0, health={"verdict": "healthy"})
    assert sum(key[1:3] == ("web", "0") for key in read(PROMETHEUS, full)) == 21
    assert len(set(names())) == len(list(names()))


@pytest.mark.parametrize("form", FORMATS)
def test_what_waits_for_an_alert_is_told_by_rule(form: str) -> None:
    text = render(seen(process(), alerts={"page": 3, "chat": 0}), form)
    assert 'taskmaster_alerts_waiting{rule="page"} 3\n' in text
    assert 'taskmaster_alerts_waiting{rule="chat"} 0\n' in text
    assert "alerts_waiting{" not in render(seen(process()), form)
