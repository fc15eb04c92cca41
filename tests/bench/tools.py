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
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>
/* floor PROGRAM FIFO N LOGS DIRECTORY: the least that supervision can cost. Starts N programs, each with LOGS (0 to 2) log
   files of its own and a pipe into each, starts again whatever ends, ends with them at SIGTERM. No configuration, no event
   log, no client, no timer. */
static volatile sig_atomic_t stopping;
static void stop(int number) { (void)number; stopping = 1; }
static char names[100000][12];
static pid_t pids[100000];
static int logs[100000][2], pipes[100000][2], each, poll;
static char **words_of;
static void open_streams(int n, int *ends) {
  char path[4096];
  struct epoll_event event = {.events = EPOLLIN};
  for (int s = 0; s < each; s++) {
    if (!logs[n][s]) {
      snprintf(path, sizeof path, "%s/%s.%d", words_of[5], names[n], s);
      logs[n][s] = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0640);
      if (logs[n][s] < 0 || flock(logs[n][s], LOCK_EX | LOCK_NB)) exit(1);
    }
    int both[2];
    if (pipe2(both, O_CLOEXEC) || fcntl(both[0], F_SETFL, O_NONBLOCK)) exit(1);
    pipes[n][s] = both[0];
    ends[s] = both[1];
    event.data.fd = both[0];
    if (epoll_ctl(poll, EPOLL_CTL_ADD, both[0], &event)) exit(1);
  }
}
static void close_streams(int n) {
  static char block[65536];
  for (int s = 0; s < each; s++) {
    ssize_t got = read(pipes[n][s], block, sizeof block);
    if (got > 0 && pwrite(logs[n][s], block, got, lseek(logs[n][s], 0, SEEK_END)) != got) exit(1);
    epoll_ctl(poll, EPOLL_CTL_DEL, pipes[n][s], 0);
    close(pipes[n][s]);
  }
}
static void start(int n) {
  char *words[] = {words_of[1], words_of[2], names[n], 0};
  int ends[2];
  open_streams(n, ends);
  pid_t pid = vfork();
  if (pid == 0) {
    setsid();
    for (int s = 0; s < 2 && each; s++) dup2(ends[s < each ? s : 0], s + 1);
    execv(words[0], words);
    _exit(127);
  }
  for (int s = 0; s < each; s++) close(ends[s]);
  pids[n] = pid;
}
int main(int argc, char **argv) {
  (void)argc;
  int count = atoi(argv[3]), sent = 0;
  words_of = argv;
  each = atoi(argv[4]);
  poll = epoll_create1(EPOLL_CLOEXEC);
  struct sigaction action = {.sa_handler = stop};
  sigaction(SIGTERM, &action, 0);
  for (int n = 0; n < count; n++) {
    snprintf(names[n], sizeof names[n], "p%d", n);
    start(n);
  }
  for (;;) {
    if (stopping && !sent++)
      for (int n = 0; n < count; n++) kill(pids[n], SIGTERM);
    pid_t pid = waitpid(-1, 0, 0);
    if (pid < 0 && errno == ECHILD) return 0;
    if (pid < 0) continue;
    for (int n = 0; n < count; n++)
      if (pids[n] == pid) {
        close_streams(n);
        if (!stopping) start(n);
        break;
      }
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
