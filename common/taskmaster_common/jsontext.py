"""JSON as text and back, by the C part of the package `json` alone.

The package imports re and enum: 6 ms, a third of a client's start, and 1.1 MB that would stay in the daemon (measured by a swap,
3.11). Where the C part is missing or unknown, the package does it.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


class _Rules:
    """How JSON is read: as `json.loads` reads it."""

    strict = True
    object_hook = None
    object_pairs_hook = None
    parse_float = float
    parse_int = int
    parse_constant = float


def json_scanner() -> Callable[[str, int], tuple[Any, int]]:
    """Return what reads one JSON value from a position of a text, and where that ends; StopIteration: there is none."""
    try:
        from _json import make_scanner  # noqa: PLC0415 - only CPython has it
    except ImportError:
        import json  # noqa: PLC0415 - see above

        return json.JSONDecoder().raw_decode
    return make_scanner(_Rules)  # type: ignore[arg-type]


def json_writer() -> Callable[[Any], str]:
    """Return what writes a value as JSON: ASCII, on one line, without blanks. It raises TypeError for what JSON has not."""
    try:
        from _json import encode_basestring_ascii, make_encoder  # noqa: PLC0415 - only CPython has it

        encode = make_encoder(None, _refuse, encode_basestring_ascii, None, ":", ",", False, False, True)
    except (ImportError, TypeError):
        import json  # noqa: PLC0415 - see above

        return json.JSONEncoder(separators=(",", ":"), check_circular=False).encode
    return lambda value: "".join(encode(value, 0))


def json_quoter() -> Callable[[str], str]:
    """Return what writes a text as JSON, ASCII, quotes included; it is the fastest way for many short texts."""
    try:
        from _json import encode_basestring_ascii  # noqa: PLC0415 - only CPython has it
    except ImportError:
        return json_writer()
    return encode_basestring_ascii


def _refuse(value: object) -> None:
    raise TypeError(f"{type(value).__name__} cannot be written as JSON")


_scan = json_scanner()
_write = json_writer()


def read_json(text: str) -> Any:
    """Return the value of a text that is one JSON value, blanks around it. Raises ValueError or RecursionError where it is none."""
    text = text.strip(" \t\r\n")
    try:
        value, length = _scan(text, 0)
    except (StopIteration, SystemError):  # the C code finds its exception in json.decoder alone, which is not loaded
        raise ValueError("it is no JSON") from None
    if length != len(text):
        raise ValueError("something follows its end")
    return value


def write_json(value: Any) -> bytes:
    """Return a value as JSON: ASCII, on one line, without blanks. Raises TypeError for what JSON has not."""
    return _write(value).encode("ascii")
