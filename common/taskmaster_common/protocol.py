"""The wire: its normative text, its encoder and its decoder. No I/O.

TASKMASTER CONTROL PROTOCOL, VERSION 2

Transport. A UNIX stream socket. Both sides send lines of UTF-8 that end with LF; a CR before the LF is ignored.

Greeting. The daemon speaks first, and sends one object:

    {"type": "hello", "name": "taskmasterd", "version": "1.0.0", "protocol": 2, "pid": 4711,
     "config": "/etc/taskmaster/taskmaster.yaml"}

`config` is the absolute path of the daemon's configuration, as it was given at the start.

A peer that may not use this daemon gets an `end` with the error "permission" instead, and the 17th connection of a user who has
only a role gets one with "busy". The daemon then closes the connection.

Roles. A peer that has only a role sees only the programs that the role covers: no reply holds another one, and its name is
unknown. The daemon leaves out a text that would name one. It judges each request when its turn comes; a stream that a reload
forbids ends with "permission".

Request. One line: a verb with its flags and arguments, separated by blanks, as users type them
(`restart web --no-wait`). The verbs and flags are those of `commands`; the daemon refuses flags of the client's side. It
ignores an empty line. A request has at most 65 536 bytes with the LF.

Reply. JSON objects, one per line, each with a `type`. The first is `ack`, sent at once (except for a line that is not a
request); the last is `end`. The daemon answers the requests on one connection in their order. A client ignores types and fields
that it does not know.

    type       fields                                                       verbs
    ack        verb                                                         all
    daemon     version protocol pid uptime_s config socket stopping         status, version, pid, subscribe
               installed_changed (true: the code on the disk is no longer
               the daemon's), installed_version ("": unknown)
               alerts ({rule: number of events that wait}, with rules)
               reloaded_s (since the last reload that was applied, or
               null)
               reload_problems (lines; why the last reload was refused, or
               rolled back, until a good one;
               without lines of the file)
               config_changed (true: a file has changed since that reload)
               warnings (lines; what is wrong now, besides processes)
               groups ({name: programs}; each name is a TARGET)
               scaled (lines; programs with another number of instances
               than the file's)
    processes  processes: list of PROCESS, at most 100 per object           status, show, subscribe,
                                                                            health
    snapshot   sequence, count                                              subscribe
    change     sequence name before before_phase before_health state        subscribe
               process: PROCESS reason removed
    about      pid version uid socket config cgroup_root (or null)           show
               cgroup_reason controllers: list of names
    program    name, settings: {key: value}, defaults: list of the keys      show
               that have their default values, processes: list of PROCESS,
               ended: {process name: seconds since its end},
               logs: {process name: {stdout, stderr}},
               newer: {process name: texts, of files that it has read before they changed},
               health: {process name: {ok, output, took_s: of the last
               answer, changes: list of {ago_s, verdict, text}}}
    check      name ok (null: could not be asked) text output took_s        check
    pid        name, pid (null where nothing runs)                          pid
    progress   name, text, heartbeat (true: nothing has happened)           start, stop, restart, wait, reload, upgrade,
                                                                            shutdown
    result     name ok outcome state pid seconds killed reason stderr log   start, stop, restart, signal, wait, reload,
               bytes (how many the program has got)                         send, disable, enable, scale
    simulated  events: list of {at (seconds), text, state}, at most 100     simulate
    override   name, and as in OVERRIDE; up (instances that are up), count  disable, enable, overrides, scale
               (wanted instances), stale (the file has no such program)
    attached   name pid tty stdin rows cols modes viewers typing who        attach
               since_s why
    typing     typing (you do) who since_s                                  attach
    size       rows cols                                                    attach
    modes      modes                                                        attach
    ended      name text                                                    attach
    taken      name bytes (how many the program has got by now)             send
    deps       edges: list of EDGE, at most 100 per object; in the first    deps
               object roots (list of programs), reverse
    plan       programs: list of PLAN, daemon_keys, live_keys: lists,       reload
               daemon_values: {key: {old, new}} of those with plain values,
               groups_changed, alerts: list of texts, changes, dry_run
    problem    text                                                         reload
    warning    text                                                         stop, restart, wait, reload, shutdown, logs,
                                                                            simulate
    output     name stream text; at (with logs --timestamps seconds since   logs, attach
               1970, with attach the place in the log behind the text)
    events     events: list of EVENT, at most 100 per object; seq (of the   events
               last one that was looked at)
    alert      rule destination waiting (number of events) last (time of    alert
               the last delivery, or null) last_ago_s error (or null)
               first (true: the first of the list)
    said       text (a step of the delivery)                                alert
    why        why: list of STORY, at most 10 per object                    why
    runs       name state scheduled; with a schedule off, next: list of     runs
               texts, jitter_s skipped; current last history: RUN or null
    missed     name stream bytes; changes; first last (numbers of events)   logs; subscribe; events
    upgrading  config                                                       upgrade
    upgraded   before version pid seconds                                   upgrade, subscribe
    shutdown   by stopped (how many processes) pid                           shutdown
    text       text                                                         help
    end        exit; error: {code, message, hints: list} on failure;        all
               of "permission" about a role also needs, has (levels; "")

    PROCESS    name program instance state pid uptime_s since_s restarts tries detail wanted description
               restarted_s (since the last of `restarts`, or null)
               phase ("held": STARTING, but not before what it depends on is as it has to be; "blocked": BACKOFF without an
               end, because nothing leads there by itself; the name of the hook that runs: "pre_start", "post_start", "pre_stop",
               "stop_cmd", "post_stop"; else "")
               waiting: list of {name, condition, because, blocked}, what a held or blocked process waits for: at most 20
               waiting_more: number of others that it waits for
               type (service or oneshot)
               ready: {way, ready, unsure, text, after_s (from its start, or null), tries (or null)}: what is known of the readiness
               of the instance, or null
               override: OVERRIDE, or null where the file alone holds
               limits: {not_in_force: list of texts, what of them does not hold and why}, or null where all hold
               watch ("on", or why its files are not watched: "off: ...", "paused: ..."; null without the key)
               status_text (the last STATUS= of a program with ready: notify, or "")
               outdated (true: its instance was started with other values of keys than are wanted now)
               health: {way, verdict (unknown healthy unhealthy), since_s (of the verdict, or null), failures (in a row), last (the
               last answer), at_s (how long ago, or null), restarts (for health, in a row)}: or null without checks
               exit: {code or signal or failure, core, after_s, expected, why (the daemon had given it up, if it had), memory (a
               text, if memory was short when somebody killed it) or limit (a text, if it had used up a limit then)} or null
               sockets: list of {name, address, state (listening closed; "held by pid N alone")}, one for each descriptor
               may (the level on the program; only for a client that has only a role)
               schedule: {next (text, or null), last: {time result ok} (or null), skipped (in a row), off}, or null
               stderr (status, show and subscribe, for a process that is not as wanted: its last line, of some of them)
               counters (status): {starts, restarts (starts by itself), exits: {expected, unexpected, signal, failed (starts
               that did not succeed)}, dropped_bytes (of its output), success: {ago_s, took_s} (of a oneshot that has ever
               succeeded)}: they only grow, until an orderly stop of the daemon
    OVERRIDE   enabled by at (seconds since 1970) reason, if somebody has disabled or enabled the program;
               scale: {count, file (the number in the file), by, at}, if somebody has scaled it
    EVENT      seq time (UTC) mono (monotonic seconds) boot name ("": the daemon) event text, and what belongs to the event: pid,
               status (of wait(2)), expected, signal, killed, refused (texts: who may not be signalled), silent, was (the state
               before), after (seconds), try, of, deadline (of mono), by: {uid pid text}, cause, keys, change, changed (number of
               programs), reason, ok, left, words (last lines of stderr), more (number of others that this one stands for), over
               (true: the end of a trouble); of a request verb, flags, targets; of the daemon version, config, code; rule; of attach
               read_only, typed
    RUN        nominal began ended (texts with the offset of the job's zone, or null) how (schedule, late, missed, skipped, or who)
               took_s result ok (null: it still runs, or its end is unknown) count (runs that were left out, else 0)
    STORY      name (of a process, or of a program whose instances are all as wanted) state since (UTC, or null) since_s sentence
               events: list of {time, text, more}, said (last lines of stderr), next, do (command lines), pids (of its last end)
               detail (what DETAIL of `status` adds, or "")
    EDGE       name (the program that depends) program (on which) instance (null: on all of it) condition (started ready healthy done
               ended)
               required restart status (ok waiting blocked) because (why it is not ok, or "")
    PLAN       name change (kept updated scaled restarted added removed) keys why
               next: those of the keys that are used at the next start
               values: {key: {old, new}}, typed as `settings` are; of env the names of the variables that differ
               create start stop restart: lists of process names
               rolls (true: starts and restarts happen one after the other, as `update` says)

`settings` are typed: numbers (seconds, bytes), booleans, text; cmd is a list of words, with `shell` a text; exitcodes is a list;
depends_on is a list of names, or an object as the file has it; env is a list of names, with --env an object; null means the
daemon's own value. Times are in seconds. In a result, `seconds` is the duration of the operation; `killed`: SIGKILL was needed;
`reason` says why it is not `ok`, or why the process was skipped; `stderr` is the list of the last lines of a failed start;
`outcome` is one of started already-started stopped already-stopped restarted done skipped signalled failed overtaken refused
stuck removed requested blocked taken-back untouched rolled-back up settled unchecked no-job sent armed. `wanted` is false in
BACKOFF, in FATAL, after an unexpected exit, while the process is unhealthy, and from the third skipped run in a row on. While a
client waits, the daemon sends something at least every 2 s: after 5 s of silence it is frozen. A client that follows a log does
not wait: there, silence means that nothing is written.

The reason of `disable` is one word of the request: `%20` stands for a blank in it, as in a URL, and `%25` for `%`.

Subscription. The reply to `subscribe [TARGET...]` is a snapshot and then, for ever, every change. A snapshot is a `daemon`
object, a `snapshot` object, and `processes` objects with `count` processes in all; it replaces everything that the client
knew. Another one follows whenever a reload has changed something, and after `missed`. A `change` says that one process,
identified by `program` and `instance` of its PROCESS, has changed: `before` and `state` are its states (equal if something
else has changed: phase, pid, reason, shown name, health), `before_phase` was its phase, `before_health` its verdict, `reason`
says why, `removed` that it no longer exists. `sequence` rises by one with each change of any process; a snapshot has the
number of the last change that it may include (it may show a process in a newer state; the change that led there follows all
the same). With TARGETs some numbers do not appear. A client that reads too slowly loses changes, and gets the number of those
that it `missed`. The daemon sends nothing while nothing changes: a client notices a dead daemon by the end of the connection,
and a frozen one by a request on another connection.

Input. While the daemon serves `send TARGET`, a line that begins with `{` is not a request but an object of its input:

    input   text    what the programs are to read
    eof             that was all

The daemon takes the input as fast as the programs read it. At a terminal, LF in `text` means the Enter key. At `eof` the daemon
adds a line end, unless --no-newline forbids it; with --eof it then ends the programs' input: it closes the pipe, or types Ctrl-D.
A `result` comes for each process, `taken` in between. If the client closes the connection, or only its sending side, before the
`end`, the daemon drops what the programs have not got. It ignores input that comes after the `end`, until the next request.

Attach. `attach TARGET` is an endless reply about one process. `attached` comes first, and again for each later instance; `why`
then says how the one before ended. `modes` are the escape sequences, each without its ESC, that give a terminal the modes of the
program's. `output` follows, of the stream "terminal" if the process has one. If no instance follows, `ended` and an `end` with
exit 3 come; a client leaves by closing the connection. Its input:

    input   text        what is typed; ignored unless this client types
    size    rows cols   of the client's terminal; it counts while the client types
    take                take the typing, or give it back
    redraw              make the program paint its screen; ignored with --read-only
    eof                 end the input of the program

Each client gets `typing` when the typing changes hands, and `size` when the terminal has another size. A client that is more than
1 MiB behind gets `missed`, then `modes` to begin again with. `--from` goes on at a place that an `output` of an earlier daemon named.

Shutdown. When the daemon ends in order, endless replies (a subscription, a log that is followed) get an `end` with the error
"stopping"; a connection that ends without it was lost by accident. An upgrade ends no connection; a subscriber gets an
`upgraded` object.

Upgrade. `upgrading` comes first. If the connection ends before the reply does, the new code has died: start a daemon with the
configuration that `upgrading` names, which takes the programs over. `upgraded` says that other code has taken the daemon's
place: `before` and `version` are the versions, `seconds` is the length of the gap. The process, its connections and the requests
on them go on; there is no second greeting.

Text. Bytes that are not UTF-8 travel as lone surrogates (Python's surrogateescape, U+DC80 to U+DCFF), so that output
of programs survives unchanged. Replies are pure ASCII.

Errors. `code` is one of: usage unknown-verb (exit 2), permission (4), unknown-name (4 or 5), unknown-signal (2),
stopping (1: the daemon is shutting down; 4: it has shut down), config (6), failed (1), too-long (2), busy (1: something that the
answer needs is taken, or the system refuses it; try again), internal (1).

Limits. The daemon answers a longer request with "too-long" and closes the connection; it also closes one whose line is not
complete 30 s after its first byte. It stops reading from a client that sends ahead while 64 requests, or 64 KiB of them, wait.
A request holds at most 32 different patterns ("usage"). When more than 1 MiB waits for the client to read it, a follower is
paused and then gets the number of bytes that it `missed`; another client is disconnected once it has read nothing for 5 s. No
further request begins while more than 256 KiB wait. Long work is done in pieces, with the requests of others in between; start,
stop and restart wait for the end of a reload that is being applied.

End of a connection. It ends a stream or a wait, never the operation: the daemon carries out complete requests that were sent
before. A client that closes only its sending side (nc -N) gets its replies whole; an endless stream then ends.

Versions. Everything above is version 2. Version 1 had no input, and no verb that takes one; all else is as it was. A change that
an old client could misread raises the number; no name is ever used again with another meaning.
"""

from __future__ import annotations

from taskmaster_common.errors import ProtocolError, shortened
from taskmaster_common.jsontext import read_json, write_json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from taskmaster_common.errors import RequestError

PROTOCOL_VERSION = 2
OLDEST_VERSION = 1
"""The oldest version whose daemons a client can talk to; they lack the verbs that take input."""
MAX_INPUT = 8192
"""Most bytes of a program's input in one line of the wire: each may need six characters there."""
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
        text = shortened(error.message, MAX_MESSAGE)  # it may quote a long request
        message["error"] = {"code": error.code, "message": text, "hints": list(error.hints), **error.fields}
    return message


def refusal(error: RequestError) -> dict[str, Any]:
    """Return the `end` of a request that cannot be carried out."""
    return end(error.exit_code, error)


def decode_reply(line: bytes) -> dict[str, Any]:
    """Return the object of one reply line (without LF). Raises ProtocolError if the line is not such an object."""
    return _object(line, "a reply")


def is_input(line: bytes) -> bool:
    """Return whether a line of a client is input and not a request."""
    return line.startswith(b"{")


def decode_input(line: bytes) -> dict[str, Any]:
    """Return the object of one line of input (without LF). Raises ProtocolError if the line is not such an object."""
    message = _object(line, "input")
    text = message.get("text")
    if isinstance(text, str):
        try:
            text.encode("utf-8", "surrogateescape")
        except UnicodeEncodeError:
            raise ProtocolError("cannot read input: its text has a surrogate that stands for no byte") from None
    return message


def input_lines(data: bytes) -> Iterator[bytes]:
    """Yield the lines of the wire that carry some bytes as input."""
    for first in range(0, len(data), MAX_INPUT):
        piece = data[first : first + MAX_INPUT].decode("utf-8", "surrogateescape")
        yield encode({"type": "input", "text": piece})


def _object(line: bytes, what: str) -> dict[str, Any]:
    try:
        message = read_json(line.decode("utf-8", "surrogatepass"))
    except (ValueError, RecursionError) as error:
        raise ProtocolError(f"cannot read {what}: {error}") from None
    if not isinstance(message, dict) or not isinstance(message.get("type"), str):
        raise ProtocolError(f"cannot read {what}: it is not an object with a type")
    return message


def request_line(words: tuple[str, ...]) -> bytes:
    """Return the line of a request. Raises ProtocolError if a word is empty or holds a blank, or the line is too long."""
    if any(not word or word.split() != [word] for word in words):
        raise ProtocolError("cannot send a request: a word is empty or holds a blank")
    line = " ".join(words).encode("utf-8", "surrogateescape") + b"\n"
    if len(line) > MAX_REQUEST:
        raise ProtocolError(f"cannot send a request: {len(line)} bytes, the most is {MAX_REQUEST}")
    return line


class LineDecoder:
    """Cuts received bytes into lines; holds at most one incomplete line of `limit` bytes.

    It removes the LF, and a CR before it. The result does not depend on the pieces in which the bytes arrive.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._pieces: list[bytes] = []
        self._held = 0

    @property
    def pending(self) -> int:
        """The number of bytes held of an incomplete line."""
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
