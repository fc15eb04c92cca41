"""The file of `--output`."""

from __future__ import annotations

import os
import stat
import threading
from itertools import count
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families as prometheus

from taskmaster_common.errors import SystemFailure
from taskmasterctl.metrics.file import remove, replace
from taskmasterctl.metrics.text import PROMETHEUS, Seen, render


def test_who_reads_while_it_is_written_always_sees_a_whole_file(tmp_path: Path) -> None:
    path = tmp_path / "t.prom"
    daemon = {"version": "1", "protocol": 1}
    rows = [{"program": f"p{n}", "instance": 0, "state": "RUNNING", "wanted": True} for n in range(20)]
    texts = [render(Seen(daemon, 1.0, 2.0, rows[:count]), PROMETHEUS) for count in (1, 20)]
    replace(str(path), texts[0])
    over, turns = threading.Event(), count()

    def write() -> None:
        for turn in turns:
            replace(str(path), texts[turn % 2])
            if over.is_set():
                return

    writer = threading.Thread(target=write)
    writer.start()
    found: list[str] = []
    while not set(texts) <= set(found) or len(found) < 500:
        found.append(path.read_text())
    over.set()
    writer.join()
    assert set(found) == set(texts)
    assert all(list(prometheus(text)) for text in texts)
    assert os.listdir(tmp_path) == ["t.prom"]


def test_everybody_may_read_it_whatever_the_umask_is(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        replace(str(tmp_path / "t.prom"), "x")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "t.prom").stat().st_mode) == 0o644


def test_a_link_is_replaced_and_not_followed(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("precious")
    (tmp_path / "t.prom").symlink_to("precious")
    (tmp_path / f".t.prom.{os.getpid()}").symlink_to("precious")
    replace(str(tmp_path / "t.prom"), "x")
    assert (tmp_path / "precious").read_text() == "precious"
    assert (tmp_path / "t.prom").read_text() == "x"


def test_a_file_that_cannot_be_written_anew_does_not_stay_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "t.prom"
    path.write_text("stale")
    (tmp_path / f".t.prom.{os.getpid()}").mkdir()
    with pytest.raises(SystemFailure):
        replace(str(path), "x")
    assert not path.exists()
    remove(str(path))


def test_a_file_of_the_present_directory_needs_no_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    replace("t.prom", "x")
    assert os.listdir(tmp_path) == ["t.prom"]


@pytest.mark.parametrize("linked", [False, True])
def test_what_is_no_regular_file_stays_as_it_is(tmp_path: Path, linked: bool) -> None:
    fifo = path = tmp_path / "t.prom"
    if linked:  # as /dev/stdout is
        fifo = tmp_path / "fifo"
        path.symlink_to(fifo)
    os.mkfifo(fifo)
    with pytest.raises(SystemFailure, match="no regular file"):
        replace(str(path), "x")
    remove(str(path))
    assert stat.S_ISFIFO(path.stat().st_mode)
    assert sorted(os.listdir(tmp_path)) == sorted({"t.prom", fifo.name})
