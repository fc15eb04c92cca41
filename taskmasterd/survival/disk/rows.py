"""Makes the lines of the present state. Each line is one JSON object; the last one of a slot counts.

A slot takes the parts of its configuration that it does not state from the `program` lines before it:

    {"taskmaster_state": 1, "boot": ..., "socket": ..., "uid": ..., "named": ..., "pidfile": ..., "door": ..., "pid": ...,
     "pids": ..., "config": ..., "version": ...}      the first line: the identity of the daemon (`directory.Known`, `Left`)
    {"facts": {...}}                           of the daemon; each line replaces the facts that it names
    {"config": {path, daemon, files, order, groups, alerts}}    `order`: the names of the programs in earlier lines
    {"program": {...}}                         an entry of the configuration, as read or as changed by a reload
    {"slot": {program, index, process, said, removed, wanted, newest, current, copy, began, hook}}      `copy`: its live instance
    {"end": [program, index, status]}          the leader of its instance has ended; the next "slot" has the consequences
    {"gone": [program, index]}
    {"spawning": [program, index, boot seconds, [inode of a pipe...]]}      written just before an instance is spawned
"""

from __future__ import annotations

from taskmaster_common import __version__
from taskmaster_common.config import alerts_data, groups_data
from taskmaster_common.jsontext import write_json
from taskmasterd.core.words.snapshot import entry_to_data
from taskmasterd.survival.state import STATE_VERSION

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
    from typing import Any

    from taskmaster_common.config import Config, ProgramConfig
    from taskmasterd.core.programs.plan import ReloadPlan
    from taskmasterd.core.programs.table import Entry, Table
    from taskmasterd.survival.state import Registry


def line(kind: str, value: object) -> bytes:
    """Return one line of the state."""
    return write_json({kind: value}) + b"\n"


class Rows:
    """Makes the lines. `alive(entry)` returns the fields of a slot's line that describe its live instance."""

    def __init__(self, table: Table, registry: Registry, alive: Callable[[Entry], Mapping[str, Any]]) -> None:
        self._table = table
        self._registry = registry
        self._alive = alive
        self._identity: Mapping[str, Any] = {}
        self._config: Config | None = None
        self._wanted: dict[str, ProgramConfig] = {}

    @property
    def begun(self) -> bool:
        """Whether `begin` has set the daemon's identity; before that there are no lines."""
        return self._config is not None

    def begin(self, identity: Mapping[str, Any], config: Config) -> None:
        """Set the daemon's identity, as in the first line, and the configuration."""
        self._identity, self._config = identity, config
        self._registry.changes()  # the whole file, which is written next, has all facts

    def lines(self) -> Iterator[bytes]:
        """Yield the lines of a whole new file."""
        yield from self.head()
        yield from self.slots(tuple(self._table))

    def head(self) -> Iterator[bytes]:
        """Yield all lines except those of slots."""
        if self._config is None:
            return
        config = self._config
        yield write_json({"taskmaster_state": STATE_VERSION, **self._identity, "version": __version__}) + b"\n"
        for program in config.programs:
            yield line("program", program.to_data())
        yield line("config", _config_data(config))
        yield line("facts", self._registry.to_data())

    def slots(self, entries: Iterable[Entry]) -> Iterator[bytes]:
        """Yield the line of each of these slots."""
        for entry in entries:
            row = {**entry_to_data(entry), **self._alive(entry)}
            if self._laid_over(entry.program):
                row["wanted"], row["newest"] = entry.wanted.to_data(), entry.newest.to_data()
            elif self._wanted and entry.wanted is not self._wanted.get(entry.program):
                row["wanted"] = entry.wanted.to_data()  # the plan has not reached this slot yet
            yield line("slot", row)

    def facts(self) -> bytes:
        """Return one line with the facts that have changed, or b""."""
        changed = self._registry.changes()
        return line("facts", changed) if changed else b""

    def plan(self, plan: ReloadPlan) -> Generator[None, None, bytes]:
        """Return, in steps, the lines of a plan that is applied next; its slots follow as they change."""
        blocks: list[bytes] = []
        self._config = plan.config
        self._wanted = {program.name: program for program in plan.config.programs}
        for each in plan.programs:
            if each.wanted is not None and (each.changes or self._laid_over(each.name)):
                blocks.append(line("program", self._wanted.get(each.name, each.wanted).to_data()))
                yield
        blocks.append(line("config", _config_data(plan.config)))
        return b"".join(blocks)

    def _laid_over(self, program: str) -> bool:
        """Return whether what is wanted of a program is not the entry of the configuration: the program lines have the file's."""
        overlay = self._table.overlay
        return overlay is not None and (program in overlay.overrides or program in overlay.scales)

    def plan_is_applied(self) -> None:
        """Note that the plan has reached every slot."""
        self._wanted = {}


def _config_data(config: Config) -> dict[str, Any]:
    order = [program.name for program in config.programs]
    daemon, groups = config.daemon.to_data(), groups_data(config.groups)
    alerts = alerts_data(config.alerts, known=False)  # a URL may be a secret, which no file of ours has
    return {"path": config.path, "daemon": daemon, "files": config.files, "order": order, **groups, **alerts}
