"""What signals ask for: a reload, and logs opened anew; either mends the control socket."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from taskmasterd.by_signal import SignalRequests


class House:
    """All that a signal can ask something of, in one; `happened` is what was asked, in order."""

    def __init__(self, *, stopping: bool = False) -> None:
        self.stopping = stopping
        self.happened: list[str] = []

    def write(self, _level: str, text: str) -> None:
        self.happened.append(text)

    def flush(self) -> None:
        self.happened.append("state written")

    def mend(self) -> None:
        self.happened.append("socket mended")

    def reloading(self) -> None:
        self.happened.append("systemd knows")

    def request(self, _listener: object) -> None:
        self.happened.append("reload requested")

    def reopen_all(self) -> None:
        self.happened.append("logs opened")

    def requests(self) -> SignalRequests:
        """Return what is called by signals."""
        this: Any = self
        context: Any = SimpleNamespace(log=self, state=self, supervisor=self, reloading=lambda: self)
        return SignalRequests(context, this, this, this)


MENDED = ["socket mended", "state written"]


def test_a_hang_up_mends_the_socket_and_reloads_with_systemds_knowledge() -> None:
    house = House()
    house.requests().hang_up()
    assert house.happened == [*MENDED, "systemd knows", "reload requested"]


def test_logs_are_opened_anew_and_the_socket_is_mended() -> None:
    house = House()
    house.requests().reopen()
    assert house.happened == ["reopening all log files", "logs opened", *MENDED]


def test_a_daemon_that_is_being_stopped_reloads_nothing_and_makes_no_new_socket() -> None:
    house = House(stopping=True)
    house.requests().hang_up()
    house.requests().reopen()
    assert house.happened == ["reopening all log files", "logs opened"]
