"""`events --follow`: when the daemon dies, the reply goes on with the next daemon, after the last event that was shown."""

from __future__ import annotations

import time

from taskmasterctl.connect.client import LostError, UnreachableError, wire_line
from taskmasterctl.conversation import Conversation
from taskmasterctl.output import ERR, write

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

TRIES_FOR_S = 60.0
"""How long another daemon is waited for, seconds."""
PAUSE_S = 0.2


class Following(Conversation):
    """One request to one daemon after the other."""

    _seq = 0

    def _ask(self) -> int:
        """Raise what `Conversation._ask` raises, LostError only where no other daemon comes."""
        while True:
            try:
                return super()._ask()
            except LostError as lost:
                write([(ERR, f"taskmasterctl: no daemon since {time.strftime('%H:%M:%S')}, trying\n")])
                self._reach_another(lost)

    def _reach_another(self, lost: LostError) -> None:
        """Wait until a daemon answers, and ask for what follows. Raises `lost` if none does, TimedOutError, ConfigError."""
        until = time.monotonic() + TRIES_FOR_S
        flags = {key: value for key, value in self._request.flags.items() if key not in ("lines", "since")}
        if self._seq:
            self._request = self._request.replace(flags={**flags, "after": str(self._seq)})
            self._line = wire_line(self._request)
        while True:
            try:
                if self._connection:
                    self._connection.close()
                self._connect()
            except (UnreachableError, LostError):
                if time.monotonic() >= until:
                    raise lost from None
                time.sleep(PAUSE_S)
            else:
                return

    def _show(self, message: dict[str, Any]) -> None:
        if message["type"] == "events" and isinstance(message.get("seq"), int):
            self._seq = message["seq"]
        super()._show(message)
