"""The targets' own tools have nothing against what is exported, with every key and every odd character."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import yaml

from taskmaster_common.config import ProgramConfig
from taskmasterctl.convert.export.check import check_files
from taskmasterctl.convert.export.targets.source import KEYS
from taskmasterctl.convert.export.targets.table import TARGETS
from tests.support.exporting import TRAPS, export, export_text
from tests.support.keysamples import SAMPLES, configuration
from tests.support.schemas import compose_problems, kubernetes_problems

WHOLE = "".join(configuration(sample, name=key.replace("_", "-")) for key, sample in SAMPLES.items() if key in KEYS)
"""A program for each key."""


def test_compose_and_kubernetes_accept_every_key() -> None:
    text = f"programs:\n  other: {{cmd: /bin/true}}\n{WHOLE}"
    services = yaml.safe_load(export_text("compose", text).files["compose.yaml"])
    assert compose_problems(services) == []
    documents = [*yaml.safe_load_all(export_text("kubernetes", text).files["kubernetes.yaml"])]
    assert len(documents) > len(SAMPLES) / 2
    assert [problem for document in documents for problem in kubernetes_problems(document)] == []


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd-analyze is not installed")
def test_systemd_accepts_every_key_and_every_odd_character() -> None:
    text = f"programs:\n  other: {{cmd: /bin/true}}\n{WHOLE}"
    files = dict(export_text("systemd", text, find=lambda _word, _path, _directory: "/bin/true").files)
    odd = ProgramConfig.of(
        name="odd", cmd=("/bin/true", *TRAPS), env={f"V{number}": trap for number, trap in enumerate(TRAPS)},
        description='50% of "it"; \\ #', workingdir="/a b%c", output=ProgramConfig.of(name="x", cmd=(), stdout="/tmp/a b%.log").output,
    )  # fmt: skip
    files |= dict(export("systemd", odd).files)
    faults, notes = check_files(TARGETS["systemd"].check, files)
    assert [fault for fault in faults if "is not executable" not in fault] == []
    assert notes or faults


def test_a_tool_that_is_not_there_is_a_note() -> None:
    assert check_files(("no-such-tool-here",), {}) == ([], ["note: not checked: no-such-tool-here is not installed"])


def test_what_a_tool_says_is_a_fault(tmp_path: Path) -> None:
    tool = tmp_path / "tool"
    tool.write_text('#!/bin/sh\ncat "$1"\nexit 3\n')
    tool.chmod(0o755)
    assert check_files((str(tool),), {"a.yaml": "one\n\ntwo\x1b\n", ".env": "x"}) == (
        ["tool: one", "tool: two\\x1b"],
        [],
    )
