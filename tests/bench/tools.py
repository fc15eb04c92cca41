"""The C programs of the benchmarks: what is supervised, the floors to compare with, and a writer that outruns them all.

Built anew for each run, static where the C library allows it. Without a compiler there is nothing to measure with.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

TOLD = r"""
#include <fcntl.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>
/* One atomic write into the FIFO: name, pid, CLOCK_MONOTONIC in ns. */
static void tell(const char *fifo, const char *name) {
  struct timespec now;
  char line[200];
  clock_gettime(CLOCK_MONOTONIC, &now);
  int fd = open(fifo, O_WRONLY | O_CLOEXEC);
  int length = snprintf(line, sizeof line, "%s %d %lld\n", name, (int)getpid(),
                        now.tv_sec * 1000000000LL + now.tv_nsec);
  if (fd < 0 || write(fd, line, length) != length) _exit(1);
  close(fd);
}
"""

PROGRAM = (
    TOLD
    + r"""
/* program FIFO NAME: tells that it runs, then sleeps for ever. */
int main(int argc, char **argv) {
  (void)argc;
  tell(argv[1], argv[2]);
  for (;;) pause();
}
"""
)

WRITER = (
    TOLD
    + r"""
#include <stdlib.h>
#include <string.h>
/* writer FIFO TOTAL PIECE RATE: tells "start", writes TOTAL bytes in writes of PIECE bytes, RATE bytes per second (0: as
   fast as it goes), tells "end". */
int main(int argc, char **argv) {
  (void)argc;
  long total = atol(argv[2]), piece = atol(argv[3]), rate = atol(argv[4]), done = 0;
  char *block = malloc(piece);
  struct timespec start, now, rest = {0, 50000};
  for (long i = 0; i < piece; i++) block[i] = i % 100 == 99 || i == piece - 1 ? '\n' : 'x';
  clock_gettime(CLOCK_MONOTONIC, &start);
  tell(argv[1], "start");
  while (done < total) {
    if (write(1, block, piece) != piece) return 1;
    done += piece;
    while (rate) {
      clock_gettime(CLOCK_MONOTONIC, &now);
      double passed = now.tv_sec - start.tv_sec + (now.tv_nsec - start.tv_nsec) / 1e9;
      if (passed * rate >= done) break;
      nanosleep(&rest, 0);
    }
  }
  tell(argv[1], "end");
  return 0;
}
"""
)

FLOOR = r"""
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
/* floor PROGRAM FIFO N: the least that supervision can cost. Starts N programs, starts again whatever ends, ends with
   them at SIGTERM. No configuration, no log, no client, no timer. */
static volatile sig_atomic_t stopping;
static void stop(int number) { (void)number; stopping = 1; }
static char names[100000][12];
static pid_t pids[100000];
static void start(char **argv, int n) {
  char *words[] = {argv[1], argv[2], names[n], 0};
  pid_t pid = vfork();
  if (pid == 0) {
    execv(words[0], words);
    _exit(127);
  }
  pids[n] = pid;
}
int main(int argc, char **argv) {
  (void)argc;
  int count = atoi(argv[3]), told = 0;
  struct sigaction action = {.sa_handler = stop};
  sigaction(SIGTERM, &action, 0);
  for (int n = 0; n < count; n++) {
    snprintf(names[n], sizeof names[n], "p%d", n);
    start(argv, n);
  }
  for (;;) {
    if (stopping && !told++)
      for (int n = 0; n < count; n++) kill(pids[n], SIGTERM);
    pid_t pid = waitpid(-1, 0, 0);
    if (pid < 0 && errno == ECHILD) return 0;
    if (pid < 0 || stopping) continue;
    for (int n = 0; n < count; n++)
      if (pids[n] == pid) { start(argv, n); break; }
  }
}
"""

COPY = r"""
#include <unistd.h>
static char block[65536];
/* copy: stdin to stdout, 64 KiB at a time. */
int main(void) {
  for (;;) {
    ssize_t got = read(0, block, sizeof block);
    if (got <= 0) return got < 0;
    for (ssize_t done = 0; done < got;) {
      ssize_t written = write(1, block + done, got - done);
      if (written < 0) return 1;
      done += written;
    }
  }
}
"""


class Tools:
    """The built programs: paths as text."""

    def __init__(self, home: Path) -> None:
        compiler = shutil.which("cc") or shutil.which("gcc")
        if compiler is None:
            sys.exit("the benchmarks need a C compiler (cc): the programs that are supervised are written in C")
        self.program = _build(compiler, home / "program", PROGRAM)
        self.writer = _build(compiler, home / "writer", WRITER)
        self.floor = _build(compiler, home / "floor", FLOOR)
        self.copy = _build(compiler, home / "copy", COPY)


def _build(compiler: str, path: Path, text: str) -> str:
    words = [compiler, "-O2", "-x", "c", "-o", str(path), "-"]
    if subprocess.run([*words, "-static"], input=text.encode(), capture_output=True, check=False).returncode:
        subprocess.run(words, input=text.encode(), check=True)
    return str(path)
