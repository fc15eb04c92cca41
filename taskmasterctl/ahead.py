"""`runs --cron`: when a line of cron is due, by the same function as in the daemon, and without one."""

from __future__ import annotations

import time

from taskmaster_common.errors import RequestError
from taskmaster_common.jsontext import write_json
from taskmaster_common.text.calendar.cron import parse_cron
from taskmaster_common.text.calendar.times import Times, moment_of, some_times
from taskmaster_common.text.calendar.zone import in_zone, parse_at, stamp, zone_problem
from taskmasterctl.output import OUT, write

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, MutableMapping
    from typing import TypeVar

    from taskmaster_common.commands.table import Request
    from taskmaster_common.text.calendar.times import At, Offset
    from taskmasterctl.output import Write

    T = TypeVar("T")

USUAL, MOST = 5, 10_000
"""Number of times that are shown by default, and at most."""
MAGIC_BYTES = 4


def run_ahead(request: Request, environment: MutableMapping[str, str], *, as_json: bool, show: Write = write) -> int:
    """Print the next times, one a line. Raises RequestError "usage" for a wrong cron, zone or moment."""
    times = Times((_checked("--cron", parse_cron, request.text("cron")),))
    since = _checked("--from", parse_at, request.text("from")) if request.has("from") else None
    zone = request.text("timezone")
    if zone and (problem := zone_problem(zone, _head, environment.get("TZDIR", ""))):
        raise RequestError("usage", f'--timezone: "{zone}" {problem}', 2)
    most = min(int(request.text("lines", str(USUAL))), MOST)
    lines = in_zone(zone, environment, time, lambda offset: _lines(times, since, most, offset))
    texts = (write_json({"type": "time", "time": line}).decode() if as_json else line for line in lines)
    show(((OUT, "".join(f"{text}\n" for text in texts)),))
    return 0


def _lines(times: Times, since: At | None, most: int, offset: Offset) -> list[str]:
    # --from itself counts, as the first moment that is looked at
    after = moment_of(since, offset) - 1 if since else time.time()
    return [stamp(moment, offset(moment)) for moment in some_times(times, after, offset, most)]


def _checked(flag: str, parse: Callable[[str], T], text: str) -> T:
    try:
        return parse(text)
    except ValueError as error:
        raise RequestError("usage", f"{flag}: {error}", 2) from None


def _head(path: str) -> bytes | None:
    try:
        with open(path, "rb") as file:
            return file.read(MAGIC_BYTES)
    except OSError:
        return None
