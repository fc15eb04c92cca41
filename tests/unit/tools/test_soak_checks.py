"""The soak's own judges: each finds what it is there to find, and lets pass what may be."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

from taskmaster_common.errors import ConfigError
from tests.soak.actors.receivers import LINE, messages_in
from tests.soak.judges import alerts
from tests.soak.judges.alerts import Message
from tests.soak.judges.chronicle import Chronicle
from tests.soak.judges.descriptors import ALWAYS, Beside, surplus
from tests.soak.judges.transitions import EDGES, Image
from tests.soak.judges.written import JSON, PREFIX, count_lines, decoded
from tests.soak.population import BROKEN, KINDS, OWNED, Population
from tests.support.host import load

LIFE = ("web started (pid 7)", "web running (pid 7)", "web exited: exit 1 after 2.0s (unexpected)", "web restarting")


def _told(*texts: str) -> list[str]:
    return [f"2026-01-01T00:00:0{second}.000+00:00 info {text}" for second, text in enumerate(texts)]


def _problems(*texts: str) -> list[str]:
    return [problem.partition(":")[0] for problem in Chronicle().read(_told(*texts))]


def test_whole_lives_are_possible_whatever_a_process_is_called_meanwhile() -> None:
    chronicle = Chronicle()
    lines = _told("taskmasterd 1 started (pid 1, /x)", *LIFE, "web:0 started (pid 8)", "web:0 failed to start: exit 1")
    assert list(chronicle.read(lines)) == []
    assert (chronicle.open, chronicle.ended, chronicle.started) == ({}, 2, {("web:0", 7): 1, ("web:0", 8): 1})


@pytest.mark.parametrize(
    ("texts", "problem"),
    [
        (("web started (pid 7)", "web:0 started (pid 8)"), "a second instance beside 7"),
        (("web started (pid 7)", "db started (pid 7)"), "7 is that of web"),
        (("web running (pid 7)",), "running, but None was started"),
        (("web started (pid 7)", "web running (pid 8)"), "running, but 7 was started"),
        (("web exited: exit 1",), "an end without a start"),
        (("web started (pid 7)", "web exited: exit 1"), "it exited, but was not running"),
        (("web started (pid 7)", "web running (pid 7)", "web failed to start: exit 1"), "it failed to start, but was running"),
        ((*LIFE, "web exited: exit 1"), "an end without a start"),
        (("web started (pid 7)", "web restarting in 0.5s"), "nothing is alive, but 7 has not ended"),
        (("web stopping: TERM to its group, asked by x",), "told to stop, but nothing runs"),
        (("internal error, please report it",), "internal error"),
    ],
)  # fmt: skip
def test_an_impossible_life_in_the_event_log_is_found(texts: tuple[str, ...], problem: str) -> None:
    assert _problems(*texts) == [problem]


def test_a_clock_that_goes_back_and_a_torn_line_are_found() -> None:
    first, second = _told("a", "b")
    assert len(list(Chronicle().read([second, first, "torn"]))) == 2


def _change(sequence: int, before: str, state: str, **fields: Any) -> dict[str, Any]:
    process = {"program": "web", "instance": 0, "pid": 7 if state in ("RUNNING", "STARTING") else None}
    message = {"type": "change", "sequence": sequence, "before": before, "state": state, "removed": False}
    return {**message, "process": {**process, **fields}}


SNAPSHOT = {"type": "snapshot", "sequence": 4, "count": 1}


def _image(*messages: dict[str, Any]) -> list[str]:
    image = Image()
    return [problem for message in (SNAPSHOT, *messages) for problem in image.take(message)]


def test_a_subscription_along_the_edges_is_possible() -> None:
    assert _image(_change(5, "STOPPED", "STARTING"), _change(6, "STARTING", "RUNNING")) == []


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ([_change(6, "STOPPED", "STARTING")], "change 6 follows 4"),
        ([_change(5, "EXITED", "STARTING")], "was STOPPED, and is said to have been EXITED"),
        ([_change(5, "STOPPED", "RUNNING")], "cannot go from STOPPED to RUNNING"),
        ([_change(5, "STOPPED", "STOPPED", pid=7)], "is STOPPED and has pid 7"),
        ([_change(5, "STOPPED", "STARTING"), _change(6, "STARTING", "RUNNING", pid=None)], "is RUNNING without a pid"),
        ([_change(5, "STOPPED", "STARTING"), {**SNAPSHOT, "sequence": 4}], "a snapshot of 4 after change 5"),
    ],
)
def test_an_impossible_subscription_is_found(changes: list[dict[str, Any]], problem: str) -> None:
    (found,) = _image(*changes)
    assert problem in found


def test_after_missed_changes_the_next_snapshot_is_believed() -> None:
    processes = {"type": "processes", "processes": [{"program": "web", "instance": 0, "state": "FATAL"}]}
    later = {**SNAPSHOT, "sequence": 90}
    assert _image({"type": "missed", "changes": 85}, later, processes, _change(91, "FATAL", "STARTING")) == []


def test_each_state_of_the_theory_has_its_edges() -> None:
    assert set(" ".join(EDGES.values()).split()) == set(EDGES)


@pytest.mark.parametrize(
    "lines",
    [
        ("1.1 2",),
        ("1.1 1", "1.1 3"),
        ("1.1 1", "1.1 1"),
        ("1.1 1", "2.1 1", "1.1 2"),
        ("1.1 1", "1.1 "),
        ("1.1 1", "x"),
    ],
)
def test_a_line_too_many_or_too_few_or_torn_is_found(lines: tuple[str, ...]) -> None:
    assert list(count_lines(iter(lines)))


def test_instances_that_count_from_one_and_end_before_the_next_are_whole() -> None:
    assert list(count_lines(iter(("1.1 1", "1.1 2", "2.1 1", "1.2 1")))) == []


def test_each_configuration_of_a_soak_is_one_and_the_same_seed_gives_the_same() -> None:
    one, two = (Population(200, 5, random.Random("1")) for _ in range(2))
    assert {kind for kind, _ in one.programs.values()} == set(KINDS)
    for _ in range(10):
        assert one.text() == two.text()
        names = [program.name for program in load(one.text()).config.programs]
        assert names == list(one.programs)
        assert sum(name.startswith(OWNED) for name in names) == 5
        assert 190 <= len(names) <= 210
        assert one.edit() == two.edit()


@pytest.mark.parametrize("text", BROKEN)
def test_each_broken_file_of_a_soak_is_refused(text: str) -> None:
    with pytest.raises(ConfigError):
        load(text)


# -- what is open

HOME = "/tmp/x"
OPEN = [
    *["/dev/null"] * 13, "socket:[1]", "pipe:[2]", "pipe:[2]", "anon_inode:[eventpoll]", f"{HOME}/history/x.1-2.jsonl",
    f"{HOME}/log/.taskmasterd.lock", f"{HOME}/log/taskmasterd.log", f"{HOME}/stdout", f"{HOME}/taskmasterd.pid",
    f"{HOME}/tmp-x-taskmaster.sock.state", "/var/tmp/.taskmasterd.71.0a9f (deleted)",
]  # fmt: skip


@pytest.mark.parametrize(
    ("more", "text", "beside", "kinds"),
    [
        ([], "", Beside(), {}),
        (["socket:[3]"], "", Beside(), {"socket": 1}),
        (["socket:[3]"], "", Beside(keepers=1), {}),
        (["socket:[3]", "socket:[4]"], "", Beside(clients=1), {"socket": 1}),
        (["anon_inode:[pidfd]"], "", Beside(), {"[pidfd]": 1}),
        (["pipe:[9]"], "", Beside(), {"pipe": 1}),
        ([f"{HOME}/log/web.log", f"{HOME}/log/web.log"], "", Beside(), {"log": 1}),
        ([f"{HOME}/runs", f"{HOME}/runs/x"], "", Beside(), {"runs": 2}),
        ([f"{HOME}/runs", f"{HOME}/runs/x"], "web: {cmd: x, schedule: {every: 1}}", Beside(), {}),
        ([f"{HOME}/spool", f"{HOME}/spool/71"], "web: {log_format: json}", Beside(), {"spool": 1}),
        ([f"{HOME}/alerts/x", *[f"{HOME}/alerts/x/r"] * 3], "", Beside(rules=1), {"alerts": 1}),
        (["/dev/ptmx"], "web: {tty: true}", Beside(), {"/dev/ptmx": 1}),
    ],
)
def test_a_descriptor_that_nothing_needs_is_found(
    more: list[str], text: str, beside: Beside, kinds: dict[str, int]
) -> None:
    assert surplus([*OPEN, *more], HOME, text, beside) == kinds


def test_one_too_many_shows_though_another_kind_is_missing() -> None:
    assert sum(ALWAYS.values()) > len(OPEN) - 1
    assert surplus([*OPEN[1:], "socket:[3]"], HOME, "", Beside()) == {"socket": 1}


# -- formats


def test_what_was_written_is_read_from_every_form() -> None:
    stamped = ["2026-11-28T10:02:31.402+01:00 1.1 1", "2026-11-28T10:02:31.402+01:00 1.1 2"]
    objects = [json.dumps({"stream": "stdout", "message": "1.1 1"}), json.dumps({"stream": "event", "message": "x"})]
    assert list(decoded(stamped, PREFIX)) == ["1.1 1", "1.1 2"]
    assert list(decoded(objects, JSON)) == ["1.1 1"]


@pytest.mark.parametrize(
    ("line", "form"),
    [
        ("1.1 1", PREFIX),
        ("2026-11-28T10:02:31.402+01:00 2026-11-28T10:02:31.402+01:00 1.1 1", PREFIX),
        ("1.1 1", JSON),
        ('{"stream":"stdout","message":"1.1 1"', JSON),
        ('{"stream":"stdout","message":"1.1 1","partial":true}', JSON),
        ('{"message":"1.1 1"}', JSON),
    ],
)
def test_a_line_that_does_not_have_the_form_of_its_log_is_found(line: str, form: str) -> None:
    assert list(count_lines(decoded([line], form)))


# -- alerts


def _record(seq: int, event: str, name: str = "web", **more: Any) -> dict[str, Any]:
    return {"seq": seq, "name": name, "event": event, **more}


CRASH = _record(3, "exited", expected=False)
OVER = _record(4, "recovered")
HISTORY = [_record(1, "started"), _record(2, "exited", expected=True), CRASH, _record(4, "running")]


def _wrong(*messages: Message, history: list[dict[str, Any]] | None = None) -> list[str]:
    found = alerts.problems(messages, history or HISTORY, alerts.trouble_in, recoveries=True)
    return [problem.partition(": {")[0] for problem in found]


def test_what_was_told_once_or_again_as_it_was_is_right() -> None:
    one, two = Message("a.told", [CRASH]), Message("b.told", [OVER])
    assert _wrong(one, two) == []
    assert _wrong(one, two, one, two) == []
    assert alerts.still_open([one, two]) == set()
    assert alerts.still_open([one]) == {"web"}
    counted = _record(9, "fatal", more=45)
    assert _wrong(one, two, history=[*HISTORY, counted]) == []


@pytest.mark.parametrize(
    ("messages", "problem"),
    [
        ([], "1 events never arrived, the first is"),
        ([Message("a.told", [CRASH]), Message("a.told", [])], "message a.told arrives again with other events"),
        ([Message("b.told", [CRASH]), Message("a.told", [OVER])], "message a.told arrives after one that was begun later"),
        ([Message("a.told", [CRASH, OVER, OVER])], "1 recoveries from no trouble, the first is"),
        ([Message("a.told", [OVER, CRASH])], "1 recoveries from no trouble, the first is"),
    ],
)  # fmt: skip
def test_what_is_missing_mixed_up_or_told_twice_is_found(messages: list[Message], problem: str) -> None:
    (found,) = _wrong(*messages)
    assert found.startswith(problem)


def test_a_datagram_is_one_line_with_a_head() -> None:
    assert LINE.fullmatch(b"<30>Nov 28 10:02:31 taskmaster[71]: web:1 FATAL: exit 1")
    assert LINE.fullmatch(b"<30>Nov  8 10:02:31 taskmaster[71]: web \xc3\xbc")
    for wrong in (b"<30>Nov 28 10:02:31 taskmaster[71]: a\nb", b"<30>1 2026-11-28T10:02:31Z h t 1 - - x", b"x"):
        assert not LINE.fullmatch(wrong)


def test_what_a_command_was_killed_before_it_told_is_no_message(tmp_path: Path) -> None:
    assert messages_in(tmp_path / "told") == []
    (tmp_path / "told").write_text(f"taskmaster-id: a.told\ntaskmaster-id: a.told\n{json.dumps(CRASH)}\n")
    assert messages_in(tmp_path / "told") == [Message("a.told", [CRASH])]
