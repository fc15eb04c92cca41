"""Writes COUNT numbered lines of 100 bytes as fast as it can, then exits: writes_lines.py COUNT [linger]."""

import sys
import time

count = int(sys.argv[1])
out = sys.stdout.buffer
for first in range(0, count, 1000):
    out.write(b"".join(b"%012d %s\n" % (number, b"x" * 86) for number in range(first, min(first + 1000, count))))
out.flush()
if "linger" in sys.argv:
    time.sleep(300)
