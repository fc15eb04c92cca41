"""The typed state: what parts register comes back to those of the next daemon, in whichever version either was written."""

from __future__ import annotations

from typing import Any

import pytest

from taskmasterd.core.programs.orphans import Orphan
from taskmasterd.survival.disk.reader import StateError, saved_of
from taskmasterd.survival.disk.rows import line
from taskmasterd.survival.state import FACTS, HANDED, INSTANCE, PROCESS, Cause, Facts, Handed, ProcessState, Registry
from taskmasterd.survival.state import SavedInstance as Instance

IDENTITY = {"boot": "b", "socket": "/s", "uid": 7}
HEAD = b'{"taskmaster_state":1,"boot":"b","socket":"/s","uid":7}'
CONFIG = b'{"config":{"path":"/c","daemon":{},"files":[],"order":[]}}'
HANDED_OVER: dict[str, Any] = {
    "places": {"socket": "/s"},
    "fds": {"listener": 3, "ready": None},
    "config": {"path": "/c"},
    "nofile": [1024, 4096],
    "loglevel": "info",
    "foreground": False,
    "pid1": False,
    "orphans": "adopt",
    "path": ["/lib"],
}
LIFE: dict[str, Any] = {
    "lines": ["{}"],
    "pipes": [[11, 4, "/log"]],
    "handles": [[77, 5]],
    "started": 1,
    "sequence": 9,
    "sinks": {"open": {"0 /log": {"fd": 6}, "1 /dev/null": {"fd": None}}, "ledgers": {}},
    "connections": [
        {"fd": 7, "operation": {"kind": "logs", "open_logs": [[["p", "stdout", "/log"], {"fd": 8}]]}},
        {"fd": 9, "operation": None},
    ],
}


@pytest.mark.parametrize(
    ("record", "shapes"), [(Facts, FACTS), (Instance, INSTANCE), (ProcessState, PROCESS), (Handed, HANDED)]
)
def test_each_field_of_a_record_that_is_read_has_a_shape(record: Any, shapes: dict[str, object]) -> None:
    assert set(record.fields_) == set(shapes)


def test_facts_come_back_as_they_are_used() -> None:
    orphan = Orphan(7, 70, 7, 0, "sleep")
    written = {
        "ignored": [3],
        "left": [[4, 40]],
        "door": [5, 6],
        "proven_since": 8,
        "occupied": [["p", 0, [orphan.to_data()]]],
        "loglevel": "debug",
        "cause": [3, "worker (essential)", "worker (essential) exited 3"],
    }
    facts = Facts.from_data(written)
    assert facts == Facts(
        ignored=(3,), left=((4, 40),), door=(5, 6), proven_since=8, occupied=(("p", 0, (orphan,)),), loglevel="debug",
        cause=Cause(3, "worker (essential)", "worker (essential) exited 3"),
    )  # fmt: skip
    assert Facts.from_data({"cause": None}).cause is None


def test_a_fact_that_a_later_version_has_added_is_left_out() -> None:
    assert Facts.from_data({"stopping": True, "moon": "full"}) == Facts(stopping=True)


def test_groups_are_read_back_and_a_state_from_before_them_has_none() -> None:
    assert saved_of([HEAD, CONFIG], IDENTITY).config.groups == {}
    grouped = CONFIG.replace(b'"order":[]', b'"order":[],"groups":{"a":["web","db"]}')
    assert saved_of([HEAD, grouped], IDENTITY).config.groups == {"a": ("web", "db")}


def test_a_line_of_a_kind_that_a_later_version_has_added_is_said_to_be_that() -> None:
    with pytest.raises(StateError, match="it was written by a later version, which writes of 'moon', too"):
        saved_of([HEAD, CONFIG, line("moon", {"phase": 3})], IDENTITY)
    assert saved_of([HEAD, CONFIG], IDENTITY).slots == ()


def test_what_a_version_without_later_keys_has_handed_over_can_be_read() -> None:
    handed = Handed.from_data({**HANDED_OVER, "life": LIFE, "moon": "full"})
    assert (handed.mark_key, handed.notes, handed.door) == ("", (), None)
    assert handed.life is not None
    assert handed.life.pipes == ((11, 4, "/log"),)
    assert handed.life.started == 1.0


def test_what_is_handed_over_has_the_names_and_values_that_it_is_read_by() -> None:
    handed = Handed.from_data({**HANDED_OVER, "life": LIFE})
    assert Handed.from_data(handed.to_data()) == handed
    assert set(handed.to_data()) == {*HANDED_OVER, "life"}
    assert set(handed.to_data()["life"]) == set(LIFE)


def test_every_descriptor_that_is_handed_over_is_inherited() -> None:
    assert sorted(ProcessState.from_data(LIFE).descriptors()) == [4, 5, 6, 7, 8, 9]


@pytest.mark.parametrize("missing", ["places", "nofile"])
def test_a_handed_over_state_that_lacks_something_is_refused(missing: str) -> None:
    with pytest.raises(TypeError, match=missing):
        Handed.from_data({name: value for name, value in HANDED_OVER.items() if name != missing})


def test_a_part_resumes_when_it_registers_what_the_earlier_daemon_has_left_of_it() -> None:
    resumed: list[object] = []
    registry = Registry(Facts(loglevel="debug"))
    registry.register("loglevel", lambda: "debug", resumed.append)
    registry.register("door", lambda: None, resumed.append)
    assert resumed == ["debug"]


def test_only_facts_that_differ_from_what_was_written_are_written_again() -> None:
    facts: dict[str, Any] = {"stopping": False, "problems": ()}
    registry = Registry(Facts())
    for name in facts:
        registry.register(name, lambda name=name: facts[name])  # type: ignore[misc]
    assert registry.changes() == facts
    assert registry.changes() == {}
    facts["problems"] = ("cmd is missing",)
    assert registry.to_data() == facts
    assert registry.changes() == {"problems": ("cmd is missing",)}
    assert registry.changes() == {}
