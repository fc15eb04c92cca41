"""docs/why/: each message that the code can give for a failed start, stop or reload is a heading, with text below it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.daemon import ROOT

WHY = ROOT / "docs" / "why"
HOLE = "…"
"""Stands in a heading for what differs: a name, a number, a reason of the system."""
LEAST_BLANKS = 2
"""A text with fewer blanks is a word of the code or a part of a message, not one that one would search for."""
SOURCES = (
    "configuration/host.py configuration/loading.py configuration/overlays.py configuration/reload.py configuration/trying.py",
    "control/socket_file.py control/verbs/configure.py",
    "core/process/hooks.py core/process/machine.py core/programs/rolling.py core/programs/sockets.py core/programs/spares.py",
    "core/cgroups.py core/limits.py core/words/describe.py core/words/gates.py core/words/hooks.py core/words/overlays.py core/words/rolls.py",
    "launch/command.py launch/daemonize.py launch/neighbours.py resident.py",
    "output/elsewhere/journal.py output/formatted/spool.py output/log/opening.py output/safe/open.py output/targets.py",
    "probing/announced/line.py probing/announced/notify.py probing/children.py probing/hook.py",
    "processes/limits/cgroups.py processes/limits/living.py processes/occupants.py processes/redirection.py",
    "processes/starts.py processes/survivors.py sockets/holder.py sockets/listeners.py",
    "survival/adoption.py survival/disk/directory.py survival/disk/file.py survival/disk/reader.py survival/disk/replacement.py",
    "survival/disk/writer.py survival/guardian_loss.py survival/handover.py survival/start_state.py survival/takeover.py",
    "survival/upgrade.py installed.py control/verbs/act.py core/words/view.py probing/health.py probing/hooks.py processes/ends.py",
    "system/limits/running.py system/limits/steps.py system/paths/executable.py system/paths/held.py system/paths/locks.py",
    "system/paths/bound.py system/paths/rights.py system/paths/rundir.py system/paths/walk.py system/spawner/child.py system/spawner/spec.py",
    "system/spawner/start.py system/spawner/texts.py system/spawner/variables.py system/users.py terminals/inputs.py",
)
"""Where reasons are put into words, below taskmasterd/."""
NO_TROUBLE = {
    "done (…) in",
    "scaled to … by … (file: …)",
    "taskmasterd: configuration …, socket",
    "ok (…, …)",
    "an earlier daemon died while it was starting it; starting it again",
    "took over … of an earlier daemon, … of them alive",
    "pid … had not executed its program; starting it again",
    "the daemon's start",
    "adopted …, which an earlier daemon had started",
    "since the earlier daemon",
    "can be written again",
    "delegated by systemd",
    "upgrade: checking the installed code (pid …), asked by uid",
    "upgrade: executing the installed code in the place of",
    "the container's own",
    "made by this daemon",
}
"""What goes well."""
PARTS = {
    "names: signal --list",
    "and more than … more",
    "killed: … after",
    "update of … … at",
    "Name it: taskmasterd -c FILE",
    "Or begin with the example: taskmasterd --example >taskmaster.yaml",
    "open log file",
    "read state file",
    "set aside as",
    "use state file",
    "upgrade: …; nothing was changed",
    "write its full path",
    "no directory of PATH has it",
}
"""Parts of messages whose headings have them in other words or whole."""
WARNED = {
    "common/taskmaster_common/schema/checks/logs.py": "its lines pass …, which is on a disk",
    "taskmasterd/configuration/alerting.py": "no log daemon listens at …",
}
"""How a warning of `-t` begins that does not explain itself, by its file."""
UNSEEN = {"not a state file", "is no integer"}
"""What is caught where it is raised."""


def headings() -> list[str]:
    """Return the headings of all pages, without back quotes."""
    pages = (page.read_text().splitlines() for page in sorted(WHY.glob("*.md")))
    return [line.lstrip("# ").replace("`", "") for lines in pages for line in lines if line.startswith("### ")]


def messages(path: Path) -> Iterator[str]:
    """Yield the texts of a source file that may be messages, each line of them; HOLE stands for what is filled in."""
    tree = ast.parse(path.read_text())
    silent = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            silent |= {id(piece) for piece in node.values}
            text = "".join(str(each.value) if isinstance(each, ast.Constant) else HOLE for each in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in silent:
            text = node.value
        else:
            continue
        for line in text.splitlines():
            told = re.sub(f"{HOLE}+", HOLE, line).replace("`", "").replace("error: ", "").replace("  ", " ")
            told = told.strip(f" {HOLE};:,.")
            if told.count(" ") >= LEAST_BLANKS:
                yield told


@pytest.mark.parametrize("source", " ".join(SOURCES).split())
def test_each_message_of_a_source_file_has_its_heading(source: str) -> None:
    known = headings()
    unsaid = set(messages(ROOT / "taskmasterd" / source)) - NO_TROUBLE - PARTS - UNSEEN
    assert [text for text in sorted(unsaid) if not any(text in each for each in known)] == []


@pytest.mark.parametrize("source", WARNED)
def test_a_warning_of_the_check_that_does_not_explain_itself_has_its_heading(source: str) -> None:
    assert any(text.startswith(WARNED[source]) for text in messages(ROOT / source))
    assert WARNED[source] in headings()


def test_what_needs_no_heading_is_still_said_somewhere() -> None:
    said = {text for source in " ".join(SOURCES).split() for text in messages(ROOT / "taskmasterd" / source)}
    assert (NO_TROUBLE | PARTS | UNSEEN) - said == set()


@pytest.mark.parametrize("page", sorted(WHY.glob("*.md")), ids=lambda page: page.stem)
def test_each_heading_has_a_text_below_it_and_stands_once(page: Path) -> None:
    lines = [line for line in page.read_text().splitlines() if line]
    empty = [line for line, after in zip(lines, (*lines[1:], "#")) if line.startswith("### ") and after.startswith("#")]
    titles = [line for line in lines if line.startswith("### ")]
    assert empty == []
    assert len(titles) == len(set(titles))
