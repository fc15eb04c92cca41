"""What is typed: bytes for the program, and our commands in every form that a terminal may give a key."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskmasterctl.attach.keys import (
    COMMAND_KEY,
    DETACH,
    HALF_S,
    HELP,
    REDRAW,
    SUSPEND,
    TAKE,
    WAIT_S,
    AttachKeys,
    keys_of,
    ours_text,
)


def typed(data: bytes, keys: AttachKeys | None = None, size: int = 1000) -> list[bytes | str]:
    """Return bytes and commands, with the bytes between two commands in one piece; nothing waits for a rest."""
    keys = keys or AttachKeys()
    found: list[bytes | str] = []
    now = 0.0
    for at in range(0, len(data), size):
        found += keys.feed(data[at : at + size], now)
    for moment in (HALF_S, WAIT_S + HALF_S):
        found += keys.tick(moment)
    joined: list[bytes | str] = []
    for each in found:
        if isinstance(each, bytes) and joined and isinstance(joined[-1], bytes):
            joined[-1] += each
        else:
            joined.append(each)
    return joined


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"\x1dd", [DETACH]),
        (b"\x1dt\x1dr\x1dz\x1d?", [TAKE, REDRAW, SUSPEND, HELP]),
        (b"\x1b[93;5ud", [DETACH]),
        (b"\x1b[93;133ud", [DETACH]),
        (b"\x1b[93;69u\x1b[100u", [DETACH]),
        (b"\x1b[93;5u\x1b[100;1:1u", [DETACH]),
        (b"\x1b[27;5;93~d", [DETACH]),
        (b"a\x1d\x1db", [b"a\x1db"]),
        (b"\x1dx", [b"\x1dx"]),
        (b"\x1d", [b"\x1d"]),
        (b"\x1b[200~\x1dd\x1b[93;5ud\x1b[201~\x1dd", [b"\x1b[200~\x1dd\x1b[93;5ud\x1b[201~", DETACH]),
        (b"\x10\x12\x1c\x1a\x03\x1b[A\x1bOB", [b"\x10\x12\x1c\x1a\x03\x1b[A\x1bOB"]),
        (
            b"\x1b[93;6u\x1b[93u\x1b[93;5:3u",
            [b"\x1b[93;6u\x1b[93u\x1b[93;5:3u"],
        ),  # other keys, and one that is let go of
        ("ü€\x1d".encode() + b"d", ["ü€".encode(), DETACH]),
    ],
)
@pytest.mark.parametrize("size", [1000, 1])
def test_keys_are_commands_in_every_form_and_everything_else_is_the_program_s(
    data: bytes, expected: list[bytes | str], size: int
) -> None:
    if size == 1 and b"\x1b" in data:
        pytest.skip("a lone ESC is a key of its own")
    assert typed(data, size=size) == expected


def test_a_sequence_in_two_pieces_is_one_key_if_its_rest_comes_soon() -> None:
    keys = AttachKeys()
    assert list(keys.feed(b"\x1b[93", 0.0)) == []
    assert keys.due == HALF_S
    assert list(keys.feed(b";5ud", 0.01)) == [DETACH]
    assert list(keys.feed(b"\x1b[9", 1.0)) == []
    assert list(keys.tick(1.0 + HALF_S)) == [b"\x1b[9"]
    assert list(keys.tick(1.0 + WAIT_S)) == []
    assert list(keys.feed(b"\x1b", 2.0)) == [b"\x1b"], "Escape is not held back"


def test_the_command_key_alone_is_sent_after_a_second_and_not_before() -> None:
    keys = AttachKeys()
    assert list(keys.feed(b"\x1d", 0.0)) == []
    assert list(keys.tick(WAIT_S - 0.01)) == []
    assert list(keys.tick(WAIT_S)) == [b"\x1d"]
    assert list(keys.feed(b"d", 1.5)) == [b"d"]


def test_a_detach_sequence_of_one_s_own_replaces_the_command_key() -> None:
    two = keys_of("ctrl-p,ctrl-q")
    assert typed(b"\x10\x11", AttachKeys(two)) == [DETACH]
    assert typed(b"\x10x\x1dd", AttachKeys(two)) == [b"\x10x\x1dd"]
    assert typed(b"\x10\x10\x11", AttachKeys(two)) == [b"\x10", DETACH]
    assert typed(b"\x1b[112;5u\x1b[113;5u", AttachKeys(two)) == [DETACH]
    assert typed(b"\x10", AttachKeys(two)) == [b"\x10"]
    assert typed(b"x~", AttachKeys(keys_of("~"))) == [b"x", DETACH]
    assert typed(b"\x1dd\x10\x11", AttachKeys(keys_of("none"))) == [b"\x1dd\x10\x11"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ctrl-x,d", ("\x18", "d")),
        ("ctrl-]", (COMMAND_KEY,)),
        ("ctrl-@,ctrl-\\", ("\0", "\x1c")),
        ("none", ()),
        *((text, None) for text in ("", "ctrl-", "ctrl-1", "alt-x", "a,b,c", "ab", "a,", "ctrl-ü")),
    ],
)
def test_detach_keys_are_written_as_docker_has_them(text: str, expected: tuple[str, ...] | None) -> None:
    assert keys_of(text) == expected


@pytest.mark.parametrize(
    ("sequence", "leaving", "taking"),
    [
        ("", "Ctrl-] d detaches, Ctrl-] ? helps", "Ctrl-] t"),
        ("ctrl-x,d", "ctrl-x d detaches", "attach --take"),
        ("none", "no key detaches", "attach --take"),
    ],
)
def test_the_banner_names_the_keys_that_are_ours(sequence: str, leaving: str, taking: str) -> None:
    assert ours_text(sequence) == (leaving, taking)


PIECES = [b"\x1d", b"d", b"\x1b[93;5u", b"\x1b[", b"200~", b"\x1b[201~", b"x", b"\xc3", b"\x1b", b";5u", b"93"]


@given(st.lists(st.sampled_from(PIECES)))
def test_no_byte_that_is_not_part_of_a_command_is_lost_or_moved(pieces: list[bytes]) -> None:
    found = typed(b"".join(pieces), AttachKeys(()))
    assert b"".join(each for each in found if isinstance(each, bytes)) == b"".join(pieces)
