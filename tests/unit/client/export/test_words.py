"""Random programs: each target's own rules of reading give back the same words and variables."""

from __future__ import annotations

import re
import subprocess
from typing import Any

import yaml
from honcho.environ import parse, parse_procfile
from hypothesis import example, given
from hypothesis import strategies as st

from taskmaster_common.config import ProgramConfig
from tests.support.exporting import TRAPS, export, said, systemd_argv, systemd_env
from tests.support.exporting import settings as values_of
from tests.support.schemas import compose_problems, kubernetes_problems

CHARACTERS = st.characters(blacklist_categories=["Cs"], blacklist_characters="\0\ufdd0\ufdd1")
WORDS = st.one_of(st.text(CHARACTERS, max_size=8), st.text("a $%{}\"'\\;#~=\n\t()i", max_size=6))
NAMES = st.sampled_from(("A", "B_1", "PATH_X", "PORT", "z"))
PRINT = "/usr/bin/env"


def _program(words: list[str], env: dict[str, str]) -> ProgramConfig:
    return ProgramConfig.of(name="web", cmd=(PRINT, *words), env=env)


@given(st.lists(WORDS, max_size=4), st.dictionaries(NAMES, WORDS, max_size=3))
@example([*TRAPS], {"A": "x=?,%#\n y", "z": "$$ ${X} %i \\ '\""})
def test_systemd_gets_the_same_words_and_variables(words: list[str], env: dict[str, str]) -> None:
    made = export("systemd", _program(words, env))
    unit = made.files["web.service"]
    assert systemd_argv(values_of(unit, "ExecStart")[0], {}) == [PRINT, *words]
    refused = {
        name
        for name, value in env.items()
        if any((ord(each) < 32 and each not in "\n\t") or ord(each) == 127 for each in value)
    }
    assert systemd_env(unit) == {name: value for name, value in env.items() if name not in refused}
    assert all(any(f"refuses {name}" in line for line in said(made)) for name in refused)


@given(st.lists(WORDS, max_size=4), st.dictionaries(NAMES, WORDS, max_size=3))
@example([*TRAPS], {"A": "x=?,%#\n y", "z": "$$ ${X} %i \\ '\""})
def test_compose_gets_the_same_words_and_variables(words: list[str], env: dict[str, str]) -> None:
    data = yaml.safe_load(export("compose", _program(words, env)).files["compose.yaml"])
    assert compose_problems(data) == []
    service = data["services"]["web"]
    assert [_interpolated(word) for word in service["command"]] == [PRINT, *words]
    assert {name: _interpolated(value) for name, value in service.get("environment", {}).items()} == env


def _interpolated(text: str) -> str:
    """Return what Compose makes of a text, every variable of which is empty. Source: the Compose specification, 12-interpolation."""
    return re.sub(r"\$(?:(\$)|\w+|\{[^}]*\})", lambda found: "$" if found.group(1) else "", text)


@given(st.lists(WORDS, max_size=4), st.dictionaries(NAMES, WORDS, max_size=3))
@example([*TRAPS], {"A": "x=?,%#\n y", "z": "$$ $(A) %i \\ '\""})
def test_kubernetes_gets_the_same_words_and_variables(words: list[str], env: dict[str, str]) -> None:
    document = yaml.safe_load(export("kubernetes", _program(words, env)).files["kubernetes.yaml"])
    assert kubernetes_problems(document) == []
    container: dict[str, Any] = document["spec"]["template"]["spec"]["containers"][0]
    assert [_expanded(word) for word in container["command"]] == [PRINT, *words]
    assert {each["name"]: _expanded(each["value"]) for each in container.get("env", [])} == env


def _expanded(text: str) -> str:
    """Return what the kubelet makes of a text. Source: the API reference, Container.command."""
    return re.sub(r"\$(?:(\$)|\(([^)]*)\))", lambda found: "$" if found.group(1) else f"?{found.group(2)}?", text)


@given(st.lists(WORDS, max_size=4), st.dictionaries(NAMES, WORDS, max_size=3))
@example([*TRAPS], {"A": "x=?,%#\n y", "z": "$$ ${X} %i \\ '\""})
@example([], {"A": "b", "PORT": "80"})
def test_honcho_reads_a_line_that_runs_the_same_words_and_variables(words: list[str], env: dict[str, str]) -> None:
    for command, wanted in ((("/usr/bin/printf", "%s\\0", "-", *words), ["-", *words]), (("/usr/bin/env", "-0"), None)):
        files = export("procfile", ProgramConfig.of(name="web", cmd=command, env=env)).files
        found = _run(parse_procfile(files["Procfile"]).processes["web"], parse(files.get(".env", "")))
        if wanted is not None:
            assert found == wanted
        else:
            assert dict(entry.split("=", 1) for entry in found).items() >= env.items()


def _run(line: str, env: dict[str, str]) -> list[str]:
    """Return what the line prints when a tool gives it to a shell, at its NUL characters."""
    done = subprocess.run(
        ["/bin/sh", "-c", line], capture_output=True, check=True, env={"PATH": "/usr/bin:/bin", **env}
    )
    assert done.stderr == b""
    return done.stdout.decode("utf-8").split("\0")[:-1]
