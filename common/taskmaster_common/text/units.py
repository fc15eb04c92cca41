"""Text to value: seconds, byte sizes, umask, signals; `formats` is the way back.

Pure; the caller passes the signals of this system. Every `parse_` function raises ValueError with a clear lower-case
text that does not repeat the key. The client imports this too, so it imports next to nothing.
"""

from __future__ import annotations

from taskmaster_common.text.nearest import nearest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_SECONDS = 10 * 365 * 86_400
MAX_SIZE = 2**63 - 1
MAX_DIGITS = 20
"""Longest number, digits; int() of a million digits would take minutes."""

_SECONDS = {"d": 86_400.0, "h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
_SIZES = {
    "b": 1,
    "kb": 10**3,
    "mb": 10**6,
    "gb": 10**9,
    "tb": 10**12,
    "kib": 2**10,
    "mib": 2**20,
    "gib": 2**30,
    "tib": 2**40,
}


def parse_seconds(text: str) -> float:
    """Return the seconds of a duration: `5`, `0.5`, `5s`, `500ms`, `1m30s`, `2h`, `1d`.

    Raises ValueError for anything else: negative, infinite, `1:30`, units that repeat or grow, over ten years.
    """
    if ":" in text:
        raise ValueError(f'"{_cut(text)}" is not a duration; write 1m30s, not 1:30')
    total, rest, last = 0.0, text, ""
    while rest:
        number, rest = _leading(rest, "0123456789.")
        unit, rest = _leading(rest, "dhms")
        if not _is_number(number) or unit not in ("", *_SECONDS) or (not unit and (rest or last)):
            raise _no_duration(text)
        if last and _SECONDS[unit] >= _SECONDS[last]:
            raise _no_duration(text)
        total += float(number) * _SECONDS[unit or "s"]
        last = unit or "s"
    if not text:
        raise _no_duration(text)
    if total > MAX_SECONDS:
        raise ValueError(f'"{text}" is more than ten years')
    return round(total, 6)


def _no_duration(text: str) -> ValueError:
    if text.startswith("-"):
        return ValueError(f'"{_cut(text)}" is negative')
    return ValueError(f'"{_cut(text)}" is not a duration such as 5, 0.5, 500ms or 1m30s')


def parse_size(text: str) -> int:
    """Return the bytes of a size: `1048576`, `50MB` (decimal), `1GiB` (binary). Case of the unit does not matter.

    Raises ValueError for anything else, and for more than 2**63 - 1 bytes.
    """
    number, rest = _leading(text, "0123456789.")
    unit = rest.strip(" ").lower()
    if unit in ("k", "m", "g", "t") and _is_number(number):
        raise ValueError(
            f'"{_cut(text)}" could mean two sizes; write {number}{unit.upper()}B or {number}{unit.upper()}iB'
        )
    if unit in ("ki", "mi", "gi", "ti") and _is_number(number):
        raise ValueError(f'"{_cut(text)}" is not a size; write {number}{unit[0].upper()}iB')
    if not _is_number(number) or unit not in ("", *_SIZES) or (not unit and "." in number):
        raise ValueError(f'"{_cut(text)}" is not a size such as 50MB, 1GiB or a number of bytes')
    size = int(float(number) * _SIZES[unit]) if "." in number else int(number) * _SIZES[unit or "b"]
    if size > MAX_SIZE:
        raise ValueError(f'"{text}" is too large')
    return size


def parse_umask(text: str) -> int:
    """Return the permission bits that `text` means in octal, however written: `022`, `22`, `0o22`.

    Raises ValueError for another digit than 0 to 7 and for more than 0777.
    """
    digits = text[2:] if text[:2] in ("0o", "0O") else text
    wrong = next((character for character in digits if character not in "01234567"), "")
    if wrong:
        raise ValueError(f"{wrong} is not an octal digit; write a number such as 022")
    if not digits:
        raise ValueError(f'"{text}" is not an octal number such as 022')
    significant = digits.lstrip("0") or "0"
    if len(significant) > len("777"):
        raise ValueError(f'"{_cut(text)}" is more than 0777')
    return int(significant, 8)


def parse_signal(text: str, signals: Mapping[str, int]) -> int:
    """Return the number of a signal: `TERM`, `SIGTERM`, `term`, `15`, `RTMIN+3`, `RTMAX-1`.

    `signals` maps names without SIG to numbers. Raises ValueError for an unknown signal, with the nearest name unless
    it is a real-time signal.
    """
    known = signals.values()
    if text.isascii() and text.isdecimal():
        number = int(text) if len(text) <= MAX_DIGITS else 0
        real_time = signals.get("RTMIN", 1) <= number <= signals.get("RTMAX", 0)
        if number in known or real_time:
            return number
        raise ValueError(f"there is no signal {_cut(text)}")
    name = text.upper().removeprefix("SIG")
    if name in signals:
        return signals[name]
    if name.startswith(("RTMIN", "RTMAX")):
        return _real_time(name, text, signals)
    near = nearest(name, [each for each in signals if "+" not in each and "-" not in each])
    raise ValueError(f'there is no signal "{_cut(text)}"' + (f"; did you mean {near}?" if near else ""))


def _real_time(name: str, text: str, signals: Mapping[str, int]) -> int:
    first, last = signals.get("RTMIN", 0), signals.get("RTMAX", -1)
    sign, offset = name[5:6], name[6:]
    if name[:6] in ("RTMIN+", "RTMAX-") and offset.isascii() and offset.isdecimal() and len(offset) <= len("30"):
        number = first + int(offset) if sign == "+" else last - int(offset)
        if first <= number <= last:
            return number
    if first > last:
        raise ValueError(f'there is no signal "{_cut(text)}": this system has no real-time signals')
    most = last - first
    raise ValueError(
        f'there is no signal "{_cut(text)}"; real-time ones are RTMIN to RTMIN+{most}, RTMAX-{most} to RTMAX'
    )


def _leading(text: str, characters: str) -> tuple[str, str]:
    rest = text.lstrip(characters)
    return text[: len(text) - len(rest)], rest


def _is_number(text: str) -> bool:
    """Return whether `text`, made of digits and points, is one decimal number: `5`, `0.5`."""
    return len(text) <= MAX_DIGITS and text.count(".") <= 1 and text[:1] not in ("", ".") and text[-1] != "."


def _cut(text: str) -> str:
    return text if len(text) <= 2 * MAX_DIGITS else text[: 2 * MAX_DIGITS] + "..."
