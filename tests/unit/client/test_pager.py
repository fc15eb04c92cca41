"""A pager for long answers: when there is one, which one, and what it gets."""

from __future__ import annotations

import os
import signal
import stat
from pathlib import Path

import pytest

from taskmasterctl.output import ERR, OUT
from taskmasterctl.pager import Pager, PagerLeftError, paged, pager_command

TYPE_CHECKING = False
if TYPE_CHECKING:
    Capture = pytest.CaptureFixture[str]

SIZE = (80, 10)


def program(path: Path, text: str = "exec cat") -> str:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


@pytest.fixture
def less(tmp_path: Path) -> str:
    return program(tmp_path / "less")


def test_without_a_word_of_the_user_it_is_less_of_path(less: str) -> None:
    path = os.path.dirname(less)
    assert pager_command({"PATH": f"/nonexistent:{path}"}, own=True) == (less, "-FRX")
    assert pager_command({"PATH": path, "PAGER": "less"}, own=True) == (less, "-FRX")
    assert pager_command({"PATH": "/nonexistent"}, own=True) == ()


def test_the_users_own_pager_is_words_and_no_shell_command(less: str) -> None:
    path = os.path.dirname(less)
    assert pager_command({"PATH": path, "PAGER": "less -S 'a b'"}, own=True) == (less, "-S", "a b")
    assert pager_command({"PATH": path, "PAGER": f"{less} ; id"}, own=True) == (less, ";", "id")
    assert pager_command({"PATH": path, "PAGER": "less 'x"}, own=True) == ()


def test_nothing_is_executed_that_lies_in_the_working_directory(less: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(os.path.dirname(less))
    for path in ("", ".", ":"):
        assert pager_command({"PATH": path}, own=True) == ()
    for name in ("./less", "../less", "sub/less"):
        assert pager_command({"PATH": os.path.dirname(less), "PAGER": name}, own=True) == ()


def test_on_the_terminal_of_somebody_else_his_variable_chooses_no_program(less: str) -> None:
    assert pager_command({"PATH": os.path.dirname(less), "PAGER": "/bin/sh"}, own=False) == (less, "-FRX")


def test_a_short_answer_starts_no_pager(tmp_path: Path, capfd: Capture) -> None:
    mark = tmp_path / "ran"
    pager = Pager((program(tmp_path / "p", f"touch {mark}; cat"),), SIZE, {"PATH": os.environ["PATH"]})
    pager.write([(OUT, "one\n"), (ERR, "warning\n")])
    pager.write([(OUT, "two\n")])
    assert capfd.readouterr() == ("", "")
    pager.close()
    assert capfd.readouterr() == ("one\ntwo\n", "warning\n")
    assert not mark.exists()


@pytest.mark.parametrize("text", ["x\n" * 10, "y" * 900 + "\n"])
def test_a_long_one_goes_through_it_whole_and_warnings_come_after_it(text: str, tmp_path: Path, capfd: Capture) -> None:
    command = program(tmp_path / "p", 'echo "secure $LESSSECURE open $LESSOPEN kept $KEPT"; exec cat')
    environment = {"PATH": os.environ["PATH"], "LESSOPEN": "|evil", "KEPT": "yes"}
    before = signal.getsignal(signal.SIGINT)
    pager = Pager((command,), SIZE, environment)
    pager.write([(ERR, "warning\n"), (OUT, text)])
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    pager.write([(OUT, "caf\u00e9 \udcff\n")])
    pager.close()
    assert signal.getsignal(signal.SIGINT) is before
    out, err = capfd.readouterr()
    assert (out, err) == (f"secure 1 open  kept yes\n{text}caf\u00e9 \ufffd\n", "warning\n")


def test_who_leaves_the_pager_leaves_the_answer_and_nothing_has_failed(tmp_path: Path) -> None:
    written: list[int] = []

    def run(write: object) -> int:
        for number in range(100_000):
            written.append(number)
            write([(OUT, "line\n" * 100)])  # type: ignore[operator]
        return 3

    assert paged(run, (program(tmp_path / "p", "exit 0"),), SIZE, {}) == 0
    assert len(written) < 100_000


def test_a_pager_that_cannot_be_executed_costs_nothing_of_the_answer(tmp_path: Path, capfd: Capture) -> None:
    bad = tmp_path / "p"
    bad.write_bytes(b"\x7fELF")
    bad.chmod(0o755)
    assert paged(lambda write: write([(OUT, "x\n" * 50)]) or 3, (str(bad),), SIZE, {}) == 3  # type: ignore[func-returns-value]
    assert capfd.readouterr().out == "x\n" * 50


def test_an_error_on_the_way_shows_what_was_held_back(tmp_path: Path, capfd: Capture) -> None:
    def run(write: object) -> int:
        write([(OUT, "half\n")])  # type: ignore[operator]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        paged(run, ("/nonexistent",), SIZE, {})
    assert capfd.readouterr().out == "half\n"
    assert issubclass(PagerLeftError, Exception)
