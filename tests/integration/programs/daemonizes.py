"""Puts itself into the background, as servers do that were not told to stay: the leader ends with 0 at once."""

import os
import time

if os.fork():
    os._exit(0)
os.setsid()
time.sleep(300)
