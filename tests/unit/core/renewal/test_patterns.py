"""Which paths a pattern means, what belongs to a place, and when a burst of changes is over."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from taskmasterd.renewal.watcher.bursts import Burst
from taskmasterd.renewal.watcher.patterns import DEFAULT_IGNORED, Patterns, root_and_pattern
from taskmasterd.renewal.watcher.trees import Filter, WatchedPlace
from taskmasterd.renewal.watcher.watches import ProgramWatch, TooManyError

if TYPE_CHECKING:
    from collections.abc import Mapping


@pytest.mark.parametrize(
    ("pattern", "meant", "others"),
    [
        ("*.py", ["a.py", "src/deep/a.py"], ["a.pyc", "py", "a.py/b"]),
        ("tmp", ["tmp", "src/tmp"], ["tmp2", "tmp/a"]),
        ("tmp/", ["tmp", "src/tmp"], ["tmp2"]),
        ("src/*.py", ["src/a.py"], ["a.py", "src/deep/a.py", "x/src/a.py"]),
        ("./src/a.py", ["src/a.py"], ["a.py"]),
        ("/a.py", ["a.py"], ["src/a.py"]),
        ("**/a.py", ["a.py", "src/a.py", "src/deep/a.py"], ["ba.py"]),
        ("src/**", ["src/a", "src/deep/a"], ["src", "srcs/a"]),
        ("a?c.[ch]", ["abc.c", "x/abc.h"], ["ac.c", "abc.d", "a/c.c"]),
        ("[!a]x", ["bx"], ["ax", "/x"]),
        ("a[b", ["a[b"], ["ab"]),
        ("a.b+c", ["a.b+c"], ["aXb+c", "a.bbc"]),
    ],
)
def test_a_pattern_means_names_at_any_depth_or_with_a_slash_whole_paths(
    pattern: str, meant: list[str], others: list[str]
) -> None:
    patterns = Patterns([pattern])
    assert [each for each in (*meant, *others) if patterns.match(each)] == meant


def test_no_pattern_means_nothing_and_editors_files_are_ignored_by_default() -> None:
    assert not Patterns([])
    assert not Patterns([]).match("x")
    ignored = Patterns(DEFAULT_IGNORED)
    names = (".git", "a/node_modules", "a.py~", ".a.py.swp", "4913", ".#a.py", "__pycache__")
    assert all(map(ignored.match, names))
    assert not any(map(ignored.match, ("git", "a.py", "src/app.js", "5913")))


@pytest.mark.parametrize(
    ("path", "root", "pattern"),
    [
        ("/srv/app/src", "/srv/app/src", ""),
        ("/srv/*/src", "/srv", "*/src"),
        ("/*.py", "/", "*.py"),
        ("config/*.yaml", "config", "*.yaml"),
        ("*.py", "", "*.py"),
    ],
)
def test_a_path_is_watched_from_the_directory_before_its_first_pattern(path: str, root: str, pattern: str) -> None:
    assert root_and_pattern(path) == (root, pattern)


def tree_of(root: Path, pattern: str = "", include: tuple[str, ...] = (), ignore: tuple[str, ...] = ()) -> WatchedPlace:
    """Return a place and what counts in it."""
    return WatchedPlace(
        str(root), pattern, "shown", Filter(Patterns(include), Patterns(ignore), lambda path: path.endswith(".log"))
    )


def walked(tree: WatchedPlace) -> tuple[list[str], list[str]]:
    """Return the files that count, and the directories that are watched."""
    directories: list[str] = []
    files = sorted(tree.walk("", lambda _tree, relative, _path: directories.append(relative)))
    return files, sorted(directories)


def test_ignored_directories_are_not_even_watched_and_our_own_files_never_count(tmp_path: Path) -> None:
    for path in ("a.py", "web.log", "src/b.py", "src/b.txt", "node_modules/x/y.py", "src/node_modules/z.py"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).touch()
    (tmp_path / "link").symlink_to("src")
    files, directories = walked(tree_of(tmp_path, ignore=("node_modules",)))
    assert (files, directories) == (["a.py", "link", "src/b.py", "src/b.txt"], ["", "src"])
    assert walked(tree_of(tmp_path, include=("*.py",), ignore=("src/b.py", "node_modules")))[0] == ["a.py"]
    assert walked(tree_of(tmp_path, pattern="*.py")) == (["a.py"], [""])
    assert walked(tree_of(tmp_path, pattern="s*")) == (
        ["src/b.py", "src/b.txt", "src/node_modules/z.py"],
        ["", "src", "src/node_modules"],
    )
    assert walked(tree_of(tmp_path, pattern="**/y.py"))[0] == ["node_modules/x/y.py"]
    assert walked(tree_of(tmp_path / "a.py")) == ([""], [])
    assert walked(tree_of(tmp_path / "none")) == ([], [])


def test_a_file_that_is_back_has_not_changed_and_one_that_is_another_one_has(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("1")
    (tmp_path / "b").write_text("1")
    tree = tree_of(tmp_path)
    tree.learn(lambda _tree, _relative, _path: None)
    (tmp_path / "a").rename(tmp_path / "c")
    (tmp_path / "c").rename(tmp_path / "a")
    assert tree.judged(["a", "c"]) == []
    (tmp_path / "new").write_text("1")
    (tmp_path / "new").replace(tmp_path / "a")
    (tmp_path / "b").unlink()
    assert tree.judged(["a", "b", "new"]) == ["a", "b"]
    assert tree.judged(["a", "b"]) == [], "they are known as they are now"


def test_the_way_to_a_place_is_its_name_and_each_link_and_what_is_missing(tmp_path: Path) -> None:
    (tmp_path / "releases" / "1" / "src").mkdir(parents=True)
    (tmp_path / "current").symlink_to("releases/1")
    root = str(tmp_path)
    assert list(tree_of(tmp_path / "current" / "src").way()) == [(root, "current"), (f"{root}/current", "src")]
    assert list(tree_of(tmp_path / "none" / "src").way()) == [(root, "none")]


def test_a_burst_is_over_after_quiet_or_ten_times_that() -> None:
    burst = Burst(0.3)
    assert not burst.open
    burst.add("a", 10.0)
    assert (burst.open, burst.due) == (True, 10.3)
    burst.add("b", 10.2)
    burst.add("a", 10.4)
    assert burst.due == pytest.approx(10.7)
    burst.add("c", 12.9)
    assert burst.due == 13.0, "at most ten times after the first change"
    assert burst.take() == (["a", "b", "c"], False)
    assert not burst.open
    burst.add(None, 20.0)
    assert (burst.began, burst.take()) == (20.0, ([], True))


class Full:
    """A kernel that watches one directory, and no more for this user."""

    def __init__(self) -> None:
        self.watched = 0

    def add(self, _watch: ProgramWatch, _tree: WatchedPlace, _relative: str, _path: str) -> None:
        """Watch a directory."""
        self.watched += 1
        if self.watched > 1:
            raise TooManyError

    def add_way(self, _watch: ProgramWatch, _tree: WatchedPlace) -> None:
        """Watch the way to a place."""

    def drop(self, _watch: ProgramWatch) -> None:
        """Watch nothing any more."""
        self.watched = 0


def test_where_the_kernel_watches_no_more_it_is_said_how_many_directories_there_are(tmp_path: Path) -> None:
    for name in ("a", "b/c", "node_modules/d"):
        (tmp_path / name).mkdir(parents=True)
    said: list[Mapping[str, Any]] = []
    order = {
        "paths": [[str(tmp_path), "src"]],
        "include": [],
        "ignore": [],
        "default_ignores": True,
        "debounce": 0.1,
        "poll": 0,
    }
    kernel: Any = Full()
    watch = ProgramWatch(order, kernel, lambda _path: False, said.append)
    watch.begin(None)
    assert [each["off"].partition(",")[0] for each in said] == ["4 directories"]
    assert said[0]["off"].endswith("allowed (fs.inotify.max_user_watches)")
    assert (kernel.watched, watch.poll_at, watch.burst.open) == (0, None, False)


def test_when_the_kernel_has_lost_changes_everything_is_compared(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("1")
    (tmp_path / "b").write_text("1")
    said: list[Mapping[str, Any]] = []
    order = {
        "paths": [[str(tmp_path), "src"]],
        "include": [],
        "ignore": [],
        "default_ignores": True,
        "debounce": 0.0,
        "poll": 0,
    }
    watch = ProgramWatch(order, None, lambda _path: False, said.append)
    watch.begin(None)
    (tmp_path / "a").write_text("22")
    (tmp_path / "c").write_text("1")
    watch.changed(watch.trees[0], None)
    assert watch.burst.everything
    watch.conclude()
    assert {name: each for name, each in said[-1].items() if name != "ago"} == {"changed": "src/a", "more": 1}
    watch.changed(watch.trees[0], None)
    watch.conclude()
    assert len(said) == 2, "on, and one change"
