"""What the daemon says about programs and processes: values as JSON has them."""

from __future__ import annotations

import json

from taskmaster_common.config import PROGRAM_KEYS
from taskmasterd.core.process.machine import Process
from taskmasterd.core.programs.table import Entry, Table
from taskmasterd.core.words.settings import settings_view
from taskmasterd.core.words.view import process_view
from tests.support.host import program

SIGNALS = {15: "TERM"}


def test_settings_are_typed() -> None:
    text = "numprocs: 2\numask: 022\nstoptime: 2.5\nenv: {B: '1', A: null}\nexitcodes: [0, 2]\nlog_maxbytes: 1MB"
    view = settings_view(program(text), SIGNALS, values=False)
    assert tuple(view) == PROGRAM_KEYS
    typed = {
        "numprocs": 2, "umask": "022", "stoptime": 2.5, "starttime": 1, "env": ["A", "B"], "exitcodes": [0, 2],
        "log_maxbytes": 1_000_000, "autostart": True, "shell": False, "user": None, "stopsignal": "TERM", "cmd": ["run"],
    }  # fmt: skip
    assert {key: view[key] for key in typed} == typed
    assert json.loads(json.dumps(view)) == view


def test_values_of_env_are_there_where_they_may_be_seen() -> None:
    view = settings_view(program("env: {B: 'x${TASKMASTER_INSTANCE}', A: null}"), SIGNALS, values=True)
    assert view["env"] == {"A": None, "B": "x${TASKMASTER_INSTANCE}"}


def test_the_text_of_a_shell_is_one_text() -> None:
    assert settings_view(program("shell: true"), SIGNALS, values=False)["cmd"] == "run"


def test_the_description_of_an_instance_has_its_number() -> None:
    table = Table()
    for index in range(2):
        table.add(Entry(program("description: worker ${TASKMASTER_INSTANCE}\nnumprocs: 2"), index, Process()))
    shown = [process_view(table, entry, 5.0, SIGNALS)["description"] for entry in table.select(("all",), 5)]
    assert shown == ["worker 0", "worker 1"]
