"""One request: finds the daemon, shows its answer, and explains what went wrong.

The daemon's `end` holds the exit code. The client has codes of its own only for what happens without a daemon: no permission
4, no daemon 4 or 7, a broken configuration 6, time-out 124, Ctrl-C 130.
"""

from __future__ import annotations

import time

from taskmaster_common import __version__
from taskmaster_common.errors import ConfigError, ProtocolError
from taskmaster_common.protocol import PROTOCOL_VERSION
from taskmasterctl.connect.client import (
    FrozenError,
    LostError,
    TimedOutError,
    UnreachableError,
    connect,
    ends_daemon,
)
from taskmasterctl.connect.sockets import Sockets, find_sockets
from taskmasterctl.options import unreachable_exit
from taskmasterctl.output import write
from taskmasterctl.reply.render import short_seconds
from taskmasterctl.reply.replies import is_endless
from taskmasterctl.visible import shell_quoted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from typing import Any

    from taskmaster_common.commands.table import Request
    from taskmasterctl.connect.client import DaemonConnection
    from taskmasterctl.options import Options
    from taskmasterctl.output import Write
    from taskmasterctl.reply.astext import Reply

FAILED, DENIED, CONFIG, TIMED_OUT, INTERRUPTED = 1, 4, 6, 124, 130
TICK_S = 0.5
"""Pause between two looks of `status --watch` at whether its table is due, seconds."""
OPERATIONS = ("start", "stop", "restart", "disable", "enable", "scale", "reload", "shutdown")
"""The verbs whose work goes on in the daemon when the client ends."""
GOES_ON = "It goes on in the daemon."
MAY_GO_ON = "The daemon may have died. If it has not, the work goes on there."


class Conversation:
    """One request to the daemon and its answer.

    `line` is the request as it travels, `reply` turns the answer into text. `environment` may name the socket. `show` writes chunks
    to their streams.
    """

    def __init__(
        self,
        options: Options,
        request: Request,
        line: bytes,
        reply: Reply,
        environment: Mapping[str, str],
        show: Write = write,
    ) -> None:
        self._options = options
        self._request = request
        self._line = line
        self._reply = reply
        self._write = show
        self._environment = environment
        self._connection: DaemonConnection | None = None
        self._sockets = Sockets(())
        self._upgrading = ""
        self._is_lost = False

    def run(self) -> int:
        """Return the exit code: the daemon's, or the client's own where no daemon could give one."""
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
            named = self._options.config or "the file that TASKMASTER_CONFIG names"
            return self._end("config", f"cannot find the socket: {named} has a problem", (), CONFIG)
        finally:
            if self._connection is not None:
                self._connection.close()

    def _ask(self) -> int:
        """Raise what `connect` and `DaemonConnection.ask` raise, and ConfigError."""
        timeout, request = self._options.timeout, self._request
        deadline = None if timeout is None else time.monotonic() + timeout
        if request.verb == "version":
            self._show({"type": "client", "version": __version__, "protocol": PROTOCOL_VERSION})
        connection = self._connect(deadline)
        if self._sockets.config and (refused := self._other_config(connection)) is not None:
            return refused
        code = FAILED
        tick_s = TICK_S if request.has("watch") else None
        waits = request.verb == "shutdown" and not request.has("no_wait")
        last: list[dict[str, Any]] = []
        for message in self._exchange(connection, deadline, tick_s):
            if message["type"] == "upgrading":
                self._upgrading = str(message.get("config", ""))
            code = _exit_code(message)
            if waits and message["type"] in ("shutdown", "end"):
                last.append(message)
            else:
                self._show(message)
        if last and ends_daemon(request, last[-1]):
            connection.wait_closed()  # only then has the daemon really ended
        for message in last:
            self._show(message)
        return code

    def _connect(self, deadline: float | None = None) -> DaemonConnection:
        """Return a connection to the daemon. Raises what `connect` raises, and ConfigError."""
        self._sockets = find_sockets(self._options, self._environment)
        self._connection = connect(self._sockets, deadline)
        return self._connection

    def _exchange(
        self, connection: DaemonConnection, _deadline: float | None, tick_s: float | None, /
    ) -> Iterator[dict[str, Any]]:
        """Send the request and yield its replies. Raises what `DaemonConnection.ask` raises."""
        return connection.ask(self._line, endless=is_endless(self._request), tick_s=tick_s)

    def _other_config(self, connection: DaemonConnection) -> int | None:
        """Refuse to act on a daemon that runs another configuration than -c names; only warn if the verb just looks."""
        from taskmasterctl.connect.same_config import (  # noqa: PLC0415 - only -c needs it
            needs_same_config,
            other_config_hints,
            other_config_text,
            runs_other_config,
        )

        if not runs_other_config(connection.hello, self._sockets):
            return None
        text = other_config_text(connection.path)
        hints = other_config_hints(connection.hello, connection.path, self._sockets)
        if needs_same_config(self._request):
            return self._end("other-config", text, hints, FAILED)
        self._show({"type": "warning", "text": "\n  ".join((text, *hints))})
        return None

    def _show(self, message: dict[str, Any]) -> None:
        self._write(self._reply.take(message))

    def _end(self, code: str, message: str, hints: Iterable[str], exit_code: int) -> int:
        self._show(local_end(code, message, hints, exit_code))
        return exit_code

    def _unreachable(self, error: UnreachableError) -> int:
        from taskmasterctl.connect.diagnose import unreachable  # noqa: PLC0415 - only when something is wrong
        from taskmasterctl.connect.elsewhere import own_daemon  # noqa: PLC0415 - only when something is wrong

        config = shell_quoted(self._options.config) if self._options.config else ""
        named = self._sockets.named
        found = unreachable(error.attempts, self._sockets.origin, config, None if named else error.strangers)
        if found.denied:
            return self._end("permission", found.message, found.hints, DENIED)
        own = () if named else own_daemon(self._sockets.paths, self._environment)
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
            self._is_lost = True
            return self._goes_on()
        config = shell_quoted(self._upgrading)
        return (
            "The new daemon has died. The programs run on; a daemon that is started now takes them over.",
            f"Look whether one is there:  {self._options.command} status       Start it:  taskmasterd -c {config}",
        )

    def _goes_on(self) -> tuple[str, ...]:
        """Return that the operation goes on, as far as that is known, and how to look at it; () if no operation was sent."""
        if self._connection is None or not self._connection.sent or self._request.verb not in OPERATIONS:
            return ()
        command = " ".join((self._options.command, "status", *map(shell_quoted, self._request.targets)))
        said = GOES_ON if not self._is_lost else MAY_GO_ON
        return (f"{said} Look at it:  {command}",)


def _exit_code(message: dict[str, Any]) -> int:
    """Return the exit code in a message, FAILED if it holds none."""
    code = message.get("exit")
    return code if isinstance(code, int) and 0 <= code < 256 else FAILED


def local_end(code: str, message: str, hints: Iterable[str], exit_code: int) -> dict[str, Any]:
    """Return an `end` message as the daemon would send it, for an error that the client found itself."""
    return {"type": "end", "exit": exit_code, "error": {"code": code, "message": message, "hints": list(hints)}}
