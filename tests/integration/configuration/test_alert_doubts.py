"""What `-t` says of an alert's destination, from a look at this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from taskmasterd.configuration.alerting import doubts

if TYPE_CHECKING:
    from pathlib import Path


def test_a_sendmail_that_cannot_be_run_is_named(tmp_path: Path) -> None:
    program, text = tmp_path / "sendmail", tmp_path / "text"
    program.touch(mode=0o755)
    text.touch(mode=0o644)

    def said(path: Path) -> tuple[tuple[str, bool], ...]:
        return doubts({"to": ["a@b"], "sendmail": str(path)}, None)

    assert said(program) == ()
    assert said(text) == ((f"sendmail: {text} is not executable", False),)
    assert said(tmp_path) == ((f"sendmail: {tmp_path} is not executable", False),)
    assert said(tmp_path / "none") == ((f"sendmail: {tmp_path}/none does not exist", False),)
