"""Fixtures for all tests: short private directories, a real daemon, and a look for what a test left behind."""

from __future__ import annotations

import compileall
import gc
import os
import shutil
import signal
import sys
import tempfile
import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack
from pathlib import Path

import hypothesis
import pytest
from _pytest.runner import runtestprotocol
from _pytest.terminal import TerminalReporter

from tests.support.daemon import ROOT, Daemon, command_environment
from tests.support.forkserver import ForkServer
from tests.support.wait import wait_until

UNHEALTHY = [
    hypothesis.HealthCheck.too_slow,
    hypothesis.HealthCheck.filter_too_much,
    hypothesis.HealthCheck.data_too_large,
]
for profile, examples in (("suite", 20), ("search", 200)):
    hypothesis.settings.register_profile(
        profile, max_examples=examples, deadline=None, suppress_health_check=UNHEALTHY
    )  # how long an example takes is the machine's affair, and how many are thrown away or are too long that of chance
hypothesis.settings.load_profile("suite")

SLOW_S = 2.0
"""Most processor time of a test that is not marked slow, seconds: its own, and that of its children that have ended.

It is twice what the mark says: on a busy machine the same work takes up to twice the processor time. A test that draws its
examples is left out: what it draws decides how long it takes.
"""
DAEMONS = {"make_daemon", "share_daemon"}
"""Fixtures that make a real daemon."""
COLLECT_AT = 50_000
"""New objects after which garbage is collected."""
BEGAN_AT = pytest.StashKey[float]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add an option that checks the marker `slow`."""
    parser.addoption("--marks", action="store_true", help=f"fail if a test over {SLOW_S} s is not marked slow")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark what has a daemon as slow, and the sweep: `-m "not slow"` replaces the `-m "not sweep"` of the configuration."""
    for item in items:
        if item.get_closest_marker("sweep") or DAEMONS.intersection(getattr(item, "fixturenames", ())):
            item.add_marker("slow")
    if hasattr(config, "workerinput"):
        # each worker has collected the files in another order; the longest test begins first, so that none ends alone
        items.sort(key=lambda item: (item.path.name != "test_readme.py", item.path))


def pytest_collection_finish() -> None:
    """Let no garbage collection look at what lives to the end, all modules and seven thousand tests: it was a tenth of a run."""
    gc.freeze()
    gc.enable()


def _processor_time_s() -> float:
    return sum(os.times()[:4])


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Note when a test begins."""
    item.stash[BEGAN_AT] = _processor_time_s()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> bool | None:
    """Let a worker send one report of a test that passes, where nobody asks for more: to tell all six took a tenth of a run."""
    options = item.config.option
    if (
        not hasattr(item.config, "workerinput")
        or options.marks
        or options.verbose > 0
        or options.durations
        or options.xmlpath
    ):
        return None
    for report in runtestprotocol(item, nextitem=nextitem, log=False):
        if report.when == "call" or not report.passed:
            item.ihook.pytest_runtest_logreport(report=report)
    return True


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Put the processor time of a test into its last report."""
    report = yield
    if call.when == "teardown":
        report.user_properties.append(("processor_s", _processor_time_s() - item.stash[BEGAN_AT]))
    return report


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail if something takes too long for its marks, where that was asked for."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if not isinstance(reporter, TerminalReporter) or not session.config.getoption("marks"):
        return
    took = [
        (seconds, report.nodeid)
        for report in (each for reports in reporter.stats.values() for each in reports)
        if isinstance(report, pytest.TestReport) and not {"slow", "hypothesis"} & report.keywords.keys()
        for name, seconds in report.user_properties
        if name == "processor_s" and isinstance(seconds, float) and seconds > SLOW_S
    ]
    reporter.section(f"over {SLOW_S} s of processor time and not marked slow: {len(took)}")
    for seconds, name in sorted(took, reverse=True):
        reporter.write_line(f"{seconds:.2f} s  {name}")
    if took and not session.exitstatus:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_configure(config: pytest.Config) -> None:
    """Compile the packages once: the commands that tests run write no bytecode, and would compile all of it each time.

    Keep the bytecode of the tests too, whatever PYTHONDONTWRITEBYTECODE says: rewriting their asserts takes 6 s of each worker,
    and those of pytest's plugins, which a worker reads before this file, another one.
    Collect garbage seldom: what a test leaves is little, and what it walks through is much.
    Obey Ctrl-C, and have what the tests start obey it: a job in the background of a script ignores it (POSIX, sh, 2.11).
    """
    gc.set_threshold(COLLECT_AT)
    gc.disable()  # until all tests are collected
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.dont_write_bytecode = False
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    if not hasattr(config, "workerinput"):
        for package in ("taskmasterd", "taskmasterctl", "common"):
            compileall.compile_dir(ROOT / package, quiet=2)


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Let each worker begin with other test files, so that it finds the others' bytecode when it comes to theirs."""
    report = yield
    worker = getattr(collector.config, "workerinput", None)
    if worker and isinstance(collector, pytest.Directory):
        first = len(report.result) * int(worker["workerid"].removeprefix("gw")) // worker["workercount"]
        report.result[:] = report.result[first:] + report.result[:first]
    return report


@pytest.fixture
def short_dir() -> Iterator[Path]:
    """A private directory whose path is short enough for a socket (unix(7): 107 bytes)."""
    path = Path(tempfile.mkdtemp(prefix="tm", dir="/tmp"))
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture(scope="session")
def forks() -> Iterator[ForkServer | None]:
    """Run the commands of the tests' daemons, where the system can say of a child when it ends."""
    if not hasattr(os, "pidfd_open"):
        yield None
        return
    server = ForkServer(command_environment(Path("/nonexistent")))
    yield server
    server.close()


@pytest.fixture
def make_daemon(short_dir: Path, forks: ForkServer | None) -> Iterator[Callable[..., Daemon]]:
    """Make real daemons, each with its own directory; all of them, and what they started, are gone afterwards."""
    made: list[Daemon] = []

    def make(config: str = "") -> Daemon:
        home = short_dir / f"d{len(made)}"
        home.mkdir()
        daemon = Daemon(home, config, forks)
        made.append(daemon)
        return daemon

    yield make
    for daemon in made:
        daemon.destroy()


@pytest.fixture(scope="module")
def share_daemon(forks: ForkServer | None) -> Iterator[Callable[[str], Daemon]]:
    """Make daemons for tests that only look, or leave everything as they have found it: they last as long as the module."""
    with ExitStack() as stack:

        def make(config: str) -> Daemon:
            home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tm", dir="/tmp"))) / "d0"
            home.mkdir()  # below a directory that is the daemon's, too: some tests let others into both
            daemon = Daemon(home, config, forks)
            stack.callback(daemon.destroy)
            return daemon

        yield make


@pytest.fixture
def daemon(make_daemon: Callable[..., Daemon]) -> Daemon:
    """A daemon that has not been configured or started yet."""
    return make_daemon()


def _own_children() -> set[int]:
    text = Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children")
    return {int(pid) for pid in text.read_text().split()} if text.exists() else set()


@pytest.fixture(autouse=True)
def nothing_left() -> Iterator[None]:
    """Every test leaves as many children, descriptors and threads as it found."""
    children, threads = _own_children(), threading.active_count()
    descriptors = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0
    yield
    wait_until(lambda: _own_children() <= children, within_s=10)
    wait_until(lambda: threading.active_count() <= threads)
    if descriptors:
        assert len(os.listdir("/proc/self/fd")) <= descriptors, os.listdir("/proc/self/fd")
