"""Who may do what: the access class of a peer against the class that a request needs."""

from __future__ import annotations

from typing import Any, cast

import pytest

from taskmaster_common.commands.table import ACCESS, ADMIN, COMMANDS, LOOK, OPERATE
from taskmasterd.control.connection import Connection
from taskmasterd.control.handlers import Handlers
from taskmasterd.control.rights import allowed, granted
from taskmasterd.system.peers import Peer

OWNER, GROUP = 1000, 50


class Client:
    """A connection that only keeps what it is sent."""

    peer = Peer(1234, 99, 1)

    def __init__(self, access: str) -> None:
        self.access = access
        self.sent: list[dict[str, Any]] = []

    def end(self, message: dict[str, Any]) -> None:
        """Keep it."""
        self.sent.append(message)


@pytest.mark.parametrize(
    ("peer", "access"),
    [
        (Peer(0, 0, 1), ADMIN),
        (Peer(OWNER, 99, 1), ADMIN),
        (Peer(1234, GROUP, 1), ADMIN),
        (Peer(1234, 99, 1, (7, GROUP)), ADMIN),
        (Peer(1234, 99, 1, (7,)), ""),
    ],
)
def test_root_the_owner_and_members_of_the_group_may_do_all_and_others_nothing(peer: Peer, access: str) -> None:
    assert granted(peer, OWNER, GROUP) == access


def test_without_a_group_only_root_and_the_owner_may_do_anything() -> None:
    assert granted(Peer(1234, GROUP, 1, (GROUP,)), OWNER, None) == ""


@pytest.mark.parametrize(
    ("access", "may"), [("", ()), (LOOK, (LOOK,)), (OPERATE, (LOOK, OPERATE)), (ADMIN, (LOOK, OPERATE, ADMIN))]
)
def test_a_wider_class_includes_the_narrower_ones(access: str, may: tuple[str, ...]) -> None:
    assert tuple(needed for needed in ACCESS if allowed(access, needed)) == may


@pytest.mark.parametrize(
    ("access", "line", "needed"),
    [
        (LOOK, b"stop web", OPERATE),
        (LOOK, b"logs --reopen", OPERATE),
        (OPERATE, b"shutdown", ADMIN),
        ("", b"status", LOOK),
    ],
)
def test_a_request_that_needs_a_wider_class_is_refused_before_anything_is_done(
    access: str, line: bytes, needed: str
) -> None:
    client = Client(access)
    handlers = Handlers(cast("Any", None), cast("Any", None))
    handlers.handle(cast("Connection", client), line)
    (end,) = client.sent
    verb = line.split()[0].decode()
    assert (end["exit"], end["error"]["code"]) == (4, "permission")
    assert end["error"]["message"] == f"uid 1234 may not use {verb}: it needs the access class {needed}"


def test_every_verb_has_one_of_the_access_classes() -> None:
    assert {each.access for each in COMMANDS} == set(ACCESS)
