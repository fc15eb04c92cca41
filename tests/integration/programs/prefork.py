"""A parent and two children that end by its word alone; a stop signal hurts them. With "leaves" it goes without them.

prefork.py [leaves]
"""

import os
import signal
import sys
import time

read, write = os.pipe()


def hurt(_number, _frame):
    os.write(1, b"hurt %d\n" % os.getpid())
    os._exit(1)


def serve():
    signal.signal(signal.SIGTERM, hurt)
    os.close(write)
    os.write(1, b"child %d\n" % os.getpid())
    os.read(read, 1)
    time.sleep(0.1)
    os.write(1, b"finished %d\n" % os.getpid())
    os._exit(0)


def leave(_number, _frame):
    if sys.argv[1:] != ["leaves"]:
        os.close(write)
        for _ in range(2):
            os.wait()
        os.write(1, b"all finished\n")
    os._exit(0)


signal.signal(signal.SIGTERM, leave)
for _ in range(2):
    if os.fork() == 0:
        serve()
if sys.argv[1:] == ["leaves"]:
    keep = os.dup(write)
    if os.fork() == 0:  # somebody keeps the children's pipe open
        time.sleep(300)
os.write(1, b"ready\n")
while True:
    time.sleep(60)
