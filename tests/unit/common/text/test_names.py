"""Names of programs and processes: valid, shown, matched, suggested."""

from __future__ import annotations

import fnmatch
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskmaster_common.text.names import MAX_NAME, name_problem
from taskmaster_common.text.nearest import hint, nearest
from taskmaster_common.text.patterns import Pattern, is_pattern
from taskmasterd.core.programs.table import process_name
from tests.support.work import here


@pytest.mark.parametrize("name", ["web", "1", "yes", "a_b-c.d@e+f", "x" * MAX_NAME, "_", "+", "ALL", "@"])
def test_a_good_name_has_no_problem(name: str) -> None:
    assert name_problem(name) == ""


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("", "at least one"),
        ("x" * (MAX_NAME + 1), "at most 100 characters, this one has 101"),
        ("a b", "' ' is not allowed"),
        ("a:1", "':' is not allowed"),
        ("a/b", "'/' is not allowed"),
        ("é", "'é' is not allowed"),
        ("w*", "'*' is not allowed"),
        ("-x", "does not begin with '-'"),
        (".x", "does not begin with '.'"),
        ("all", "means every program"),
    ],
)
def test_a_bad_name_is_told_why(name: str, part: str) -> None:
    assert part in name_problem(name)


def test_a_process_is_numbered_only_where_it_is_not_alone() -> None:
    assert process_name("web", 0, alone=True) == "web"
    assert process_name("web", 0, alone=False) == "web:0"
    assert process_name("web", 12, alone=False) == "web:12"


def test_only_all_and_wildcards_stand_for_several() -> None:
    assert [word for word in ("all", "w*", "web:?", "[ab]", "web", "web:1", "allweb") if is_pattern(word)] == [
        "all",
        "w*",
        "web:?",
        "[ab]",
    ]


@pytest.mark.parametrize(
    ("pattern", "text", "matched"),
    [
        ("web:*", "web:1", True),
        ("web:*", "web", False),
        ("w*", "web", True),
        ("*", "", True),
        ("?", "", False),
        ("w?b", "web", True),
        ("[a-c]x", "bx", True),
        ("[!a-c]x", "bx", False),
        ("[!a-c]x", "dx", True),
        ("[]]", "]", True),
        ("[a", "[a", True),
        ("WEB", "web", False),
        ("*a*b*c", "xxaxxbxxc", True),
        ("*a*b*c", "xxaxxbxx", False),
    ],
)
def test_a_pattern_matches_as_in_a_shell(pattern: str, text: str, matched: bool) -> None:
    assert Pattern(pattern).matches(text) is matched


@given(st.text("ab*?", max_size=12), st.text("ab", max_size=12))
def test_the_matcher_agrees_with_fnmatch(pattern: str, text: str) -> None:
    assert Pattern(pattern).matches(text) == fnmatch.fnmatchcase(text, pattern)


def test_a_pattern_of_many_stars_takes_no_time() -> None:
    assert not Pattern("*a" * 50).matches("a" * 49 + "b" * 2000)


@pytest.mark.parametrize(
    "pattern",
    [
        "*a" * 60 + "z",
        "*" + "?" * 50 + "z",
        "*[" + "b-" * 30_000 + "]*z",
        "*[!z]" * 13_000,
        "[" * 65_000,
        ("*[!" + "bcdefghij" * 88 + "]") * 80 + "z",
        ("*[!" + "b-z" * 260 + "]") * 80 + "z",
        "*" * 65_000 + "z",
    ],
)
def test_no_pattern_of_a_requests_length_holds_a_thousand_long_names_up(pattern: str) -> None:
    began = time.process_time()
    compiled = Pattern(pattern)
    assert not any(compiled.matches("a" * 96 + f"{number:04}") for number in range(1000))
    assert time.process_time() - began < here(0.5)


@pytest.mark.parametrize(
    ("pattern", "indices"),
    [
        ("web", "all"), ("web:*", "all"), ("w*", "all"), ("*", "all"), ("*:*", "all"), ("web:1", [1]), ("web:?1", [11, 21]),
        ("web:[!0-8]", [9]), ("db*", []), ("web:x*", []), ("*2", [2, 12, 22]), ("w?b:2*", [2, *range(20, 25)]), ("web:", []),
    ],
)  # fmt: skip
def test_the_instances_that_a_pattern_means_are_those_whose_names_match(pattern: str, indices: object) -> None:
    chosen = Pattern(pattern).instances("web")
    found = [index for index in range(25) if chosen is True or (chosen and chosen(index))]
    assert found == (list(range(25)) if indices == "all" else indices)
    assert found == [index for index in range(25) if Pattern(pattern).selects("web", index)]


def test_a_typo_among_ten_thousand_long_names_takes_no_time() -> None:
    names = ["a" * 90 + f"{number:05}" for number in range(10_000)]
    for word in ("b" * 60_000, "a" * 90 + "x0000", "a" * 150):
        began = time.process_time()
        assert nearest(word, names) in ("", *names[:100])
        assert time.process_time() - began < here(0.5)


@pytest.mark.parametrize(
    ("word", "meant"),
    [("statsu", "status"), ("sotp", "stop"), ("restrat", "restart"), ("STOP", "stop"), ("xyzzy", ""), ("s", "")],
)
def test_the_nearest_word_is_suggested_and_nothing_far(word: str, meant: str) -> None:
    assert nearest(word, ("status", "stop", "start", "restart")) == meant


@pytest.mark.parametrize(
    ("word", "names", "said"),
    [
        ("wbe", ("web", "db"), "; did you mean web?"),
        ("xyzzy", ("web", "db", "api"), "; there are web, db and api"),
        ("xyzzy", ("web",), "; there is only web"),
        ("xyzzy", (), ""),
        ("xyzzy", tuple("abcdefghi"), ""),
    ],
)
def test_all_names_are_said_where_none_is_near_and_they_are_few(word: str, names: tuple[str, ...], said: str) -> None:
    assert hint(word, names) == said


@given(st.text(max_size=30))
def test_a_suggestion_is_a_candidate_or_nothing(word: str) -> None:
    assert nearest(word, ("alpha", "beta")) in ("alpha", "beta", "")
