"""The configuration that the daemon follows, and what is known of a newer one."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from taskmaster_common.config import Config, DaemonConfig

    Stamps = tuple[tuple[str, int, int], ...]
    """(path, mtime_ns, size) of files."""


class Current:
    """The state that reloads change.

    `config` is what is followed, `running` what the daemon itself was launched with, except for live keys. `problems` are those
    of the last reload, if it was refused, and `refused` the stamps of the files at that time. `applying`: a plan is being applied.
    """

    def __init__(self, config: Config, running: DaemonConfig, problems: tuple[str, ...] = ()) -> None:
        self.config = config
        self.running = running
        self.problems = problems
        self.refused: Stamps = ()
        self.applying = False

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
