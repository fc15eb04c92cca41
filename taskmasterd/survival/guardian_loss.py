"""Handles the guardian's death: the daemon goes on without one, or ends so that systemd starts both again."""

from __future__ import annotations

import os

from taskmaster_common.errors import system_reason
from taskmasterd.system.subreaper import be_subreaper

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from taskmasterd.control.context import Context
    from taskmasterd.survival.holdings import Holdings
    from taskmasterd.telling.notify_socket import Notifier


class GuardianLoss:
    """Call this once the guardian has died.

    `leave(code)` ends this process at once, without cleaning up; `inherit_orphans()` makes it the reaper of its descendants.
    """

    def __init__(
        self,
        context: Context,
        notifier: Notifier,
        holdings: Holdings,
        leave: Callable[[int], object] = os._exit,
        inherit_orphans: Callable[[], object] = be_subreaper,
    ) -> None:
        self._context = context
        self._notifier = notifier
        self._holdings = holdings
        self._leave = leave
        self._inherit_orphans = inherit_orphans

    def __call__(self) -> None:
        """Go on without a guardian. Under systemd, which starts a new one, end: the next daemon takes everything over."""
        context, log = self._context, self._context.log
        if self._notifier.wanted and not context.supervisor.stopping:
            log.write("error", "the guardian has died; ending, to be started again with another one")
            context.state.flush()
            self._leave(1)
            return
        log.write("error", "the guardian has died; going on without")
        try:
            self._holdings.rewrite_pid()  # the file names the guardian
        except OSError as error:
            log.write("warning", f"cannot write {self._holdings.pidfile}: {system_reason(error)}")
        self._inherit_orphans()
        context.performer.survivors.guardian_died()
