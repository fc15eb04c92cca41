"""Variants of a parametrised test that only the sweep runs: by default one or two of them stand for all."""

from __future__ import annotations

import pytest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from _pytest.mark.structures import ParameterSet


def in_the_sweep(*values: object) -> list[ParameterSet]:
    """Return these values of one parameter, or rows of several, marked for the sweep."""
    return [
        pytest.param(*(value if isinstance(value, tuple) else (value,)), marks=pytest.mark.sweep) for value in values
    ]
