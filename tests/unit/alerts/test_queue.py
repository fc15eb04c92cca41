"""The queue of a rule: what is in it, what is on the disk, and what a later daemon finds there."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from taskmasterd.alerts import queue
from taskmasterd.alerts.queue import AlertQueue
from taskmasterd.output.safe.journal import Journal, Place


def event(number: int, **fields: Any) -> dict[str, Any]:
    return {"name": "web", "event": "fatal", "seq": number, **fields}


class Home:
    """A state directory, and the queues that daemons have had there, one after the other."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.places: list[Place] = []
        self.queues: list[AlertQueue] = []
        (path / "alerts").mkdir()

    def made(self, most: int = queue.MOST_EVENTS) -> AlertQueue:
        """Return the queue of a daemon."""
        self.places.append(Place(str(self.path / "alerts" / "daemon"), "alerts that wait"))
        self.queues.append(AlertQueue(Journal(self.places[-1], "page"), most))
        return self.queues[-1]

    def later(self, most: int = queue.MOST_EVENTS) -> AlertQueue:
        """Return the queue of a daemon that comes after one that was killed."""
        found = self.made(most)
        assert found.resume() == ""
        return found

    def filled(self) -> AlertQueue:
        """Return a queue with three messages of two events."""
        found = self.made()
        for number in (10, 20, 30):
            found.add(number, event(number))
            found.add(number, event(number + 1))
            found.completed(number)
        found.flush()
        return found

    @property
    def file(self) -> Path:
        """The file of the queue."""
        return self.path / "alerts" / "daemon" / "page"


def content(found: AlertQueue) -> list[tuple[int, list[int], int]]:
    return [(each.number, [one["seq"] for one in each.events], each.left_out) for each in found]


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    found = Home(tmp_path)
    yield found
    for waiting in found.queues:
        waiting.close()
    for place in found.places:
        place.close()


def test_a_later_daemon_finds_what_waits_in_its_order_and_all_of_it_due(home: Home) -> None:
    home.filled()
    assert content(home.later()) == [(10, [10, 11], 0), (20, [20, 21], 0), (30, [30, 31], 0)]
    assert len(home.later().due) == 3


def test_a_later_daemon_adds_to_what_waits(home: Home) -> None:
    home.filled()
    found = home.later()
    found.add(40, event(40))
    found.flush()
    assert [number for number, _, _ in content(home.later())] == [10, 20, 30, 40]


def test_what_was_delivered_is_not_there_any_more(home: Home) -> None:
    found = home.filled()
    found.gone(10)
    found.flush()
    assert content(home.later()) == [(20, [20, 21], 0), (30, [30, 31], 0)]


def test_a_message_in_the_middle_can_go_alone(home: Home) -> None:
    found = home.filled()
    found.gone(20)
    found.flush()
    assert [number for number, _, _ in content(home.later())] == [10, 30]


def test_without_anything_that_waits_there_is_no_file(home: Home) -> None:
    found = home.filled()
    for number in (10, 20, 30):
        found.gone(number)
    found.flush()
    assert not home.file.exists()
    assert (found.events, found.size) == (0, 0)


def test_files_are_for_the_daemons_user_alone(home: Home) -> None:
    home.filled()
    assert home.file.stat().st_mode & 0o777 == 0o600
    assert home.file.parent.stat().st_mode & 0o777 == 0o700


def test_a_torn_last_line_and_foreign_lines_are_left_out(home: Home) -> None:
    home.filled()
    with home.file.open("ab") as file:
        file.write(b'[]\nnonsense\n{"m":"x","e":{}}\n{"m":40,"e":{"name":"we')
    assert [number for number, _, _ in content(home.later())] == [10, 20, 30]


def test_the_oldest_events_go_and_are_counted(home: Home) -> None:
    found = home.made(4)
    for number in range(16):
        found.add(number // 2 * 10, event(number))
        found.completed(number // 2 * 10)
    found.flush()
    assert (found.events, found.lost) == (4, 12)
    assert content(found) == [(60, [12, 13], 0), (70, [14, 15], 0)]
    after = home.later(4)
    assert (content(after), after.lost) == (content(found), 12)


def test_bytes_are_limited_too(home: Home) -> None:
    found = home.made()
    for number in range(30):
        found.add(number, event(number, words=["x" * 100_000]))
        found.completed(number)
        found.flush()
    assert found.size <= queue.MOST_BYTES
    assert found.lost == 20
    assert home.file.stat().st_size < 4 * queue.MOST_BYTES


def test_the_message_that_is_being_delivered_does_not_change(home: Home) -> None:
    found = home.made(2)
    found.add(1, event(1))
    found.completed(1)
    found.due[0].busy = True
    for number in range(2, 6):
        found.add(number, event(number))
        found.completed(number)
    assert content(found) == [(1, [1], 0), (5, [5], 0)]


def test_lost_events_are_told_once(home: Home) -> None:
    found = home.made(2)
    for number in range(5):
        found.add(number, event(number))
        found.completed(number)
    assert found.due[0].line("page", found.lost) == {
        "id": "3.page", "at": 3e-06, "events": [event(3)], "left_out": 0, "lost": 3,
    }  # fmt: skip
    found.gone(3)
    found.told(3)
    found.flush()
    assert (found.lost, home.later().lost) == (0, 0)


def test_what_was_left_out_is_remembered(home: Home) -> None:
    found = home.made()
    found.add(1, {"event": "", "name": "", "left_out": 7})
    found.completed(1)
    found.flush()
    assert content(home.later()) == [(1, [], 7)]


def test_what_cannot_be_written_waits_in_memory(home: Home) -> None:
    found = home.made()
    (home.path / "alerts" / "daemon").write_text("in the way")
    found.add(1, event(1))
    found.completed(1)
    found.flush()
    assert [each.number for each in found.due] == [1]


def test_without_a_directory_for_the_state_it_waits_in_memory() -> None:
    place = Place(None, "alerts that wait")
    found = AlertQueue(Journal(place, "page"))
    found.add(1, event(1))
    found.flush()
    assert found.resume() == ""
    assert len(found) == 1
    assert "die with the daemon" in place.trouble


def test_a_file_or_directory_that_others_may_write_is_not_used(home: Home) -> None:
    home.filled()
    os.chmod(home.file.parent, 0o777)
    found = home.made()
    assert found.resume() == ""
    assert len(found) == 0


def test_a_link_in_the_place_of_the_file_is_not_followed(home: Home) -> None:
    home.filled()
    home.file.rename(home.path / "elsewhere")
    home.file.symlink_to(home.path / "elsewhere")
    assert "symbolic" in home.made().resume()
