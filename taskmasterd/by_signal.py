"""What an operator asks for by a signal: SIGHUP is a reload, SIGUSR1 and SIGUSR2 open all logs again."""

from __future__ import annotations

from taskmasterd.ondemand import on_demand

TYPE_CHECKING = False
if TYPE_CHECKING:
    from taskmasterd.configuration import requests
    from taskmasterd.control.access import Access
    from taskmasterd.control.context import Context
    from taskmasterd.output.sinks import Sinks
    from taskmasterd.telling.notify_socket import Notifier
else:
    requests = on_demand("taskmasterd.configuration.requests")


class SignalRequests:
    """Each also creates the control socket again if its file was removed."""

    def __init__(self, context: Context, access: Access, sinks: Sinks, notifier: Notifier) -> None:
        self._context = context
        self._access = access
        self._sinks = sinks
        self._notifier = notifier

    def hang_up(self) -> None:
        """Reload the configuration, and keep systemd informed of it."""
        self._mend_access()
        if not self._context.supervisor.stopping:
            self._notifier.reloading()
            self._context.reloading().request(requests.HangUpRequester(self._notifier))

    def reopen(self) -> None:
        """Open all log files again."""
        self._context.log.write("info", "reopening all log files")
        self._sinks.reopen_all()
        self._mend_access()

    def _mend_access(self) -> None:
        if not self._context.supervisor.stopping:
            self._access.mend()
            self._context.state.flush()  # a new socket is remembered
