"""The history's writer and its files: numbers without holes, limits, torn lines, full disks."""

from __future__ import annotations

import json
import os
import resource
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from taskmasterd.telling.eventlog import EventLog
from taskmasterd.telling.history import MOST_A_MINUTE, MOST_WAITING, History
from tests.support.paper import Paper

DAY_S = 86_400.0
LIMITS = {"size": 64_000, "age": 90 * DAY_S}


class Writer:
    """Histories in one directory, one after the other, on a clock that only the test moves."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.seconds = 1_800_000_000.25
        self.due: list[tuple[float, Callable[[], None]]] = []
        self.made: list[History] = []

    def history(self, limits: Mapping[str, Any] = LIMITS) -> History:
        def later(seconds: float, callback: Callable[[], None]) -> None:
            self.due.append((self.seconds + seconds, callback))

        clock = lambda: self.seconds  # noqa: E731 - both clocks are one
        self.made.append(History(str(self.place / "history" / "sock"), limits, "boot", later, (clock, clock)))
        return self.made[-1]

    def passes(self, seconds: float) -> None:
        self.seconds += seconds
        due, self.due = self.due, []
        for moment, callback in due:
            if moment <= self.seconds:
                callback()
            else:
                self.due.append((moment, callback))

    @property
    def files(self) -> list[Path]:
        return sorted((self.place / "history").iterdir(), key=lambda path: int(path.name.split(".")[1].split("-")[0]))

    @property
    def records(self) -> list[dict[str, Any]]:
        return [json.loads(line) for path in self.files for line in path.read_text().splitlines()]


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[Writer]:
    made = Writer(tmp_path)
    yield made
    for history in made.made:
        history.close()


def noted(history: History, count: int, name: str = "") -> None:
    """Write so many records, each of another name unless one is given."""
    for number in range(count):
        history.note(name or f"web:{number}", "started", pid=number)
    history.flush()


def test_a_record_has_number_times_boot_name_event_and_the_fields_that_are_not_none(writer: Writer) -> None:
    history = writer.history()
    history.note("web:1", "exited", pid=7, status=256, left=None, words=lambda: ["bind: in use"])
    history.note("", "upgrade", words=lambda: None)
    assert writer.records == [], "nothing is written before the flush"
    history.flush()
    first, second = writer.records
    assert first == {
        "seq": 1, "time": "2027-01-15T08:00:00.250000Z", "mono": 1_800_000_000.25, "boot": "boot", "name": "web:1",
        "event": "exited", "pid": 7, "status": 256, "words": ["bind: in use"],
    }  # fmt: skip
    assert (second["seq"], second["name"], "words" in second) == (2, "", False)
    assert os.stat(writer.files[0]).st_mode & 0o777 == 0o600
    assert os.stat(writer.files[0].parent).st_mode & 0o777 == 0o700


def test_numbers_go_on_in_the_next_daemon_and_a_torn_last_line_is_cut_off(writer: Writer) -> None:
    noted(writer.history(), 3)
    with writer.files[0].open("ab") as file:
        file.write(b'{"seq":4,"time":"20' + b"x" * 5000)
    history = writer.history()
    assert history.seq == 3
    noted(history, 2)
    assert [record["seq"] for record in writer.records] == [1, 2, 3, 4, 5]
    assert len(writer.files) == 1


def test_the_event_log_writes_both_in_one_flush_and_the_history_at_any_level(writer: Writer) -> None:
    paper = Paper()
    log = EventLog("error", paper, history=writer.history())
    log.note("web", "started", pid=7)
    log.write("info", "not this line")
    assert (paper.text, len(writer.records)) == (b"", 1)


def test_files_are_quarters_of_the_size_and_the_oldest_goes(writer: Writer) -> None:
    history = writer.history()
    for _ in range(60):
        noted(history, 20)
    sizes = [path.stat().st_size for path in writer.files]
    assert len(sizes) == 4
    assert sum(sizes) <= LIMITS["size"] + 20 * 200
    numbers = [record["seq"] for record in writer.records]
    assert numbers == list(range(numbers[0], 1201))
    assert int(writer.files[0].name.split(".")[1].split("-")[0]) == numbers[0] > 1


def test_files_go_when_they_are_too_old_though_they_are_small(writer: Writer) -> None:
    history = writer.history()
    for _tenth_day in range(20):
        noted(history, 1)
        os.utime(writer.files[-1], (writer.seconds, writer.seconds))
        writer.passes(10 * DAY_S)
    kept = [record["seq"] for record in writer.records]
    assert 5 <= len(kept) <= 13
    assert kept == list(range(kept[0], 21))


def test_files_of_another_daemon_stay_unless_nobody_has_written_to_them_for_a_year(writer: Writer) -> None:
    noted(writer.history(), 1)
    directory = writer.files[0].parent
    for name, days in (("other.1-1.jsonl", 300), ("gone.1-1.jsonl", 400), ("notes.txt", 400)):
        (directory / name).write_text("{}\n")
        os.utime(directory / name, (writer.seconds - days * DAY_S, writer.seconds - days * DAY_S))
    writer.history()
    assert {path.name for path in directory.iterdir()} == {writer_name(directory), "other.1-1.jsonl", "notes.txt"}


def writer_name(directory: Path) -> str:
    return next(path.name for path in directory.iterdir() if path.name.startswith("sock."))


def test_of_one_name_sixty_are_written_a_minute_and_the_last_of_the_others_stands_for_them(writer: Writer) -> None:
    history = writer.history()
    for number in range(100):
        history.note("web", "exited", pid=number)
    history.note("db", "started")
    history.flush()
    assert [record["name"] for record in writer.records] == ["web"] * MOST_A_MINUTE + ["db"]
    writer.passes(60)
    last = writer.records[-1]
    assert (last["seq"], last["name"], last["pid"], last["more"]) == (62, "web", 99, 39)
    noted(history, 60, "web")
    assert [record["seq"] for record in writer.records] == list(range(1, 123))


def test_what_was_only_counted_is_written_when_the_daemon_ends(writer: Writer) -> None:
    history = writer.history()
    noted(history, 62, "web")
    assert len(writer.records) == 60
    history.sum_up()
    history.flush()
    assert [(record["seq"], record.get("more")) for record in writer.records[-2:]] == [(60, None), (61, 1)]


def test_a_file_that_somebody_removes_is_followed_by_another_one(writer: Writer) -> None:
    history = writer.history()
    noted(history, 2)
    writer.files[0].unlink()
    noted(history, 1)
    assert [record["seq"] for record in writer.records] == [3]


def test_size_0_writes_nothing_and_a_reload_turns_it_off_and_on(writer: Writer) -> None:
    history = writer.history({"size": 0, "age": 0.0})
    noted(history, 3)
    assert not (writer.place / "history").exists()
    history.limit(LIMITS)
    noted(history, 2)
    history.limit({"size": 0, "age": 0.0})
    noted(history, 2)
    history.limit(LIMITS)
    noted(history, 1)
    assert [record["seq"] for record in writer.records] == [1, 2, 3]


class Ear:
    """A watcher that keeps what it hears."""

    def __init__(self) -> None:
        self.heard: list[object] = []

    def noted(self, record: Mapping[str, Any], /) -> None:
        self.heard.append(record["seq"])

    def written(self) -> None:
        self.heard.append("written")


def test_watchers_hear_each_record_and_then_that_all_are_on_the_disk(writer: Writer) -> None:
    history, ear = writer.history(), Ear()
    history.watch(ear)
    noted(history, 2)
    history.unwatch(ear)
    noted(history, 1)
    assert ear.heard == [1, 2, "written"]
    deaf = writer.history({"size": 0, "age": 0.0})
    deaf.watch(ear)
    noted(deaf, 1)
    assert ear.heard[3:] == [1, "written"]


@pytest.fixture
def small_disk(writer: Writer) -> Iterator[Writer]:
    """Files of this process have at most 8 KiB."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (8192, before[1]))
    yield writer
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_what_cannot_be_written_waits_says_why_and_follows_whole(small_disk: Writer) -> None:
    writer, log = small_disk, Paper()
    history = writer.history()
    events = EventLog("info", log, history=history)
    for number in range(100):
        events.note(f"web:{number}", "started", pid=number)
        events.flush()
    assert "cannot write the history: file too large" in history.trouble.lower()
    assert log.text.count(b"cannot write the history") == 1
    assert all(record["seq"] for record in writer.records), "no line is torn"
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
    events.note("", "operator")
    events.flush()
    assert history.trouble == ""
    assert [record["seq"] for record in writer.records] == list(range(1, 102))
    assert b"the history can be written again; 0 events are missing in it" in log.text


def test_the_oldest_are_lost_when_too_many_wait(small_disk: Writer) -> None:
    writer, log = small_disk, Paper()
    history = writer.history()
    events = EventLog("info", log, history=history)
    for number in range(MOST_WAITING + 100):
        events.note(f"web:{number}", "started")
        events.flush()
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
    events.note("", "operator")
    events.flush()
    numbers = [record["seq"] for record in writer.records]
    missing = MOST_WAITING + 101 - len(numbers)
    assert 0 < missing < 100
    assert f"{missing} events are missing in it" in log.text.decode()


def test_a_directory_that_cannot_be_made_is_a_trouble_and_numbers_go_on_once_it_can(writer: Writer) -> None:
    noted(writer.history(), 3)
    kept = (writer.place / "history").rename(writer.place / "kept")
    (writer.place / "history").write_text("in the way")
    history = writer.history()
    assert "not a directory" in history.trouble.lower()
    noted(history, 2)
    (writer.place / "history").unlink()
    kept.rename(writer.place / "history")
    noted(history, 1)
    assert history.trouble == ""
    assert [record["seq"] for record in writer.records] == [1, 2, 3, 4, 5, 6]


def test_a_number_that_somebody_has_heard_of_is_never_used_again(writer: Writer) -> None:
    noted(writer.history(), 3)
    kept = (writer.place / "history").rename(writer.place / "kept")
    (writer.place / "history").write_text("in the way")
    history = writer.history()
    noted(history, 1)
    heard: list[int] = []
    history.listen(lambda record: heard.append(record["seq"]))
    noted(history, 2)
    assert heard[0] > 3, "nobody knows how many there were"
    assert heard[1] == heard[0] + 1
    (writer.place / "history").unlink()
    kept.rename(writer.place / "history")
    noted(history, 1)
    assert [record["seq"] for record in writer.records] == [1, 2, 3, *range(heard[0] - 1, heard[0] + 3)]
    assert heard == [*range(heard[0], heard[0] + 3)]
    later = writer.history()
    noted(later, 1)
    assert later.seq == heard[-1] + 1


def test_others_may_not_lend_it_a_file_or_a_directory(writer: Writer) -> None:
    noted(writer.history(), 1)
    directory = writer.files[0].parent
    elsewhere = writer.place / "elsewhere"
    writer.files[0].rename(elsewhere)
    os.symlink(elsewhere, directory / elsewhere.name.replace("elsewhere", "sock.1-1800000000.jsonl"))
    before = elsewhere.read_bytes()
    history = writer.history()
    noted(history, 1)
    assert history.trouble
    assert elsewhere.read_bytes() == before
    (directory / "sock.1-1800000000.jsonl").unlink()
    directory.chmod(0o777)
    assert "others may write there" in writer.history().trouble


def test_other_limits_go_on_in_the_same_file_and_lose_nothing(writer: Writer) -> None:
    history = writer.history()
    noted(history, 2)
    for days in range(8):
        history.limit({**LIMITS, "age": (days + 100) * DAY_S})
        noted(history, 1)
    assert [record["seq"] for record in writer.records] == list(range(1, 11))
    assert len(writer.files) == 1
