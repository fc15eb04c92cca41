"""How fast and how cheaply output is captured, as ratios to `cat` copying the same pipe to the same file system.

    python tests/bench/log_capture.py [DIRECTORY]

Needs a C compiler for a writer that is faster than what is measured.
"""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time

from taskmasterd.system.logpipe import LogPipe
from taskmasterd.system.logsink import Sinks
from taskmasterd.system.reactor import Reactor
from taskmasterd.system.spawner import child_pipe

MEGABYTE = 1_000_000
ROUNDS = 5
WRITER = r"""
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
/* writer TOTAL PIECE RATE: TOTAL bytes in writes of PIECE bytes, RATE bytes per second (0: as fast as it goes) */
int main(int argc, char **argv) {
  long total = atol(argv[1]), piece = atol(argv[2]), rate = atol(argv[3]), done = 0;
  char *block = malloc(piece);
  struct timespec start, now;
  for (long i = 0; i < piece; i++) block[i] = i % 100 == 99 ? '\n' : 'x';
  clock_gettime(CLOCK_MONOTONIC, &start);
  while (done < total) {
    if (write(1, block, piece) != piece) return 1;
    done += piece;
    if (!rate) continue;
    for (;;) {
      clock_gettime(CLOCK_MONOTONIC, &now);
      double passed = now.tv_sec - start.tv_sec + (now.tv_nsec - start.tv_nsec) / 1e9;
      if (passed * rate >= done) break;
      struct timespec rest = {0, 50000};
      nanosleep(&rest, 0);
    }
  }
  return 0;
}
"""


class Figures:
    """Of one run: bytes per second, and CPU seconds of whoever moved the bytes."""

    def __init__(self, total: int, seconds: float, cpu_s: float) -> None:
        self.rate = total / seconds
        self.seconds = seconds
        self.cpu_s = cpu_s


def move_all(read: int, path: str, max_bytes: int) -> None:
    """Move a pipe into a file to its end with the classes of the daemon."""
    reactor = Reactor(lambda error: print(repr(error), file=sys.stderr))
    sinks = Sinks(print)
    sink = sinks.acquire(path, max_bytes, 10, None)
    LogPipe(reactor, read, sink, reactor.stop)
    reactor.run()
    sinks.close()


def measure(writer: str, path: str, total: int, piece: int, rate: int = 0, *, cat: bool, max_bytes: int = 0) -> Figures:
    """Run the writer into `cat` or into our classes; the mover is a process of its own, so that its CPU is known."""
    for name in (path, *(f"{path}.{n}" for n in range(1, 11))):
        if os.path.exists(name):
            os.unlink(name)
    read, child = child_pipe(None) if not cat else os.pipe()
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    started = time.monotonic()
    mover = os.fork()
    if mover == 0:
        os.close(child)
        if cat:
            os.dup2(read, 0)
            os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), 1)
            os.execvp("cat", ["cat"])
        move_all(read, path, max_bytes)
        os._exit(0)
    source = os.posix_spawn(
        writer, ["writer", str(total), str(piece), str(rate)], {}, file_actions=[(os.POSIX_SPAWN_DUP2, child, 1)]
    )
    os.close(child)
    os.close(read)
    os.waitpid(mover, 0)
    seconds = time.monotonic() - started
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    os.waitpid(source, 0)
    if not max_bytes:
        size = os.path.getsize(path)
        if size != -(-total // piece) * piece:
            raise SystemExit(f"{path} has {size} bytes instead of {total}")
    return Figures(total, seconds, cpu)


def compare(name: str, writer: str, path: str, total: int, piece: int, max_bytes: int = 0) -> None:
    """Print the medians of ours and of cat's, measured in turns."""
    ours, cats = [], []
    for _ in range(ROUNDS):
        cats.append(measure(writer, path, total, piece, cat=True))
        ours.append(measure(writer, path, total, piece, cat=False, max_bytes=max_bytes))
    mine = sorted(ours, key=lambda figures: figures.rate)[ROUNDS // 2]
    its = sorted(cats, key=lambda figures: figures.rate)[ROUNDS // 2]
    print(
        f"{name:34} {mine.rate / MEGABYTE:6.0f} MB/s {mine.cpu_s / total * 1e9:5.2f} s/GB   "
        f"cat {its.rate / MEGABYTE:6.0f} MB/s {its.cpu_s / total * 1e9:5.2f} s/GB   ratio {mine.rate / its.rate:.2f}"
    )


def main() -> None:
    """Measure floods of large and of small writes, with and without rotation, and a chatty program."""
    home = tempfile.mkdtemp(dir=sys.argv[1] if len(sys.argv) > 1 else None)
    compiler = shutil.which("cc") or shutil.which("gcc")
    if not compiler:
        raise SystemExit("needs a C compiler")
    writer, path = f"{home}/writer", f"{home}/log"
    try:
        subprocess.run([compiler, "-O2", "-x", "c", "-o", writer, "-"], input=WRITER.encode(), check=True)
        compare("64 KiB writes", writer, path, 1000 * MEGABYTE, 65_536)
        compare("64 KiB writes, rotation 50 MB", writer, path, 1000 * MEGABYTE, 65_536, 50 * MEGABYTE)
        compare("100-byte lines", writer, path, 200 * MEGABYTE, 100)
        compare("100-byte lines, rotation 10 MB", writer, path, 200 * MEGABYTE, 100, 10 * MEGABYTE)
        for rate in (1, 10):
            figures = measure(writer, path, 3 * rate * MEGABYTE, 100, rate * MEGABYTE, cat=False)
            share = figures.cpu_s / figures.seconds * 100
            print(f"100-byte lines at {rate:2} MB/s              {share:5.2f} % of a core")
    finally:
        shutil.rmtree(home)


if __name__ == "__main__":
    main()
