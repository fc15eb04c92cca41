"""What the event log says of who asks: whose word each part is, and how many refusals are written."""

from __future__ import annotations

import os
from typing import Any, cast

import pytest

from taskmaster_common.commands.table import Request
from taskmaster_common.errors import RequestError
from taskmasterd.core.words.told import record_text
from taskmasterd.system.peers import Peer
from taskmasterd.telling.audit import MOST_UIDS, REFUSALS, Audit, claim, who_text

DENIED = RequestError("permission", "no", 4, (), {"needs": "operate", "has": "look"})


class Log:
    """An event log that keeps its lines."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.records: list[tuple[str, str, dict[str, Any]]] = []

    def note(self, name: str, event: str, **fields: Any) -> None:
        """Keep a record."""
        self.records.append((name, event, fields))

    def write(self, _level: str, text: str) -> None:
        """Keep one."""
        self.lines.append(text)


class Clock:
    """A reactor whose one timer the test rings."""

    def __init__(self) -> None:
        self.timers: list[Any] = []

    def call_later(self, _seconds: float, callback: Any) -> None:
        """Keep it."""
        self.timers.append(callback)


@pytest.fixture
def log() -> Log:
    return Log()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def audit(log: Log, clock: Clock) -> Audit:
    return Audit(cast("Any", clock), cast("Any", log), 1000)


def test_the_first_refusals_of_a_uid_within_a_minute_are_written_and_the_others_counted(
    audit: Audit, log: Log, clock: Clock
) -> None:
    for _ in range(1000):
        audit.refused(Peer(7, 7, 0), Request("stop", {}, ("db",)), DENIED)
    audit.turned_away(Peer(8, 8, 0), "no role")
    assert len(log.lines) == REFUSALS + 1
    assert log.lines[0] == "refused to uid 7, pid 0: stop db: needs operate, has look"
    assert log.lines[-1] == "client refused: uid 8, pid 0: no role"
    clock.timers.pop()()
    assert log.lines[REFUSALS + 1 :] == ["refused 990 more requests of uid 7 within a minute"]
    audit.refused(Peer(7, 7, 0), Request("stop", {}, ("db",)), DENIED)
    assert log.lines[-1].startswith("refused to uid 7")
    why = {"reason": "needs operate, has look", "by": {"uid": 7, "pid": 0}}
    assert log.records[0] == ("", "denied", {"verb": "stop", "targets": ["db"], **why})
    assert len(log.records) == len(log.lines)


def test_a_request_is_written_with_its_flags_so_that_a_trial_is_no_reload(audit: Audit, log: Log) -> None:
    audit.asked(Peer(7, 7, 0), Request("reload", {"dry_run": True}))
    audit.asked(Peer(7, 7, 0), Request("stop", {"no_wait": True, "timeout": "5 s --x"}, ("web",)))
    assert [line.partition(": ")[2] for line in log.lines] == [
        "reload --dry-run",
        'stop --no-wait --timeout="5 s --x" web',
    ]
    assert [each[2].get("flags") for each in log.records] == [["--dry-run"], ["--no-wait", '--timeout="5 s --x"']]
    texts = [record_text({"event": event, **fields}, {}) for _, event, fields in log.records]
    assert texts == ["reload --dry-run by uid 7", 'stop --no-wait --timeout="5 s --x" web by uid 7']


def test_thousands_of_uids_are_not_remembered_one_by_one(audit: Audit, log: Log, clock: Clock) -> None:
    for uid in range(MOST_UIDS + 500):
        audit.turned_away(Peer(uid + 2000, 1, 0), "no role")
    assert len(log.lines) == MOST_UIDS + REFUSALS
    clock.timers.pop()()
    assert log.lines[-1] == "refused 490 more requests of other users within a minute"


def test_a_client_is_described_by_the_kernel_and_his_claims_stand_in_quotes(audit: Audit, log: Log) -> None:
    mine = Peer(os.geteuid(), os.getegid(), os.getpid())
    audit.asked(mine, Request("restart", {"no_wait": True}, ("web", "all")))
    (line,) = log.lines
    assert line.startswith(f"request from uid {mine.uid}")
    assert f'pid {mine.pid} "' in line
    assert line.endswith(": restart --no-wait web all")
    ((name, event, fields),) = log.records
    assert (name, event, fields["verb"], fields["targets"]) == ("", "operator", "restart", ["web", "all"])
    assert fields["by"]["uid"] == mine.uid


def test_a_process_of_another_user_that_has_the_pid_by_now_says_nothing_of_the_client(audit: Audit, log: Log) -> None:
    audit.asked(Peer(os.geteuid() + 1, 1, os.getpid()), Request("stop", {}, ("web",)))
    assert log.lines == [f"request from uid {os.geteuid() + 1}, pid {os.getpid()}: stop web"]


def test_what_is_known_of_a_client_in_words() -> None:
    who = {"uid": 0, "pid": 4711, "login": 1000, "command": "taskmasterctl", "from": "10.0.0.5 1 10.0.0.1 22"}
    assert who_text(who) == 'uid 0 (login uid 1000), pid 4711 "taskmasterctl" from "10.0.0.5 1 10.0.0.1 22"'


def test_a_claim_cannot_end_its_quotes_or_its_line() -> None:
    assert claim('a" by uid 0\n\x1b[2J\\"') == '"a\\" by uid 0\\n\\x1b[2J\\\\\\""'


def test_the_text_of_a_send_by_hand_is_written_nowhere(audit: Audit, log: Log) -> None:
    audit.asked(Peer(os.geteuid(), os.getegid(), os.getpid()), Request("send", {}, ("web", "a", "secret")))
    assert "send web" in str(log.lines)
    assert "secret" not in str(vars(log))
