"""The text under which a keeper holds the descriptor of a channel, since it holds pipes of logs too: those have absolute paths."""

from __future__ import annotations

from taskmaster_common.jsontext import read_json, write_json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any


def kept_as(row: Mapping[str, Any]) -> str:
    """Return the text for a channel whose data is `row`."""
    return write_json({name: value for name, value in row.items() if name != "fd"}).decode("ascii")


def row_of(text: str, fd: int) -> dict[str, Any]:
    """Return the data of the channel that was kept with this text, with the descriptor that it has now."""
    return {**read_json(text), "fd": fd}
