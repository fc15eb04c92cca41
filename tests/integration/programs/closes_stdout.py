"""Closes its output and lives on: the end of a pipe is no exit and must not make the daemon spin."""

import os
import time

os.close(1)
os.close(2)
time.sleep(300)
