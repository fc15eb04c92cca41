"""Errands: what the child begins with, what comes back, and how it ends."""

from __future__ import annotations

import errno
import os
import resource
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from taskmasterd.fallbacks import unnamed_file
from taskmasterd.processes.errand import NOT_EXECUTED, OUTPUT_FD, OUTPUT_KEPT, Ending, Errand, executing
from tests.support.errands import ErrandLoop
from tests.support.wait import wait_until

pytestmark = pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")

SHELL = ["/bin/sh", "-c"]


class Sent:
    """Errands of one loop and their endings."""

    def __init__(self) -> None:
        self.loop = ErrandLoop()
        self.endings: list[Ending] = []

    def send(self, work: Callable[[int], object], timeout_s: float = 60, **options: Any) -> Errand:
        """Begin an errand."""
        return Errand(self.loop.errands, work, self.endings.append, timeout_s=timeout_s, **options)

    def ending(self) -> Ending:
        """Return the one ending."""
        ending: Ending = self.loop.wait(self.endings)
        return ending


@pytest.fixture
def sent() -> Iterator[Sent]:
    """A loop that has reaped all errands at the end of the test."""
    sent = Sent()
    yield sent
    sent.loop.wait_for_ends()
    sent.loop.reactor.close()


def exit_code(ending: Ending) -> int:
    assert ending.status is not None
    return os.waitstatus_to_exitcode(ending.status)


def shell(script: str) -> Callable[[int], object]:
    return executing([*SHELL, script], {"PATH": "/bin:/usr/bin"})


def silent(_fd: int) -> None:
    signal.pause()


def test_a_function_writes_its_output_and_ends_with_0_or_with_1_where_it_raises(sent: Sent) -> None:
    sent.send(lambda fd: os.write(fd, b"done\n"))
    ending = sent.ending()
    assert (exit_code(ending), ending.output, ending.refused, ending.late) == (0, b"done\n", "", False)
    sent.endings.clear()
    sent.send(lambda fd: print(1 / 0, fd))
    assert (exit_code(sent.ending()), sent.endings[0].output) == (1, b"")


def test_a_program_gives_its_exit_code_and_both_streams(sent: Sent) -> None:
    sent.send(shell("echo out; echo err >&2; exit 3"))
    ending = sent.ending()
    assert (exit_code(ending), ending.output) == (3, b"out\nerr\n")


def test_a_program_that_cannot_be_executed_is_explained_in_the_output(sent: Sent) -> None:
    sent.send(executing(["/nowhere/at-all"], {}))
    ending = sent.ending()
    assert exit_code(ending) == NOT_EXECUTED
    assert ending.output == b"cannot execute /nowhere/at-all: no such file or directory\n"


def test_standard_input_is_what_is_on_the_descriptor(sent: Sent) -> None:
    stdin = unnamed_file()
    os.write(stdin, b"x" * 200_000)
    os.lseek(stdin, 0, os.SEEK_SET)
    sent.send(shell("wc -c"), stdin=stdin)
    os.close(stdin)
    assert sent.ending().output.strip() == b"200000"


def test_the_end_of_a_long_output_is_kept(sent: Sent) -> None:
    sent.send(lambda fd: os.write(fd, b"x" * (4 * OUTPUT_KEPT)) and os.write(fd, b"last"))
    sent.loop.wait(sent.endings)
    assert sent.endings[0].output == b"x" * (OUTPUT_KEPT - 4) + b"last"


def test_output_that_is_taken_is_not_kept(sent: Sent) -> None:
    pieces: list[bytes] = []
    sent.send(shell("head -c 300000 /dev/zero"), on_output=pieces.append)
    assert sent.ending().output == b""
    assert b"".join(pieces) == bytes(300_000)


def test_a_callback_that_raises_costs_no_ending(sent: Sent) -> None:
    def take(_piece: bytes) -> None:
        raise ValueError("cannot use this")

    sent.send(shell("echo one"), on_output=take)
    sent.loop.turn_until(lambda: sent.endings)
    assert [str(error) for error in sent.loop.errors] == ["cannot use this"]
    assert exit_code(sent.endings[0]) == 0


def test_time_that_is_up_kills_the_whole_group_and_is_told_once(sent: Sent, tmp_path: Path) -> None:
    script = f"trap '' TERM; sleep 300 & echo begun; echo $! > {tmp_path}/new; mv {tmp_path}/new {tmp_path}/child; wait"
    sent.send(shell(script), timeout_s=0.3)
    wait_until((tmp_path / "child").exists)  # the loop stands still meanwhile, and reads before it looks at the time
    ending = sent.ending()
    assert (ending.late, ending.status, ending.output) == (True, None, b"begun\n")
    sent.loop.wait_for_ends()
    child = int((tmp_path / "child").read_text())
    wait_until(lambda: not alive(child))
    assert len(sent.endings) == 1


def test_what_an_errand_leaves_in_its_group_is_killed(sent: Sent) -> None:
    sent.send(shell("sleep 300 & echo $!"))
    ending = sent.ending()
    assert exit_code(ending) == 0
    wait_until(lambda: not alive(int(ending.output)))


def alive(pid: int) -> bool:
    """Return whether a process is there and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_a_pipe_that_somebody_else_holds_does_not_delay_the_ending(sent: Sent) -> None:
    sent.send(shell("setsid sleep 300 & echo $!"), timeout_s=300)
    ending = sent.ending()
    assert not ending.late
    os.kill(int(ending.output), signal.SIGKILL)


def test_limits_hold_in_the_child_alone(sent: Sent) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    sent.send(shell("ulimit -f"), limits={resource.RLIMIT_FSIZE: 512 * 1024})
    assert sent.ending().output.strip() in (b"1024", b"512")  # blocks of 512 bytes, or of 1024
    assert resource.getrlimit(resource.RLIMIT_FSIZE) == before


def test_the_pid_is_ignored_until_it_is_reaped_and_other_ends_are_passed_on(sent: Sent) -> None:
    stranger = os.posix_spawn("/bin/true", ["true"], {})
    errand = sent.send(silent)
    assert sent.loop.ignored == {errand.pid}
    sent.loop.turn_until(lambda: sent.loop.strangers)
    assert sent.loop.strangers == [(stranger, 0)]
    os.kill(errand.pid, signal.SIGUSR1)
    assert exit_code(sent.ending()) == -signal.SIGUSR1
    assert sent.loop.ignored == set()


@pytest.mark.parametrize("number", [errno.EAGAIN, errno.ENOMEM, errno.EPERM])
@pytest.mark.parametrize("call", ["fork", "pipe"])
def test_a_refused_child_is_an_ending_that_says_what_and_why_and_leaves_nothing(
    call: str, number: int, sent: Sent, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse() -> None:
        raise OSError(number, os.strerror(number))

    before = os.listdir("/dev/fd")
    with monkeypatch.context() as patch:
        patch.setattr(os, call, refuse)
        sent.send(silent)
    assert sent.endings == []
    reason = os.strerror(number)
    assert sent.ending() == Ending(None, b"", f"the system refuses another process: {reason[0].lower()}{reason[1:]}")
    assert len(os.listdir("/dev/fd")) == len(before)


def test_an_errand_that_is_cancelled_before_its_refusal_was_told_has_no_ending(
    sent: Sent, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse() -> None:
        raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fork", refuse)
        sent.send(silent).cancel()
    sent.loop.turn()
    assert sent.endings == []


# -- the child


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="looks into /proc")
def test_the_child_has_a_session_and_descriptors_of_its_own_and_no_handlers(sent: Sent) -> None:
    extra = os.dup2(0, 200, inheritable=True)
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    errand = sent.send(silent)
    try:
        wait_until(lambda: set(os.listdir(f"/proc/{errand.pid}/fd")) == {"0", "1", "2", str(OUTPUT_FD)})
        assert os.readlink(f"/proc/{errand.pid}/fd/{OUTPUT_FD}").startswith("pipe:")
        assert os.getsid(errand.pid) == errand.pid
        status = dict(line.split(":\t", 1) for line in Path(f"/proc/{errand.pid}/status").read_text().splitlines())
        usual = 0x7FFF_FFFF  # 32 and 33 are the C library's own
        assert [int(status[name], 16) & usual for name in ("SigBlk", "SigIgn", "SigCgt")] == [0, 0, 0]
    finally:
        errand.cancel()
        signal.signal(signal.SIGHUP, before)
        os.close(extra)


def test_a_program_inherits_the_standard_streams_alone(sent: Sent) -> None:
    sent.send(executing([sys.executable, "-ISc", "import os; print(*os.listdir('/dev/fd'))"], {}))
    assert set(sent.ending().output.split()) <= {b"0", b"1", b"2", b"3"}  # 3 is the directory that it lists


def test_a_signal_to_the_child_never_reaches_the_daemons_wakeup_pipe(sent: Sent) -> None:
    waked, wakeup = os.pipe()
    os.set_blocking(waked, False)
    os.set_blocking(wakeup, False)
    before = signal.signal(signal.SIGTERM, lambda *_: None)
    previous = signal.set_wakeup_fd(wakeup)
    try:
        for _ in range(20):
            errand = sent.send(silent)
            os.kill(errand.pid, signal.SIGTERM)
            assert exit_code(sent.ending()) == -signal.SIGTERM
            sent.endings.clear()
        with pytest.raises(BlockingIOError):
            os.read(waked, 1)
    finally:
        signal.set_wakeup_fd(previous)
        signal.signal(signal.SIGTERM, before)
        os.close(waked)
        os.close(wakeup)


def test_the_parents_signal_mask_is_as_it_was(sent: Sent) -> None:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    sent.send(shell("exit 0"))
    assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == before
    sent.ending()


def test_a_cancelled_errand_leaves_neither_child_nor_descriptor(sent: Sent) -> None:
    before = os.listdir("/dev/fd")
    errand = sent.send(silent)
    errand.cancel()
    errand.cancel()
    sent.loop.wait_for_ends()
    assert len(os.listdir("/dev/fd")) == len(before)
    assert sent.endings == []
