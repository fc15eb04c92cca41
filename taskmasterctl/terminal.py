"""The terminal and the host as they are now: what answers look like here, the size, the clocks, the names of users."""

from __future__ import annotations

import os
import time

from taskmaster_common.errors import RequestError
from taskmasterctl.output import ERR, OUT
from taskmasterctl.reply.render import Look
from taskmasterctl.reply.replies import is_endless

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import NoReturn

    from taskmaster_common.commands.table import Request
    from taskmasterctl.options import Options

DEFAULT_SIZE = (80, 24)
ROUND_A_TABLE = 2
"""Lines of a terminal that a table leaves free: what was typed, and the next prompt."""
LONG = ("show", "logs", "help", "events", "why", "deps", "simulate", "runs", "import", "export")
"""The verbs whose answers may be longer than a terminal, for a pager."""
LOCAL_MODES, CHARACTERS = 3, 6
"""Places in a list of terminal attributes. Source: the documentation of termios.tcgetattr."""
COERCED = ("C.UTF-8", "C.utf8", "UTF-8")
"""Values that Python gives to LC_CTYPE. Source: PEP 538."""


def look_of(options: Options, request: Request, environment: Mapping[str, str]) -> Look:
    """Return how to show the answer to a request on this standard output."""
    terminal = os.isatty(OUT)
    wanted = terminal and not environment.get("NO_COLOR") and can_move_cursor(environment)
    size = terminal_size() if terminal and not request.has("wide") else (0, 0)
    return Look(
        colour=options.color == "always" or (options.color == "auto" and wanted),
        width=size[0],
        height=0 if request.targets else max(0, size[1] - ROUND_A_TABLE),
        terminal=terminal,
        watched=os.isatty(ERR),
        quiet=options.quiet,
        utf8=_speaks_utf8(environment),
        command=options.command,
        user_name=user_name,
        wall=lambda ago_s: time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(time.time() - ago_s)),
        at=_local_time,
    )


def _local_time(seconds: float) -> str:
    return f"{time.strftime('%Y-%m-%d %H:%M:%S', time.localtime(seconds))}.{int(seconds * 1000 + 0.5) % 1000:03d}"


def can_move_cursor(environment: Mapping[str, str]) -> bool:
    """Return whether TERM names a terminal that understands escape sequences."""
    return environment.get("TERM", "dumb") != "dumb"


def _speaks_utf8(environment: Mapping[str, str]) -> bool:
    """Return whether the locale is one of UTF-8. Source: POSIX, Base Definitions 8.2: the order of the variables."""
    names = ("LC_ALL", "LANG") if _made_by_python(environment) else ("LC_ALL", "LC_CTYPE", "LANG")
    named = (environment.get(name) for name in names)
    return next(filter(None, named), "").upper().replace("-", "").endswith("UTF8")


def _made_by_python(environment: Mapping[str, str]) -> bool:
    """Return whether the user has not chosen LC_CTYPE: in the locale C Python sets it for itself. Source: PEP 538.

    What the process was started with is in /proc; without it, a LC_CTYPE beside a LANG of C counts as Python's.
    """
    if environment.get("LC_CTYPE") not in COERCED or environment.get("LANG", "C") not in ("", "C", "POSIX"):
        return False
    try:
        with open("/proc/self/environ", "rb") as file:
            return b"\0LC_CTYPE=" not in b"\0" + file.read()
    except OSError:
        return True


def may_page(options: Options, request: Request, environment: Mapping[str, str]) -> bool:
    """Return whether the answer to a request may go through a pager: a long one for people, who sit at this terminal."""
    switched_off = options.no_pager or options.json or environment.get("PAGER") in ("", "cat")
    if switched_off or request.verb not in LONG or is_endless(request) or request.has("raw") or request.has("reopen"):
        return False
    return os.isatty(0) and os.isatty(OUT) and can_move_cursor(environment)


def is_ours() -> bool:
    """Return whether the terminal is that of the user as whom this process runs; behind sudo and su it is not."""
    try:
        return os.fstat(0).st_uid == os.geteuid()
    except OSError:
        return False


def terminal_size() -> tuple[int, int]:
    """Return columns and lines; DEFAULT_SIZE where standard output is no terminal."""
    try:
        columns, lines = os.get_terminal_size(OUT)
    except OSError:
        return DEFAULT_SIZE
    return columns or DEFAULT_SIZE[0], lines or DEFAULT_SIZE[1]


def user_name(uid: int) -> str:
    """Return the name of a user, "" for a uid without an account."""
    import pwd  # noqa: PLC0415 - only where a user is named

    try:
        return pwd.getpwuid(uid).pw_name
    except (KeyError, OverflowError):
        return ""


def timestamp() -> str:
    """Return the time as the event log writes it: RFC 3339 with milliseconds and zone."""
    now = time.time()
    local = time.localtime(now)
    zone = time.strftime("%z", local)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', local)}.{int(now * 1000) % 1000:03d}{zone[:3]}:{zone[3:]}"


def with_moments(request: Request) -> Request:
    """Return the request with its times in seconds, read by the clock and zone of this terminal. Raises RequestError "usage"."""
    from taskmaster_common.text.moments import parse_moment  # noqa: PLC0415 - few verbs need it

    now = time.time()
    today = time.localtime(now)[:3]
    flags = dict(request.flags)
    moments: dict[str, float | str] = {}
    for key in ("since", "until"):
        if key in flags:
            try:
                found = parse_moment(str(flags[key]), now, today, lambda parts: time.mktime((*parts, 0, 0, -1)))
            except ValueError as error:
                raise RequestError("usage", f"--{key}: {error}", 2) from None
            flags[key] = found if isinstance(found, str) else f"@{found:.6f}"
            moments[key] = found
    since, until = moments.get("since"), moments.get("until")
    if isinstance(since, float) and isinstance(until, float) and since > until:
        raise RequestError("usage", "--since is later than --until", 2)
    return request.replace(flags=flags)


class LeftError(Exception):
    """Somebody has typed `q`."""


def until_q(run: Callable[[], int]) -> int:
    """Return what `run` returns, or 0 when `q` is typed; what else is typed is not shown, and is discarded at the end.

    The client reads no keys while it waits for the daemon, so the terminal driver makes a signal of the key, as it does of
    Ctrl-C. Source: termios(3), VQUIT.
    """
    import signal  # noqa: PLC0415 - only `status --watch` needs it
    import termios  # noqa: PLC0415 - only `status --watch` needs it

    def leave(*_signal: object) -> NoReturn:
        raise LeftError

    try:
        in_front = os.tcgetpgrp(0) == os.getpgrp()  # another group would be stopped if it changed the terminal
    except OSError:
        in_front = False
    if not in_front:
        return run()
    before, attributes = termios.tcgetattr(0), termios.tcgetattr(0)
    attributes[LOCAL_MODES] &= ~termios.ECHO
    attributes[CHARACTERS][termios.VQUIT] = b"q"
    handler = signal.signal(signal.SIGQUIT, leave)
    try:
        termios.tcsetattr(0, termios.TCSADRAIN, attributes)
        return run()
    except LeftError:
        return 0
    finally:
        termios.tcsetattr(0, termios.TCSAFLUSH, before)
        signal.signal(signal.SIGQUIT, handler)
