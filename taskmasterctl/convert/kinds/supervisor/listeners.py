"""`[eventlistener:x]`: what cannot run here, and what there is instead. Pure."""

from __future__ import annotations

from itertools import pairwise

from taskmasterctl.convert.outcome.texts import split_words

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from taskmasterctl.convert.kinds.supervisor.expand import Names
    from taskmasterctl.convert.outcome.model import Block, Draft
    from taskmasterctl.convert.reading.ini import Section

BY_EVENT = (
    (
        "PROCESS_STATE",
        "essential: ends the daemon with a program, alerts: tells somebody, `events -f` shows each change",
    ),
    ("TICK", "health: {{exec: ..., interval: {seconds}}} on the program that it looks after"),
    ("PROCESS_LOG", "stdout: inherit, or read the log with `logs -f`"),
    ("PROCESS_COMMUNICATION", "that does not exist here"),
    ("REMOTE_COMMUNICATION", "that does not exist here"),
    ("SUPERVISOR_STATE", "`events -f` shows the daemon's own starts and stops"),
    ("PROCESS_GROUP", "`events -f` shows each reload"),
    ("EVENT", "`events -f` shows what happens; alerts: tells somebody"),
)
BY_NAME = {
    "memmon": "a limit of memory: recycle: {memory: SIZE} or limits: {memory: SIZE} on the program",
    "crashmail": "alerts: with a mail",
    "crashmailbatch": "alerts: with a mail",
    "fatalmailbatch": "alerts: with a mail",
    "crashsms": "alerts: with a mail",
    "httpok": "health: {http: URL} on the program",
}
"""superlance's listeners."""


def instead_of(events: str) -> str:
    """Return what replaces a listener to these events."""
    found: dict[str, None] = {}
    for event in (each.strip().upper() for each in events.split(",")):
        text = next((text for prefix, text in BY_EVENT if event.startswith(prefix)), "")
        if text:
            found[text.format(seconds=event.rpartition("_")[2])] = None
    return "; ".join(found) or "`events -f` shows what happens"


def listener(name: str, section: Section, block: Block, outcome: Draft) -> None:
    """Report a listener, which becomes a comment."""
    events = section.options.get("events")
    command = section.options.get("command")
    if events is None:
        outcome.report.refuse(section.place(), "an event listener has events")
        return
    tool = _tool(command.value if command else "")
    text = f"{tool or 'an event listener'} reads events of supervisord, which has no counterpart"
    if tool == "httpok":
        outcome.report.note(f"the listener {name} is superlance's httpok: health: {{http: ...}} does its work")
    outcome.drop(section.place(events), text, BY_NAME.get(tool, instead_of(events.value)), on=block)
    for option in section.options.values():
        if option.name not in ("events", "command"):
            outcome.drop(section.place(option), "belongs to the event listener", on=block)
    if command is not None:
        block.set("cmd", command.value)
    outcome.kill(block)


def _tool(command: str) -> str:
    try:
        words = split_words(command)
    except ValueError:
        return ""
    return next((tool for word in words[:2] if (tool := word.rpartition("/")[2]) in BY_NAME), "")


def http_checks(section: Section, programs: dict[str, Block], names: Names, outcome: Draft) -> Iterator[Block]:
    """Set the health check that httpok makes; yield the programs that have one now."""
    command = section.options.get("command")
    if command is None or _tool(command.value) != "httpok":
        return
    try:
        words = split_words(names.expanded(command))
    except ValueError as error:
        outcome.report.refuse(section.place(command), str(error))
        return
    url = words[-1]
    targets = [word for flag, word in pairwise(words) if flag == "-p"]
    for target in targets:
        block = programs.get(target.rpartition(":")[2])
        if block is not None and url.startswith(("http://", "https://")):
            block.set("health", {"http": url, "action": "restart"})
            yield block
