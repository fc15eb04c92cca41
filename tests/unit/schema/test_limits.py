"""Hostile and absurd text: a reason or a configuration, in bounded time and memory, and nothing else."""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from taskmaster_common.errors import ConfigError
from taskmaster_common.schema import Loaded, daemon_section, decode, nodes
from taskmaster_common.schema.nodes import MAX_DEPTH, MAX_NODES
from tests.support.host import MAIN, host, load, problems
from tests.support.work import here


@contextmanager
def cheap(seconds: float, megabytes: float) -> Iterator[None]:
    """Fail where the block takes more processor time, or holds more memory at once."""
    started = time.process_time()
    tracemalloc.start()
    try:
        yield
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert time.process_time() - started < here(seconds)
    assert peak < megabytes * 1e6


def bomb(levels: int, width: int, opening: str, closing: str, item: str) -> str:
    """Return anchors each of which names the one before `width` times."""
    lines = [f"x-0: &a0 {opening}{', '.join(item.format(name=f'k{at}', value='x') for at in range(width))}{closing}"]
    for level in range(1, levels):
        inside = ", ".join(item.format(name=f"k{at}", value=f"*a{level - 1}") for at in range(width))
        lines.append(f"x-{level}: &a{level} {opening}{inside}{closing}")
    return "\n".join([*lines, "programs: {}"])


@pytest.mark.parametrize(
    "text",
    [
        bomb(12, 10, "[", "]", "{value}"),
        bomb(12, 10, "{{".format(), "}}".format(), "{name}: {value}"),
        bomb(60, 2, "[", "]", "{value}"),
    ],
    ids=["lists", "mappings", "doubling"],
)
def test_an_alias_bomb_costs_under_a_second_and_50_megabytes(text: str) -> None:
    with cheap(1, 50):
        (found,) = problems(text)
    assert "the aliases of the configuration stand for more than 1000000 values" in found


def test_a_chain_of_merges_is_bounded_too() -> None:
    lines = ["x-0: &a0 {k0: 1}"]
    lines += [f"x-{level}: &a{level} {{<<: *a{level - 1}, k{level}: 1}}" for level in range(1, 3000)]
    started = time.process_time()
    assert "the aliases of the configuration stand for more" in problems("\n".join(lines))[0]
    assert time.process_time() - started < here(2)


def test_an_alias_inside_its_own_anchor_is_an_error() -> None:
    assert problems("x-a: &a [1, *a]\nprograms: {}") == [
        "taskmaster.yaml:1:13: error: x-a: the alias *a is part of its own anchor"
    ]


@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ("{a: ", "}"), ("- ", ""), ("? ", "")])
def test_deep_nesting_is_an_error(opening: str, closing: str) -> None:
    with cheap(1, 50):
        (found,) = problems(f"x-a:\n {opening * 5000}x{closing * 5000}\nprograms: {{}}")
    assert f"nested more than {MAX_DEPTH} levels deep" in found or "not YAML" in found


def test_reasonable_nesting_is_none() -> None:
    assert load(f"x-a: {'[' * 40}{']' * 40}\nprograms: {{}}")


@pytest.mark.parametrize("most", [1000, pytest.param(MAX_NODES, marks=pytest.mark.sweep)])
def test_too_many_values_are_an_error(most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    assert MAX_NODES == 500_000
    monkeypatch.setattr(nodes, "MAX_NODES", most)
    assert problems(f"x-a: [{'a,' * (most + 1000)}]\nprograms: {{}}") == [
        f"taskmaster.yaml:1:{2 * most + 1}: error: the configuration has more than {most} values"
    ]


def test_a_number_of_a_million_digits_takes_no_time() -> None:
    digits = "9" * 1_000_000
    with cheap(1, 50):
        assert (
            len(
                problems(f"programs: {{a: {{cmd: x, numprocs: {digits}, stoptime: {digits}, log_maxbytes: {digits}}}}}")
            )
            == 3
        )


def test_a_file_of_open_braces_takes_no_time() -> None:
    with cheap(1, 50):
        assert "not YAML" in problems("programs: {a: {cmd: '" + "${" * 200_000)[0]
    with cheap(1, 50):
        assert "no closing brace" in problems("programs: {a: {cmd: '" + "${" * 200_000 + "'}}")[0]


def test_twenty_thousand_instances_of_many_programs_are_compared_in_time() -> None:
    text = "programs:\n" + "".join(f"  p{number}: {{cmd: x, numprocs: 100}}\n" for number in range(200))
    started = time.process_time()
    assert len(load(text).config.programs) == 200
    assert time.process_time() - started < here(2)


def test_more_processes_than_a_daemon_supervises_are_an_error_at_the_program_with_which_they_are_too_many() -> None:
    text = "programs:\n" + "".join(f"  p{number}: {{cmd: x, numprocs: 10000}}\n" for number in range(40))
    (problem,) = problems(text)
    assert problem == (
        "taskmaster.yaml:4:26: error: programs.p2.numprocs: 10000 processes and the 20000 of the programs above it are "
        "more than 20000, the most that one daemon supervises"
    )
    one_more = text.split("  p2")[0] + "  last: {cmd: x}\n"
    assert problems(one_more)[0].startswith(
        "taskmaster.yaml:4:3: error: programs.last.numprocs: 1 processes and the 20000"
    )


WORDS = st.sampled_from(
    [
        *("programs", "defaults", "taskmasterd", "include", "x-a", "web", "cmd", "env", "shell", "stdout", "exitcodes"),
        *("<<", "&a", "*a", "!!str", "!x", "~", "null", "yes", "022", "[", "]", "{", "}", ":", ": ", ",", "- ", "? "),
        *("\n", "\n  ", "\n    ", "\t", "'", '"', "|", ">", "#", "%", "@", "`", "---", "...", "${", "${A}", "$${", "}"),
        *(
            "\0",
            "\x85",
            "\u2028",
            "\ufeff",
            "\ud7ff",
            "\U0001f600",
            "\x07",
            "\\",
            '"\\0"',
            '"\\ud800"',
            '"\\UFFFFFFFF"',
        ),
    ]
)


def outcome(content: bytes) -> Loaded | ConfigError:
    """Return what came of it; anything but a ConfigError fails the test."""
    try:
        return decode(MAIN, host({MAIN: content}))
    except ConfigError as error:
        return error


def well_told(result: Loaded | ConfigError) -> bool:
    """Return whether there is a configuration, or at least one problem, each with its file."""
    if isinstance(result, Loaded):
        return True
    return bool(result.problems) and all(problem.startswith(f"{MAIN}:") for problem in result.problems)


@given(st.lists(WORDS, max_size=40).map("".join))
@example("? [a]\n: b")
@example('a: "\\ud800"')
@example("a: !<tag:x> &a *a")
@example("%YAML 9.9\n---\na")
@example("%TAG ! tag:x,2000:\n---\nprograms: {}")
@example("programs: {'': {cmd: x}}")
@example("{[a]: b, programs: {web: {cmd: x}}}")
def test_any_text_is_a_configuration_or_an_error(text: str) -> None:
    assert well_told(outcome(text.encode("utf-8", "surrogatepass")))


@given(st.binary(max_size=200))
def test_any_bytes_are_a_configuration_or_an_error(content: bytes) -> None:
    assert well_told(outcome(content))


VALUE = st.lists(WORDS, max_size=4).map("".join)


@given(
    st.dictionaries(
        st.sampled_from(["cmd", "env", "shell", "user", "stdout", "umask", "exitcodes", "stoptime", "x"]), VALUE
    )
)
@example({"cmd": "\n    ? "})
def test_any_values_are_a_configuration_or_an_error(values: dict[str, str]) -> None:
    text = "programs:\n  web:\n" + "".join(f"    {key}: {value}\n" for key, value in values.items())
    assert well_told(outcome(text.encode("utf-8", "surrogatepass")))


@given(st.lists(WORDS, max_size=30).map("".join))
def test_the_clients_look_ends_with_a_section_or_an_error(text: str) -> None:
    try:
        assert daemon_section("t.yaml", text.encode("utf-8", "surrogatepass"), {}, "/")
    except ConfigError as error:
        assert error.problems  # noqa: PT017 - either is right
