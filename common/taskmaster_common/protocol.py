"""The wire: its normative text, its encoder and its decoder. No I/O.

TASKMASTER CONTROL PROTOCOL, VERSION 1

Transport. A UNIX stream socket. Both directions are lines of UTF-8 that end with LF; a CR before it is ignored.

Greeting. The daemon speaks first, one object:

    {"type": "hello", "name": "taskmasterd", "version": "0.1.0", "protocol": 1, "pid": 4711,
     "config": "/etc/taskmaster/taskmaster.yaml"}

`config` is the absolute path of the daemon's configuration, as it was named at the start.

A peer who may not control this daemon gets an `end` with the error "permission" instead, and the connection is closed.

Request. One line: a verb with its flags and arguments, separated by blanks, as one types them
(`restart web --no-wait`). The verbs and flags are those of `commands`; flags of the client's side are refused. An
empty line is ignored. At most 65 536 bytes with the LF.

Reply. JSON objects, one a line, each with a `type`. The first is `ack`, sent at once (not for a line that is no request);
the last is `end`. Requests on one connection are answered in their order. A client ignores types and fields that it does
not know.

    type       fields                                                       verbs
    ack        verb                                                         all
    daemon     version protocol pid uptime_s config socket stopping         status, version, pid, subscribe
               installed_changed (true: the code on the disk is not the
               daemon's any more), installed_version ("": unknown)
               reload_problems (lines; of the last reload, until a good one;
               without lines of the file)
               config_changed (true: a file is another one since that reload)
               warnings (lines; what is wrong now, besides processes)
    processes  processes: list of PROCESS, at most 100 an object            status, show, subscribe
    snapshot   sequence, count                                              subscribe
    change     sequence name before state process: PROCESS reason removed   subscribe
    program    name, settings: {key: value}, processes: list of PROCESS,     show
               ended: {process name: seconds since its end},
               logs: {process name: {stdout, stderr}}
    pid        name, pid (null where nothing runs)                          pid
    progress   name, text, heartbeat (true where nothing has happened)      start, stop, restart, reload, upgrade, shutdown
    result     name ok outcome state pid seconds killed reason stderr log   start, stop, restart, signal, reload
    plan       programs: list of PLAN, daemon_keys, live_keys: lists,       reload
               changes, dry_run
    problem    text                                                         reload
    warning    text                                                         stop, restart, reload, shutdown, logs
    output     name stream text                                             logs
    missed     name stream bytes; changes                                   logs; subscribe
    upgrading  config                                                       upgrade
    upgraded   before version pid seconds                                   upgrade, subscribe
    shutdown   by stopped (how many processes) pid                           shutdown
    text       text                                                         help
    end        exit; error: {code, message, hints: list} on failure         all

    PROCESS    name program instance state pid uptime_s since_s restarts tries detail wanted description
               exit: {code or signal or failure, core, after_s, expected} or null
               stderr (status and show, of a process that is not as wanted: its last line)
    PLAN       name change (kept updated scaled restarted added removed) keys why
               create start stop restart: lists of process names

`settings` are typed: numbers (seconds, bytes), booleans, text; cmd a list of words, with `shell` a text; exitcodes a list;
env a list of names, with --env an object; null means the daemon's own value. Times are seconds. `seconds` of a result is how long the operation took; `killed`: SIGKILL was needed; `reason` says why it
was not `ok`; `stderr` is the list of the last lines of a failed start; `outcome` is one of started already-started stopped
already-stopped restarted skipped signalled failed overtaken stuck removed requested. `wanted` is false in BACKOFF, FATAL
and after an unexpected exit. While a client waits, something is sent at least every 2 s: after 5 s of silence the daemon
is frozen. A client that follows a log does not wait: silence means that nothing is written.

Subscription. `subscribe [TARGET...]` is answered by a snapshot and then, for ever, by what changes. A snapshot is a `daemon`
object, a `snapshot` object, and `processes` objects that bring `count` processes in all; it replaces everything that was
known. Another one follows whenever a reload has changed something, and after `missed`. A `change` says that one process,
named by `program` and `instance` of its PROCESS, is different: `before` and `state` are its states (equal where something
else changed: pid, reason, shown name), `reason` says why, `removed` that it exists no more. `sequence` rises by one with
each change of any process; the one of a snapshot is that of the last change that it may include (a process may be shown
newer than that; the change that made it so follows all the same). With TARGETs some numbers do not appear. A client that
reads too slowly loses changes and gets the number of those that it `missed`. Nothing is sent while nothing changes: a client
notices a dead daemon by the end of the connection, a frozen one by asking something on another connection.

Shutdown. What has no end of its own (a subscription, a log that is followed) gets an `end` with the error "stopping" when the
daemon ends in order, so that a connection without it was lost by an accident. An upgrade ends no connection; a subscriber
gets an `upgraded` object.

Upgrade. `upgrading` comes first and names the configuration with which a daemon can be started that takes the programs over,
should the connection end before the reply does: then the new code has died. `upgraded` says that other code has taken the daemon's place: `before` and `version` are the versions, `seconds`
is the length of the gap. The process, its connections and the requests on them go on; there is no second greeting.

Text. Bytes that are not UTF-8 travel as lone surrogates (Python's surrogateescape, U+DC80 to U+DCFF), so that output
of programs survives unchanged. Replies are pure ASCII.

Errors. `code` is one of: usage unknown-verb (exit 2), permission (4), unknown-name (4 or 5), unknown-signal (2),
stopping (1: the daemon is being shut down; 4: it was), config (6), failed (1), too-long (2), busy (1: the operating system
refused what is needed to answer), internal (1).

Limits. A longer request is answered by "too-long" and the connection is closed; so is one whose line is not complete
30 s after its first byte. Of a client that sends ahead no more is read while 64 requests, or 64 KiB of them, wait. A
request holds at most 32 different patterns ("usage"). When more than 1 MiB waits to be read by the client, a follower is
paused and then gets the number of bytes that it `missed`; another client is disconnected once it has taken nothing for 5 s. No further request
is begun while more than 256 KiB wait. What takes long is done in pieces, with the requests of others in between; start,
stop and restart wait for the end of a reload that is being applied.

End of a connection. It ends a stream or a wait, never the operation: complete requests that were sent before are carried
out. A client that ends only its own sending (nc -N) gets its answers whole; a stream without an end is ended.

Versions. Everything above is of version 1. A change that an old client could misread raises the number; names are
never used again with another meaning.
"""

from __future__ import annotations

from taskmaster_common.errors import ProtocolError, shortened
from taskmaster_common.jsontext import read_json, write_json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from taskmaster_common.errors import RequestError

PROTOCOL_VERSION = 1
MAX_REQUEST = 65_536
MAX_REPLY = 16 * 1024 * 1024
MAX_QUEUED = 1024 * 1024
MAX_MESSAGE = 2000
PROCESSES_PER_OBJECT = 100
HALF_LINE_TIMEOUT_S = 30.0
PROGRESS_EVERY_S = 2.0
FROZEN_AFTER_S = 5.0


def encode(message: dict[str, Any]) -> bytes:
    """Return one object as a line of the wire."""
    return write_json(message) + b"\n"


def end(exit_code: int, error: RequestError | None = None) -> dict[str, Any]:
    """Return the last object of a reply; `error` says what failed."""
    message: dict[str, Any] = {"type": "end", "exit": exit_code}
    if error is not None:
        text = shortened(error.message, MAX_MESSAGE)  # it may repeat what the request was
        message["error"] = {"code": error.code, "message": text, "hints": list(error.hints)}
    return message


def refusal(error: RequestError) -> dict[str, Any]:
    """Return the `end` of a request that cannot be carried out."""
    return end(error.exit_code, error)


def decode_reply(line: bytes) -> dict[str, Any]:
    """Return the object of one reply line (without LF). Raises ProtocolError where the line is not such an object."""
    try:
        message = read_json(line.decode("utf-8", "surrogatepass"))
    except (ValueError, RecursionError) as error:
        raise ProtocolError(f"cannot read a reply: {error}") from None
    if not isinstance(message, dict) or not isinstance(message.get("type"), str):
        raise ProtocolError("cannot read a reply: it is not an object with a type")
    return message


def request_line(words: tuple[str, ...]) -> bytes:
    """Return the line of a request. Raises ProtocolError where a word holds a blank or the line is too long."""
    if any(not word or word.split() != [word] for word in words):
        raise ProtocolError("cannot send a request: a word is empty or holds a blank")
    line = " ".join(words).encode("utf-8", "surrogateescape") + b"\n"
    if len(line) > MAX_REQUEST:
        raise ProtocolError(f"cannot send a request: {len(line)} bytes, the most is {MAX_REQUEST}")
    return line


class LineDecoder:
    """Cuts received bytes into lines; holds at most one incomplete line of `limit` bytes.

    The lines come without LF and without a CR before it. The result does not depend on the pieces in which the bytes arrive.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._pieces: list[bytes] = []
        self._held = 0

    @property
    def pending(self) -> int:
        """How many bytes of an incomplete line are held."""
        return self._held

    @property
    def rest(self) -> bytes:
        """The incomplete line that is held."""
        return b"".join(self._pieces)

    def feed(self, data: bytes) -> list[bytes]:
        """Return the lines that `data` completes. Raises ProtocolError as soon as a line is longer than the limit."""
        *complete, rest = data.split(b"\n")
        lines: list[bytes] = []
        for piece in complete:
            self._hold(piece, 1)
            lines.append(b"".join(self._pieces).removesuffix(b"\r"))
            self._pieces.clear()
            self._held = 0
        if rest:
            self._hold(rest, 0)
        return lines

    def _hold(self, piece: bytes, end: int) -> None:
        if self._held + len(piece) + end > self._limit:
            raise ProtocolError(f"cannot read a line: it is longer than {self._limit} bytes")
        self._pieces.append(piece)
        self._held += len(piece)
