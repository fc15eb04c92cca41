"""The configuration that the daemon follows, and what is known of a newer one."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

    from taskmaster_common.config import Config, DaemonConfig

    Stamps = tuple[tuple[str, int, int], ...]
    """(path, mtime_ns, size) of files."""


class Current:
    """The state that reloads change.

    `config` is what is followed, `running` what the daemon itself was launched with, except for live keys. `problems` are those
    of the last reload, if it was refused, and `refused` the stamps of the files at that time. `applying`: a plan is being applied.
    `reloaded_at` is the monotonic time of the last reload that was applied, None before the first one.
    """

    def __init__(self, config: Config, running: DaemonConfig, problems: tuple[str, ...] = ()) -> None:
        self.config = config
        self.running = running
        self.problems = problems
        self.refused: Stamps = ()
        self.applying = False
        self.reloaded_at: float | None = None

    def follow(self, config: Config, live_keys: Iterable[str], now: float) -> None:
        """Follow another configuration, whose `live_keys` of the daemon differ."""
        self.config = config
        self.reloaded_at = now
        self.running = self.running.replace(**{key: getattr(config.daemon, key) for key in live_keys})

    def learn(self, name: str, rule: Mapping[str, Any]) -> None:
        """Replace an alert rule by one with its URL, which the state of an earlier daemon did not have."""
        self.config = self.config.replace(alerts={**self.config.alerts, name: rule})

    def resume(self, reloaded_at: float) -> None:
        """Know when an earlier daemon has reloaded."""
        self.reloaded_at = reloaded_at

    def refuse(self, stamps: Stamps) -> None:
        """Note the files of a refused reload."""
        self.refused = stamps

    def note(self, problems: tuple[str, ...]) -> bool:
        """Note the problems of the last reload; returns whether they are others than before."""
        before, self.problems = self.problems, problems
        return problems != before

    def apply(self, *, begun: bool) -> None:
        """Note that applying a plan has begun, or has ended."""
        self.applying = begun

    def newer_on_disk(self) -> str:
        """Return the first file of the configuration that has changed since it was loaded, or ""."""
        for loaded, found in zip(self.config.files, self.stamps()):
            if loaded != found:
                return found[0]
        return ""

    def changed_since_refused(self) -> bool:
        """Return whether a file of the loaded configuration has changed since the last refused reload."""
        return bool(self.problems and self.refused) and self.stamps() != self.refused

    def stamps(self) -> Stamps:
        """Return the stamps of the files of the loaded configuration as they are now; zeros for a missing one."""
        stamps: list[tuple[str, int, int]] = []
        for path, _mtime_ns, _size in self.config.files:
            try:
                found = os.stat(path)
            except OSError:
                stamps.append((path, 0, 0))
            else:
                stamps.append((path, found.st_mtime_ns, found.st_size))
        return tuple(stamps)
