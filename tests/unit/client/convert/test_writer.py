"""The YAML of an outcome: plain where YAML 1.1 and 1.2 read the same text, quoted where they do not."""

from __future__ import annotations

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from taskmasterctl.convert.outcome.model import Plain
from taskmasterctl.convert.outcome.scalars import in_line, lines_of, scalar
from taskmasterctl.convert.outcome.texts import for_shell, literal, rendered, variable
from tests.support.host import load

TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=40)


@pytest.mark.parametrize(
    "text",
    ["yes", "No", "on", "null", "~", "", "1", "0x1f", "0o17", "1_000", "1e3", ".5", ".inf", "22:30", "2026-01-01", "=", "<<", "- a",
     "a: b", "a #b", "a:", " a", "a ", "@a", "`a", "%a", "!a", "&a", "*a", "? a", "[a", "{a", "'a", '"a', "|", ">", "#a"],
)  # fmt: skip
def test_what_yaml_would_read_otherwise_is_quoted(text: str) -> None:
    assert scalar(text)[0] in "'\""
    assert yaml.safe_load(scalar(text)) == text


@pytest.mark.parametrize(
    "text", ["a", "/bin/run --x=1", "-x", "a:b", "a#b", "it's", "$HOME", "1a", "a,b", "a[0]", "none", "1.2.3"]
)
def test_what_yaml_reads_as_this_text_is_plain(text: str) -> None:
    assert scalar(text) == text
    assert yaml.safe_load(scalar(text)) == text


def test_numbers_of_our_own_notation_are_plain() -> None:
    assert scalar(Plain("027")) == "027"
    assert in_line({"size": Plain("10MiB"), "k": 0.5, "b": True}) == "{size: 10MiB, k: 0.5, b: true}"


@given(TEXTS)
@example("0?")
def test_every_text_comes_back_in_block_and_in_flow(text: str) -> None:
    assert yaml.safe_load("\n".join(lines_of("key", text, ""))) == {"key": text}
    assert yaml.safe_load(in_line([text, {"a": text}])) == [text, {"a": text}]


@given(st.lists(st.text("abc-=/${}", min_size=1, max_size=30), min_size=1, max_size=40))
def test_long_texts_are_folded_and_come_back(words: list[str]) -> None:
    text = " ".join(words)
    lines = [*lines_of("cmd", text, "    ")]
    assert yaml.safe_load("\n".join(lines)) == {"cmd": text}
    if len(lines) > 1:
        assert all(len(line) <= 100 or " " not in line.strip() for line in lines)


@given(TEXTS, TEXTS)
def test_a_literal_text_expands_to_itself_beside_a_variable(before: str, after: str) -> None:
    text = f"x{before}{variable('Q')}{after}"
    quoted = "\n".join(lines_of("A", rendered(text), "      "))
    found = load(f"programs:\n  web:\n    cmd: run\n    env:\n{quoted}\n", environment={"Q": "value", "PATH": "/bin"})
    assert dict(found.config.programs[0].env)["A"] == f"x{before}value{after}"
    assert rendered(before) == literal(before)


def test_words_for_a_shell_split_only_bare_variables() -> None:
    assert for_shell(f"--a={variable('-X')}") == "--a=${X}"
    assert for_shell(variable("-X")) == "$X"
    assert for_shell(f"a b{variable('X')}") == "'a b'\"${X}\""
    assert for_shell("") == "''"
