"""The orderly stop: what is remembered of it, and when."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from taskmasterd.core.process.events import Action
from taskmasterd.core.steps import run
from taskmasterd.shutdown import Stopping
from taskmasterd.telling.bus import TELL, BusMember
from taskmasterd.telling.eventlog import EventLog
from tests.support.model import World, config, program


class Host:
    """All that an orderly stop turns to, in one; `happened` is what it was told, in order."""

    def __init__(self) -> None:
        self.world = World().load(program(), program("off", autostart=False)).cooperate()
        self.happened: list[str] = []
        self.world.bus.join(BusMember(TELL, lambda entry, *_: self.happened.append(f"told of {entry.program}")))
        self.world.supervisor._perform = self._perform

    def _perform(self, entry: Any, action: Action) -> None:
        self.happened.append(f"{action} {entry.program}")

    def flush(self) -> None:
        self.happened.append(f"remembered {self.world.supervisor.stopping}")

    def stop(self) -> None:
        self.happened.append("reloads ended")

    def stopping(self, _seconds: float) -> None:
        self.happened.append("systemd told")

    def begin(self) -> None:
        """Begin the stop."""
        rounds = SimpleNamespace(begin=run)
        reactor = SimpleNamespace(now=lambda: self.world.now, call_later=lambda *_: None, rounds=rounds)
        log = EventLog("error", journal=False)
        performer = SimpleNamespace(instances=SimpleNamespace(groups=None))
        context: Any = SimpleNamespace(
            reactor=reactor,
            log=log,
            reloading=SimpleNamespace(made=self),
            configuration=SimpleNamespace(config=config()),
            supervisor=self.world.supervisor,
            performer=performer,
            state=self,
        )
        notifier: Any = self
        Stopping(context, notifier).begin("bob", None)


def test_that_the_daemon_is_being_stopped_is_remembered_before_anybody_is_told_or_anything_ended() -> None:
    host = Host()
    host.begin()
    assert host.happened == ["remembered True", "reloads ended", "systemd told", "terminate web", "told of web"]
