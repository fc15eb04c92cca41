"""The process that watches files, and real files: one message for each burst of changes."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from taskmasterd.survival.execute import command
from taskmasterd.system.procfs import state_of
from tests.support.daemon import ROOT
from tests.support.wait import wait_until

DEBOUNCE_S = 0.1
ORDER: dict[str, Any] = {"include": [], "ignore": [], "default_ignores": True, "debounce": DEBOUNCE_S, "poll": 0}


class Watcher:
    """One such process, and what it has said, by name."""

    def __init__(self) -> None:
        self.channel, theirs = socket.socketpair()
        self.channel.setblocking(False)
        self.said: dict[str, list[dict[str, Any]]] = {}
        self._rest = b""
        words = command("--watch", str(theirs.fileno()), str(ROOT), str(ROOT / "common"))
        self.process = subprocess.Popen(words, pass_fds=[theirs.fileno()])
        theirs.close()

    def order(
        self, watch: dict[str, dict[str, Any]], since: dict[str, float] | None = None, files: tuple[str, ...] = ()
    ) -> None:
        """Say what is to be watched, and wait until it is."""
        for name in watch:
            self.said[name] = []
        order = {"watch": watch, "never": {"files": files, "below": []}, "since": since or {}}
        self.channel.sendall(json.dumps(order).encode() + b"\n")
        wait_until(lambda: all(self.heard(name) for name in watch))

    def heard(self, name: str) -> list[dict[str, Any]]:
        """Return what it has said about a watch by now."""
        try:
            self._rest += self.channel.recv(65_536)
        except BlockingIOError:
            pass
        *lines, self._rest = self._rest.split(b"\n")
        for line in lines:
            message = json.loads(line)
            self.said.setdefault(message.pop("name"), []).append(message)
        return self.said[name]

    def changes(self, name: str) -> list[dict[str, Any]]:
        """Return the changes that it has told of, without their times."""
        return [{"changed": each["changed"], "more": each["more"]} for each in self.heard(name) if "changed" in each]

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """Stop the watcher for the length of the block: it sees all changes as one burst, however slow this process is."""
        self.process.send_signal(signal.SIGSTOP)
        try:
            wait_until(lambda: state_of(self.process.pid) == "T")
            yield
        finally:
            self.process.send_signal(signal.SIGCONT)

    def end(self) -> int:
        """Close the channel, and wait for its end."""
        self.channel.close()
        return self.process.wait(10)


@pytest.fixture
def watcher() -> Iterator[Watcher]:
    """Return a process that watches nothing yet."""
    found = Watcher()
    yield found
    assert found.end() == 0


def vim(path: Path) -> None:
    """Save as vim does with backupcopy=no."""
    (path.parent / "4913").touch()
    (path.parent / "4913").unlink()
    backup = path.with_name("app.py~")
    path.rename(backup)
    path.write_text("new")
    backup.unlink()


def replaced(path: Path) -> None:
    """Save by a new file and a rename."""
    path.with_name(".app.py.swp").write_text("new")
    path.with_name(".app.py.swp").replace(path)


def many(path: Path) -> None:
    """Change 200 files."""
    for number in range(200):
        path.with_name(f"file{number}").write_text("x")


def deep(path: Path) -> None:
    """Make directories with a file."""
    (path.parent / "new" / "deep").mkdir(parents=True)
    (path.parent / "new" / "deep" / "a").write_text("x")


def moved_in(path: Path) -> None:
    """Move a directory in that has a file."""
    other = path.parent.with_name(f"{path.parent.name}-other")
    other.mkdir()
    (other / "a").write_text("x")
    other.rename(path.parent / "moved")


SAVES: dict[str, tuple[Callable[[Path], object], str, int]] = {
    "vim": (vim, "src/app.py", 0),
    "replaced": (replaced, "src/app.py", 0),
    "touch": (lambda path: subprocess.run(["touch", path], check=True), "src/app.py", 0),
    "written": (lambda path: path.write_text("new"), "src/app.py", 0),
    "removed": (lambda path: path.unlink(), "src/app.py", 0),
    "many": (many, "src/file0", 199),
    "deep": (deep, "src/new/deep/a", 0),
    "moved": (moved_in, "src/moved/a", 0),
    "linked": (lambda path: path.with_name("link").symlink_to("app.py"), "src/link", 0),
}


def place(tmp_path: Path, name: str) -> Path:
    """Make a directory with a file."""
    (tmp_path / name).mkdir()
    (tmp_path / name / "app.py").write_text("old")
    return tmp_path / name


def test_each_way_to_save_is_one_message_and_what_is_as_before_is_none(watcher: Watcher, tmp_path: Path) -> None:
    roots = {name: place(tmp_path, name) for name in (*SAVES, "back", "time", "ignored", "ours")}
    (roots["ignored"] / "node_modules").mkdir()
    watcher.order(
        {
            name: {**ORDER, "paths": [[str(root), "src"]], "debounce": 0.7 if name == "many" else DEBOUNCE_S}
            for name, root in roots.items()
        },
        files=(str(roots["ours"] / "web.log"),),
    )
    assert watcher.heard("vim") == [{"on": 1, "poll": 0}]
    assert watcher.heard("ignored") == [{"on": 1, "poll": 0}], "an ignored directory is not watched"
    with watcher.stopped():
        for name, (save, _path, _more) in SAVES.items():
            save(roots[name] / "app.py")
        (roots["back"] / "app.py").rename(roots["back"] / "b.py")
        (roots["back"] / "b.py").rename(roots["back"] / "app.py")
        os.utime(roots["time"] / "app.py", (1, 1))
        (roots["ignored"] / "node_modules" / "a").write_text("x")
        for log in ("web.log", "web.log.1"):
            (roots["ours"] / log).write_text("x")
    wait_until(lambda: all(watcher.changes(name) for name in SAVES))
    with watcher.stopped():
        (roots["vim"] / "last").write_text("x")  # what comes after it has been told by then, too
    wait_until(lambda: len(watcher.changes("vim")) == 2)
    assert watcher.changes("vim").pop(0) == {"changed": "src/app.py", "more": 0}
    for name, (_save, path, more) in list(SAVES.items())[1:]:
        assert watcher.changes(name) == [{"changed": path, "more": more}], name
    for name in ("back", "time", "ignored", "ours"):
        assert watcher.changes(name) == [], name


def test_a_link_that_leads_elsewhere_a_place_that_comes_late_and_a_file_are_seen(
    watcher: Watcher, tmp_path: Path
) -> None:
    for number in (1, 2):
        place(tmp_path, f"release{number}")
    (tmp_path / "current").symlink_to("release1")
    (tmp_path / "one.yaml").write_text("x")
    paths = {
        "link": tmp_path / "current",
        "below": tmp_path / "current" / "app.py",
        "late": tmp_path / "late" / "src",
        "file": tmp_path / "one.yaml",
    }
    watcher.order({name: {**ORDER, "paths": [[str(path), name]]} for name, path in paths.items()})
    with watcher.stopped():
        (tmp_path / "next").symlink_to("release2")
        (tmp_path / "next").replace(tmp_path / "current")
        (tmp_path / "late" / "src").mkdir(parents=True)
        (tmp_path / "late" / "src" / "a").write_text("x")
        (tmp_path / "one.yaml").write_text("y")
    wait_until(lambda: all(watcher.changes(name) for name in paths))
    assert [watcher.changes(name) for name in paths] == [
        [{"changed": "link/app.py", "more": 0}],
        [{"changed": "below", "more": 0}],
        [{"changed": "late/a", "more": 0}],
        [{"changed": "file", "more": 0}],
    ]
    with watcher.stopped():
        (tmp_path / "release2" / "app.py").write_text("newer")
        (tmp_path / "late" / "src" / "a").write_text("newer")
    wait_until(lambda: all(len(watcher.changes(name)) == 2 for name in ("link", "below", "late")))


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_no_user_leads_root_by_a_link_to_what_is_not_his(watcher: Watcher, tmp_path: Path) -> None:
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    for directory in (ours, theirs):
        directory.mkdir()
    os.chown(theirs, 65534, 65534)
    planted, made_by_us = tmp_path / "planted", tmp_path / "made-by-us"
    for link, target in ((planted, ours), (made_by_us, theirs)):
        link.symlink_to(target)
    os.chown(planted, 65534, 65534, follow_symlinks=False)
    watcher.order({
        "planted": {**ORDER, "paths": [(str(planted), "planted")]},
        "ours": {**ORDER, "paths": [(str(made_by_us), "ours")]},
    })  # fmt: skip
    (ours / "secret").touch()
    (theirs / "file").touch()
    wait_until(lambda: watcher.changes("ours"))
    assert watcher.heard("planted") == [{"on": 0, "poll": 0}]
    assert watcher.changes("ours") == [{"changed": "ours/file", "more": 0}]


def test_with_poll_the_times_of_files_are_compared(watcher: Watcher, tmp_path: Path) -> None:
    roots = {name: place(tmp_path, name) for name in SAVES}
    watcher.order({name: {**ORDER, "poll": 0.1, "paths": [[str(root), "src"]]} for name, root in roots.items()})
    assert watcher.heard("vim") == [{"on": 1, "poll": 0.1}]
    with watcher.stopped():
        for name, (save, _path, _more) in SAVES.items():
            save(roots[name] / "app.py")
    wait_until(lambda: all(watcher.changes(name) for name in SAVES))
    for name, (_save, path, more) in SAVES.items():
        told = watcher.changes(name)
        assert (told[0]["changed"], sum(each["more"] + 1 for each in told)) == (path, more + 1), name


def test_what_was_modified_before_the_watch_began_counts_where_it_is_asked_for(
    watcher: Watcher, tmp_path: Path
) -> None:
    roots = {name: place(tmp_path, name) for name in ("since", "before", "future")}
    now = (roots["since"] / "app.py").stat().st_mtime
    os.utime(roots["future"] / "app.py", (now + 1000, now + 1000))
    since = {"since": now - 1, "before": now + 1, "future": now - 1}
    watcher.order({name: {**ORDER, "paths": [[str(root), "src"]]} for name, root in roots.items()}, since)
    wait_until(lambda: watcher.changes("since"))
    assert [watcher.changes(name) for name in ("before", "future")] == [[], []]


def test_another_order_changes_only_what_is_another_one(watcher: Watcher, tmp_path: Path) -> None:
    roots = {name: place(tmp_path, name) for name in ("stays", "goes")}
    orders = {name: {**ORDER, "paths": [[str(root), "src"]]} for name, root in roots.items()}
    watcher.order(orders)
    with watcher.stopped():
        watcher.channel.sendall(
            json.dumps({"watch": {"stays": orders["stays"]}, "never": {"files": [], "below": []}, "since": {}}).encode()
            + b"\n"
        )
        (roots["goes"] / "app.py").write_text("new")
        (roots["stays"] / "app.py").write_text("new")
    wait_until(lambda: watcher.changes("stays"))
    assert len(watcher.heard("stays")) == 2, "on, and the change: it was not begun again"
    assert watcher.changes("goes") == []
