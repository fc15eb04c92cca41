"""config/taskmaster.schema.json: made from the decoder's table, and of one mind with the decoder."""

from __future__ import annotations

import itertools
import json
import re
import signal
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from scripts import forms, schema
from taskmaster_common.config import DAEMON_KEYS, PROGRAM_KEYS
from taskmaster_common.errors import ConfigError
from taskmasterd.system.loop.signals import signal_numbers
from tests.support.daemon import ROOT
from tests.support.host import load

FILE = ROOT / "config" / "taskmaster.schema.json"
EXAMPLES = sorted((ROOT / "config").glob("*.yaml"))
CHECK = jsonschema.Draft7Validator(schema.schema())


class Yaml12(yaml.SafeLoader):
    """Reads as editors do: YAML 1.2's core schema, where yes is a text and 022 is 22."""


Yaml12.yaml_implicit_resolvers = {
    first: [
        (tag, pattern) for tag, pattern in resolvers if tag not in ("tag:yaml.org,2002:bool", "tag:yaml.org,2002:int")
    ]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
Yaml12.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile("^(true|True|TRUE|false|False|FALSE)$"), list("tTfF"))
Yaml12.add_implicit_resolver("tag:yaml.org,2002:decimal", re.compile("^[-+]?[0-9]+$"), list("-+0123456789"))
Yaml12.add_constructor("tag:yaml.org,2002:decimal", lambda _loader, node: int(node.value))

READERS = [pytest.param(yaml.SafeLoader, id="YAML-1.1"), pytest.param(Yaml12, id="YAML-1.2")]


def problems(text: str, reader: type[yaml.SafeLoader] = Yaml12) -> list[str]:
    """Return what the schema says against a configuration."""
    return [error.message for error in CHECK.iter_errors(yaml.load(text, reader))]


READ: dict[tuple[str, type[yaml.SafeLoader]], Any] = {}
"""Each value as it is read within a flow: it stands in the entries of sixty keys."""


def read(value: str, reader: type[yaml.SafeLoader]) -> Any:
    """Return a value as a reader takes it."""
    if (value, reader) not in READ:
        (READ[value, reader],) = yaml.load(f"[{value}]", reader)
    return READ[value, reader]


def problems_of(key: str, value: str, reader: type[yaml.SafeLoader] = Yaml12) -> list[str]:
    """Return what the schema says against the configuration that `of_program` returns, without reading it each time."""
    loaded = {"programs": {"web": {"cmd": "run", key: read(value, reader)}}}
    return [error.message for error in CHECK.iter_errors(loaded)]


def of_program(key: str, value: str) -> str:
    """Return a configuration whose only program has that key."""
    cmd = "" if key == "cmd" else "cmd: run, "
    return f"programs: {{web: {{{cmd}{key}: {value}}}}}\n"


@cache
def decoder_accepts(text: str) -> bool:
    """Return whether the daemon would load it; several tests ask about the same values."""
    try:
        load(text, signals=signal_numbers())
    except ConfigError:
        return False
    return True


def test_the_schema_is_a_valid_draft_07_schema() -> None:
    jsonschema.Draft7Validator.check_schema(schema.schema())


def test_every_key_is_in_the_schema_with_a_text() -> None:
    made = schema.schema()
    program = made["definitions"]["program"]["properties"]
    daemon = made["properties"]["taskmasterd"]["properties"]
    assert (tuple(program), tuple(daemon)) == (PROGRAM_KEYS, DAEMON_KEYS)
    assert all(entry["description"].endswith(".") for entry in (*program.values(), *daemon.values()))


@pytest.mark.parametrize("section", ["definitions", "taskmasterd"])
def test_every_default_is_a_value_that_the_schema_accepts(section: str) -> None:
    made = schema.schema()
    keys = made["definitions"]["program"] if section == "definitions" else made["properties"]["taskmasterd"]
    shown = {name: entry["default"] for name, entry in keys["properties"].items() if "default" in entry}
    for name, default in shown.items():
        jsonschema.validate(default, keys["properties"][name], jsonschema.Draft7Validator)
    assert {"umask"} <= set(shown) if section == "taskmasterd" else shown["stopsignal"] == "TERM"


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_every_example_is_valid(path: Path, reader: type[yaml.SafeLoader]) -> None:
    assert problems(path.read_text(), reader) == []


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_every_example_points_editors_to_the_schema(path: Path) -> None:
    first = path.read_text().splitlines()[0]
    assert first == f"# yaml-language-server: $schema={FILE.name}"


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("programs: {web: {cmd: run, startretires: 3}}", "startretires"),
        ("programs: {web: {cmd: run, autorestart: sometimes}}", "sometimes"),
        ("programs: {web: {cmd: run, stopsignal: TREM}}", "TREM"),
        ("programs: {web: {cmd: run, numprocs: many}}", "many"),
        ("programs: {web: {cmd: run, numprocs: 0}}", "0"),
        ("programs: {web: {cmd: run, stoptime: [1]}}", "[1]"),
        ("programs: {web: {cmd: run, env: [A=1]}}", "A=1"),
        ("programs: {web: {cmd: {run: 1}}}", "run"),
        ("programs: {web: {autostart: true}}", "cmd"),
        ("programs: {web: run}", "run"),
        ("programs: {all: {cmd: run}}", "all"),
        ("programs: [web]", "web"),
        ("taskmasterd: {loglevel: loud}", "loud"),
        ("taskmasterd: {sokcet: /x}", "sokcet"),
        ("defaults: {command: run}", "command"),
        ("services: {web: {cmd: run}}", "services"),
        ("include: {a: b}", "a"),
    ],
)
def test_a_mistake_is_refused_by_schema_and_daemon_alike(text: str, named: str) -> None:
    assert any(named in message for message in problems(text))
    assert not decoder_accepts(text if "programs" in text else f"{text}\nprograms: {{web: {{cmd: run}}}}")


VALUES = (
    *("true", "false", "yes", "no", "on", "off", "Yes", "OFF", "y", '"yes"', "maybe", "null", "~", '""', "[]", "{}"),
    *("0", "1", "3", "5", "022", "22", "0o22", '"022"', "08", "0777", "777", "1000", "256", "-1", "1.5", '"3"', "3.0"),
    *(
        "0.5",
        "5s",
        "500ms",
        "1m30s",
        "2h",
        "1d2h",
        "30s1m",
        "1m30",
        '"1:30"',
        "5 s",
        '".5"',
        '"1."',
        '"5"',
        "1e3",
        ".inf",
    ),
    *(
        "50MB",
        "1GiB",
        "1.5GiB",
        "50 MB",
        "50M",
        "10b",
        '"1048576"',
        "TERM",
        "SIGTERM",
        "term",
        "SigTerm",
        "15",
        "99",
        "RTMIN",
        "RTMIN+3",
        "SIGRTMAX-30",
        "rtmin+0",
    ),
    *("always", "never", "unexpected", "Always", "[0]", "[0, 2]", '"0,2"', "[0, 300]", '[0, "a"]', "inherit", "stdout"),
    *(
        "stderr",
        "/tmp/x",
        "log/x.log",
        "a b",
        "'${PATH}'",
        '"${MISSING:-3}"',
        "[a, b]",
        "[a, [b]]",
        "{A: 1}",
        "{A: null}",
    ),
    *(
        '{"A=B": 1}',
        "{TASKMASTER_PROGRAM: x}",
        "{A: [1]}",
        "{A: 0080, NO: x}",
        "root",
        "www",
        "33",
        "'  '",
        "# nothing",
    ),
)
SPELLED = ("022", "08", "0777", "3.0", "1e3", "33", "99")
"""Numbers whose spelling only the daemon sees: 08 is no octal number, 022 no count, and no signal is 33 or 99."""
STRICTER = {
    "workingdir": "a number or a truth value is rather a mistake than a directory's name",
    "env_file": "likewise",
    "stdout": "likewise",
    "stderr": "likewise",
    "user": "likewise",
    "group": "likewise",
    "cmd": "likewise",
    **dict.fromkeys(("pre_start", "post_start", "pre_stop", "stop_cmd", "post_stop", "pre_restart"), "likewise"),
}


@pytest.mark.parametrize("key", PROGRAM_KEYS)
def test_what_the_daemon_accepts_the_schema_accepts(key: str) -> None:
    for reader, value in itertools.product((yaml.SafeLoader, Yaml12), VALUES):
        text = of_program(key, value)
        if value.startswith("#") or not decoder_accepts(text):
            continue
        if reader is Yaml12 and repr(read(value, reader)) == repr(read(value, yaml.SafeLoader)):
            continue  # it has just been tried
        if key in STRICTER and isinstance(read(value, reader), bool | int | float):
            continue
        assert problems_of(key, value, reader) == [], (value, reader)


@pytest.mark.parametrize("key", PROGRAM_KEYS)
def test_what_the_schema_accepts_the_daemon_accepts(key: str) -> None:
    if key in ("user", "group", "depends_on", "start_timeout", "extends", "env_file"):
        return  # who and what exists, only the daemon knows
    for value in VALUES:
        text = of_program(key, value)
        if value in SPELLED or value.startswith("#") or "${" in value or problems_of(key, value):
            continue
        assert decoder_accepts(text), value


def test_every_signal_of_this_system_is_known() -> None:
    assert {entry.name.removeprefix("SIG") for entry in signal.Signals} <= set(forms.SIGNALS)


def test_a_program_may_take_its_cmd_from_the_defaults() -> None:
    assert problems("defaults: {cmd: run}\nprograms: {web: {}}") == []
    assert problems("defaults: {numprocs: 2}\nprograms: {web: {}}") != []


def test_anchors_have_their_home_under_x() -> None:
    text = "x-common: &common {cmd: run, stoptime: 3}\nprograms: {web: {<<: *common}}"
    assert problems(text) == []
    assert decoder_accepts(text)


def test_the_schema_is_json_that_any_reader_understands() -> None:
    held: Any = json.loads(FILE.read_text())
    assert held["$schema"] == "http://json-schema.org/draft-07/schema#"
