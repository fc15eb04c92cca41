"""The words of alerts, and the two forms of messages for log daemons."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from taskmasterd.alerts.helper.message import command_for
from taskmasterd.core.words import alerts, syslog
from taskmasterd.core.words.syslog import LogSender

SIGNALS = {9: "KILL", 15: "TERM"}
FATAL: dict[str, Any] = {"name": "web:1", "event": "fatal", "status": 256, "after": 0.2, "try": 4, "of": 4, "seq": 9}
OVER: dict[str, Any] = {"name": "web:1", "event": "recovered", "state": "RUNNING", "was": "fatal", "lasted": 720.0}
CRASH: dict[str, Any] = {"name": "db", "event": "exited", "status": 9, "after": 61.0, "expected": False}
HOSTILE = 'a\r\nBcc: x@y\0\x1b[2J\udcff"]\\'


def test_a_headline_says_who_what_and_why() -> None:
    assert [alerts.headline(event, SIGNALS) for event in (FATAL, OVER, CRASH, {"name": "", "event": "crashed"})] == [
        "web:1 FATAL: exit 1 after 0.2s (try 4 of 4)",
        "ok: web:1 RUNNING (was FATAL for 12m)",
        "db EXITED: killed by SIGKILL after 1m1s",
        "taskmasterd crashed",
    ]


def test_a_reason_names_who_asked() -> None:
    assert alerts.reason({"name": "web", "event": "stopped", "by": {"uid": 0}}, {}) == "by uid 0"
    by = {"uid": 0, "text": "a reload (uid 0)"}
    assert alerts.reason({"name": "web", "event": "stopped", "by": by}, {}) == "by a reload (uid 0)"


def test_the_subject_of_several_events_counts_them() -> None:
    assert alerts.subject("web1", [FATAL, CRASH, OVER, CRASH], 0, 0, SIGNALS) == "[web1] 3 troubles, 1 over"
    assert alerts.subject("web1", [OVER, OVER], 0, 0, SIGNALS) == "[web1] ok: 2 over"
    assert alerts.subject("web1", [FATAL], 0, 0, SIGNALS) == "[web1] web:1 FATAL: exit 1 after 0.2s (try 4 of 4)"


def test_a_message_says_which_events_it_has_not() -> None:
    assert alerts.subject("web1", [], 45, 0, SIGNALS) == "[web1] 45 events left out (at_most)"
    assert alerts.subject("web1", [OVER], 0, 12, SIGNALS).endswith("for 12m), 12 events lost")
    assert "1 event left out (at_most)\n12 events lost" in alerts.text("page", [OVER], 1, 12, SIGNALS, "ctl")


def test_the_text_has_last_words_and_where_to_see_more() -> None:
    text = alerts.text("page", [{**FATAL, "words": ["bind: in use", "bye"], "log": "/l"}], 0, 0, SIGNALS, "ctl")
    assert "  said      bind: in use\n            bye\n" in text
    assert "ctl why web:1" in text
    assert "  log       /l\n" in text
    assert text.endswith("\n\nrule page\n")


def test_the_text_tells_the_story_of_why_once_and_nothing_in_it_ends_a_line() -> None:
    story = {
        "name": "web:1", "state": "FATAL", "sentence": "gave up\r\nBcc: x", "said": ["bye\x1b"],
        "events": [{"time": "2026-11-28T10:02:11.5Z", "text": "exit 1", "more": 2}],
        "next": "nothing starts it by itself", "do": ["taskmasterctl logs web:1", "taskmasterctl start web:1"],
    }  # fmt: skip
    text = alerts.text("page", [FATAL, FATAL], 0, 0, SIGNALS, "ctl", {"web:1": story})
    first, second = text.split("\n\n")[:2]
    assert "why" not in first.split("see")[0]
    assert (
        "  why       web:1 is FATAL: gave up\\r\\nBcc: x\n            10:02:11Z  exit 1      (2 more like this)\n"
        in second
    )
    assert "  said      bye\\x1b\n  next      nothing starts" in second
    assert "  do        ctl logs web:1   then   ctl start web:1\n" in second


def test_its_commands_name_the_socket_where_a_client_would_not_find_the_daemon() -> None:
    story = {
        "name": "web:1",
        "state": "FATAL",
        "sentence": "x",
        "do": ["taskmasterctl logs web:1", "taskmasterctl start web:1"],
    }
    client = command_for("/srv/my app/x.sock", 0)
    text = alerts.text("page", [FATAL], 0, 0, SIGNALS, client, {"web:1": story})
    with_socket = "taskmasterctl -s '/srv/my app/x.sock'"
    assert f"  do        {with_socket} logs web:1   then   {with_socket} start web:1\n" in text
    assert f"  see       {with_socket} why web:1   {with_socket} logs --stderr web:1\n" in text


def test_its_commands_name_no_socket_where_a_client_looks_by_itself() -> None:
    usual = [("/run/taskmaster/taskmaster.sock", 0), ("/run/user/1000/taskmaster/taskmaster.sock", 1000), ("", 0)]
    assert {command_for(path, uid) for path, uid in usual} == {"taskmasterctl"}
    assert command_for("/run/user/1000/taskmaster/taskmaster.sock", 0) != "taskmasterctl"


@given(st.text())
def test_foreign_text_stays_one_printable_line(foreign: str) -> None:
    event = {**FATAL, "reason": foreign, "name": foreign, "words": [foreign], "state": foreign, "was": "fatal"}
    for each in (event, {**event, "event": "recovered", "lasted": 1.0}, {**event, "event": foreign}):
        assert alerts.headline(each, SIGNALS).isprintable()
        assert alerts.subject(foreign, [each], 0, 0, SIGNALS).isprintable()
        assert len(alerts.subject(foreign, [each], 0, 0, SIGNALS)) <= alerts.MOST_SUBJECT
        assert all(line.isprintable() for line in alerts.text("page", [each], 0, 0, SIGNALS, "ctl").split("\n"))
        assert all(value.isprintable() for value in alerts.variables(each, foreign, SIGNALS).values())


def test_a_command_gets_what_there_is_and_nothing_else() -> None:
    found = alerts.variables({**CRASH, "pid": 7, "state": "BACKOFF", "before": "RUNNING"}, "web1", SIGNALS)
    assert found == {
        "TASKMASTER_EVENT": "exited",
        "TASKMASTER_NAME": "db",
        "TASKMASTER_PROGRAM": "db",
        "TASKMASTER_INSTANCE": "0",
        "TASKMASTER_HOST": "web1",
        "TASKMASTER_REASON": "killed by SIGKILL after 1m1s",
        "TASKMASTER_STATE": "BACKOFF",
        "TASKMASTER_BEFORE": "RUNNING",
        "TASKMASTER_PID": "7",
        "TASKMASTER_SIGNAL": "KILL",
    }


# -- syslog

US = LogSender("daemon", "taskmaster", 71, "web 1")


def test_a_unix_socket_gets_the_old_local_form() -> None:
    assert syslog.local_message(US, OVER, "ok", (11, 8, 10, 2, 31)) == b"<29>Nov  8 10:02:31 taskmaster[71]: ok"


def test_the_network_gets_rfc_5424_with_structured_data() -> None:
    message = syslog.network_message(US, FATAL, "text", "2026-11-28T10:02:31.402Z", 2048)
    assert message == (
        b"<26>1 2026-11-28T10:02:31.402Z web_1 taskmaster 71 fatal "
        b'[taskmaster@32473 program="web" instance="1" event="fatal" seq="9"] \xef\xbb\xbftext'
    )


def test_severities_tell_trouble_from_its_end() -> None:
    words = ("fatal", "crashed", "unhealthy", "blocked", "recovered", "running")
    assert [alerts.severity({"event": word, "name": ""}) for word in words] == [2, 2, 3, 3, 5, 6]
    assert alerts.severity(CRASH) == 3


def test_a_long_message_is_cut_in_whole_characters() -> None:
    message = syslog.network_message(US, FATAL, "ä" * 9000, "2026-11-28T10:02:31.402Z", 2048)
    assert 2040 < len(message) <= 2048
    assert message.decode().endswith("ä…")


def test_values_cannot_end_the_structured_data() -> None:
    message = syslog.network_message(US, {"event": HOSTILE, "name": 'w"]', "seq": 1}, "text", "now", 2048)
    head, _, text = message.partition(b"\xef\xbb\xbf")
    assert text == b"text"
    assert b'program="w\\"\\]"' in head
    assert b"\n" not in head
    assert head.count(b" [") == 1
