"""Whether a process is ready or healthy, asked from outside or announced by the process, and the hooks around its life.

Nothing here is resident: the daemon imports these modules with the first program that needs them. They decide nothing about
processes: when to ask, how often, and what follows from an answer is for others to say. All of it runs in the loop and waits
for nothing.

A *try* (`tries`) is one probe of one process: `execute.ExecTry`, `connect.ConnectTry` (tcp, unix, http) or `log.LogTry`.

- `begin(done)` starts it. `done(result)` is called exactly once, in a later turn, when nothing of the try is left.
- `cancel()` ends it early. `done` is called all the same, with a result that knows nothing.
- After `done` the same object may begin again.

`Result.ok` is true, false, or None: the system had no process, descriptor or memory to ask with, which is never a failure.
`tries.queue.Queue` lets at most so many tries run at once; a try's time limit begins with the try, not with its wait.

What a program *announces* (`announced`) comes on a descriptor that is made before its spawn: `notify.NotifySocket` (a datagram
socket for each slot) and `line.ReadyLine` (a pipe). A later daemon goes on with both: `to_data`, and the names under which a
keeper holds them.

A *hook* (`hook.Hook`) runs around the life of an instance; `done(result)` is called as for a try. `children.Children` starts the
children of exec probes and hooks. `leftovers.end_orphans` kills those of a daemon that died.
"""
