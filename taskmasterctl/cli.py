"""`taskmasterctl`: from the words of a command line, or from lines on a pipe, to an exit code.

The only file of the client that reads the environment and decides what is written. What the daemon says in its `end` is the
exit code; the client has its own only for what happens without a daemon: usage 2, no daemon 4 or 7, time-out 124, Ctrl-C 130.
"""

from __future__ import annotations

import os
import sys
import time

from taskmaster_common import __version__
from taskmaster_common.commands.table import Request, parse
from taskmaster_common.errors import ConfigError, ProtocolError, RequestError, SystemFailure
from taskmaster_common.paths import default_places
from taskmaster_common.protocol import PROTOCOL_VERSION
from taskmaster_common.text.units import with_real_time
from taskmasterctl.connect.client import (
    Connection,
    FrozenError,
    LostError,
    TimedOutError,
    UnreachableError,
    connect,
    wire_line,
)
from taskmasterctl.connect.sockets import Sockets, find_sockets
from taskmasterctl.options import Options, client_help, quoted, split_line, split_options, unreachable_exit
from taskmasterctl.output import write
from taskmasterctl.reply.render import Look, short_seconds
from taskmasterctl.reply.replies import ERR, OUT, is_endless, reply_for
from taskmasterctl.visible import clean

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from typing import Any

    from taskmasterctl.reply.replies import Reply

FAILED, DENIED, CONFIG, TIMED_OUT, INTERRUPTED, BROKEN_PIPE = 1, 4, 6, 124, 130, 141
TICK_S = 0.5
"""So often `status --watch` looks whether its table should be shown anew."""
COMPLETE = "_complete"
"""The hidden verb of the shells' completions."""
OPERATIONS = ("start", "stop", "restart", "reload", "shutdown")
"""The verbs whose work goes on in the daemon when nobody waits any more."""


def main(words: Sequence[str]) -> int:
    """Run one command line (without the name of the program) and return the exit code. Lets no exception out."""
    return _guarded(lambda: run(words))


def _guarded(command: Callable[[], int]) -> int:
    try:
        return command()
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        return BROKEN_PIPE
    except SystemFailure as failure:
        return _last_words(str(failure))
    except Exception as error:  # noqa: BLE001 - a traceback helps nobody who did not ask for one
        if os.environ.get("TASKMASTER_DEBUG") == "1":
            sys.excepthook(type(error), error, error.__traceback__)
            return FAILED
        return _last_words(f"internal error: {type(error).__name__}: {error} (TASKMASTER_DEBUG=1 shows where)")


def _last_words(text: str) -> int:
    write(((ERR, f"taskmasterctl: {clean(text)}\n"),))
    return FAILED


def run(words: Sequence[str]) -> int:
    """Run one command line: a verb, or none, which means the shell on a terminal and commands on a pipe."""
    try:
        options, rest = split_options(words, Options())
    except RequestError as error:
        return _refuse(error, Options(json="--json" in words))
    if rest[:1] == [COMPLETE]:
        return _complete(options, *rest[1:2])
    if rest or options.version or options.help:
        return run_command(options, rest)
    if os.isatty(0):
        return _run_shell(options)
    return run_script(options, _stdin_lines())


def _run_shell(options: Options) -> int:
    from taskmasterctl.shell.shell import Hands, run_shell  # noqa: PLC0415 - what a command line does without

    try:
        sockets = find_sockets(options, os.environ)
    except ConfigError:
        return run_command(options, ["status"])  # it fails for the same reason, and says so
    plain = not os.isatty(OUT) or os.environ.get("TERM", "dumb") == "dumb"
    history = f"{default_places(os.geteuid(), os.environ).state_dir}/history"
    hands = Hands(lambda given, words: _guarded(lambda: run_command(given, words)), write, user_name)
    return run_shell(options, hands, sockets, history, plain=plain)


def run_script(options: Options, lines: Iterable[str]) -> int:
    """Run each line as commands; return the exit code of the first that failed. `exit` ends it, as in the shell."""
    code = 0
    for line in lines:
        if line.strip() in ("exit", "quit"):
            break
        for done in _script_line(options, line):
            code = code or done
            if done and (options.exit_on_error or done == INTERRUPTED):
                return code
    return code


def _script_line(options: Options, line: str) -> Iterator[int]:
    """Run the commands of one line; yield the exit code of each."""
    try:
        for words in split_line(line):
            line_options, rest = split_options(words, options)
            yield run_command(line_options, rest) if rest or line_options != options else 0
    except RequestError as error:
        yield _refuse(error, options)


def _stdin_lines() -> Iterator[str]:
    with open(0, "rb", closefd=False) as stdin:
        for line in stdin:
            yield line.decode("utf-8", "surrogateescape")


def run_command(options: Options, words: Sequence[str]) -> int:
    """Run one verb with its words and return the exit code. The shell calls this too."""
    try:
        if options.version and options.json:
            return _say(options, "version", {"type": "client", "version": __version__, "protocol": PROTOCOL_VERSION})
        if options.version:
            write(((OUT, f"taskmasterctl {__version__}\n"),))
            return 0
        if options.help:
            return _say(options, "help", {"type": "help", "text": client_help(*words[:1])})
        request = parse(words)
        if request.verb == "help":
            return _say(options, "help", {"type": "help", "text": client_help(*request.targets)})
        if request.has("list"):
            return _say(options, "signal", *_signals())
        line = wire_line(Request("subscribe", {}, request.targets) if request.has("watch") else request)
    except RequestError as error:
        return _refuse(error, options)
    reply = _reply_for(options, request)
    return Conversation(options, request, line, reply).run()


def _reply_for(options: Options, request: Request) -> Reply:
    look = look_of(options, request)
    if not request.has("watch") and request.verb != "subscribe":
        return reply_for(request, look, as_json=options.json)
    from taskmasterctl.reply.watching import Surroundings, watch_reply  # noqa: PLC0415 - what status does without

    around = Surroundings(time.monotonic, lambda: time.strftime("%H:%M:%S"), _stamp, _terminal_size)
    in_place = request.has("watch") and os.isatty(OUT) and os.environ.get("TERM", "dumb") != "dumb"
    return watch_reply(request, look, around, in_place=in_place, as_json=options.json)


def _stamp() -> str:
    """Return the time as the event log writes it: RFC 3339 with milliseconds and zone."""
    now = time.time()
    local = time.localtime(now)
    zone = time.strftime("%z", local)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', local)}.{int(now * 1000) % 1000:03d}{zone[:3]}:{zone[3:]}"


def _refuse(error: RequestError, options: Options) -> int:
    """Show an error that was found before anything was sent."""
    reply = reply_for(Request(""), Look(), as_json=options.json)
    write(reply.take(local_end(error.code, error.message, error.hints, error.exit_code)))
    return error.exit_code


def _complete(options: Options, kind: str = "") -> int:
    """Print what may be completed; nothing where that cannot be known, since somebody waits for Tab."""
    from taskmasterctl.completions import candidates  # noqa: PLC0415 - no other command line needs it

    try:
        sockets = find_sockets(options, os.environ)
    except ConfigError:
        return 0
    write(((OUT, candidates(kind, sockets)),))
    return 0


def _say(options: Options, verb: str, *messages: dict[str, Any]) -> int:
    """Show what the client knows without a daemon."""
    reply = reply_for(Request(verb), Look(), as_json=options.json)
    for message in (*messages, {"type": "end", "exit": 0}):
        write(reply.take(message))
    return 0


def _signals() -> list[dict[str, Any]]:
    import signal  # noqa: PLC0415 - its enums cost 3 ms

    found = with_real_time({each.name.removeprefix("SIG"): each.value for each in signal.Signals})
    return [{"type": "signal", "name": name, "number": number} for name, number in found.items()]


def look_of(options: Options, request: Request) -> Look:
    """Return how answers are shown on this terminal, or where there is none."""
    terminal = os.isatty(OUT)
    colour = options.color == "always" or (
        options.color == "auto"
        and terminal
        and not os.environ.get("NO_COLOR")
        and os.environ.get("TERM", "dumb") != "dumb"
    )
    width = _terminal_size()[0] if terminal and not request.has("wide") else 0
    return Look(
        colour=colour,
        width=width,
        terminal=terminal,
        watched=os.isatty(ERR),
        quiet=options.quiet,
        command=options.command,
        user_name=user_name,
        wall=lambda ago_s: time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(time.time() - ago_s)),
    )


def user_name(uid: int) -> str:
    """Return the name of a user, "" where there is none."""
    import pwd  # noqa: PLC0415 - only where a user is named

    try:
        return pwd.getpwuid(uid).pw_name
    except (KeyError, OverflowError):
        return ""


def _terminal_size() -> tuple[int, int]:
    try:
        columns, lines = os.get_terminal_size(OUT)
    except OSError:
        return 80, 24
    return columns or 80, lines or 24


# -- one request


class Conversation:
    """One request: finds the daemon, shows what it answers, and says what came between."""

    def __init__(self, options: Options, request: Request, line: bytes, reply: Reply) -> None:
        self._options = options
        self._request = request
        self._line = line
        self._reply = reply
        self._connection: Connection | None = None
        self._sockets = Sockets(())
        self._upgrading = ""

    def run(self) -> int:
        """Return the exit code: the daemon's, or the client's own where the daemon could not say one."""
        try:
            return self._ask()
        except KeyboardInterrupt:
            hints = self._goes_on()
            if hints or self._options.json:
                return self._end("interrupted", f"no longer waiting for {self._named()}", hints, INTERRUPTED)
            return INTERRUPTED
        except TimedOutError:
            what = f"{self._named()} is not finished" if self._connection else "taskmasterd did not answer"
            text = f"{what} after {short_seconds(self._options.timeout or 0)}"
            return self._end("timeout", text, self._goes_on(), TIMED_OUT)
        except UnreachableError as error:
            return self._unreachable(error)
        except FrozenError as error:
            return self._frozen(error)
        except (LostError, ProtocolError) as error:
            return self._end("lost", str(error), self._lost(), unreachable_exit(self._request.verb))
        except ConfigError as error:
            for problem in error.problems:
                self._show({"type": "problem", "text": problem})
            return self._end("config", f"cannot find the socket: {self._options.config} has a problem", (), CONFIG)
        finally:
            if self._connection is not None:
                self._connection.close()

    def _ask(self) -> int:
        """Raise what `connect` and `Connection.ask` raise, and ConfigError."""
        timeout, request = self._options.timeout, self._request
        deadline = None if timeout is None else time.monotonic() + timeout
        if request.verb == "version":
            self._show({"type": "client", "version": __version__, "protocol": PROTOCOL_VERSION})
        self._sockets = find_sockets(self._options, os.environ)
        self._connection = connect(self._sockets, deadline)
        if self._sockets.config and (refused := self._not_meant(self._connection)) is not None:
            return refused
        code = FAILED
        tick_s = TICK_S if request.has("watch") else None
        waits = request.verb == "shutdown" and not request.has("no_wait")
        last: list[dict[str, Any]] = []
        for message in self._connection.ask(self._line, endless=is_endless(request), tick_s=tick_s):
            if message["type"] == "upgrading":
                self._upgrading = str(message.get("config", ""))
            code = _exit_code(message)
            if waits and message["type"] in ("shutdown", "end"):
                last.append(message)
            else:
                self._show(message)
        if waits:
            self._connection.wait_closed()  # only then is it true that it has ended
        for message in last:
            self._show(message)
        return code

    def _not_meant(self, connection: Connection) -> int | None:
        """Refuse to act on a daemon that runs another configuration than -c names, warn where this only looks."""
        from taskmasterctl.connect.meant import acts, is_other, other_hints, other_text  # noqa: PLC0415 - only -c needs it

        if not is_other(connection.hello, self._sockets):
            return None
        text, hints = other_text(connection.path), other_hints(connection.hello, connection.path, self._sockets)
        if acts(self._request):
            return self._end("other-config", text, hints, FAILED)
        self._show({"type": "warning", "text": "\n  ".join((text, *hints))})
        return None

    def _show(self, message: dict[str, Any]) -> None:
        write(self._reply.take(message))

    def _end(self, code: str, message: str, hints: Iterable[str], exit_code: int) -> int:
        self._show(local_end(code, message, hints, exit_code))
        return exit_code

    def _unreachable(self, error: UnreachableError) -> int:
        from taskmasterctl.connect.diagnose import unreachable  # noqa: PLC0415 - only when something is wrong
        from taskmasterctl.connect.elsewhere import own_daemon  # noqa: PLC0415 - only when something is wrong

        config = quoted(self._options.config) if self._options.config else ""
        named = self._sockets.named
        found = unreachable(error.attempts, self._sockets.origin, config, None if named else error.strangers)
        if found.denied:
            return self._end("permission", found.message, found.hints, DENIED)
        own = () if named else own_daemon(self._sockets.paths, os.environ)
        return self._end("unreachable", found.message, (*own, *found.hints), unreachable_exit(self._request.verb))

    def _frozen(self, error: FrozenError) -> int:
        from taskmasterctl.connect.diagnose import frozen  # noqa: PLC0415 - only when something is wrong

        found = frozen(error.path, error.pid)
        hints = (*found.hints, *self._goes_on())
        return self._end("frozen", found.message, hints, unreachable_exit(self._request.verb))

    def _named(self) -> str:
        targets = self._request.targets
        return f"{self._request.verb} of {' '.join(targets)}" if targets else self._request.verb

    def _lost(self) -> tuple[str, ...]:
        """Return how to go on without the daemon that was asked."""
        if not self._upgrading:
            return self._goes_on()
        config = quoted(self._upgrading)
        return (
            "The new daemon has died. The programs run on; a daemon that is started now takes them over.",
            f"Look whether one is there:  {self._options.command} status       Start it:  taskmasterd -c {config}",
        )

    def _goes_on(self) -> tuple[str, ...]:
        """Return that the operation goes on, and how to look at it; nothing where there is none or it was never sent."""
        if self._connection is None or not self._connection.sent or self._request.verb not in OPERATIONS:
            return ()
        command = " ".join((self._options.command, "status", *map(quoted, self._request.targets)))
        return (f"It goes on in the daemon. Look at it:  {command}",)


def _exit_code(message: dict[str, Any]) -> int:
    """Return the exit code that an object says, FAILED where it says none."""
    code = message.get("exit")
    return code if isinstance(code, int) and 0 <= code < 256 else FAILED


def local_end(code: str, message: str, hints: Iterable[str], exit_code: int) -> dict[str, Any]:
    """Return an `end` of the client's own making."""
    return {"type": "end", "exit": exit_code, "error": {"code": code, "message": message, "hints": list(hints)}}
