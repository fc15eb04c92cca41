"""`Record`: immutable, equal only to its own kind, small."""

from __future__ import annotations

import pytest

from taskmaster_common.records import Record


class Point(Record):
    """Two numbers and what has a default."""

    x: int
    y: int = 0
    names: tuple[str, ...] = ()


class Other(Record):
    """The same fields under another name."""

    x: int
    y: int = 0
    names: tuple[str, ...] = ()


class Deeper(Point):
    """One field more."""

    z: int = 3


def test_fields_come_by_position_or_by_name_in_the_order_of_their_annotations() -> None:
    assert Point.fields_ == ("x", "y", "names")
    assert Deeper.fields_ == ("x", "y", "names", "z")
    assert Point(1, 2) == Point(y=2, x=1)
    assert (Deeper(1).x, Deeper(1).z) == (1, 3)


@pytest.mark.parametrize(
    ("args", "kwargs"),
    [((), {}), ((1, 2, (), 4), {}), ((1,), {"x": 1}), ((1,), {"q": 1})],
    ids=["missing", "too many", "twice", "unknown"],
)
def test_a_wrong_field_is_refused(args: tuple[object, ...], kwargs: dict[str, object]) -> None:
    with pytest.raises(TypeError, match="Point"):
        Point(*args, **kwargs)  # type: ignore[arg-type]


def test_records_of_different_types_are_never_equal() -> None:
    assert Point(1) != Other(1)
    assert Point(1) != Deeper(1)
    assert Point(1) != (1, 0, ())
    assert len({Point(1), Other(1), Point(1, 0)}) == 2


def test_a_default_that_is_given_makes_no_difference() -> None:
    assert Point(1, 0) == Point(1)
    assert hash(Point(1, 0)) == hash(Point(1))
    assert Point(1, 0).to_data() == {"x": 1}


def test_a_record_cannot_be_changed_but_copied_with_changes() -> None:
    point = Point(1)
    with pytest.raises(AttributeError, match="immutable"):
        point.x = 2  # type: ignore[misc]
    with pytest.raises(AttributeError, match="immutable"):
        del point.x
    assert point.replace(y=5) == Point(1, 5)
    assert point == Point(1)
    with pytest.raises(TypeError):
        point.replace(q=1)


def test_changed_fields_are_named_in_their_order() -> None:
    assert Point(1, 2).changed_fields(Point(3, 2, ("a",))) == ("x", "names")
    assert Point(1).changed_fields(Point(1, 0)) == ()


def test_plain_data_and_back() -> None:
    point = Point(1, names=("a", "b"))
    assert Point.from_data({"x": 1, "names": ["a", "b"]}) == point
    assert Point.from_data(point.to_data()) == point
    with pytest.raises(TypeError):
        Point.from_data({"x": 1, "q": 2})


def test_its_text_shows_what_was_given() -> None:
    assert repr(Point(1, names=("a",))) == "Point(x=1, names=('a',))"
