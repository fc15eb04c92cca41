"""Each example of docs/operate/roles.md runs as it stands, but for the users, and does what the page says."""

from __future__ import annotations

import os
import re

import pytest

from taskmaster_common.commands.table import COMMANDS, LEVELS
from tests.support.daemon import ROOT, Daemon
from tests.support.users import ask_as, errors_of

PAGE = (ROOT / "docs" / "operate" / "roles.md").read_text()
EXAMPLES = {
    section.splitlines()[0]: section.partition("```yaml\n")[2].partition("```")[0]
    for section in PAGE.split("\n## ")[1:]
    if "```yaml" in section
}
ACCOUNTS = {"deploy": 60_001, "prometheus": 60_002, "on-call": 60_003}
"""Who stands for the users and the group of the page."""
as_root = [pytest.mark.slow, pytest.mark.root, pytest.mark.skipif(os.geteuid() != 0, reason="becomes other users")]


def started(daemon: Daemon, title: str) -> Daemon:
    text = EXAMPLES[title]
    for name, number in ACCOUNTS.items():
        text = text.replace(f"[{name}]", f"[{number}]")
    daemon.home.parent.chmod(0o755)
    daemon.home.chmod(0o755)
    daemon.write(text)
    return daemon.start()


def test_the_table_has_each_verb_at_its_level() -> None:
    rows = {level: line for level in LEVELS for line in PAGE.splitlines() if line.startswith(f"| `{level}` |")}
    assert list(rows) == list(LEVELS)
    for verb in COMMANDS:
        assert f"`{verb.name}`" in rows[verb.access], verb.name
        flags = [flag.name for flag in verb.flags if flag.access not in ("look", verb.access)]
        assert all(f"`{verb.name} {flag}`" in rows["admin"] for flag in flags)
    named = {name for line in rows.values() for name in re.findall(r"`([a-z]+)[ `]", line)} - set(LEVELS)
    assert named <= {verb.name for verb in COMMANDS}


class TestExamples:
    """The examples, by the sections of the page."""

    pytestmark = as_root

    @pytest.mark.sweep
    def test_a_deploy_job_restarts_its_own_programs(self, daemon: Daemon) -> None:
        started(daemon, "A deploy job that restarts its own programs")
        answers = ask_as(daemon, ACCOUNTS["deploy"], "restart all", "logs web", "restart worker-mail", "restart db")[1:]
        assert errors_of(answers) == ["", "", "", "unknown-name"]
        assert {each["name"] for each in answers[0] if each["type"] == "result"} == {"web:0", "web:1", "worker-mail"}
        assert daemon.socket.stat().st_mode & 0o777 == 0o666

    def test_a_monitor_looks_and_who_is_on_call_reads(self, daemon: Daemon) -> None:
        started(daemon, "A monitor that only looks")
        monitor = ask_as(daemon, ACCOUNTS["prometheus"], "status", "restart web", "logs web")[1:]
        assert errors_of(monitor) == ["", "permission", "permission"]
        duty = ask_as(daemon, 60_007, "logs", "restart web", "restart web db", groups=[ACCOUNTS["on-call"]])[1:]
        assert errors_of(duty) == ["", "", "permission"]
        error = duty[-1][-1]["error"]
        assert error["message"] == "restart db: needs operate; uid 60007 has read (role duty)"
        assert error["hints"] == ["a line for `roles`: {users: [60007], level: operate, programs: [db]}"]

    @pytest.mark.sweep
    def test_what_is_needed_is_started_by_who_may_start_it(self, daemon: Daemon) -> None:
        started(daemon, "A program that needs another one")
        daemon.ctl("stop", "all")
        assert errors_of(ask_as(daemon, ACCOUNTS["deploy"], "start web", "start --no-deps web")[1:]) == [
            "permission",
            "",
        ]
        daemon.ctl("start", "db")
        assert errors_of(ask_as(daemon, ACCOUNTS["deploy"], "restart web")[1:]) == [""]
