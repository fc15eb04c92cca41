"""The guardian: a tiny parent of the daemon that outlives it and starts it again, so that nothing is lost in between.

It inherits what a dead daemon leaves. It reaps orphans, and keeps their wait statuses until the daemon acknowledges them. It
holds a second descriptor of each output pipe, so that no output is lost if a child ends while there is no daemon. It holds the
listening socket, so that clients wait instead of being refused, and the lock on the pid file. It decides nothing about programs,
and knows neither the configuration nor the state.

It imports hardly anything (a bare interpreter and 0.4 MB; signal and socket would add 1.2 MB for enum alone) and polls without a
timeout. The launcher executes it in its own place, so that its subreaper flag survives (prctl(2)).

THE CHANNEL to the daemon is a socket of packets (unix(7), SOCK_SEQPACKET), each a line of words. From the daemon:
    up                    the daemon serves clients: from now on start it again whenever it dies
    keep INODE PATH       with a descriptor: hold this pipe, whose bytes go to PATH
    drop INODE            close this pipe
    listener              with a descriptor: this is the listening socket from now on
    noted PID             the end of PID is in the state
    tell                  report all ends up to now at once
    bye CODE              the daemon ends on purpose, and means to exit with CODE: leave with its exit code
To the daemon:
    end PID STATUS SINCE  an orphan has ended, with this wait status; SINCE is its start time if it led a session (`leads_since`)
    told                  the answer to `tell` is complete
Each daemon gets the same on a descriptor, as words separated by NUL: its end of the channel and whether it is started again,
`pipe INODE FD PATH` for each pipe, and `end PID STATUS SINCE` for each orphan that has ended.
"""

from __future__ import annotations

import os
import select
import sys
import time

from taskmaster_common.errors import system_reason
from taskmasterd.fallbacks import POWER_SIGNALS, ended_children, limit, spawn, unnamed_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal
    import socket
    from collections.abc import Sequence
else:
    import _signal as signal
    import _socket as socket

STOPS = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, *POWER_SIGNALS)
FORWARDED = (*STOPS, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)
FD_BYTES = 4
LONGEST_PACKET = 8192
RETRY_FIRST_S, RETRY_MOST_S, RETRY_SERVING_S = 0.1, 30.0, 0.8
"""Pauses before a restart, seconds: the first, the longest, and the longest for a daemon that had served clients.

The first restart has none. A daemon that dies again within SOUND_S waits, twice as long each time.
"""
SOUND_S = 10.0
"""Lifetime after which a daemon counts as sound, so that earlier deaths are forgotten, seconds."""
STOP_TRIES = 6
"""Most deaths in a row of a daemon that has to stop, because someone waits for that stop."""
REFUSED_S = 0.5
"""Pause after the system refuses a process or descriptor for the daemon, seconds."""


class Guardian:
    """The daemon's parent. `command` executes the daemon; its word KEPT stands for the descriptor with everything that was kept.

    The guardian holds `state` and `listener` for each daemon, and leaves `ready` to the first one.
    """

    def __init__(self, command: Sequence[str], state: int, listener: int, ready: int) -> None:
        self._command = command
        self._state = state
        self._listener = listener
        self._ready = ready
        self._channel: socket.socket | None = None
        self._daemon = 0
        self._up = self._serving = False
        self._leaving: int | None = None
        self._pipes: dict[bytes, tuple[int, bytes]] = {}
        self._ends: dict[int, tuple[int, int]] = {}
        self._asked = False
        self._unsent: list[int] = []
        self._seen: set[int] = set()
        self._stop = 0
        self._quick_deaths = 0
        self._started = 0.0
        self._due = 0.0

    def run(self) -> int:
        """Keep the daemon running until it leaves by itself; returns its exit code."""
        wake, woken = os.pipe()
        os.set_blocking(wake, False)
        os.set_blocking(woken, False)
        signal.set_wakeup_fd(woken, warn_on_full_buffer=False)
        for number in {*FORWARDED, signal.SIGCHLD} - ({*POWER_SIGNALS} if os.getpid() != 1 else set()):
            signal.signal(number, lambda number, _frame: self._seen.add(number))
        signal.signal(signal.SIGABRT, self._give_up)
        try:
            self._start()
        except OSError as error:  # the launcher, or the caller in the foreground, waits for the first start
            return self._refused(f"cannot start: {system_reason(error)}{limit(error.errno)}")
        signal.pthread_sigmask(signal.SIG_UNBLOCK, FORWARDED)
        while True:
            self._wait(wake)
            code = self._look()
            if code is not None:
                signal.pthread_sigmask(signal.SIG_BLOCK, FORWARDED)  # an interpreter that ends drops its handlers
                return code

    def _refused(self, text: str) -> int:
        """Report why there is no daemon; returns the exit code."""
        if self._ready >= 0:
            os.write(self._ready, f"1 {text}\n".encode())
        else:
            _say(text)
        return 1

    def _give_up(self, number: int, _frame: object) -> None:
        """End daemon and guardian: systemd's watchdog says that the daemon hangs. The next one takes the programs over."""
        if self._daemon:
            os.kill(self._daemon, signal.SIGKILL)
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)

    def _wait(self, wake: int) -> None:
        """Sleep until a signal or a packet arrives, or the next start is due."""
        poll = select.poll()
        poll.register(wake, select.POLLIN)
        if self._channel:
            poll.register(
                self._channel.fileno(), select.POLLIN | (select.POLLOUT if self._unsent or self._asked else 0)
            )
        pause_s = None if self._daemon else max(0.0, self._due - time.monotonic())
        for fd, _events in poll.poll(None if pause_s is None else pause_s * 1000):
            if fd == wake:
                os.read(wake, 4096)

    def _look(self) -> int | None:
        """Handle all that has happened; returns the exit code once the daemon has left."""
        seen = self._seen.intersection(FORWARDED)
        self._seen -= seen  # never replaced: a handler may add to it at any moment
        asked = self._asked
        ended = self._reap()
        self._receive()
        code = None if ended is None else self._daemon_ended(ended)
        if code is not None:
            return code  # and send no signal: the pid may be a stranger's by now
        self._heard(seen)
        if not self._daemon and (seen or time.monotonic() >= self._due):
            self._try_to_start()
            # the dead daemon did not handle a stop signal, so the new one gets it
            seen = (seen - {*STOPS}) | ({self._stop} - {0})
        for number in seen if self._daemon else ():
            os.kill(self._daemon, number)
        self._tell()
        if asked and not self._unsent:  # the last `_reap` came after the question, so all ends before it are sent
            self._asked = not self._send(b"told")
        return None

    def _heard(self, seen: set[int]) -> None:
        """Remember that the daemon has to stop, and forget its earlier deaths.

        A first QUIT requests the orderly stop, as the other signals do: the next daemon gets TERM for it, since QUIT could kill.
        """
        if seen.intersection(STOPS):
            again = bool(self._stop) and signal.SIGQUIT in seen
            self._stop = signal.SIGQUIT if again else self._stop or signal.SIGTERM
            self._quick_deaths = 0

    # -- children

    def _try_to_start(self) -> None:
        """Start the daemon again; if the system refuses, schedule another try."""
        try:
            self._start()
        except OSError as error:
            self._close_channel()
            self._due = time.monotonic() + REFUSED_S
            _say(f"cannot start taskmasterd: {error.strerror}; trying again in {REFUSED_S:g}s")

    def _start(self) -> None:
        """Execute the daemon, and pass it the list of everything that was kept on a descriptor. Raises OSError."""
        ours, other = _packets()
        self._channel, self._unsent, self._serving = ours, [], False
        kept = -1
        try:
            kept = unnamed_file()
            words = [b"%d %d" % (other.fileno(), self._up)]
            words += [b"pipe %s %d %s" % (inode, fd, path) for inode, (fd, path) in self._pipes.items()]
            words += [b"end %d %d %d" % (pid, *end) for pid, end in self._ends.items()]
            os.write(kept, b"\0".join(words))
            for fd in (kept, self._state):  # an earlier daemon has moved the shared position of `state`
                os.lseek(fd, 0, os.SEEK_SET)
            os.set_inheritable(other.fileno(), True)
            os.set_inheritable(kept, True)
            self._started = time.monotonic()
            argv = [word if word != "KEPT" else str(kept) for word in self._command]
            self._daemon = spawn(argv, os.environ, FORWARDED)
        finally:
            other.close()
            if kept >= 0:
                os.close(kept)
        if self._ready >= 0:
            os.close(self._ready)
            self._ready = -1

    def _reap(self) -> int | None:
        """Reap all children that have ended; returns the daemon's wait status if it is among them."""
        daemon = None
        for pid, status in ended_children():
            if pid == self._daemon:
                daemon = status
            else:
                self._ends[pid] = status, leads_since(pid)
                self._unsent.append(pid)
        return daemon

    def _daemon_ended(self, status: int) -> int | None:
        """Return the exit code to leave with, or None to start another daemon."""
        code = os.waitstatus_to_exitcode(status)
        if self._leaving is not None or not self._up or code == 0:
            return code if code >= 0 else self._leaving or 1  # killed when all its work was done
        self._close_channel()
        now = time.monotonic()
        self._quick_deaths = self._quick_deaths + 1 if now - self._started < SOUND_S else 0
        most_s = RETRY_SERVING_S if self._serving else RETRY_MOST_S
        pause_s = min(RETRY_FIRST_S * 2 ** (self._quick_deaths - 2), most_s) if self._quick_deaths > 1 else 0
        how = f"exit {code}" if code >= 0 else f"killed by signal {-code}"
        if self._stop and self._quick_deaths >= STOP_TRIES:
            _say(f"taskmasterd dies each time ({how}) and cannot stop its programs; they run on")
            return 1
        _say(
            f"taskmasterd (pid {self._daemon}) has died: {how}; starting it again{f' in {pause_s:g}s' if pause_s else ''}"
        )
        self._daemon, self._due = 0, now + pause_s
        return None

    # -- the channel

    def _receive(self) -> None:
        while self._channel:
            try:
                packet, extra, _flags, _address = self._channel.recvmsg(LONGEST_PACKET, FD_BYTES * 8)
            except (
                ConnectionResetError
            ):  # comes once if the daemon died with our packets unread; its own packets follow (unix(7))
                continue
            except OSError:  # no more packets, or a dead daemon that is not reaped yet
                return
            if not packet:
                self._close_channel()
                return
            fds = [fd for _level, _kind, data in extra for fd in memoryview(data).cast("i")]
            self._take(packet.split(b" ", 2), fds)

    def _take(self, words: list[bytes], fds: list[int]) -> None:
        if words[0] == b"keep" and fds:
            self._drop(words[1])
            self._pipes[words[1]] = (fds.pop(), words[2])
        elif words[0] == b"drop":
            self._drop(words[1])
        elif words[0] == b"noted":
            self._ends.pop(int(words[1]), None)
        elif words[0] == b"tell":
            self._asked = True
        elif words[0] == b"listener" and fds:
            os.dup2(fds[0], self._listener)
        elif words[0] == b"up":
            self._up = self._serving = True
        elif words[0] == b"bye":
            self._leaving = int(words[1]) if len(words) > 1 else 0  # an earlier version sent no code
        for fd in fds:
            os.close(fd)

    def _close_channel(self) -> None:
        self._asked = False
        if self._channel:
            self._channel.close()
            self._channel = None

    def _drop(self, inode: bytes) -> None:
        fd, _path = self._pipes.pop(inode, (-1, b""))
        if fd >= 0:
            os.close(fd)

    def _tell(self) -> None:
        """Send the ends that the daemon does not know yet, as many as the channel takes now."""
        while self._unsent and self._channel:
            pid = self._unsent[0]
            if pid in self._ends and not self._send(b"end %d %d %d" % (pid, *self._ends[pid])):
                return
            del self._unsent[0]

    def _send(self, packet: bytes) -> bool:
        try:
            return self._channel is not None and self._channel.send(packet) > 0
        except OSError:
            return False


def leads_since(pid: int) -> int:
    """Return the start time of a process or zombie that leads a session, in clock ticks since boot; 0 for any other.

    Source: proc(5), /proc/pid/stat, fields 6 and 22.
    """
    try:
        with open(f"/proc/{pid}/stat", "rb", buffering=0) as file:
            fields = file.read(1024).rpartition(b")")[2].split()
    except OSError:
        return 0
    return int(fields[19]) if int(fields[3]) == pid else 0


def _packets() -> tuple[socket.socket, socket.socket]:
    """Return the two ends of a channel, ours and the daemon's; neither blocks."""
    ends = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    for end in ends:
        end.setblocking(False)
    return ends


def _say(text: str) -> None:
    """Write to stderr for a caller in the foreground; in the background it is /dev/null, and the event log has the news.

    A reader that does not read (a full pipe, a terminal after Ctrl-S) misses the text: waiting for it would delay the daemon.
    """
    try:
        ready = select.poll()
        ready.register(2, select.POLLOUT)
        if not any(events & select.POLLOUT for _fd, events in ready.poll(0)):
            return
        os.write(2, f"taskmasterd guardian: {text}\n".encode("utf-8", "backslashreplace"))
    except OSError:
        return


def _name_process(name: str) -> None:
    """Make ps and pgrep show this name; without /proc they show python. Source: proc(5), /proc/pid/comm."""
    try:
        with open("/proc/self/comm", "wb", buffering=0) as comm:
            comm.write(name.encode())
    except OSError:
        return


def main(arguments: Sequence[str]) -> int:
    """Run the guardian: STATE is the descriptor of the daemon's initial state, LISTENER that of its socket.

    READY is the descriptor on which the first daemon answers the launcher ("-": no launcher waits); only the daemon uses it.
    """
    state, listener, ready, *paths = arguments
    _name_process("taskmasterguard")
    if os.environ.get("WATCHDOG_PID") == str(os.getpid()):
        del os.environ["WATCHDOG_PID"]  # the daemon feeds the watchdog, and systemd does not know its pid
    this = [sys.executable, "-I", "-S", "-X", "utf8", sys.argv[0], "--resident", state, "KEPT", *paths]
    return Guardian(this, int(state), int(listener), -1 if ready == "-" else int(ready)).run()
