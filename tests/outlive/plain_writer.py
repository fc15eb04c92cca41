"""What `writer.py` builds from C, for hosts without a compiler."""

from __future__ import annotations

import os
import random
import signal
import sys
import time

LONGEST_WRITE = 30


class Told:
    """Whether TERM has come."""

    told = False

    def __call__(self, _number: int, _frame: object) -> None:
        """Note it."""
        self.told = True


def row(path: str, text: str) -> None:
    """Add a row."""
    fd = os.open(path, os.O_WRONLY | os.O_APPEND)
    os.write(fd, text.encode())
    os.close(fd)


def main() -> None:
    """Write until it is over."""
    told = Told()
    signal.signal(signal.SIGTERM, told)
    rows, life_ms, how, rest_us, burst = sys.argv[1], int(sys.argv[2]), sys.argv[3], int(sys.argv[4]), int(sys.argv[5])
    os.nice(19)
    pid, began, count = os.getpid(), time.monotonic_ns(), 0
    who = f"{os.environ['TASKMASTER_PROGRAM']} {os.environ['TASKMASTER_INSTANCE']} {pid} {pid}.{began}"
    until = began + random.randint(life_ms * 500_000, life_ms * 1_500_000) if life_ms else 0
    row(rows, f"start {who}\n")
    group = 1 if pid % 2 else LONGEST_WRITE
    while not told.told and not (until and time.monotonic_ns() >= until):
        last = count + random.randint(1, burst)
        while count < last and not told.told:
            numbers = range(count + 1, min(count + group, last) + 1)
            os.write(1, "".join(f"{pid}.{began} {number} {'x' * (number % 60)}\n" for number in numbers).encode())
            count = numbers[-1]
        if not told.told:
            time.sleep(rest_us / 1e6)
    code = 0 if told.told else 1 + pid % 99
    number = signal.SIGKILL if not told.told and how == "mixed" and pid % 3 == 0 else 0
    row(rows, f"end {who} {count} {code} {int(number)} {time.monotonic_ns()}\n")
    if number:
        os.kill(pid, number)
    os._exit(code)


if __name__ == "__main__":
    main()
