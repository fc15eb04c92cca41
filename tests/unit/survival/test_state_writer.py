"""The lines of the state: what is written comes back, whenever the writer dies; what is something else is refused."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from taskmaster_common.config import Config, ProgramConfig
from taskmaster_common.states import STOPPED, STOPPING
from taskmasterd.core.process.events import TERMINATE
from taskmasterd.core.programs.applying import apply
from taskmasterd.core.programs.plan import diff
from taskmasterd.core.programs.table import Entry, Table
from taskmasterd.core.steps import run
from taskmasterd.survival.disk.file import StateFile, read_lines
from taskmasterd.survival.disk.reader import StateError, saved_of
from taskmasterd.survival.disk.replacement import ROWS_A_TURN
from taskmasterd.survival.disk.rows import Rows, line
from taskmasterd.survival.disk.writer import GROWN_BYTES, ROWS_AT_ONCE, StateWriter
from taskmasterd.survival.state import Facts, Registry, Saved
from taskmasterd.telling.bus import REMEMBER, TELL, Bus, BusMember
from taskmasterd.telling.eventlog import EventLog
from tests.support.model import DAEMON, World, config, program
from tests.support.paper import Paper

IDENTITY = {"boot": "b", "socket": "/s", "uid": 7}


class Loop:
    """Where the writer leaves what is to be done at the end of a turn, and later."""

    def __init__(self) -> None:
        self.soon: list[Any] = []
        self.later: list[Any] = []

    def call_soon(self, callback: Any) -> None:
        self.soon.append(callback)

    def call_later(self, _seconds: float, callback: Any) -> None:
        self.later.append(callback)

    def turn(self) -> None:
        """End a turn."""
        soon, self.soon = self.soon, []
        for callback in soon:
            callback()


def alive(entry: Entry) -> dict[str, Any]:
    """Return what lives of a slot: what its process says."""
    if entry.process.pid is None and entry.process.state != STOPPING:
        return {}
    pid = entry.process.pid or 99
    return {"copy": {"pid": pid, "birth": (pid, pid + 0.5), "pipes": [(7, "/log")], "left": [(8, 9)]}}


class Disk(StateFile):
    """A state file on a disk that may be full."""

    full = False
    refusing = False

    def begin(self) -> None:
        if self.refusing:
            raise OSError(24, "Too many open files")
        super().begin()

    def append(self, block: bytes) -> None:
        if self.full:
            raise OSError(28, "No space left on device")
        super().append(block)


class Kept:
    """A world whose writer is kept in a file."""

    def __init__(self, path: Path, *programs: ProgramConfig) -> None:
        self.path = str(path / "state")
        self.loop = Loop()
        self.said: list[tuple[str, str]] = []
        self.world = World().load(*programs)
        self.file = Disk(self.path)
        self.log = EventLog("debug", journal=False)
        self.log.write = lambda level, text: self.said.append((level, text))  # type: ignore[method-assign]
        reactor: Any = self.loop
        self.registry = Registry(Facts())
        self.registry.register("stopping", lambda: self.world.supervisor.stopping)
        rows = Rows(self.world.table, self.registry, alive)
        self.writer = writer = StateWriter(reactor, self.world.table, rows, self.file, self.log)
        assert writer._replacement
        self.replacement = writer._replacement
        self.world.bus.join(BusMember(REMEMBER, writer.changed, writer.changed, writer.gone))
        self.writer.begin(IDENTITY, config(*programs))

    def reload(self, *programs: ProgramConfig) -> None:
        """Apply another configuration as the reloader does."""
        plan = diff(self.world.table, DAEMON, config(*programs))
        run(self.writer.applying(plan))
        run(apply(self.world.supervisor, plan, "alice", self.world.ticket()))
        run(self.writer.applied(plan))

    def saved(self) -> Saved:
        """Return what another daemon would read now."""
        return saved_of(read_lines(self.path) or [], IDENTITY)


def content(entries: Any) -> dict[str, tuple[Any, ...]]:
    """Return all that slots hold."""
    return {e.canonical: (e.process, e.wanted, e.current, e.removed) for e in entries}


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[Kept]:
    made = Kept(tmp_path, program("web", numprocs=2), program("off", autostart=False))
    yield made
    made.writer.end()


def test_what_has_changed_is_in_the_file_after_the_turn_and_before_that_when_it_is_asked_for(kept: Kept) -> None:
    kept.world.cooperate()
    before = content(slot.entry for slot in kept.saved().slots)
    kept.writer.flush()
    after = content(slot.entry for slot in kept.saved().slots)
    assert before != after == content(kept.world.table)
    kept.world.stop("web")
    kept.loop.turn()
    assert content(slot.entry for slot in kept.saved().slots) == content(kept.world.table)


def test_a_change_is_in_the_file_before_it_is_announced_and_what_follows_from_it_was_done_by_then(kept: Kept) -> None:
    kept.world.cooperate()
    told = []

    def announce(entry: Entry, *_change: object) -> None:
        kept.writer.flush()  # as before each answer
        told.append((kept.world.actions[-1], content(slot.entry for slot in kept.saved().slots)[entry.canonical][0]))

    kept.world.bus.join(BusMember(TELL, announce))
    kept.world.stop("web:1")
    web = kept.world.entry("web:1")
    assert told == [(("web:1", TERMINATE), web.process)]


def test_a_removed_slot_that_was_down_when_its_daemon_died_is_gone_for_the_next_one(kept: Kept) -> None:
    kept.world.cooperate()
    flush = BusMember(TELL, lambda *_: kept.writer.flush())
    kept.world.supervisor._bus = Bus(BusMember(REMEMBER, kept.writer.changed), flush)  # and there the daemon died
    kept.reload(program("off", autostart=False))
    kept.world.cooperate()
    saved = [slot.entry for slot in kept.saved().slots if slot.entry.program == "web"]
    assert [(entry.removed, entry.process.state) for entry in saved] == [(True, STOPPED)] * 2
    after = World()
    for entry in saved:
        after.supervisor.restore(entry)
        after.supervisor.resume(entry)
    assert (tuple(after.table), after.forgotten) == ((), ["web:0", "web:1"])


def test_configuration_order_and_facts_come_back(kept: Kept) -> None:
    assert kept.saved().config == config(program("web", numprocs=2), program("off", autostart=False))
    kept.world.supervisor.stopping = True
    kept.writer.flush_soon()
    kept.loop.turn()
    assert kept.saved().facts == Facts(stopping=True)


def test_a_fact_that_nobody_has_told_is_written_with_the_next_change(kept: Kept) -> None:
    kept.world.supervisor.stopping = True
    kept.world.stop("web")
    kept.loop.turn()
    assert kept.saved().facts == Facts(stopping=True)


def test_a_fact_that_changes_while_the_file_is_replaced_is_in_the_new_one(kept: Kept) -> None:
    kept.replacement.begin()
    kept.world.supervisor.stopping = True
    kept.writer.flush()
    for _ in range(3):
        kept.loop.turn()
    assert kept.saved().facts == Facts(stopping=True)


def test_a_reload_is_in_the_file_and_what_it_removed_is_not_once_it_is_gone(kept: Kept) -> None:
    kept.world.cooperate()
    now = (program("new"), program("web", stoptime=77, umask=0o77))
    kept.reload(*now)
    kept.loop.turn()
    assert kept.saved().config == config(*now)
    assert content(slot.entry for slot in kept.saved().slots) == content(kept.world.table)
    kept.world.cooperate()
    kept.loop.turn()
    assert content(slot.entry for slot in kept.saved().slots) == content(kept.world.table)
    assert {slot.entry.canonical for slot in kept.saved().slots} == {"new:0", "web:0"}


def test_what_an_instance_was_started_with_is_not_taken_for_what_a_later_line_says(kept: Kept) -> None:
    kept.world.cooperate()
    kept.writer.flush()
    plan = diff(kept.world.table, DAEMON, config(program("web", numprocs=2, umask=0o77), program("off")))
    run(kept.writer.applying(plan))
    kept.writer.flush()  # and here the daemon dies: the plan is known, and nothing of it was done
    web = next(slot.entry for slot in kept.saved().slots if slot.entry.canonical == "web:0")
    assert web.current == program("web", numprocs=2)
    assert "umask" in web.wanted.changed_fields(kept.saved().config.programs[0])


def test_what_has_changed_is_written_before_an_instance_is_spawned_and_what_the_event_log_says_of_it_before_that(
    kept: Kept,
) -> None:
    class Log(Paper):
        """The event log's file, and what of a slot was remembered when a line came."""

        remembered = ""

        def append(self, block: bytes, /) -> None:
            super().append(block)
            self.remembered = next(s.entry.process.state for s in kept.saved().slots if s.entry.canonical == "off:0")

    kept.writer.flush()
    off, log = kept.world.entry("off:0"), Log()
    kept.log._target = log
    kept.world.start("off")
    kept.log.announce("off", [("info", "is asked for")])
    assert not log.text
    kept.writer.spawning(off, 5.5, [11])
    assert log.text.endswith(b"off is asked for\n")
    assert log.remembered == "STOPPED"
    assert {slot.entry.canonical: slot.entry.process.state for slot in kept.saved().slots}["off:0"] == "STARTING"
    assert kept.saved().spawning == {("off", 0): (5.5, (11,))}


def test_where_no_state_is_kept_the_event_log_is_written_all_the_same(kept: Kept) -> None:
    log = kept.log._target = Paper()
    kept.writer.end()
    kept.log.announce("p", [("info", "ended")])
    kept.writer.changed(kept.world.entry("off:0"))
    kept.loop.turn()
    assert log.text.endswith(b"p ended\n")


def test_an_end_and_a_start_are_in_the_file_at_once(kept: Kept) -> None:
    web = kept.world.entry("web:0")
    kept.writer.flush()
    kept.writer.spawning(web, 5.5, [11, 12])
    assert kept.saved().spawning == {("web", 0): (5.5, (11, 12))}
    kept.world.cooperate()
    kept.writer.flush()
    assert kept.saved().spawning == {}, "it is an instance by now"
    kept.writer.ends(web, 9)
    assert {slot.entry.canonical: slot.instance and slot.instance.ended for slot in kept.saved().slots} == {
        "web:0": 9,
        "web:1": None,
        "off:0": None,
    }


def test_an_end_in_the_turn_of_its_start_is_an_end_of_that_instance(kept: Kept) -> None:
    kept.world.cooperate()
    kept.writer.ends(kept.world.entry("web:0"), 9)
    (web,) = [slot for slot in kept.saved().slots if slot.entry.canonical == "web:0"]
    assert (web.entry.process, web.instance and web.instance.ended) == (kept.world.entry("web:0").process, 9)


@pytest.mark.parametrize(
    "changes",
    [
        {"pid": "7"},
        {"pid": 1},
        {"pid": 103},
        {"birth": 5},
        {"birth": [1, None]},
        {"pipes": [[1]]},
        {"pipes": [["1", "/log"]]},
        {"told": [[1, "TERM"]]},
        {"sessions": [None]},
        {"left": [5]},
    ],
)
def test_an_instance_that_makes_no_sense_makes_the_file_unusable(kept: Kept, changes: dict[str, Any]) -> None:
    kept.world.cooperate()
    kept.writer.flush()
    *rest, last = read_lines(kept.path) or []
    row = json.loads(last)
    row["slot"]["copy"].update(changes)
    with pytest.raises(StateError, match="it makes no sense"):
        saved_of([*rest, json.dumps(row).encode()], IDENTITY)


@pytest.mark.parametrize(
    "facts",
    [{"ignored": ["1"]}, {"freed": 3}, {"problems": [1]}, {"occupied": [["p"]]}, {"loglevel": "loud"}, {"pipes": [1]}],
)
def test_facts_that_make_no_sense_make_the_file_none(kept: Kept, facts: dict[str, Any]) -> None:
    with pytest.raises(StateError, match="it makes no sense"):
        saved_of([*(read_lines(kept.path) or []), json.dumps({"facts": facts}).encode()], IDENTITY)


def test_the_file_is_whole_wherever_its_writer_dies(kept: Kept) -> None:
    kept.world.cooperate()
    kept.writer.flush()
    whole = Path(kept.path).read_bytes()
    first = whole.index(b'{"slot"')
    seen = set()
    for length in range(first, len(whole) + 1, 7):
        lines = whole[:length].split(b"\n")[:-1]
        seen.add(len(saved_of(lines, IDENTITY).slots))
    assert seen == {0, 1, 2, 3}


def test_groups_are_written_with_the_configuration(tmp_path: Path) -> None:
    kept = Kept(tmp_path, program("web"))
    assert b"groups" not in Path(kept.path).read_bytes()
    plan = diff(kept.world.table, DAEMON, config(program("web")).replace(groups={"front": ("web",)}))
    run(kept.writer.applying(plan))
    kept.writer.flush()
    assert kept.saved().config.groups == {"front": ("web",)}
    kept.writer.end()


def test_a_file_that_has_grown_is_replaced_piece_by_piece_and_nothing_of_it_is_lost(tmp_path: Path) -> None:
    programs = tuple(program(f"p{number}", description="x" * 300) for number in range(ROWS_A_TURN * 2 + 5))
    kept = Kept(tmp_path, *programs)
    kept.world.cooperate()
    base = Path(kept.path).stat().st_size
    while Path(kept.path).stat().st_size < 2 * base + GROWN_BYTES:
        for entry in kept.world.table:
            kept.writer.changed(entry)
        kept.writer.flush()
    kept.world.stop("p7")
    kept.reload(*programs[1:])
    for _ in range(10):
        kept.world.stop("p9")
        kept.loop.turn()
        found = content(slot.entry for slot in kept.saved().slots)
        assert found.items() >= {k: v for k, v in content(kept.world.table).items() if k != "p0:0"}.items()
    assert Path(kept.path).stat().st_size < base * 2
    assert kept.saved().config == config(*programs[1:])
    kept.writer.end()


def test_a_file_that_cannot_be_written_goes_and_comes_back_whole(kept: Kept) -> None:
    kept.world.cooperate()
    kept.writer.flush()
    kept.file.full = True
    kept.world.stop("web")
    kept.loop.turn()
    assert read_lines(kept.path) is None, "a file that is not kept up to date would soon be wrong"
    assert "cannot write" in kept.said[-1][1]
    kept.file.full = False
    (again,) = kept.loop.later
    again()
    for _ in range(3):
        kept.loop.turn()
    assert content(slot.entry for slot in kept.saved().slots) == content(kept.world.table)
    assert "can be written again" in kept.said[-1][1]


def grow(kept: Kept) -> None:
    """Write until the file is due to be replaced."""
    kept.writer._add(line("facts", {"long": "x" * (kept.file.size + GROWN_BYTES)}))
    kept.writer.flush()


def test_a_file_that_cannot_be_replaced_is_kept_up_to_date_all_the_same(kept: Kept) -> None:
    kept.world.cooperate()
    kept.file.refusing = True
    grow(kept)
    kept.world.stop("web")
    kept.loop.turn()
    assert content(slot.entry for slot in kept.saved().slots) == content(kept.world.table)
    assert [text for _, text in kept.said] == [
        f"cannot replace {kept.path}: too many open files; it grows until that is possible"
    ]
    kept.file.refusing = False
    (again,) = kept.loop.later
    again()
    for _ in range(3):
        kept.loop.turn()
    assert kept.file.size < GROWN_BYTES
    assert content(slot.entry for slot in kept.saved().slots) == content(kept.world.table)


def test_a_disk_that_is_full_when_the_new_file_is_all_but_written_costs_the_file_and_is_no_bug(kept: Kept) -> None:
    kept.world.cooperate()
    grow(kept)
    kept.replacement._write_some()
    kept.file.full = True
    kept.world.stop("web")
    kept.replacement._write_some()
    assert read_lines(kept.path) is None
    kept.file.full = False
    (again,) = kept.loop.later
    again()
    for _ in range(4):
        kept.loop.turn()
    assert content(slot.entry for slot in kept.saved().slots) == content(kept.world.table)


@pytest.mark.parametrize("other", [{"boot": "c"}, {"socket": "/t"}, {"uid": 8}])
def test_a_file_of_somebody_else_is_refused_and_only_another_boot_is_in_order(
    kept: Kept, other: dict[str, Any]
) -> None:
    with pytest.raises(StateError) as caught:
        saved_of(read_lines(kept.path) or [], {**IDENTITY, **other})
    assert caught.value.stale is ("boot" in other)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_file_that_was_tampered_with_is_a_state_or_an_error(kept: Kept, data: st.DataObject) -> None:
    kept.world.cooperate()
    kept.writer.flush()
    text = bytearray(Path(kept.path).read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(text) - 1))
        text[at : at + data.draw(st.integers(0, 9))] = data.draw(st.binary(max_size=9))
    try:
        saved = saved_of(bytes(text).split(b"\n")[:-1], IDENTITY)
    except StateError:
        return
    assert isinstance(saved.config, Config)
    json.dumps([slot.entry.canonical for slot in saved.slots])


@pytest.mark.parametrize("news", ["a flush", "a start", "an end"])
@pytest.mark.parametrize("many", [0, ROWS_AT_ONCE])
@pytest.mark.parametrize("mischief", ["removed", "replaced", "truncated", "grown", "directory"])
def test_a_state_file_that_somebody_touches_is_written_again_whole_before_the_next_answer(
    tmp_path: Path, mischief: str, many: int, news: str
) -> None:
    kept = Kept(tmp_path / "made", program("web", numprocs=2), *([program("more", numprocs=many)] if many else []))
    path = Path(kept.path)
    match mischief:
        case "removed":
            path.unlink()
        case "replaced":
            path.with_suffix(".copy").write_bytes(path.read_bytes())
            path.with_suffix(".copy").replace(path)
        case "truncated":
            os.truncate(path, 10)
        case "grown":
            path.write_bytes(path.read_bytes() + b'{"gone": ["web", 0]}\n')
        case _:
            shutil.rmtree(path.parent)
    match news:
        case "a start":
            kept.writer.spawning(kept.world.entry("web:1"), 5.5, [11])
        case "an end":
            kept.writer.ends(kept.world.entry("web:1"), 9)
    kept.writer.flush()
    for _ in range(many // ROWS_A_TURN + 4):
        kept.loop.turn()
    assert content(slot.entry for slot in kept.saved().slots) == content(kept.world.table)
    kept.world.stop("web")
    kept.loop.turn()
    assert content(slot.entry for slot in kept.saved().slots) == content(kept.world.table)
    assert [level for level, _text in kept.said] == ["warning"]
    assert f"the state file {path} had been " in kept.said[0][1]
    kept.writer.end()
    assert list(path.parent.iterdir()) == []


def test_what_cannot_be_written_again_is_told_until_it_can(tmp_path: Path) -> None:
    kept = Kept(tmp_path, program("web"))
    path = Path(kept.path)
    path.unlink()
    path.mkdir()
    (path / "in the way").touch()
    kept.writer.flush()
    assert f"cannot write {path}: " in kept.writer.trouble
    (path / "in the way").unlink()
    path.rmdir()
    for callback in kept.loop.later:
        callback()
    for _ in range(5):
        kept.loop.turn()
    assert kept.writer.trouble == ""
    assert content(slot.entry for slot in kept.saved().slots) == content(kept.world.table)
    kept.writer.end()


def test_a_daemon_that_dies_while_a_large_plan_is_applied_leaves_the_rest_of_it_to_do(tmp_path: Path) -> None:
    kept = Kept(tmp_path, program("web", numprocs=4))
    kept.world.cooperate()
    wanted = program("web", numprocs=4, umask=0o77)
    plan = diff(kept.world.table, DAEMON, config(wanted))
    run(kept.writer.applying(plan))
    application = apply(kept.world.supervisor, plan, "alice", kept.world.ticket())
    while all(each.wanted != wanted for each in kept.world.table):
        next(application)  # until it has come to the first of the four
    for entry in kept.world.table:
        kept.writer.changed(entry)
    kept.writer.flush()
    saved = kept.saved()
    table = Table()
    for slot in saved.slots:
        table.add(slot.entry)
    assert [each.wanted == wanted for each in table] == [True, False, False, False]
    (left,) = diff(table, DAEMON, saved.config).programs
    assert left.restart == (1, 2, 3)
    kept.writer.end()


def test_a_state_is_ours_where_its_socket_was_ours_formerly_and_nothing_else_may_differ(kept: Kept) -> None:
    lines = read_lines(kept.path) or []
    moved = {**IDENTITY, "socket": "/other", "pid": 1}
    assert saved_of(lines, moved, "/s").slots
    for identity, formerly in ((moved, ""), (moved, "/t"), ({**moved, "uid": 8}, "/s"), ({**moved, "boot": "c"}, "/s")):
        with pytest.raises(StateError, match=r"its (socket|uid|boot) is"):
            saved_of(lines, identity, formerly)


@pytest.mark.parametrize(("keep", "forget", "stays"), [(False, True, False), (False, False, True), (True, True, True)])
def test_the_key_of_the_marks_goes_with_the_state_when_nothing_that_carries_one_is_left(
    tmp_path: Path, keep: bool, forget: bool, stays: bool
) -> None:
    kept = Kept(tmp_path, program("web"))
    key = Path(kept.path + ".key")
    key.write_text("secret")
    kept.writer.end(keep=keep, forget_key=forget)
    assert (key.exists(), Path(kept.path).exists()) == (stays, keep)
    kept.file.remove()
