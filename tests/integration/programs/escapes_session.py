"""Starts a descendant that leaves group and session (setsid, double fork), tells its pid, and runs on."""

import os
import time

if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.write(1, b"escaped %d\n" % os.getpid())  # one write, so that no other line gets into it
        time.sleep(300)
    os._exit(0)
os.wait()
os.write(1, b"ready\n")
time.sleep(300)
