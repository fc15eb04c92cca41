"""Leaves a child in its group behind and ends: leaves_children.py EXIT_CODE [SECONDS before the end]."""

import os
import sys
import time

if os.fork() == 0:
    os.write(1, b"child %d\n" % os.getpid())
    time.sleep(300)
    os._exit(0)
time.sleep(float(sys.argv[2]) if len(sys.argv) > 2 else 0)
os._exit(int(sys.argv[1]))
