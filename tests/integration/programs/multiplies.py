"""Forks again and again in sessions of its own, until there are about so many; each new one replaces one that has ended."""

import os
import sys
import time

most = int(sys.argv[1])
for _ in range(most):
    if os.fork() == 0:
        os.setsid()
        for _ in range(20):
            if os.fork():
                os._exit(0)
            os.setsid()
            time.sleep(0.05)
        time.sleep(300)
time.sleep(300)
