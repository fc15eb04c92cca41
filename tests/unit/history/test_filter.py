"""Which records a request is about, and what they say."""

from __future__ import annotations

import json
from typing import Any

import pytest

from taskmaster_common.config.events import EVENTS
from taskmasterd.control.verbs.recordfilter import RecordFilter, Wanted, events_meant
from taskmasterd.core.words.told import TEXTS, record_text

SIGNALS = {15: "TERM", 9: "KILL"}
T = "2026-11-28T10:02:31.402000Z"


def line(name: str, event: str, **fields: Any) -> bytes:
    return (
        json.dumps({"seq": 1, "time": T, "mono": 5.0, "boot": "b", "name": name, "event": event, **fields})
        .replace(": ", ":")
        .encode()
    )


@pytest.mark.parametrize(
    ("targets", "name", "wanted"),
    [
        (("web",), "web", True),
        (("web",), "web:3", True),
        (("web:0",), "web", True),
        (("web:1",), "web:1", True),
        (("web:1",), "web:11", False),
        (("web",), "website", False),
        (("w*",), "web:1", True),
        (("web:[12]",), "web:3", False),
        (("all",), "web", True),
        (("web",), "", False),
        ((), "", True),
    ],
)
def test_targets_are_programs_instances_and_patterns(targets: tuple[str, ...], name: str, wanted: bool) -> None:
    assert bool(RecordFilter(Wanted(targets)).take(line(name, "started"))) == wanted


def test_a_recovery_is_what_ends_the_last_trouble_of_a_process() -> None:
    happened = [
        ("web", "running", {}, False), ("web", "exited", {"expected": False}, False), ("web", "started", {}, False),
        ("db", "running", {}, False), ("web", "running", {}, True), ("web", "running", {}, False),
        ("web", "fatal", {}, False), ("web", "unhealthy", {}, False), ("web", "healthy", {}, False),
        ("web", "stopped", {}, True), ("", "crashed", {}, False), ("", "daemon-start", {}, False),
        ("", "reload-failed", {}, False), ("", "reload", {}, True),
        ("", "log-trouble", {}, False), ("", "log-trouble", {"over": True}, True),
        ("web", "lost", {}, False), ("web", "stopped", {}, False),
    ]  # fmt: skip
    chosen = RecordFilter(Wanted(events=("recovered",)))
    assert chosen.in_order
    found = [bool(chosen.take(line(name, event, **fields))) for name, event, fields, _wanted in happened]
    assert found == [wanted for *_rest, wanted in happened]
    assert not RecordFilter(Wanted(events=("trouble",))).in_order


@pytest.mark.parametrize(
    ("asked", "wanted"),
    [
        (["web"], True),
        (["web:1"], True),
        (["w*"], True),
        (["all"], True),
        (["db", "web:1"], True),
        (["db"], False),
        ([], False),
    ],
)
def test_a_request_is_about_the_programs_that_it_named(asked: list[str], wanted: bool) -> None:
    found = RecordFilter(Wanted(("web",))).take(line("", "operator", targets=asked, by={"uid": 0}))
    assert bool(found) == wanted


def test_time_kind_and_user_are_looked_at() -> None:
    crash = line("web", "exited", expected=False, by={"uid": 7})
    for wanted, found in (
        (Wanted(since=T), True),
        (Wanted(since="2026-11-28T10:02:31.402001Z"), False),
        (Wanted(until=T), True),
        (Wanted(until="2026-11-28T10:02:31.401999Z"), False),
        (Wanted(events=("exited",)), True),
        (Wanted(events=("crash",)), True),
        (Wanted(events=("trouble", "started")), True),
        (Wanted(events=("fatal",)), False),
        (Wanted(uid=7), True),
        (Wanted(uid=0), False),
    ):
        assert bool(RecordFilter(wanted).take(crash)) == found, wanted
    assert not RecordFilter(Wanted(events=("trouble",))).take(line("web", "exited", expected=True))
    assert not RecordFilter(Wanted(events=("trouble",))).take(line("", "log-trouble", over=True))


def test_oom_is_each_kill_for_want_of_memory_of_a_leader_or_of_others() -> None:
    memory = {"memory": "out of memory (limits.memory 30MB)", "expected": False}
    for event, fields, words in (
        ("exited", memory, {"oom", "crash", "trouble"}),
        ("failed", memory, {"oom", "trouble"}),
        ("lost", {"reason": "1 process to limits.memory (30MB)"}, {"oom", "trouble"}),
        ("exited", {"expected": False}, {"crash", "trouble"}),
        ("failed", {"expected": False}, set()),
        ("exited", {"expected": True}, set()),
    ):
        record = line("web", event, **fields)
        found = {word for word in ("oom", "crash", "trouble") if RecordFilter(Wanted(events=(word,))).take(record)}
        assert found == words, (event, fields)


@pytest.mark.parametrize(
    "text", [b"", b"{", b"[]", b"{}", b'{"seq":1}', b"\xff", b'{"seq":"1","name":"","event":"","time":""}']
)
def test_a_line_that_is_no_record_is_none(text: bytes) -> None:
    assert RecordFilter(Wanted()).take(text) is None


def test_words_for_events_are_words_patterns_and_groups() -> None:
    assert events_meant(["fatal", "crash"]) == ("fatal", "crash")
    assert events_meant(["oom"]) == ("oom",)
    assert events_meant(["reload*"]) == ("reload", "reload-failed")
    assert events_meant(["*"]) == EVENTS
    for wrong, said in (("fatl", "did you mean fatal?"), ("x*", 'no event is called "x*"'), ("", "no event")):
        with pytest.raises(ValueError, match=said.replace("*", "[*]").replace("?", "[?]")):
            events_meant([wrong])


SAID = [
    (("started", {"pid": 7, "cause": "start", "by": {"uid": 0}}), "pid 7, asked by uid 0"),
    (("started", {"pid": 7, "try": 2, "of": 4, "cause": "failed"}), "pid 7 (try 2 of 4)"),
    (("started", {"pid": 7, "cause": "crash"}), "pid 7, after an unexpected end"),
    (("started", {"pid": 7, "cause": "dependency", "by": {"text": "because db went down"}}), "pid 7, because db went down"),
    (("ready", {"after": 0.3, "reason": "READY=1"}), "after 0.3s (READY=1)"),
    (("running", {"pid": 7}), "pid 7"),
    (("exited", {"status": 15, "after": 90, "expected": True}), "killed by SIGTERM after 1m30s, expected"),
    (("exited", {"status": 256, "after": 1, "expected": False, "left": ["a (1)"]}), "exit 1 after 1.0s, unexpected; left a (1)"),
    (("failed", {"status": 256, "after": 0.2}), "exit 1 after 0.2s"),
    (("failed", {"reason": "cannot execute /x: no such file"}), "cannot execute /x: no such file"),
    (("backoff", {"try": 1, "of": 3, "deadline": 5.5}), "retry 1 of 3 in 0.5s"),
    (("backoff", {"deadline": 15.0, "reason": "no process can be made"}), "again in 10s; no process can be made"),
    (("fatal", {"status": 256, "after": 0.2, "try": 4, "of": 4}), "exit 1 after 0.2s (try 4 of 4)"),
    (("fatal", {"status": 256, "after": 0.2, "try": 4, "of": 4, "more": 9}), "exit 1 after 0.2s (try 4 of 4) (9 more like this)"),
    (("done", {"status": 0, "after": 2.3}), "exit 0 in 2.3s"),
    (("stopping", {"signal": "TERM", "by": {"uid": 0, "text": "a reload (uid 0)"}}), "TERM, asked by a reload (uid 0)"),
    (("stopping", {"reason": "unhealthy: http 503", "signal": "TERM"}), "unhealthy: http 503"),
    (("stopping", {"left": ["a (1)"]}), "ends what it left behind: a (1)"),
    (("killed", {"after": 10}), "SIGKILL 10s after it was to stop"),
    (("lost", {"reason": "1 process to limits.memory (512MB)"}), "1 process to limits.memory (512MB)"),
    (("stuck", {"after": 12, "pid": 7}), "still there 12s after it was to stop, in spite of SIGKILL"),
    (("stuck", {"refused": ["a (1)"], "after": 1}), "a (1) may not be signalled: operation not permitted"),
    (("stopped", {"by": {"uid": 0}, "after": 0.1, "was": "STOPPING", "killed": True}), "by uid 0 in 0.1s, SIGKILL was needed"),
    (("stopped", {"by": {"uid": 0}, "was": "FATAL"}), "by uid 0; it was FATAL"),
    (("adopted", {"pid": 7}), "pid 7"),
    (("unhealthy", {"reason": "http 503 (3 of 3)"}), "http 503 (3 of 3)"),
    (("healthy", {"after": 4}), "after 4.0s"),
    (("waiting", {"reason": "waiting for db: ready (STARTING)"}), "for db: ready (STARTING)"),
    (("blocked", {"reason": "blocked: needs db, which is FATAL"}), "needs db, which is FATAL"),
    (("rolled", {"reason": "update of web done: 2 of 2", "by": {"uid": 0}}), "update of web done: 2 of 2, asked by uid 0"),
    (("disabled", {"reason": "broken disk", "by": {"uid": 0}}), "broken disk, asked by uid 0"),
    (("enabled", {"by": {"uid": 0}}), "asked by uid 0"),
    (("scaled", {"reason": "to 5", "by": {"uid": 0}}), "to 5, asked by uid 0"),
    (("missed", {"reason": "3 (02:00 to 02:10; the daemon was down)"}), "3 (02:00 to 02:10; the daemon was down)"),
    (("skipped", {"reason": "03:00: the run before is not over (1 in a row)"}), "03:00: the run before is not over (1 in a row)"),
    (("crashed", {}), "the daemon before this one died"),
    (("daemon-stop", {"code": 0, "by": {"text": "SIGTERM"}}), "exit 0, asked by SIGTERM"),
    (("reload", {"changed": 1, "by": {"text": "SIGHUP"}}), "1 program changed, asked by SIGHUP"),
    (("reload-failed", {"reason": "x.yaml:1:1: error", "by": {"uid": 0}}), "x.yaml:1:1: error, asked by uid 0"),
    (("operator", {"verb": "stop", "targets": ["web", "db"], "by": {"uid": 0}}), "stop web db by uid 0"),
    (
        ("operator", {"verb": "reload", "by": {"uid": 0, "login": 1000, "command": "taskmasterctl reload", "from": "10.0.0.5"}}),
        'reload by uid 0 (login uid 1000, "taskmasterctl reload", from 10.0.0.5)',
    ),
    (
        ("denied", {"verb": "stop", "targets": ["web"], "reason": "needs operate, has look", "by": {"uid": 7, "pid": 8}}),
        "stop web to uid 7: needs operate, has look",
    ),
    (("denied", {"reason": "uid 7 may not use this daemon", "by": {"uid": 7, "pid": 8}}), "to uid 7: uid 7 may not use this daemon"),
    (("denied", {"reason": "refused 9 more requests of uid 7 within a minute", "by": {"uid": 7}}), "refused 9 more requests of uid 7 within a minute"),
    (("watch", {"reason": "paused: x changes whenever web starts; ignore it"}), "paused: x changes whenever web starts; ignore it"),
    (("recycled", {"pid": 7, "reason": "age 12h"}), "age 12h"),
    (("refused", {"reason": "not restarted: pre_restart: exit 1", "words": ["bad", "line"]}), "not restarted: pre_restart: exit 1: bad; line"),
    (("refused", {"reason": "not restarted: pre_restart: exit 1"}), "not restarted: pre_restart: exit 1"),
    (("attach", {"by": {"uid": 7, "pid": 8}, "read_only": True}), "by uid 7, read-only"),
    (("attach", {"by": {"uid": 7}, "after": 2.5, "typed": 9}), "ended by uid 7, after 2.5s, 9 bytes typed"),
    (("signalled", {"pid": 7, "signal": "HUP", "reason": "unhealthy"}), "HUP to its leader: unhealthy"),
    (("alert-failed", {"rule": "page", "reason": "exit 1"}), "page: exit 1"),
    (("log-trouble", {"reason": "cannot write /x: no space left"}), "cannot write /x: no space left"),
]  # fmt: skip


@pytest.mark.parametrize(("record", "text"), SAID)
def test_a_record_says_what_happened(record: tuple[str, dict[str, Any]], text: str) -> None:
    event, fields = record
    assert record_text({"name": "", "mono": 5.0, "event": event, **fields}, SIGNALS) == text


def test_each_word_has_an_example_here_and_none_a_text_that_nobody_can_get() -> None:
    assert {record[0] for record, _ in SAID} | {"daemon-start", "upgrade"} == set(EVENTS)
    assert set(TEXTS) <= set(EVENTS)


def test_a_reload_of_one_program_says_its_keys() -> None:
    record = {"name": "web", "event": "reload", "change": "restarted", "keys": ["cmd"], "by": {"uid": 0}}
    assert record_text(record, SIGNALS) == "restarted: cmd, asked by uid 0"
