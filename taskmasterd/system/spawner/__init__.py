"""Starts one child, step by step, and reports the step that failed.

There are two ways to the same child. Where nothing else is asked: posix_spawn (vfork inside). The daemon swaps its working
directory, umask and soft limits around the call, which is safe because it has one thread, and the call returns when the
program was executed or could not be. With an identity, a descriptor besides the standard streams, or a step of its own: fork.
The child runs the steps of `spec.ORDER` and reports a failed one over a pipe that exec closes.

Only a child finds out why a file cannot be executed: any user may own the file, and opening it may block for ever. So the
spawner tries a program again by fork if posix_spawn could not execute it.

The kernel copies the table of descriptors for the child and closes the copy at its exec, so a start costs more with each open
descriptor (`output.log.parking` keeps logs out of the table). A launcher process with few descriptors is no gain: measured,
cloning a child with CLONE_PARENT costs 1.2 to 1.7 ms of CPU, posix_spawn 0.5 ms, and 1.8 ms at 16 000 descriptors. A thread
with its own table is as fast as posix_spawn without descriptors; but the kernel takes it for the parent, and sends the
parent-death signal (prctl(2)) when an upgrade ends it.

A child gets descriptors 0 to 2, those that it is given besides, and no other (all of Python's are close-on-exec), its own
session, default dispositions (the daemon ignores none) and an empty mask (the daemon blocks none).
"""

from __future__ import annotations

from taskmasterd.system.spawner.pipes import child_pipe
from taskmasterd.system.spawner.spec import MAX_REASON, ChildSpec, Identity, Setup, SetupError, SetupStep, is_shortage
from taskmasterd.system.spawner.start import Spawner

__all__ = [
    "MAX_REASON",
    "ChildSpec",
    "Identity",
    "Setup",
    "SetupError",
    "SetupStep",
    "Spawner",
    "child_pipe",
    "is_shortage",
]
