"""Procfile and `.env`."""

from __future__ import annotations

import pytest

from taskmaster_common.config import PROGRAM_KEYS
from taskmasterctl.convert.outcome.shelltext import needs_shell
from taskmasterctl.convert.reading.dotenv import variables
from tests.support.converting import Importer

PROCFILE = """\
# what the site needs
web: sleep ${NAP:-8001}
queue: THREADS=3 sleep 8002
clock:   sleep 8003 && echo never
release: true
web-2: sleep $PORT
plain: sleep 8004
"""
ENV = """\
# settings
export MODE=production
NAME="with spaces and \\"quotes\\""
RAW='single $HOME'
EMPTY=
COMMENTED=value # a comment in honcho
LINES="one\\ntwo"
"""
VALUES = {
    "MODE": "production",
    "NAME": 'with spaces and "quotes"',
    "RAW": "single $HOME",
    "EMPTY": "",
    "COMMENTED": "value",
    "LINES": "one\ntwo",
}


def test_each_line_is_a_program_with_its_port(importer: Importer) -> None:
    done = importer({"Procfile": PROCFILE})
    assert done.code == 3
    assert [each.name for each in done.config.programs] == ["web", "queue", "clock", "release", "web-2", "plain"]
    assert {each.name for each in done.config.programs if each.shell} == {"web", "queue", "clock", "web-2"}
    assert done.program("web").cmd == ("sleep ${NAP:-8001}",)
    assert done.program("plain").cmd == ("sleep", "8004")
    ports = [line.split(": ")[1] for line in done.text.splitlines() if line.strip().startswith("PORT:")]
    assert ports == [f"5{line}0${{TASKMASTER_INSTANCE}}" for line in range(6)]
    assert done.program("web").policy.autorestart == "always"
    release = done.program("release")
    assert (release.policy.type, release.autostart) == ("oneshot", False)
    assert "job that runs before a release" in done.line("Procfile:5: changed: release")
    assert "  # what the site needs\n  web:" in done.text


def test_the_file_of_variables_stays_where_it_is_or_its_copy_is_private(importer: Importer) -> None:
    done = importer({"Procfile": "web: sleep 1\n", ".env": ENV}, "-o", "out.yaml")
    assert done.code == 0
    text = (importer.directory / "out.yaml").read_text()
    mode = (importer.directory / "out.yaml").stat().st_mode & 0o777
    if "env_file" in PROGRAM_KEYS:
        assert "  env_file: .env\n" in text
        assert mode == 0o644
    else:
        shown = importer({"Procfile": "web: sleep 1\n", ".env": ENV})
        env = dict(shown.program("web").env)
        assert {name: env[name] for name in VALUES} == VALUES
        assert mode == 0o600


def test_the_first_port_is_that_of_the_file_of_variables(importer: Importer) -> None:
    done = importer({"Procfile": "web: run\nb: run\n", "settings.env": "PORT=3001\n"}, "--set", "env=settings.env")
    assert [line.strip() for line in done.text.splitlines() if line.strip().startswith("PORT:")] == [
        "PORT: '3001'",
        "PORT: '3101'",
    ]


def test_values_of_the_file_of_variables_are_read_as_honcho_reads_them() -> None:
    assert {name: value for _, name, value in variables(ENV)} == VALUES
    more = "A='x # y'\nB=a b\t# c\nC=\"two\nlines\"\nD=a#b\nno line\nE=\"\\t\\\\\"\n  F = f  \nG='it'\"'\"'s'\n"
    assert [*variables(more)] == [
        (1, "A", "x # y"), (2, "B", "a b"), (3, "C", "two\nlines"), (5, "D", "a#b"), (6, "", "no line"), (7, "E", "\t\\"),
        (8, "F", "f"), (9, "G", "it's"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "words"),
    [("web sleep 1\n", "no `name: command`"), ("we b: sleep\n", "no `name: command`"), ("web: a\nweb: b\n", "is on line 1, too"),
     ("web:\n", "no `name: command`")],
)  # fmt: skip
def test_a_line_that_is_none_is_refused(importer: Importer, text: str, words: str) -> None:
    done = importer({"Procfile": text})
    assert (done.code, done.text) == (6, "")
    assert words in done.report[0]


@pytest.mark.parametrize(
    "command", ["run $X", "a | b", "A=1 run", "cd /tmp", "run *.txt", "run ~/x", "run 'open", "exec run", "run `x`"]
)
def test_what_is_the_shells_needs_a_shell(command: str) -> None:
    assert needs_shell(command)


@pytest.mark.parametrize(
    "command", ["run", "run --a=1 b", "run 'two words' \"x y\"", "python3 -m http.server 80", "/bin/a:b@c%d,e+f"]
)
def test_plain_words_need_none(command: str) -> None:
    assert not needs_shell(command)
