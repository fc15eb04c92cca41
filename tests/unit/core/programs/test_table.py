"""The process table: shown names, targets, order."""

from __future__ import annotations

import time

import pytest

from taskmaster_common.errors import RequestError
from taskmasterd.core.process.state import Process
from taskmasterd.core.programs.selection import MOST_PATTERNS, select
from taskmasterd.core.programs.table import Entry, Table
from tests.support.model import program
from tests.support.work import here

TABLE = (("web", 3), ("db", 1), ("worker-a", 1), ("worker-b", 2))


@pytest.fixture
def table() -> Table:
    """Return the table of four programs."""
    made = Table()
    for name, count in TABLE:
        for index in range(count):
            made.add(Entry(program(name), index, Process()))
    return made


def chosen(table: Table, *targets: str) -> list[str]:
    """Return the canonical names that the targets stand for."""
    return [entry.canonical for entry in select(table, targets, 5)]


@pytest.mark.parametrize(
    ("targets", "names"),
    [
        (("db",), ["db:0"]),
        (("db:0",), ["db:0"]),
        (("web",), ["web:0", "web:1", "web:2"]),
        (("web:1",), ["web:1"]),
        (("web:*",), ["web:0", "web:1", "web:2"]),
        (("db:*",), ["db:0"]),
        (("w*",), ["web:0", "web:1", "web:2", "worker-a:0", "worker-b:0", "worker-b:1"]),
        (("worker-?",), ["worker-a:0", "worker-b:0", "worker-b:1"]),
        (("*:1",), ["web:1", "worker-b:1"]),
        (("web:[02]",), ["web:0", "web:2"]),
        (("db", "web:2", "d*", "web:2"), ["db:0", "web:2"]),
        (("web:2", "web"), ["web:2", "web:0", "web:1"]),
        ((), []),
    ],
)
def test_a_target_names_each_process_once_in_the_order_of_the_targets(
    table: Table, targets: tuple[str, ...], names: list[str]
) -> None:
    assert chosen(table, *targets) == names


def test_all_names_everything_in_the_order_of_the_file_and_nothing_where_there_is_nothing(table: Table) -> None:
    assert chosen(table, "all") == [f"{name}:{index}" for name, count in TABLE for index in range(count)]
    assert chosen(Table(), "all") == []


@pytest.mark.parametrize(
    ("target", "message", "hint"),
    [
        ("wbe", 'no program named "wbe"; did you mean web?', False),
        ("nginx", 'no program named "nginx"; there are web, db, worker-a and worker-b', True),
        ("nginx:0", 'no program named "nginx:0"; there are web, db, worker-a and worker-b', True),
        ("web:3", 'no process named "web:3"; web has web:0, web:1, web:2', False),
        ("web:01", 'no process named "web:01"; web has web:0, web:1, web:2', False),
        ("web:", 'no process named "web:"; web has web:0, web:1, web:2', False),
        ("web:-1", 'no process named "web:-1"; web has web:0, web:1, web:2', False),
        ("web:\N{ARABIC-INDIC DIGIT ONE}", "no process named", False),
        ("web:\N{SUPERSCRIPT TWO}", "no process named", False),
        ("web:99999999999999999999", "no process named", False),
        ("web:1:1", "no process named", False),
        ("x*", 'no program matches "x*"', False),
        ("", 'no program named ""', True),
    ],
)
def test_a_target_that_names_nothing_is_refused_with_a_next_step(
    table: Table, target: str, message: str, hint: bool
) -> None:
    with pytest.raises(RequestError) as caught:
        select(table, ("db", target), 4)
    assert caught.value.message.startswith(message)
    assert (caught.value.code, caught.value.exit_code, bool(caught.value.hints)) == ("unknown-name", 4, hint)


def test_a_program_with_many_slots_is_not_listed_whole() -> None:
    table = Table()
    for index in range(12):
        table.add(Entry(program("web"), index, Process()))
    with pytest.raises(RequestError, match=r"web has web:0 to web:11$"):
        select(table, ("web:99",), 5)


@pytest.mark.parametrize(
    "target", ["web_1", "web-1", "web1", "web.1", "web_01", "web#1", "web@1", "web:web_1", "web:web_01"]
)
def test_an_instance_as_other_tools_write_it_is_recognised(table: Table, target: str) -> None:
    with pytest.raises(RequestError, match=r"no (program|process) named .*; did you mean web:1\?$"):
        select(table, [target], 5)


def test_an_instance_that_is_not_there_is_told_which_are(table: Table) -> None:
    with pytest.raises(RequestError, match=r'no program named "web_7"; web has web:0, web:1, web:2$'):
        select(table, ["web_7"], 5)


def test_a_long_list_of_instances_says_its_range() -> None:
    table = Table()
    for index in (*range(11), 14, 20, 21):
        table.add(Entry(program("web"), index, Process()))
    with pytest.raises(RequestError, match=r"web has web:0 to web:10, web:14, web:20 to web:21$"):
        select(table, ["web:12"], 5)
    for index in range(30, 60, 2):
        table.add(Entry(program("web"), index, Process()))
    with pytest.raises(RequestError, match=r"web has web:0 to web:10, .* and more, 29 in all$"):
        select(table, ["web:12"], 5)


def test_a_group_stands_for_its_programs_in_any_request(table: Table) -> None:
    table.use_groups({"back": ("db", "worker-b", "gone"), "none": ()})
    assert chosen(table, "back") == ["db:0", "worker-b:0", "worker-b:1"]
    assert chosen(table, "web:1", "back", "db") == ["web:1", "db:0", "worker-b:0", "worker-b:1"]
    assert chosen(table, "none") == []


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("bakc", 'no program named "bakc"; did you mean back?'),
        ("back:1", 'no process named "back:1"; back is a group: write back'),
        ("back:*", 'no process named "back:*"; back is a group: write back'),
        ("b*k", 'no program matches "b*k"'),
    ],
)
def test_what_is_no_group_is_refused_with_its_name(table: Table, target: str, said: str) -> None:
    table.use_groups({"back": ("db",)})
    with pytest.raises(RequestError) as error:
        select(table, [target], 5)
    assert error.value.message == said


def test_one_instance_is_shown_by_the_name_of_its_program_and_several_with_their_numbers(table: Table) -> None:
    assert [table.name(entry) for entry in table] == [
        *("web:0", "web:1", "web:2", "db", "worker-a"),
        *("worker-b:0", "worker-b:1"),
    ]


def test_a_slot_that_is_alone_but_not_the_first_keeps_its_number() -> None:
    table = Table()
    entry = Entry(program("web"), 1, Process())
    table.add(entry)
    assert table.name(entry) == "web:1"


def test_slots_stand_in_the_order_of_their_numbers_whenever_they_came() -> None:
    table = Table()
    for index in (2, 0, 10, 1):
        table.add(Entry(program("web"), index, Process()))
    assert [entry.index for entry in table.slots("web")] == [0, 1, 2, 10]
    assert len(table) == 4


def test_ten_thousand_slots_are_taken_in_without_a_pause() -> None:
    table, web = Table(), program("web", numprocs=10_000)
    began = time.process_time()
    for index in range(web.numprocs):
        table.add(Entry(web, index, Process()))
    assert time.process_time() - began < here(2), "sorting them anew for each took 11 s"
    assert len(table) == 10_000


def test_a_program_is_forgotten_with_its_last_slot(table: Table) -> None:
    web = table.slots("web")
    for entry in web[:2]:
        table.discard(entry)
    assert (table.names()[0], len(table.slots("web"))) == ("web", 1)
    table.discard(web[2])
    table.discard(web[2])
    assert table.names() == ("db", "worker-a", "worker-b")
    assert table.slots("web") == ()


def test_the_last_of_several_that_are_removed_keeps_its_number() -> None:
    table = Table()
    entries = [Entry(program("web", numprocs=2), index, Process()) for index in range(2)]
    for entry in entries:
        table.add(entry)
        entry.removed = True
    table.discard(entries[1])
    assert table.name(entries[0]) == "web:0"


def test_discard_leaves_a_newer_entry_of_the_same_name_alone() -> None:
    table = Table()
    old, new = Entry(program("web"), 0, Process()), Entry(program("web"), 0, Process())
    table.add(new)
    table.discard(old)
    assert table.slots("web") == (new,)


def test_order_follows_the_names_and_puts_others_last(table: Table) -> None:
    table.order(("worker-a", "new", "db"))
    assert table.names() == ("worker-a", "db", "web", "worker-b")


def test_an_entry_holds_what_it_was_started_with_beside_what_is_wanted() -> None:
    first, second = program("web"), program("web", stoptime=3.0)
    entry = Entry(first, 0, Process())
    assert entry.present is first
    entry.current = first
    entry.want(second)
    assert (entry.present, entry.wanted, entry.policy.stoptime) == (first, second, 3.0)
    assert (entry.program, entry.canonical) == ("web", "web:0")


def test_a_request_of_too_many_patterns_is_refused_and_a_repeated_one_counts_once(table: Table) -> None:
    assert chosen(table, *["d*"] * 1000) == ["db:0"]
    with pytest.raises(RequestError, match="at most 32 patterns") as caught:
        select(table, [f"*{number}" for number in range(MOST_PATTERNS + 1)], 5)
    assert (caught.value.code, caught.value.exit_code) == ("usage", 2)
