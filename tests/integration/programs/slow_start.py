"""Fails until its COUNT-th start, counted in FILE, then stays up: slow_start.py FILE COUNT."""

import sys
import time

with open(sys.argv[1], "a+") as tally:
    tally.write("x")
    tally.flush()
    tally.seek(0)
    starts = len(tally.read())
if starts < int(sys.argv[2]):
    print(f"start {starts} fails", file=sys.stderr, flush=True)
    sys.exit(1)
time.sleep(300)
