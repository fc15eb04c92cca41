"""Which modes are on, from output that comes in any pieces."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskmaster_common.text.escapes import Modes

CASES = [
    (b"plain text \x1b[31mred\x1b[0m \x1b]0;title\x07", (), ()),
    (b"\x1b[?1049h\x1b[?25l\x1b[?1;2004h", ("[?1049h", "[?25l", "[?1h", "[?2004h"), ("[?1l", "[?2004l", "[?1049l")),
    (b"\x1b[?1000h\x1b[?1006h\x1b[?1000l", ("[?1006h",), ("[?1006l",)),
    (b"\x1b=\x1b[>1u\x1b[>3u\x1b[<u\x1b[>4;2m", ("=", "[>1u", "[>4;2m"), ("[>4m", "[<1u", ">")),
    (b"\x1b[3;20r", ("[3;20r",), ("7", "[r", "8")),
    (b"\x1b[3;20r\x1b[r\x1b[>4;1m\x1b[>4m\x1b[?25l\x1b[?25h", (), ()),
    (b"\x1b[?1049h\x1b[?1h\x1b=\x1b[2;3r\x1b[!p", ("[?1049h",), ("[?1049l",)),
    (b"\x1b[?1049h\x1b[?1000h\x1bc", (), ()),
    (b"\x1b[?12h\x1b[4h\x1b[?7l\x1b[?99999999999h", (), ()),  # none that anybody has to take back
    (b"\x1b[=5u\x1b[=7;1u", ("[>7u",), ("[<1u",)),
    (b"\x1b\x1b[?2004h\x1b[\x07\x1b[?1h", ("[?2004h", "[?1h"), ("[?2004l", "[?1l")),
]
AT_THE_END = ("[0m", "[?25h")


@pytest.mark.parametrize(("output", "on", "off"), CASES)
def test_modes_that_are_on_can_be_set_elsewhere_and_taken_back(
    output: bytes, on: tuple[str, ...], off: tuple[str, ...]
) -> None:
    for size in (1, 3, len(output)):
        modes = Modes()
        for at in range(0, len(output), size):
            modes.feed(output[at : at + size])
        assert modes.on() == on
        assert modes.off() == (*off, *AT_THE_END)
        assert modes.alternate == ("[?1049h" in on)


@given(
    st.lists(st.sampled_from([b"\x1b", b"[", b"?", b"1049", b"25", b";", b"h", b"l", b"u", b">", b"\xff", b"r", b"c"]))
)
def test_whatever_a_program_writes_what_is_set_is_what_setting_it_sets(pieces: list[bytes]) -> None:
    modes, other = Modes(), Modes()
    for piece in pieces:
        modes.feed(piece)
    other.feed(b"".join(b"\x1b" + each.encode() for each in modes.on()))
    assert other.on() == modes.on()
    other.feed(b"".join(b"\x1b" + each.encode() for each in modes.off()))
    assert other.on() == ()


def test_a_sequence_without_an_end_is_forgotten() -> None:
    modes = Modes()
    modes.feed(b"\x1b[?" + b"1;" * 100)
    modes.feed(b"1h\x1b[?25l")
    assert modes.on() == ("[?25l",)


def test_what_a_program_can_make_the_modes_remember_is_bounded() -> None:
    modes = Modes()
    for number in range(3000):
        modes.feed(b"\x1b[>%d;1m\x1b[>4;%d m\x1b[>5;%dm" % (number, number, 10**40))
    modes.feed(b"\x1b[%dr" % 10**40)
    assert len(" ".join(modes.on())) < 200
    assert " " not in "".join(modes.on())
