"""Ends, and goes on as its own child in another session, again and again (for some seconds); ignores TERM."""

import os
import signal

signal.signal(signal.SIGTERM, signal.SIG_IGN)
for _ in range(20_000):
    if os.fork():
        os._exit(0)
    os.setsid()
