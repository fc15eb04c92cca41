"""`taskmasterctl completion SHELL`."""

from __future__ import annotations

import pytest

from taskmasterctl.cli import main
from taskmasterctl.completions import IN_THE_SOURCE
from tests.support.daemon import ROOT


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_of_each_shell_is_printed_and_no_daemon_is_needed(
    shell: str, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TASKMASTER_SOCKET", "/nonexistent")
    assert main(["completion", shell]) == 0
    said = capfd.readouterr()
    assert said.err == ""
    assert said.out == (ROOT / "config" / "completions" / IN_THE_SOURCE[shell]).read_text()


@pytest.mark.parametrize("words", [[], ["csh"], ["bash", "zsh"]])
def test_another_shell_is_refused_with_those_that_there_are(
    words: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["completion", *words]) == 2
    assert "bash" in capfd.readouterr().err or not words
