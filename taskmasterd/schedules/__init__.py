"""Programs that run by the clock. Nothing here is resident: the daemon imports it with the first program that has a `schedule`.

What is due is decided in `core.programs.schedule`. Here are the timers, what is kept on the disk, and who is told.
"""
