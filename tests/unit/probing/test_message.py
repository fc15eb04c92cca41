"""What programs say on their NOTIFY_SOCKET."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskmasterd.probing.text.message import MOST_STATUS, NOTHING, Message, message_in


@pytest.mark.parametrize(
    ("datagram", "message"),
    [
        (b"READY=1", Message(ready=True)),
        (b"READY=1\nSTATUS=up\nMAINPID=1\n", Message(ready=True, status="up")),
        (b"STOPPING=1", Message(stopping=True)),
        (b"WATCHDOG=1", Message(watchdog=True)),
        (b"EXTEND_TIMEOUT_USEC=2500000", Message(extend_s=2.5)),
        (b"STATUS=", Message(status="")),
        (b"READY=0\nWATCHDOG=trigger\nBARRIER=1\nFDSTORE=1\n\0\xff", NOTHING),
        (b"EXTEND_TIMEOUT_USEC=-1", NOTHING),
        (b"EXTEND_TIMEOUT_USEC=" + b"9" * 16, NOTHING),
        (b"EXTEND_TIMEOUT_USEC=\xd9\xa3", NOTHING),
        (b"", NOTHING),
    ],
)
def test_known_names_count_and_the_rest_is_ignored(datagram: bytes, message: Message) -> None:
    assert message_in(datagram) == message


def test_a_status_is_200_printable_characters() -> None:
    assert message_in(b"STATUS=a\x1b[31m\rb\xff").status == "a\\x1b[31m\\rb�"
    assert message_in(b"STATUS=" + b"\x1b" * 300).status == ("\\x1b" * 300)[:MOST_STATUS]


def test_messages_join_to_what_all_of_them_said_and_the_last_status() -> None:
    said = NOTHING
    for datagram in (b"READY=1\nSTATUS=one", b"WATCHDOG=1", b"STATUS=two\nEXTEND_TIMEOUT_USEC=1000000", b"STOPPING=1"):
        said = said.joined(message_in(datagram))
    assert said == Message(ready=True, stopping=True, watchdog=True, status="two", extend_s=1.0)


@given(st.binary(max_size=200))
def test_no_datagram_raises(datagram: bytes) -> None:
    assert isinstance(message_in(datagram), Message)
