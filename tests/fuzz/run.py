"""One run of the fuzzer against a real daemon, and what must hold meanwhile and afterwards."""

from __future__ import annotations

import contextlib
import random
import socket
import time

from taskmaster_common.errors import ConfigError
from taskmaster_common.schema import decode
from tests.fuzz.texts import configuration, requests
from tests.support.daemon import Daemon
from tests.support.host import MAIN, host
from tests.support.wait import wait_until
from tests.support.wire import ask, connect, descriptors, prompt_s, rss_mb

GOOD = """\
programs:
  web: {cmd: sleep 1000000, numprocs: 3, starttime: 0}
  toy: {cmd: 'while :; do echo tick; sleep 0.1; done', shell: true, numprocs: 2, starttime: 0, stoptime: 1, log_maxbytes: 100KB}
"""
MOST_OPEN = 150
LEAST = 50
"""So many connections are made however slow the machine is."""
DECODE_S = 2.0
GROWTH_MB = 24.0
"""150 connections may have 256 KiB each; freed memory does not all go back to the system."""


class Report:
    """What was done, the worst that was seen, and what did not hold."""

    def __init__(self) -> None:
        self.connections = self.reloads = self.decoded = 0
        self.worst_status_s = self.worst_decode_s = self.worst_rss_mb = self.rss_before_mb = self.rss_after_mb = 0.0
        self.fds_before = self.fds_after = 0
        self.broken: list[str] = []

    def text(self) -> str:
        """Return the report as lines."""
        lines = [
            f"{self.connections} connections, {self.reloads} dry reloads, {self.decoded} texts decoded",
            f"status at worst {self.worst_status_s * 1000:.0f} ms, a text at worst {self.worst_decode_s * 1000:.0f} ms",
            f"RSS of the daemon {self.rss_before_mb:.1f} -> {self.rss_after_mb:.1f} MB (most {self.worst_rss_mb:.1f})",
            f"descriptors of the daemon {self.fds_before} -> {self.fds_after}",
        ]
        return "\n".join([*lines, *(f"BROKEN: {what}" for what in self.broken), "ok" if not self.broken else "not ok"])


def fuzz(daemon: Daemon, seconds: float, seed: int) -> Report:
    """Start the daemon, fuzz it for so long, and return what came of it. The daemon is the caller's to end."""
    dice = random.Random(seed)
    report = Report()
    daemon.write(GOOD)
    daemon.start()
    wait_until(lambda: daemon.log("toy") != b"")
    web = _pids(daemon)
    report.fds_before, report.rss_before_mb = descriptors(daemon), rss_mb(daemon.pid)
    until = time.monotonic() + seconds
    opened: list[socket.socket] = []
    while (time.monotonic() < until or report.connections < LEAST) and not report.broken:
        _connections(daemon, dice, opened, report)
        if not report.reloads or dice.random() < 0.1:
            _reload(daemon, dice, report)
        for _ in range(20):
            _decode(dice, report)
        if _pids(daemon) != web:
            report.broken.append("a program that nobody asked for was touched")
        report.worst_rss_mb = max(report.worst_rss_mb, rss_mb(daemon.pid))
    for channel in opened:
        channel.close()
    daemon.write(GOOD)
    _afterwards(daemon, report)
    return report


def _connections(daemon: Daemon, dice: random.Random, opened: list[socket.socket], report: Report) -> None:
    """Open some connections and leave most of them as they are; read a little here and there; ask how it is."""
    for _ in range(10):
        channel = connect(daemon)
        channel.setblocking(False)
        opened.append(channel)
        report.connections += 1
        with contextlib.suppress(OSError):
            channel.send(requests(dice))
        if dice.random() < 0.2:
            with contextlib.suppress(OSError):
                channel.shutdown(dice.choice((socket.SHUT_RD, socket.SHUT_WR)))
    for channel in dice.sample(opened, min(len(opened), 20)):
        with contextlib.suppress(OSError):
            channel.recv(dice.choice((1, 100, 65_536)))
    while len(opened) > MOST_OPEN or (opened and dice.random() < 0.7):
        opened.pop(dice.randrange(len(opened))).close()
    began = time.monotonic()
    if ask(daemon, b"status")[-1].get("type") != "end":
        report.broken.append("status was not answered")
    took = time.monotonic() - began
    report.worst_status_s = max(report.worst_status_s, took)
    if took > prompt_s():
        report.broken.append(f"status took {took:.2f} s")


def _reload(daemon: Daemon, dice: random.Random, report: Report) -> None:
    report.reloads += 1
    daemon.config.write_bytes(configuration(dice, GOOD))
    answer = ask(daemon, b"reload --dry-run")[-1]
    if answer.get("exit") not in (0, 6):
        report.broken.append(f"a dry reload was answered by {answer}")


def _decode(dice: random.Random, report: Report) -> None:
    text = configuration(dice, GOOD)
    report.decoded += 1
    began = time.process_time()
    try:
        decode(MAIN, host({MAIN: text}))
    except ConfigError as error:
        if not error.problems:
            report.broken.append(f"no reason was given for {text!r}")
    except Exception as error:
        report.broken.append(f"{error!r} for {text!r}")
    took = time.process_time() - began
    report.worst_decode_s = max(report.worst_decode_s, took)
    if took > DECODE_S:
        report.broken.append(f"{took:.2f} s for {text!r}")


def _afterwards(daemon: Daemon, report: Report) -> None:
    """Look whether everything is as it was."""
    try:
        wait_until(lambda: descriptors(daemon) <= report.fds_before + 4, within_s=15)  # pipes of a toy that starts
    except AssertionError:
        report.broken.append("descriptors are left")
    report.fds_after, report.rss_after_mb = descriptors(daemon), rss_mb(daemon.pid)
    if report.rss_after_mb > report.rss_before_mb + GROWTH_MB:
        report.broken.append("the daemon has grown")
    if "internal error" in daemon.events():
        report.broken.append(daemon.events()[daemon.events().index("internal error") :][:3000])
    if ask(daemon, b"reload")[-1].get("exit") not in (0, 1):
        report.broken.append("the good configuration is refused afterwards")


def _pids(daemon: Daemon) -> list[int]:
    return [process["pid"] for message in ask(daemon, b"status web") for process in message.get("processes", ())]
