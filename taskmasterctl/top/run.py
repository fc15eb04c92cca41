"""`top`: the whole screen on a terminal, one table as text elsewhere, and lines of JSON."""

from __future__ import annotations

import os
import select
import signal
import termios
import time
from contextlib import suppress

from taskmaster_common.records import Record
from taskmaster_common.text.units import parse_seconds
from taskmasterctl.output import ERR, OUT, write
from taskmasterctl.reply.asjson import SCHEMA, json_line
from taskmasterctl.reply.figures import Status
from taskmasterctl.top.layout import Drawing, columns, facts_of, head_line, row_line, summary
from taskmasterctl.top.live import DEFAULT_EVERY_S, Live
from taskmasterctl.top.rows import Listing
from taskmasterctl.usage.once import measure
from taskmasterctl.usernames import with_names
from taskmasterctl.visible import clean

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from taskmaster_common.commands.table import Request
    from taskmasterctl.connect.sockets import Sockets
    from taskmasterctl.reply.astext import Reply
    from taskmasterctl.reply.render import Look

WELL = (0, 3)
"""Exit codes of a status that was shown."""
GONE = 4


class TopNeeds(Record):
    """What `top` needs of the command line.

    `ask(reply)` asks for the status of the targets, shows what goes wrong, and returns the exit code; `errors()` makes a reply that
    shows it. `run(words)` runs a verb. `stamp()` is date and time with zone. `screen`: standard input and output are a terminal that can
    move its cursor; `blocks`: it shows blocks of different heights.
    """

    ask: Callable[[Reply], int]
    errors: Callable[[], Reply]
    run: Callable[[Sequence[str]], int]
    sockets: Callable[[], Sockets]
    look: Look
    stamp: Callable[[], str]
    screen: bool
    blocks: bool
    as_json: bool


def run_top(request: Request, means: TopNeeds) -> int:
    """Return the exit code. Raises KeyboardInterrupt."""
    status = Status(means.errors())
    code = means.ask(status)
    if code not in WELL or not status.daemon:
        return code
    once = request.has("once") or not (means.screen or means.as_json)
    if once:
        return _once(request, status, means)
    every_s = parse_seconds(request.text("every", str(DEFAULT_EVERY_S)))
    live = Live(means.sockets(), request.targets, every_s, request.text("sort", "name"))
    try:
        return _lines(live, means) if means.as_json else _screen(live, means)
    finally:
        live.feed.close()


def _once(request: Request, status: Status, means: TopNeeds) -> int:
    """Print one table, or one line of JSON, after a short sample."""
    found = measure(status.processes, status.daemon["pid"])
    if means.as_json:
        write(((OUT, _document(means, status.daemon, status.processes)),))
        return 0
    rows = Listing((), request.text("sort", "name"))
    keys = {each["pid"]: (each["program"], each["instance"]) for each in status.processes if each["pid"] is not None}
    rows.open = {(each["program"],) for each in status.processes}
    rows.update(status.processes, {})
    rows.samples.add({keys[pid]: figures for pid, figures in found.items()}, rows.processes)
    rows.selected = ()
    rows.arrange()
    rows.selected = ()
    screen = Drawing(means.look.width, means.blocks, user_name=means.look.user_name)
    shown = columns(rows, screen)
    lines = [[("", summary(facts_of(rows, status.daemon["uptime_s"], ""), "", screen))]]
    lines += [head_line(rows, shown, screen), *(row_line(rows, name, shown, screen) for name in rows.names)]
    write(((OUT, "".join("".join(text for _, text in line).rstrip() + "\n" for line in lines)),))
    return 0


def _document(means: TopNeeds, daemon: object, processes: Sequence[object]) -> str:
    document = {"schema": SCHEMA, "verb": "top", "time": means.stamp(), "daemon": daemon, "processes": processes}
    return json_line(document)


def _lines(live: Live, means: TopNeeds) -> int:
    """Print a line of JSON for each sample until the daemon ends in order."""
    poll = select.poll()
    while True:
        now = time.monotonic()
        live.follow(now)
        if live.farewell:
            return _farewell(live, means)
        if live.sample(now) and live.samples > 1:
            write(((OUT, _document(means, live.mirror.daemon, live.measured())),))
        fd, wait_s = live.feed.fd, live.wait_s(time.monotonic())
        if fd >= 0:
            poll.register(fd, select.POLLIN)
        poll.poll(1000 * max(0.01, wait_s))
        if fd >= 0:
            poll.unregister(fd)


def _farewell(live: Live, means: TopNeeds) -> int:
    text = with_names(clean(live.farewell), means.look.user_name)
    write(((ERR, f"taskmasterctl: {text}\n"),))
    return GONE


def _screen(live: Live, means: TopNeeds) -> int:
    from taskmasterctl.top.keys import Keys  # noqa: PLC0415 - only the screen has keys
    from taskmasterctl.top.screen import Outside, TopScreen  # noqa: PLC0415 - prompt_toolkit costs 90 ms

    before = termios.tcgetattr(0)

    def suspend() -> None:
        with suppress(termios.error):
            termios.tcsetattr(0, termios.TCSADRAIN, before)
        os.kill(0, signal.SIGTSTP)  # the whole group, as the terminal's own Ctrl-Z

    def wait() -> None:
        write(((OUT, "-- Enter goes back --"),))
        os.read(0, 4096)

    outside = Outside(means.run, suspend, wait)
    try:
        code = TopScreen(live, Keys(live.rows), means.look, outside, utf8=means.blocks).run()
    finally:
        with suppress(termios.error):
            termios.tcsetattr(0, termios.TCSADRAIN, before)
    return _farewell(live, means) if live.farewell else code
