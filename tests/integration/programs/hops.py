"""Exits and goes on as its own child in another session, a number of times or while a file exists; ignores TERM."""

import os
import signal
import sys

signal.signal(signal.SIGTERM, signal.SIG_IGN)
for _ in range(int(sys.argv[1])):
    if not all(map(os.path.exists, sys.argv[2:])):
        break
    if os.fork():
        os._exit(0)
    os.setsid()
