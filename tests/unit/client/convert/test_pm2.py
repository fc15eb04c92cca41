"""Ecosystem files of pm2, as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pytest

from taskmasterctl.convert.kinds.pm2 import ROWS
from tests.support.converting import Imported, Importer

API = {
    "name": "my api",
    "script": "./server.js",
    "args": "--port 80 'a b'",
    "node_args": "--inspect",
    "instances": 2,
    "exec_mode": "cluster",
    "env": {"NODE_ENV": "development", "API_KEY": "x${y}"},
    "env_production": {"NODE_ENV": "production"},
    "max_restarts": 5,
    "min_uptime": "5s",
    "kill_timeout": 3000,
    "out_file": "/l/out.log",
    "error_file": "/l/err.log",
}


def app(importer: Importer, fields: Mapping[str, object], *words: str) -> Imported:
    return importer({"ecosystem.json": json.dumps({"apps": [fields]}, indent=1)}, *words)


def test_an_app_becomes_a_program(importer: Importer) -> None:
    done = app(importer, API)
    assert done.code == 3
    api = done.program("my-api")
    assert api.cmd == ("node", "--inspect", "./server.js", "--port", "80", "a b")
    assert (api.numprocs, api.policy.stoptime, api.stopsignal) == (2, 3, 2)
    assert (api.policy.autorestart, api.policy.startretries, api.policy.starttime) == ("always", 5, 5)
    assert "API_KEY: x$${y}" in done.text
    assert "NODE_APP_INSTANCE: ${TASKMASTER_INSTANCE}" in done.text
    assert "stdout: /l/out-${TASKMASTER_INSTANCE}.log" in done.text
    assert "it is called my-api here" in done.line("changed", "name=my api")
    assert "do not share a port" in done.line("dropped", "exec_mode")
    assert "--set env=production" in done.line("dropped", "env_production")


def test_an_environment_is_merged_where_it_is_asked_for(importer: Importer) -> None:
    done = app(importer, API, "--set", "env=production")
    assert dict(done.program("my-api").env)["NODE_ENV"] == "production"
    assert not [line for line in done.report if "env_production" in line]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"script": "app.py"}, ("python3", "app.py")),
        ({"script": "run.sh", "interpreter": "bash"}, ("bash", "run.sh")),
        ({"script": "/bin/run", "interpreter": "none", "args": ["a", "b c"]}, ("/bin/run", "a", "b c")),
        ({"script": "npm", "args": "start"}, ("npm", "start")),
        ({"script": "serve -p 80"}, ("serve", "-p", "80")),
    ],
)
def test_a_script_has_its_interpreter(
    importer: Importer, fields: Mapping[str, object], expected: tuple[str, ...]
) -> None:
    assert app(importer, {"name": "web", **fields}).program("web").cmd == expected


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"max_memory_restart": "300M"}, {"memory": 300 * 1024**2}),
        ({"max_memory_restart": 2000000, "cron_restart": "0 4 * * 0"}, {"memory": 2_000_000, "cron": ["0 4 * * 0"]}),
        ({"max_memory_restart": "1g"}, {"memory": 1024**3}),
    ],
)
def test_planned_restarts_are_carried(
    importer: Importer, fields: Mapping[str, object], expected: Mapping[str, object]
) -> None:
    done = app(importer, {"name": "web", "script": "a.js", **fields})
    assert expected.items() <= done.program("web").recycle.items()
    assert len(done.lines("changed")) == len(fields)


def test_a_planned_restart_that_cannot_be_is_dropped_with_the_reason(importer: Importer) -> None:
    done = app(
        importer, {"name": "web", "script": "a.js", "cron_restart": "*/5 * * * * *", "max_memory_restart": "half"}
    )
    assert "recycle" not in done.config.programs[0].to_data()
    assert "no seconds" in done.line("dropped", "cron_restart")
    assert "no size such as 300M" in done.line("dropped", "max_memory_restart")


@pytest.mark.parametrize(
    ("fields", "paths", "ignored", "debounce"),
    [
        ({"watch": True}, ["."], [], 0.3),
        ({"watch": "src"}, ["src"], [], 0.3),
        ({"watch": ["src", "a${b}"], "ignore_watch": ["tmp", "*.log"], "watch_delay": 1500}, ["src", "a${b}"], ["tmp", "*.log"], 1.5),
    ],
)  # fmt: skip
def test_what_is_watched_is_carried(
    importer: Importer, fields: Mapping[str, object], paths: list[str], ignored: list[str], debounce: float
) -> None:
    done = app(importer, {"name": "web", "script": "a.js", "cwd": "/", **fields})
    watch = done.program("web").watch
    assert (watch["paths"], watch["ignore"], watch["debounce"]) == (paths, ignored, debounce)
    assert done.line("changed", "at any depth")


@pytest.mark.parametrize("fields", [{"watch": False, "ignore_watch": ["x"]}, {"cron_restart": "0"}, {"watch_delay": 5}])
def test_what_is_off_is_not_carried(importer: Importer, fields: Mapping[str, object]) -> None:
    done = app(importer, {"name": "web", "script": "a.js", **fields})
    assert (done.program("web").watch, done.program("web").recycle) == ({}, {})
    assert not [line for line in done.report if "watch" in line or "cron_restart" in line]


def test_every_field_is_carried_or_has_a_line(importer: Importer) -> None:
    values: dict[str, object] = {
        "name": "web", "script": "a.js", "args": "x", "interpreter": "deno", "interpreter_args": "y", "node_args": "z", "cwd": "/srv",
        "user": "www", "uid": "www", "gid": "www", "env": {"A": "b"}, "instances": "max", "exec_mode": "cluster", "instance_var": "N",
        "autorestart": False, "autostart": False, "stop_exit_codes": [3], "max_restarts": 2, "min_uptime": 2000, "restart_delay": 100,
        "exp_backoff_restart_delay": 200, "kill_timeout": 2000, "out_file": "/l/o", "error_file": "/l/e", "merge_logs": True,
        "time": True, "log_date_format": "YYYY", "watch": True, "ignore_watch": ["x"], "watch_delay": 200, "max_memory_restart": "1G", "cron_restart": "0 0 * * *",
        "wait_ready": True, "listen_timeout": 5, "treekill": False,
    }  # fmt: skip
    assert values.keys() == ROWS.keys()

    def result(without: str = "") -> tuple[str, tuple[str, ...]]:
        done = app(importer, {name: value for name, value in values.items() if name != without})
        assert done.code == 3, done.report
        return done.text, done.report

    whole = result()
    for name in values.keys() - {"script"}:
        assert result(name) != whole, name


@pytest.mark.parametrize(
    ("text", "words"),
    [('{"apps": [{"name": "x"}]}', "an app has a script"), ('{"apps": [', "not YAML"), ("[]", "expected a mapping"),
     ('{"apps": [{"script": "a", "instances": "few"}]}', "no number of instances"), ('{"apps": [{"script": "a", "min_uptime": "x"}]}', "no time")],
)  # fmt: skip
def test_what_cannot_be_read_is_refused(importer: Importer, text: str, words: str) -> None:
    done = importer({"ecosystem.json": text}, "--from", "pm2")
    assert (done.code, done.text) == (6, "")
    assert words in "\n".join(done.report)


def test_deploy_is_dropped_once(importer: Importer) -> None:
    done = importer({"ecosystem.json": '{"apps": [{"name": "a", "script": "a.js"}], "deploy": {"x": {}, "y": {}}}'})
    assert done.line("dropped", "deploy")


def test_javascript_is_refused_with_the_command_that_makes_json(importer: Importer) -> None:
    done = importer({"ecosystem.config.js": "module.exports = {}\n"}, "--from", "pm2")
    assert done.code == 2
    assert "JSON.stringify" in done.report[0]
