"""process-compose.yaml."""

from __future__ import annotations

import pytest

from taskmasterctl.convert.kinds.process_compose.rows import PARTS, PROCESS
from tests.support.converting import Imported, Importer

SITE = """\
version: "0.5"
environment: ["MODE=test"]
processes:
  store:
    command: sleep 11001
    readiness_probe:
      exec: {command: "true"}
      period_seconds: 2
      failure_threshold: 3
    shutdown: {signal: 2, timeout_seconds: 7}
  setup:
    command: "echo once > /dev/null"
    depends_on: {store: {condition: process_healthy}}
  site:
    command: sleep 11002
    working_dir: /tmp
    replicas: 2
    environment: ["PORT=80"]
    depends_on:
      setup: {condition: process_completed_successfully}
    availability: {restart: on_failure, backoff_seconds: 2, max_restarts: 5}
    log_location: /tmp/logs/site.log
    namespace: front
  debug:
    command: sleep 11003
    disabled: true
    is_tty: true
"""
FULL = {
    "command": "run",
    "entrypoint": "[run, it]",
    "description": "words",
    "environment": "{A: b}",
    "working_dir": "/srv",
    "replicas": "2",
    "disabled": "true",
    "namespace": "other",
    "availability": "{restart: always, backoff_seconds: 1, max_restarts: 2, exit_on_end: true, exit_on_skipped: true}",
    "depends_on": "{db: {condition: process_started}}",
    "readiness_probe": "{http_get: {port: 80}, period_seconds: 1, timeout_seconds: 2, initial_delay_seconds: 1, failure_threshold: 200, success_threshold: 2}",
    "ready_log_line": "up",
    "liveness_probe": "{exec: {command: look $X}, period_seconds: 1, timeout_seconds: 2, initial_delay_seconds: 1, failure_threshold: 4, success_threshold: 5}",
    "shutdown": "{signal: 2, timeout_seconds: 3, command: stop it, parent_only: yes}",
    "log_location": "/l/x.log",
    "log_configuration": "{rotation: {}}",
    "is_daemon": "true",
    "is_tty": "true",
    "is_interactive": "true",
    "is_foreground": "true",
    "is_elevated": "true",
    "schedule": "{cron: 0 3 * * *, interval: 5s, timezone: UTC, run_on_start: true, max_concurrent: 2}",
    "launch_timeout_seconds": "5",
    "disable_ansi_colors": "true",
    "env_cmds": "{A: date}",
}
DB = "  db:\n    command: run\n"


def one(importer: Importer, lines: str, more: str = "") -> Imported:
    body = "".join(f"    {line}\n" for line in lines.splitlines())
    return importer({"process-compose.yaml": f"processes:\n  web:\n{body}{more}"})


def test_processes_keep_their_order_their_probes_and_their_stops(importer: Importer) -> None:
    done = importer({"a-process-compose.yaml": SITE})
    assert done.code == 3
    assert [each.name for each in done.config.programs] == ["store", "setup", "site", "debug"]
    store, setup, site, debug = (done.program(name) for name in ("store", "setup", "site", "debug"))
    assert (store.stopsignal, store.policy.stoptime) == (2, 7)
    assert "depends_on: {store: {condition: ready}}" in done.text
    assert "depends_on: {setup: {condition: done}}" in done.text
    assert (setup.policy.type, setup.shell) == ("oneshot", True)
    assert site.numprocs == 2
    assert dict(site.env) == {"MODE": "test", "PORT": "80"}
    assert (site.workingdir, site.output.stdout, site.output.stderr) == ("/tmp", "/tmp/logs/site.log", "stdout")
    assert (site.policy.autorestart, site.policy.restart_delay, store.policy.autorestart) == ("unexpected", 2, "never")
    assert not debug.autostart
    assert "tty: true" in done.line("dropped", "is_tty")
    assert done.line("changed", "max_restarts=5")
    assert "front: [site]" in done.text


def test_every_field_is_carried_or_has_a_line(importer: Importer) -> None:
    assert FULL.keys() | {"vars"} == PROCESS.keys()

    def result(fields: dict[str, str]) -> tuple[str, tuple[str, ...]]:
        done = one(importer, "\n".join(f"{name}: {value}" for name, value in fields.items()), DB)
        assert done.code == 3, done.report
        return done.text, done.report

    whole = result(FULL)
    for name in FULL.keys() - {"command"}:
        assert result({each: value for each, value in FULL.items() if each != name}) != whole, name
    for name, parts in PARTS.items():
        inside = FULL[name].strip("{}").split(", ")
        base = {each: value for each, value in FULL.items() if each != "schedule" or name == each}  # has no probes
        for part in parts:
            less = ", ".join(each for each in inside if not each.startswith(f"{part}:"))
            if len(less) < len(", ".join(inside)) and part not in ("exec", "http_get"):
                assert result({**base, name: f"{{{less}}}"}) != result(base), (name, part)


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("{cron: '0 2 * * *', timezone: UTC}", {"cron": ["0 2 * * *"], "timezone": "UTC"}),
        ("{interval: 1h30m, run_on_start: true, max_concurrent: 1}", {"every": 5400, "at_start": True}),
        ("{cron: '@daily', run_on_start: false}", {"cron": ["@daily"]}),
    ],
)
def test_a_schedule_is_carried(importer: Importer, written: str, expected: dict[str, object]) -> None:
    done = one(importer, f"command: run\nschedule: {written}")
    assert (done.code, done.program("web").policy.type) == (0, "oneshot"), done.report
    assert expected.items() <= done.program("web").schedule.items()


@pytest.mark.parametrize(
    ("written", "words"),
    [("{cron: '* * * * * *'}", "no seconds"), ("{interval: 10ms}", "between 1 s and 31 d"), ("{interval: soon}", "no period")],
)  # fmt: skip
def test_a_schedule_that_cannot_be_makes_its_process_a_comment(importer: Importer, written: str, words: str) -> None:
    done = one(importer, f"command: run\nschedule: {written}", DB)
    assert [each.name for each in done.config.programs] == ["db"]
    assert done.line("dropped", words)


def test_what_runs_by_the_clock_is_a_job(importer: Importer) -> None:
    more = "liveness_probe: {exec: {command: look}}\nready_log_line: up\navailability: {restart: always}"
    other = "  db:\n    command: run\n    depends_on: {web: {condition: process_completed_successfully}}\n"
    done = one(importer, f"command: run\nschedule: {{interval: 5s}}\n{more}", other)
    web = done.program("web")
    assert (web.policy.type, web.ready, web.health, web.policy.starttime) == ("oneshot", {}, {}, 0)
    assert len(done.lines("dropped")) == 2
    assert "tried again as startretries says" in done.line("changed", "availability.restart")


def test_variables_of_the_file_are_those_of_the_environment(importer: Importer) -> None:
    done = one(importer, "command: run $$HOME $X\nworking_dir: ${DIR}/x\nenvironment: ['A=$$B']")
    assert "cmd: run $HOME $X" in done.text
    assert "workingdir: ${DIR}/x" in done.text
    assert "A: $B" in done.text


def test_a_script_of_several_lines_keeps_its_lines(importer: Importer) -> None:
    done = one(importer, "command: |\n  if [ -d $PWD ]; then\n    echo yes\n\n  else\n    echo no\n  fi")
    assert done.program("web").cmd == ("if [ -d $PWD ]; then\n  echo yes\n\nelse\n  echo no\nfi",)
    assert "    cmd: |-\n      if [ -d $PWD ]; then\n        echo yes\n\n      else\n" in done.text


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ("description: x", "a process has a command"),
        ("command: run {{.PORT}}", "only process-compose fills in"),
        ("command: run\nvars: {A: 1}", "only process-compose fills in"),
        ("command: run\ndepends_on: {gone: {}}", "there is no process gone"),
        ("command: run\ndepends_on: {web: {condition: tired}}", "no condition of process-compose"),
        ("command: run\navailability: {restart: maybe}", "no restart of process-compose"),
        ("command: [run", "not YAML"),
        ("command: run\nreplicas: many", "not a number"),
    ],
)
def test_what_cannot_be_read_is_refused(importer: Importer, lines: str, words: str) -> None:
    done = one(importer, lines)
    assert (done.code, done.text) == (6, "")
    assert words in "\n".join(done.report)


def test_aliases_that_stand_for_too_much_are_refused(importer: Importer) -> None:
    layers = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    layers += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    done = importer({"process-compose.yaml": "\n".join([*layers, "processes: {}"])})
    assert (done.code, done.text) == (6, "")
    assert "aliases" in done.report[0]
