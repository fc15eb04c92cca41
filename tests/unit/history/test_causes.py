"""Why instances end, as far as one can know: codes in words, and whose signal it was."""

from __future__ import annotations

from typing import Any

import pytest

from taskmasterd.core.words.causes import SYSEXITS, cause_of

SIGNALS = {1: "HUP", 9: "KILL", 11: "SEGV", 15: "TERM", 24: "XCPU", 25: "XFSZ"}


def record(event: str, mono: float = 10.0, **fields: Any) -> dict[str, Any]:
    return {"event": event, "name": "web", "boot": "b", "mono": mono, "pid": 7, **fields}


def cause(status: int | None, *before: dict[str, Any]) -> str:
    return cause_of(record("exited", status=status, after=3.0), before, SIGNALS)


@pytest.mark.parametrize(
    ("code", "text"),
    [
        (0, "exit 0 after 3.0s"),
        (1, "exit 1 after 3.0s"),
        (126, "exit 126 after 3.0s: a command that it ran cannot be executed"),
        (127, "exit 127 after 3.0s: a command that it ran was not found"),
        (137, "exit 137 after 3.0s: a child of it was killed by SIGKILL"),
        (143, "exit 143 after 3.0s: a child of it was killed by SIGTERM"),
        (128, "exit 128 after 3.0s"),
        (255, "exit 255 after 3.0s"),
        (78, "exit 78 after 3.0s, by convention: a wrong configuration"),
    ],
)
def test_exit_codes_with_a_common_meaning_are_told_in_words(code: int, text: str) -> None:
    assert cause(code << 8) == text


def test_a_kill_at_the_limit_of_processor_time_names_it() -> None:
    used = "it had used 0.8s of processor time, and the kernel kills at 1s (RLIMIT_CPU)"
    end = record("exited", status=9, after=3.0, limit=used)
    assert cause_of(end, [], SIGNALS) == f"killed by SIGKILL after 3.0s: {used}, not sent by Taskmaster"


STOP = record("stopping", signal="TERM", cause="stop", by={"uid": 0})


@pytest.mark.parametrize(
    ("status", "before", "text"),
    [
        (9, [], "killed by SIGKILL after 3.0s, not sent by Taskmaster"),
        (15, [], "killed by SIGTERM after 3.0s, not sent by Taskmaster"),
        (11 | 0x80, [], "killed by SIGSEGV (core dumped) after 3.0s: a segmentation fault, not sent by Taskmaster"),
        (24, [], "killed by SIGXCPU after 3.0s: it has used more processor time than its limit (RLIMIT_CPU), not sent by Taskmaster"),
        (25, [], "killed by SIGXFSZ after 3.0s: a file would have grown beyond its limit (RLIMIT_FSIZE), not sent by Taskmaster"),
        (15, [STOP], "killed by SIGTERM after 3.0s, sent by Taskmaster: stopped by uid 0"),
        (9, [STOP], "killed by SIGKILL after 3.0s, not sent by Taskmaster"),
        (15, [{**STOP, "pid": 6}], "killed by SIGTERM after 3.0s, not sent by Taskmaster"),
        (0, [STOP], "exit 0 after 3.0s, stopped by uid 0"),
        (143 << 8, [STOP], "exit 143 after 3.0s, stopped by uid 0"),
        (1, [record("signalled", signal="HUP", reason="unhealthy")], "killed by SIGHUP after 3.0s, sent by Taskmaster: unhealthy"),
        (9, [record("signalled", signal="HUP", reason="unhealthy")], "killed by SIGKILL after 3.0s, not sent by Taskmaster"),
        (
            9,
            [STOP, record("killed")],
            "killed by SIGKILL after 3.0s, sent by Taskmaster: it did not end within stoptime (stopped by uid 0)",
        ),
        (9, [STOP, record("killed", cause="kill", by={"text": "SIGQUIT"})], "killed by SIGKILL after 3.0s, sent by Taskmaster for SIGQUIT"),
        (
            15,
            [record("stopping", signal="TERM", reason="unhealthy: http 503 (3 of 3)")],
            "killed by SIGTERM after 3.0s, sent by Taskmaster: unhealthy: http 503 (3 of 3)",
        ),
        (
            15,
            [record("stopping", signal="TERM", cause="dependency", by={"text": "because db went down"})],
            "killed by SIGTERM after 3.0s, sent by Taskmaster: restarted because db went down",
        ),
        (
            15,
            [record("stopping", signal="TERM", cause="restart", by={"uid": 0, "text": "a reload (uid 0)"})],
            "killed by SIGTERM after 3.0s, sent by Taskmaster: restarted by a reload (uid 0)",
        ),
        (
            1,
            [record("operator", 9.0, name="", pid=None, verb="signal", targets=["hup", "web"], by={"uid": 0, "login": 1000})],
            "killed by SIGHUP after 3.0s, sent by Taskmaster: uid 0 (login uid 1000) asked for it (signal HUP)",
        ),
        (
            1,
            [record("operator", -9.0, name="", pid=None, verb="signal", targets=["HUP", "web"], by={"uid": 0})],
            "killed by SIGHUP after 3.0s, not sent by Taskmaster",
        ),
        (None, [], "ended while no daemon was there, nobody knows how, after 3.0s"),
        (77, [], "killed by signal 77 after 3.0s, not sent by Taskmaster"),
    ],
)  # fmt: skip
def test_a_signal_is_ours_or_not(status: int | None, before: list[dict[str, Any]], text: str) -> None:
    said = cause(status, *before)
    assert said.replace("killed by SIG77", "killed by signal 77") == text
    assert "memory" not in said


def test_what_never_ran_has_its_reason_and_no_convention_blames_a_lack_of_memory() -> None:
    assert (
        cause_of(record("failed", reason="cannot execute /x: no such file"), (), SIGNALS)
        == "cannot execute /x: no such file"
    )
    assert not any("memory" in text for text in SYSEXITS.values())
