"""What is kept of schedules on the disk: over daemons, after a torn line, in a file that does not grow."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from taskmasterd.core.programs.schedule import Memory, Run
from taskmasterd.schedules import runs as module
from taskmasterd.schedules.runs import Runs

MEMORY = Memory("every 5.0", 100.0, 50.0, "boot")
RUN = Run(100.0, "schedule", 100.5, 50.5, "boot")
DONE = RUN.replace(began=101.0, ended=103.0, result="done (0) in 2.0s", ok=True)


class Disk:
    """A directory, and the daemons that use it one after the other."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.said: list[str] = []
        self.daemons: list[Runs] = []

    def runs(self, keep: int | None = 3) -> Runs:
        made = Runs(str(self.path / "runs"), "daemon", lambda _level, text: self.said.append(text))
        self.daemons.append(made)
        made.read(lambda _name: keep)
        made.of("web:0", 3)
        return made

    @property
    def file(self) -> Path:
        return self.path / "runs" / "daemon"


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    made = Disk(tmp_path)
    yield made
    for runs in made.daemons:
        runs.close()


def test_what_one_daemon_has_written_the_next_one_knows(disk: Disk) -> None:
    before = disk.runs()
    before.remember("web:0", MEMORY)
    before.begin("web:0", RUN, MEMORY.replace(last=105.0))
    after = disk.runs().of("web:0", 3)
    assert (after.memory, after.current, after.past) == (MEMORY.replace(last=105.0), RUN, [])
    before.over("web:0", DONE)
    after = disk.runs().of("web:0", 3)
    assert (after.current, after.past, after.last) == (None, [DONE], DONE)
    before.remember("web:0", None)
    assert disk.runs().of("web:0", 3).memory is None
    assert disk.file.stat().st_mode & 0o777 == 0o600


def test_a_line_of_a_run_has_the_memory_so_that_no_death_comes_between(disk: Disk) -> None:
    before = disk.runs()
    before.begin("web:0", RUN, MEMORY)
    assert len(disk.file.read_text().splitlines()) == 1


def test_as_many_runs_are_kept_as_the_schedule_says(disk: Disk) -> None:
    before = disk.runs()
    for number in range(10):
        before.over("web:0", DONE.replace(nominal=float(number)))
    assert [run.nominal for run in disk.runs().of("web:0", 3).past] == [7.0, 8.0, 9.0]
    assert disk.runs().of("web:0", 0).past == []


def test_runs_that_were_left_out_in_a_row_are_one(disk: Disk) -> None:
    before = disk.runs()
    for number in range(1, 4):
        before.over("web:0", Run(float(number), "skipped", 1.0, count=number))
    before.over("web:0", DONE)
    past = disk.runs().of("web:0", 3).past
    assert [(run.how, run.count) for run in past] == [("skipped", 3), ("schedule", 0)]


def test_a_torn_line_and_one_that_makes_no_sense_are_left_out(disk: Disk) -> None:
    before = disk.runs()
    before.over("web:0", DONE)
    with disk.file.open("a") as file:
        file.write('["web:0","r",{"what":7}]\n["web:0"]\n{}\nno json\n["web:0","b",{"nomi')
    assert disk.runs().of("web:0", 3).past == [DONE]
    assert disk.runs().of("web:0", 3).past == [DONE], "and the torn one spoils no later line"


def test_a_file_of_somebody_elses_making_is_set_aside(disk: Disk) -> None:
    disk.runs().over("web:0", DONE)
    disk.file.unlink()
    disk.file.symlink_to("/etc/passwd")
    assert disk.runs().of("web:0", 3).past == []
    assert "cannot read the runs of schedules" in disk.said[0]
    assert (disk.path / "runs" / "daemon~unreadable").is_symlink()


def test_a_slot_that_is_gone_and_one_without_a_schedule_are_forgotten(disk: Disk) -> None:
    before = disk.runs()
    before.over("web:0", DONE)
    before.forget("web:0")
    assert disk.runs().of("web:0", 3).past == []
    disk.runs().over("web:0", DONE)
    assert disk.runs(keep=None).of("web:0", 3).past == []


def test_the_file_does_not_grow_for_ever(disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_OLD", 20)
    before = disk.runs()
    for number in range(500):
        before.begin("web:0", RUN, MEMORY)
        before.over("web:0", DONE.replace(nominal=float(number)))
    assert len(disk.file.read_text().splitlines()) < 40
    assert [run.nominal for run in disk.runs().of("web:0", 3).past] == [497.0, 498.0, 499.0]


def test_without_a_directory_runs_go_on_and_it_is_said_once() -> None:
    said: list[str] = []
    made = Runs(None, "daemon", lambda _level, text: said.append(text))
    made.read(lambda _name: 3)
    slot = made.of("web:0", 3)
    made.begin("web:0", RUN, MEMORY)
    made.over("web:0", DONE)
    assert (slot.memory, slot.past) == (MEMORY, [DONE])
    assert said == [
        "there is no directory for the state: runs of schedules die with the daemon; missed runs cannot be made up"
    ]
