"""What has to be exactly so while nobody does anything: everything is stopped, nothing is left, nothing has grown.

Memory is compared with the most that was seen in the calms of the first `WARM_UP_S`. A heap of Python is not returned
page by page: its size is that of the worst moment, such as several clients at once who ask and do not read (1 MiB each),
and it takes a while until such a moment has come. Afterwards it may grow by `GROWTH_KB`; during the warm-up, by
`WARM_UP_GROWTH_KB`. Seen in half an hour with 78 000 starts: 1.4 MB after the
warm-up, ever slower, while the number of live blocks (sys.getallocatedblocks) stayed the same from calm to calm. A leak
of 40 bytes for each start would be found in that time.
"""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path

from tests.soak import kernel
from tests.soak.actors.clients import exit_of
from tests.soak.judges import alerts, descriptors
from tests.soak.judges.chronicle import Chronicle
from tests.soak.judges.written import RAW, count_lines, decoded, lines_of
from tests.soak.population import FORMS
from tests.soak.wire import processes
from tests.support.history import history_problem, records_of
from tests.support.wait import wait_until

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.soak.actors.receivers import Receivers
    from tests.soak.stage import Stage

WARM_UP_S = 180.0
WARM_UP_GROWTH_KB = 4096
GROWTH_KB = 3072
SETTLE_S = 2.0
ENDS_WITHIN_S = 15.0
"""The command or the helper of an alert may be at work when the calm begins."""
COLLECTED_WITHIN_S = 5.0
"""Time within which a daemon that got no processor for a while collects its children."""
CLIENTS = 1
"""Connections of subscribers, which stay during calms."""
RULES = 3
KEEPER_FDS = 6
"""What a keeper that holds nothing has: three null devices, its channel, its listener, and a channel that has just ended."""


class Calm:
    """Looks at everything, each time; `sizes` is what the daemon held each time."""

    def __init__(self, stage: Stage, receivers: Receivers) -> None:
        self.stage = stage
        self.receivers = receivers
        self.configured = ""
        self.chronicle = Chronicle()
        self.sizes: list[kernel.Size] = []
        self._read = 0
        self._most_kb = 0

    def look(self, configuration: str) -> None:
        """Load `configuration`, stop everything, and look."""
        stage = self.stage
        self.receivers.moody = False
        stage.daemon.write(configuration)
        with stage.connect() as wire:
            for words, allowed in ((("reload",), (0, 1)), (("stop", "all"), (0,))):
                reply, seconds = wire.timed(*words)
                if exit_of(reply) not in allowed:
                    stage.found(f"calm: {' '.join(words)}: exit {exit_of(reply)} after {seconds:.1f} s: {reply[-2:]}")
            for slot, process in processes(wire.ask("status")).items():
                if process["state"] != "STOPPED":
                    stage.found(f"calm: {slot} is {process['state']} after `stop all`")
            told = {process["name"] for process in processes(wire.ask("status")).values()}
        self._nobody_is_left()
        self._keeper_is_empty()
        self._alerts(told)
        self.read_events()
        for problem in self._marks():
            stage.found(f"calm: {problem}")
        problem = history_problem(stage.daemon.home)
        if problem:
            stage.found(f"history: {problem}")
        self._weigh()

    def _nobody_is_left(self) -> None:
        for seen, slot in kernel.marked(self.stage.daemon.socket).items():
            if kernel.still_alive(seen):
                self.stage.found(f"calm: all is stopped, and {seen} of {slot} is alive")
        for child in kernel.children(self.stage.daemon.pid):
            if child.name != kernel.KEEPER and not _watches(child.pid):
                self._ends(child)

    def _ends(self, child: kernel.Seen) -> None:
        """Find a child that does not end: only a helper of an alert still has work, and ended children are collected a little later."""
        limit = (
            ENDS_WITHIN_S if kernel.variables_of(child.pid).get(b"TASKMASTER_ROLE") == b"alert" else COLLECTED_WITHIN_S
        )
        try:
            wait_until(lambda: kernel.look(child.pid) != child, within_s=limit)
        except AssertionError:
            self.stage.found(f"calm: all is stopped, and the daemon has a child: {child}")

    def _keeper_is_empty(self) -> None:
        keeper = kernel.keeper_of(self.stage.daemon.socket)
        if keeper:
            try:
                wait_until(lambda: len(_open_in(keeper.pid)) <= KEEPER_FDS, within_s=5)
            except AssertionError:
                self.stage.found(f"calm: all is stopped, and the keeper holds {_open_in(keeper.pid)}")

    def _alerts(self, names: set[str]) -> None:
        """Have the queues delivered; after that every event has arrived, and the end of every trouble."""
        with self.stage.connect() as wire:
            for rule in ("told", "posted"):
                reply = wire.ask("alert", "flush", rule)
                if exit_of(reply) != 0:
                    self.stage.found(f"calm: alert flush {rule}: {reply}")
            rows = {each["rule"]: each for each in wire.ask("alert", "list") if each["type"] == "alert"}
        for name, row in rows.items():
            if row["waiting"]:
                self.stage.found(f"calm: alert {name}: {row['waiting']} wait though the receiver is there: {row}")
        history, told, posted = records_of(self.stage.daemon.home), self.receivers.told, self.receivers.posted
        for problem in alerts.problems(told, history, alerts.trouble_in, recoveries=True):
            self.stage.found(f"alert told: {problem}")
        still = alerts.still_open(told) & names
        if still:
            self.stage.found(f"alert told: all is stopped, and no end of trouble was told of {sorted(still)}")
        for problem in alerts.problems(posted, history, lambda record: record["event"] == alerts.FATAL):
            self.stage.found(f"alert posted: {problem}")
        wrong = self.receivers.wrong
        if wrong:
            self.stage.found(f"alert logged: {len(wrong)} are no line of a log, the first is {wrong[0]!r}")
        self._logged(sum(map(alerts.is_crash, history)), rows["logged"]["error"] or "")
        self.stage.counts["alerts told, posted, logged"] = len(told) + len(posted) + self.receivers.lines

    def _logged(self, crashes: int, trouble: str) -> None:
        """Compare how many datagrams have come: what was dropped is counted."""
        dropped = int(trouble.split()[0]) if trouble.endswith("dropped") else 0
        try:
            wait_until(lambda: self.receivers.lines + dropped >= crashes, within_s=5)
        except AssertionError:
            self.stage.found(
                f"alert logged: {self.receivers.lines} of {crashes} arrived, {dropped} were dropped: {trouble!r}"
            )

    def read_events(self) -> None:
        """Read what has been added to the event log."""
        log = self.stage.daemon.home / "log" / "taskmasterd.log"
        with log.open("rb") as file:
            file.seek(self._read)
            added = file.read()
        self._read += len(added)
        for problem in self.chronicle.read(added.decode("utf-8", "replace").splitlines()):
            self.stage.found(f"event log: {problem}")
        for slot, pid in self.chronicle.open.items():
            self.stage.found(f"event log: all is stopped, but {slot} has no end for pid {pid}")

    def _marks(self) -> Iterator[str]:
        """What the programs have noticed themselves."""
        twice = self.stage.directory / "twice"
        if twice.exists():
            yield f"started while an earlier instance lived: {twice.read_text().split()}"
            twice.unlink()
        started = Counter(
            (slot, int(pid)) for slot, pid in map(str.split, (self.stage.directory / "starts").read_text().splitlines())
        )
        unknown = started - self.chronicle.started
        if unknown:
            yield f"the event log does not know of these starts: {dict(unknown)}"
        logs = self.stage.daemon.home / "log"
        for kind, form in FORMS.items():
            for log in sorted(logs.glob(f"{kind}*.log")):
                yield from (f"{log.name}: {problem}" for problem in count_lines(decoded(lines_of(log), form)))
        for log in sorted(logs.glob("piped*.piped")):
            yield from (f"{log.name}: {problem}" for problem in count_lines(decoded(lines_of(log), RAW)))

    def _weigh(self) -> None:
        stage = self.stage
        now = self._settled()
        self.sizes.append(now)
        self._weigh_descriptors()
        if now.threads != 1:
            stage.found(f"calm: {now.threads} threads")
        self._weigh_memory(now.rss_kb)

    def _weigh_descriptors(self) -> None:
        """Compare what is open with what is configured, and with what lives beside the daemon now."""
        daemon = self.stage.daemon

        def surplus() -> dict[str, int]:
            watchers = sum(_watches(child.pid) for child in kernel.children(daemon.pid))
            keepers = kernel.keeper_of(daemon.socket) is not None
            beside = descriptors.Beside(CLIENTS, int(keepers), watchers, RULES)
            return descriptors.surplus(kernel.descriptors(daemon.pid), str(daemon.home), self.configured, beside)

        try:
            wait_until(lambda: not surplus(), within_s=5)
        except AssertionError:
            open_now = ", ".join(kernel.descriptors(daemon.pid))
            self.stage.found(f"calm: more descriptors than what is configured needs: {surplus()} of {open_now}")

    def _settled(self) -> kernel.Size:
        """Return what the daemon holds once it lets go of nothing more: clients that left are noticed one by one."""
        least = kernel.size(self.stage.daemon.pid).fds
        since = time.monotonic()

        def quiet() -> bool:
            nonlocal least, since
            fds = kernel.size(self.stage.daemon.pid).fds
            if fds < least:
                least, since = fds, time.monotonic()
            return time.monotonic() - since > SETTLE_S

        wait_until(quiet, within_s=60)
        return kernel.size(self.stage.daemon.pid)

    def _weigh_memory(self, now_kb: int) -> None:
        first_kb = self.sizes[0].rss_kb
        if time.monotonic() - self.stage.began < WARM_UP_S:
            self._most_kb = max(self._most_kb, now_kb)
            allowed_kb = first_kb + WARM_UP_GROWTH_KB
        else:
            allowed_kb = max(self._most_kb, first_kb) + GROWTH_KB
        if now_kb > allowed_kb:
            self.stage.found(
                f"calm: {now_kb} KB resident; {first_kb} KB at the first calm, {allowed_kb} KB allowed by now"
            )


def _open_in(pid: int) -> list[str]:
    """Return what a process has open; nothing if it has ended."""
    try:
        return kernel.descriptors(pid)
    except OSError:
        return []


def _watches(pid: int) -> bool:
    """Return whether a process is the one that watches files, which stays as long as somebody wants that."""
    try:
        return "--watch" in Path(f"/proc/{pid}/cmdline").read_text().split("\0")
    except OSError:  # it has ended meanwhile
        return False
