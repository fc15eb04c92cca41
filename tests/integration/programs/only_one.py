"""Live for ever, alone: adds a line to the second argument where another instance lives (holds the first one's lock)."""

import fcntl
import os
import sys
import time

lock = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT)
try:
    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
except BlockingIOError:
    with open(sys.argv[2], "a") as twice:
        twice.write(f"{os.getpid()}\n")
time.sleep(300)
