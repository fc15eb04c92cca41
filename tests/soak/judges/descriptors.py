"""What a daemon that runs nothing may have open: it follows from what is configured, and from what of its helpers lives. Pure.

Each kind of descriptor has a number of its own, so that one too many of a kind shows, whatever is missing of another.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

NULL, SOCKETS, PIPES, CODE, STATE = "/dev/null", "socket", "pipe", "code", "state"
SPOOLS, RUNS, ALERTS = "spool", "runs", "alerts"
ALWAYS = {
    NULL: 13, SOCKETS: 1, PIPES: 2, "[eventpoll]": 1, "history": 1, "log": 3, "stdout": 1, "stderr": 2,
    "taskmasterd.pid": 1, STATE: 1, CODE: 1,
}  # fmt: skip
"""Of the null devices 11 are reserves (clients 8, imports 2, looks at /proc 1) and two its standard input; a pipe wakes its loop;
it listens; `log` are the event log and two locks. A client has a socket more."""
KEYS = {"schedule:": {RUNS: 2}, "log_format:": {SPOOLS: 1}}
"""What a key of a program adds for good: the directory of spools; that of runs and the file in it."""
ALERTS_OPEN, RULE_OPEN = 1, 2
"""The directory of the queues; for each rule its queue and its open troubles."""


class Beside(NamedTuple):
    """What lives beside the daemon: a socket leads to each of them, and a log is open for each client who follows one."""

    clients: int = 0
    keepers: int = 0
    watchers: int = 0  # of files
    rules: int = 0
    followers: int = 0


def kind_of(link: str, home: str) -> str:
    """Return what kind of descriptor leads there."""
    special = re.fullmatch(r"(?:anon_inode:)?(socket|pipe|\[\w+\])(?::\[\d+\])?", link)
    if special:
        return special[1]
    if re.search(r"/\.taskmasterd\.\d+\.\w+ \(deleted\)$", link):
        return CODE
    if not link.startswith(f"{home}/"):
        return link
    first = link.removeprefix(f"{home}/").partition("/")[0]
    return STATE if first.endswith(".state") else first


def surplus(links: Iterable[str], home: str, configured: str, beside: Beside) -> dict[str, int]:
    """Return the kinds of which there are too many descriptors, and how many too many.

    `configured` is every configuration that the daemon has had, in one text.
    """
    allowed = Counter(ALWAYS)
    for key, more in KEYS.items():
        allowed.update(more if key in configured else {})
    allowed[SOCKETS] += beside.clients + beside.keepers + beside.watchers
    allowed["log"] += beside.followers
    allowed[ALERTS] += ALERTS_OPEN + RULE_OPEN * beside.rules if beside.rules else 0
    found = Counter(kind_of(link, home) for link in links)
    return {kind: number - allowed[kind] for kind, number in found.items() if number > allowed[kind]}
