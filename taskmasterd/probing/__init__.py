"""Whether a process is ready or healthy, asked from outside.

Nothing here is resident: the daemon imports these modules with the first program that needs them. They decide nothing about
processes: when to ask, how often, and what follows from an answer is for others to say. All of it runs in the loop and waits for nothing.

A *try* (`tries`) is one probe of one process: `connect.ConnectTry` (tcp, unix, http).

- `begin(done)` starts it. `done(result)` is called exactly once, in a later turn, when nothing of the try is left.
- `cancel()` ends it early. `done` is called all the same, with a result that knows nothing.
- After `done` the same object may begin again.

`Result.ok` is true, false, or None: the system had no process, descriptor or memory to ask with, which is never a failure.
`tries.queue.Queue` lets at most so many tries run at once; a try's time limit begins with the try, not with its wait.
"""
