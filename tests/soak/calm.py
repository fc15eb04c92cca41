"""What has to be exactly so while nobody does anything: everything is stopped, nothing is left, nothing has grown.

Memory is compared with the most that was seen in the calms of the first `WARM_UP_S`. A heap of Python is not returned
page by page: its size is that of the worst moment, such as several clients at once who ask and do not read (1 MiB each),
and it takes a while until such a moment has come. Afterwards it may grow by `GROWTH_KB`; during the warm-up, by
`WARM_UP_GROWTH_KB`. Seen in half an hour with 78 000 starts: 1.4 MB after the
warm-up, ever slower, while the number of live blocks (sys.getallocatedblocks) stayed the same from calm to calm. A leak
of 40 bytes for each start would be found in that time.
"""

from __future__ import annotations

import re
import time
from collections import Counter
from pathlib import Path

from tests.soak import kernel
from tests.soak.chronicle import Chronicle
from tests.soak.clients import exit_of
from tests.soak.population import WRITER
from tests.soak.wire import processes
from tests.support.history import history_problem
from tests.support.wait import wait_until

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.soak.stage import Stage

WARM_UP_S = 180.0
WARM_UP_GROWTH_KB = 4096
GROWTH_KB = 3072
SETTLE_S = 2.0
KEEPER = "taskmasterkeep"
"""What holds descriptors of programs; it stays for some seconds after the last of them."""
MOST_FDS = 32
"""What a daemon that runs nothing and has a client or two may have open at the first calm; later ones may not have more."""


class Calm:
    """Looks at everything, each time; `sizes` is what the daemon held each time."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.chronicle = Chronicle()
        self.sizes: list[kernel.Size] = []
        self._read = 0
        self._most_kb = 0

    def look(self, configuration: str) -> None:
        """Load `configuration`, stop everything, and look."""
        stage = self.stage
        stage.daemon.write(configuration)
        with stage.connect() as wire:
            for words, allowed in ((("reload",), (0, 1)), (("stop", "all"), (0,))):
                reply, seconds = wire.timed(*words)
                if exit_of(reply) not in allowed:
                    stage.found(f"calm: {' '.join(words)}: exit {exit_of(reply)} after {seconds:.1f} s: {reply[-2:]}")
            for slot, process in processes(wire.ask("status")).items():
                if process["state"] != "STOPPED":
                    stage.found(f"calm: {slot} is {process['state']} after `stop all`")
        self._nobody_is_left()
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
            if kernel.look(child.pid) == child and child.name != KEEPER and not _watches(child.pid):
                self.stage.found(f"calm: all is stopped, and the daemon has a child: {child}")

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
        for log in sorted((self.stage.daemon.home / "log").glob(f"{WRITER}*.log")):
            yield from (f"{log.name}: {problem}" for problem in count_lines(lines_of(log)))

    def _weigh(self) -> None:
        stage = self.stage
        now = self._settled()
        allowed = self.sizes[0].fds if self.sizes else MOST_FDS
        self.sizes.append(now)
        if now.fds > allowed:
            open_now = ", ".join(kernel.descriptors(stage.daemon.pid))
            stage.found(f"calm: {now.fds} descriptors, {allowed} allowed: {open_now}")
        if now.threads != 1:
            stage.found(f"calm: {now.threads} threads")
        self._weigh_memory(now.rss_kb)

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


def lines_of(log: Path) -> Iterator[str]:
    """Yield the lines of a log from its oldest rotated file to the newest."""
    rotated = sorted(log.parent.glob(f"{log.name}.*"), key=lambda path: -int(path.suffix[1:]))
    for path in (*rotated, log):
        yield from path.read_text().splitlines()


def count_lines(lines: Iterator[str]) -> Iterator[str]:
    """Yield what is wrong with `INSTANCE NUMBER` lines: each instance counts from 1 without gaps, and ends before the next one.

    Sources of such lines write each with one write, so even an instance that is killed leaves whole lines.
    """
    instance, number, over = "", 0, set[str]()
    for line in lines:
        found = re.fullmatch(r"(\d+\.\d+) (\d+)", line)
        if not found:
            yield f"no line that was written: {line!r}"
            continue
        if found[1] != instance:
            if found[1] in over:
                yield f"{found[1]} goes on after {instance}"
            over.add(instance)
            instance, number = found[1], 0
        number += 1
        if int(found[2]) != number:
            yield f"{instance} {found[2]} where {number} was due"
            number = int(found[2])


def _watches(pid: int) -> bool:
    """Return whether a process is the one that watches files, which stays as long as somebody wants that."""
    try:
        return "--watch" in Path(f"/proc/{pid}/cmdline").read_text().split("\0")
    except OSError:  # it has ended meanwhile
        return False
