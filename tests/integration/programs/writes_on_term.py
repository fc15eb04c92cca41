"""On TERM writes 1 MiB and exits: the last write before the end must be in the log."""

import os
import signal
import time


def leave(_number, _frame):
    data = b"z" * (1 << 20)
    while data:
        data = data[os.write(1, data) :]
    os._exit(0)


signal.signal(signal.SIGTERM, leave)
os.write(1, b"ready\n")
while True:
    time.sleep(60)
