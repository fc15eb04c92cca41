"""Starts a descendant that leaves group and session (setsid, double fork), tells its pid, and runs on."""

import os
import time

if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        print(f"escaped {os.getpid()}", flush=True)
        time.sleep(300)
    os._exit(0)
os.wait()
print("ready", flush=True)
time.sleep(300)
