"""docs/programs/alerts.md: its table has every word for what happens, and its messages are those that arrive."""

from __future__ import annotations

import json
from typing import Any

import pytest

from taskmaster_common.config.alerts.words import FAILED_ALERT, WORDS
from taskmaster_common.config.events import EVENTS, GROUPS
from taskmasterd.alerts.helper.by_http import body_of
from taskmasterd.alerts.helper.message import Envelope, Notice
from taskmasterd.core.alerting import troubles_in
from tests.packaging.test_readme import DOCS, blocks, code, table

PAGE = DOCS / "programs" / "alerts.md"
MESSAGES = [json.loads(block.text) for block in blocks(PAGE) if block.language == "json"]


def test_the_table_has_every_word_that_a_rule_or_a_reader_of_the_history_may_name() -> None:
    assert [code(row[0]) for row in table("| word | what has happened |", PAGE)] == [*WORDS, FAILED_ALERT]
    assert {*EVENTS, *GROUPS} <= {*WORDS, FAILED_ALERT}


def test_trouble_is_said_to_be_what_a_rule_takes_for_trouble() -> None:
    ((_, said),) = [row for row in table("| word | what has happened |", PAGE) if code(row[0]) == "trouble"]
    starved = {"expected": False, "memory": "short", "count": 3}
    found = {each for word in EVENTS for each in troubles_in({"event": word, **starved})}
    assert set(said.split("`")[1::2]) == found


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: message["events"][0]["event"])
def test_a_message_of_the_page_is_what_a_webhook_gets_by_default(message: dict[str, Any]) -> None:
    order = Envelope(
        rule=message["rule"],
        kind="http",
        destination={},
        host=message["host"],
        timeout=1.0,
        pid=1,
        say=lambda _line: None,
    )
    body, kind = body_of(Notice(message["id"], 0.0, tuple(message["events"])), order)
    assert (json.loads(body), kind) == (message, "application/json")


def test_every_field_of_the_messages_is_named() -> None:
    heads = ("| field | what it is |", "| field of an event | what it is |")
    whole, one = ({name for row in table(head, PAGE) for name in row[0].split("`")[1::2]} for head in heads)
    assert {field for message in MESSAGES for field in message} | {"left_out", "lost"} == whole
    assert {field for message in MESSAGES for event in message["events"] for field in event} <= one
    assert len(MESSAGES) == 2
