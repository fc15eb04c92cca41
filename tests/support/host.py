"""A host for the configuration's decoder that exists in memory only."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Mapping
from typing import Any

from taskmaster_common.config import ProgramConfig
from taskmaster_common.config.schedule import schedule_of
from taskmaster_common.errors import ConfigError
from taskmaster_common.paths import default_places
from taskmaster_common.schema import File, Loaded, Surroundings, User, decode
from taskmaster_common.text.calendar.times import some_times
from taskmaster_common.text.calendar.zone import stamp
from taskmaster_common.text.patterns import Pattern
from taskmasterd.probing.ways import problem

SIGNALS = {"HUP": 1, "INT": 2, "QUIT": 3, "KILL": 9, "USR1": 10, "USR2": 12, "TERM": 15, "RTMIN": 34, "RTMAX": 64}
ROOT = User(0, 0, "root", "/root", "/bin/sh", (0,))
WWW = User(33, 33, "www", "/var/www", "/bin/sh", (33,))
MAIN = "/etc/tm/taskmaster.yaml"
NOON = 1_795_867_200
"""2026-11-28T12:00Z, the time of the day on such a host; its clocks are those of UTC."""
ENVIRONMENT = {"HOME": "/root", "PATH": "/usr/bin:/bin", "EMPTY": "", "TAIL": "x$"}


def host(files: Mapping[str, str | bytes | File], **changes: Any) -> Surroundings:
    """Return a host of root's with these files, where every command exists and every directory is accessible."""

    def read(path: str) -> File:
        if path not in files:
            raise OSError(errno.ENOENT, os.strerror(errno.ENOENT))
        content = files[path]
        if isinstance(content, File):
            return content
        return File(content.encode() if isinstance(content, str) else content, mtime_ns=7, size=len(content))

    standard: dict[str, Any] = {
        "environment": ENVIRONMENT,
        "signals": SIGNALS,
        "uid": 0,
        "gid": 0,
        "cwd": "/etc/tm",
        "places": default_places(0, {}),
        "read": read,
        "read_variables": read,
        "expand": lambda pattern: sorted(path for path in files if Pattern(pattern).matches(path)),
        "listed": lambda _pattern: (),
        "user": {"root": ROOT, "0": ROOT, "www": WWW, "33": WWW}.get,
        "group": {"root": 0, "www": 33, "33": 33}.get,
        "members": lambda _group: (),
        "may_enter": lambda _directory, _user: True,
        "find_command": lambda _word, _path, _workingdir, _user: "",
        "identity": lambda path: path,
        "shareable": lambda _path: False,
        "decided_by_others": lambda _path: False,
        "on_disk": lambda _path: False,
        "probe_problem": problem,
        "destination_doubts": lambda _destination, _user: (),
        "watched_directories": lambda _directory, _value: 1,
        "writable_command": lambda _word, _path, _workingdir: (),
        "limit_refusals": lambda _may_use, _uid, _root: (),
        "cgroup_problem": lambda _path, _uid: "",
        "own_score": lambda: 0,
        "zone_problem": lambda name: "is no such time zone" if name.startswith("Nowhere/") else "",
        "upcoming": upcoming_at(NOON),
    }
    return Surroundings(**{**standard, **changes})


def upcoming_at(now: int) -> Callable[[Mapping[str, Any], int], list[tuple[int, str]]]:
    """Return what says when schedules are due next, from that moment on."""

    def upcoming(value: Mapping[str, Any], most: int) -> list[tuple[int, str]]:
        return [(each, stamp(each, 0)) for each in some_times(schedule_of(value).times, now, lambda _moment: 0, most)]

    return upcoming


def load(text: str | bytes, others: Mapping[str, str | bytes | File] | None = None, **changes: Any) -> Loaded:
    """Return the decoded configuration."""
    return decode(MAIN, host({MAIN: text, **(others or {})}, **changes))


def program(text: str, **changes: Any) -> ProgramConfig:
    """Return the program `web`, whose keys besides cmd are `text`: lines, or one flow mapping."""
    lines = "".join(f"    {line}\n" for line in text.splitlines())
    found = load(f"programs:\n  web:\n    cmd: run\n{lines}", **changes).config.program("web")
    assert found is not None
    return found


def problems(text: str | bytes, others: Mapping[str, str | bytes | File] | None = None, **changes: Any) -> list[str]:
    """Return the first line of each problem, without the directory of the main file; fails without a problem."""
    try:
        loaded = load(text, others, **changes)
    except ConfigError as error:
        return [problem.splitlines()[0].replace("/etc/tm/", "") for problem in error.problems]
    raise AssertionError(f"decoded to {loaded.config}")


def program_problems(text: str, **changes: Any) -> list[str]:
    """Return the problems of the program `web` (see `program`), each without `taskmaster.yaml:`."""
    lines = "".join(f"    {line}\n" for line in text.splitlines())
    found = problems(f"programs:\n  web:\n    cmd: run\n{lines}", **changes)
    return [problem.removeprefix("taskmaster.yaml:") for problem in found]
