"""Leaves a process that shows nothing of where it comes from: no session, variables or descriptors of ours, deaf to TERM."""

import os
import sys
import time

HIDDEN = "import os, signal, time; os.closerange(0, 100); signal.signal(15, signal.SIG_IGN); time.sleep(300)"

if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.execve(sys.executable, [sys.executable, "-S", "-c", HIDDEN], {})
    os._exit(0)
time.sleep(300)
