"""The program of the long run: writes numbered lines as fast as it can, and notes elsewhere what it wrote and how it ended.

Built from C where there is a compiler, the same in Python where there is none. Its output is `COPY NUMBER PADDING` (see
`numbers.line`). Its rows go to one file for all, one write each, so that they are whole and in order:

    start PROGRAM INSTANCE PID COPY
    end PROGRAM INSTANCE PID COPY COUNT CODE SIGNAL AT        AT: CLOCK_MONOTONIC, in ns, just before it ends

It is nice: the two cores are always busy with writers, and the daemon is measured, not the scheduler.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

PLAIN = Path(__file__).with_name("plain_writer.py")
SOURCE = r"""
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
/* writer ROWS LIFE_MS HOW REST_US BURST: HOW is code (exit with a code that depends on the pid), or mixed (now and then
   by SIGKILL). LIFE_MS 0: for ever, else half to one and a half of it. TERM ends it with 0. */
static volatile sig_atomic_t told;
static void on_term(int number) { (void)number; told = 1; }
static long long now_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1000000000LL + now.tv_nsec;
}
static void row(const char *path, const char *text, int length) {
  int fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
  if (fd < 0 || write(fd, text, length) != length) _exit(111);
  close(fd);
}
int main(int argc, char **argv) {
  struct sigaction action = {.sa_handler = on_term};
  sigaction(SIGTERM, &action, 0);
  if (argc != 6) return 110;
  const char *rows = argv[1], *name = getenv("TASKMASTER_PROGRAM"), *index = getenv("TASKMASTER_INSTANCE");
  long life_ms = atol(argv[2]), rest_us = atol(argv[4]), burst = atol(argv[5]);
  long long began = now_ns(), until = 0, count = 0;
  char text[400], copy[60], block[4096], padding[61];
  unsigned long long dice = began ^ ((long long)getpid() << 20);
  memset(padding, 'x', 60);
  nice(19);
  if (life_ms) until = began + life_ms * 500000LL + (long long)(dice % (life_ms * 1000)) * 1000;
  snprintf(copy, sizeof copy, "%d.%lld", (int)getpid(), began);
  row(rows, text, snprintf(text, sizeof text, "start %s %s %d %s\n", name, index, (int)getpid(), copy));
  int group = getpid() % 2 ? 1 : 30;
  while (!told && !(until && now_ns() >= until)) {
    dice = dice * 6364136223846793005ULL + 1442695040888963407ULL;
    long lines = 1 + (dice >> 33) % burst;
    while (lines > 0 && !told) {
      int length = 0, some = 0;
      while (some < group && lines > 0) {
        long long number = count + some + 1;
        length += snprintf(block + length, sizeof block - length, "%s %lld %.*s\n", copy, number, (int)(number % 60), padding);
        some++, lines--;
      }
      ssize_t written = write(1, block, length); /* at most PIPE_BUF: all of it or nothing, pipe(7) */
      if (written == length) count += some;
      else if (written >= 0 || errno != EINTR) _exit(112);
    }
    struct timespec rest = {rest_us / 1000000, rest_us % 1000000 * 1000};
    if (!told) nanosleep(&rest, 0);
  }
  int code = told ? 0 : 1 + getpid() % 99, number = !told && !strcmp(argv[3], "mixed") && getpid() % 3 == 0 ? SIGKILL : 0;
  row(rows, text, snprintf(text, sizeof text, "end %s %s %d %s %lld %d %d %lld\n", name, index, (int)getpid(), copy, count,
                           code, number, now_ns()));
  if (number) raise(number);
  _exit(code);
}
"""


def build(directory: Path) -> list[str]:
    """Return the words that execute a writer; its arguments follow."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        return [sys.executable, "-I", "-S", str(PLAIN)]
    path = directory / "writer"
    words = [compiler, "-O2", "-w", "-x", "c", "-o", str(path), "-"]
    if subprocess.run([*words, "-static"], input=SOURCE.encode(), capture_output=True, check=False).returncode:
        subprocess.run(words, input=SOURCE.encode(), check=True)
    return [str(path)]
