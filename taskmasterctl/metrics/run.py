"""`metrics`: once to standard output, to a file once or again and again, or in answer to requests."""

from __future__ import annotations

import time

from taskmaster_common.errors import SystemFailure
from taskmaster_common.text.units import parse_seconds
from taskmasterctl.deadly import DeadlySignals, Killed
from taskmasterctl.metrics.collect import Collector
from taskmasterctl.metrics.file import remove, replace
from taskmasterctl.metrics.text import PROMETHEUS, render
from taskmasterctl.output import ERR, OUT, write
from taskmasterctl.reply.render import warning_text
from taskmasterctl.visible import clean

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from taskmaster_common.commands.table import Request
    from taskmasterctl.metrics.collect import Ask
    from taskmasterctl.metrics.text import Seen
    from taskmasterctl.reply.astext import Reply

FAILED = 1


def run_metrics(request: Request, ask: Ask, errors: Callable[[], Reply]) -> int:
    """Return the exit code. Raises RequestError for an address that is none, SystemFailure, KeyboardInterrupt."""
    form, output = request.text("format", PROMETHEUS), request.text("output")
    if request.has("listen"):
        return _listen(request.text("listen"), ask, errors)
    collector = Collector(ask, errors)
    if not output:
        code, seen = collector.look()
        if seen:
            write(((OUT, render(seen, form)),))
        return code
    if not output.endswith(".prom"):
        write(((ERR, warning_text(f"{clean(output)}: the textfile collector reads only files that end in .prom")),))
    if not request.has("every"):
        return _once(collector, output, form)
    return _until_ended(lambda: _again(collector, output, form, parse_seconds(request.text("every"))), output)


def _once(collector: Collector, output: str, form: str) -> int:
    code, seen = collector.look()
    if seen:
        replace(output, render(seen, form))
    else:
        remove(output)
    return code


def _again(collector: Collector, output: str, form: str, every_s: float) -> int:
    """Write for ever. While the daemon is away, or the file cannot be written, there is no file."""
    while True:
        began = time.monotonic()
        try:
            _once(collector, output, form)
        except SystemFailure as failure:
            write(((ERR, f"taskmasterctl: {clean(failure)}\n"),))
        time.sleep(max(0.0, began + every_s - time.monotonic()))


def _until_ended(work: Callable[[], int], output: str = "") -> int:
    """Do some work that never ends; TERM and HUP end it in order, with 0. Afterwards there is no file."""
    try:
        with DeadlySignals():
            return work()
    except Killed:
        return 0
    finally:
        if output:
            remove(output)


def _listen(text: str, ask: Ask, errors: Callable[[], Reply]) -> int:
    from taskmasterctl.metrics.listen import SHARED_S, MetricsServer, address_of  # noqa: PLC0415 - a socket, only here

    collector = Collector(ask, errors)
    last: tuple[float, Seen | None] | None = None

    def exposition(form: str) -> str:
        nonlocal last
        if last is None or time.monotonic() - last[0] > SHARED_S:
            _code, seen = collector.look()
            last = time.monotonic(), seen
        return render(last[1], form)

    server = MetricsServer(address_of(text), exposition)

    def serve() -> int:
        server.serve()
        return FAILED

    try:
        return _until_ended(serve)
    finally:
        server.close()
