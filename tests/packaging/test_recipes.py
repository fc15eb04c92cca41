"""The recipes of CONTRIBUTING.md work: each is followed in a copy of the tree."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.daemon import ROOT
from tests.support.wait import wait_until

VERB = {
    "common/taskmaster_common/commands/table.py": (
        '    Command("version", "look", LOOK),\n',
        '    Command("uptime", "look", LOOK),\n',
    ),
    "common/taskmaster_common/commands/looking.py": (
        '    "subscribe": Help(\n',
        '    "uptime": Help("Look", "how long the daemon has run", exits="0", examples=("uptime",)),\n',
    ),
    "taskmasterd/control/verbs/look.py": (
        "VERBS = {",
        """def uptime(call: Call) -> None:
    \"\"\"How long the daemon has run.\"\"\"
    call.connection.send({"type": "text", "text": f"up {daemon_object(call.context, call.sight)['uptime_s'] >= 0}"})
    call.connection.end(end(0))


VERBS = {"uptime": uptime, """,
    ),
}
EVENT = {
    "taskmasterd/core/process/events.py": (
        "class Spawned(Event):\n",
        'class Renewed(Event):\n    """The program has read its configuration again."""\n\n\n',
    ),
    "taskmasterd/core/process/machine.py": (
        "        case Executed() if not process.executed:\n            return _on_trial",
        "        case Renewed():\n            return process, NONE\n",
    ),
    "tests/support/walk.py": ('    "Spawned": Spawned(7),\n', '    "Renewed": Renewed(),\n'),
}
"""What stands before what, by the file: for each recipe the lines that it adds."""


def follow(tree: Path, recipe: dict[str, tuple[str, str]]) -> None:
    """Copy the sources into `tree`, and add the lines of a recipe."""
    for name in ("common", "taskmasterctl", "taskmasterd", "tests"):
        shutil.copytree(ROOT / name, tree / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name, (before, added) in recipe.items():
        text = (tree / name).read_text()
        assert text.count(before) == 1, f"{name} has changed: mend the recipe of CONTRIBUTING.md and this test"
        (tree / name).write_text(text.replace(before, added if added.endswith(", ") else added + before))


def environment(tree: Path) -> dict[str, str]:
    return {"PYTHONPATH": f"{tree}:{tree / 'common'}", "HOME": str(tree), "PATH": "/usr/bin:/bin"}


@pytest.mark.slow
def test_a_verb_that_follows_the_recipe_is_in_the_help_and_is_answered(tmp_path: Path, short_dir: Path) -> None:
    follow(tmp_path, VERB)
    socket, config = str(short_dir / "s"), tmp_path / "taskmaster.yaml"
    config.write_text(f"taskmasterd: {{log_dir: {tmp_path}, logfile: {tmp_path}/events}}\nprograms: {{}}\n")

    def client(*words: str) -> str:
        command = [sys.executable, "-m", "taskmasterctl", "-s", socket, *words]
        done = subprocess.run(command, env=environment(tmp_path), capture_output=True, text=True, check=False)
        return done.stdout

    daemon = subprocess.Popen(
        [sys.executable, "-m", "taskmasterd", "-n", "-s", socket, "-c", str(config)],
        env=environment(tmp_path),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=tmp_path,
    )
    try:
        wait_until(lambda: client("uptime") == "up True\n", within_s=60.0)
        assert "how long the daemon has run" in client("help")
    finally:
        daemon.terminate()
        daemon.wait(timeout=20)


def test_an_event_that_follows_the_recipe_is_answered_or_impossible_in_every_state(tmp_path: Path) -> None:
    follow(tmp_path, EVENT)
    for name in ("taskmasterd/core/process/machine.py", "tests/support/walk.py"):
        text = (tmp_path / name).read_text()
        (tmp_path / name).write_text(text.replace("    Restart,\n", "    Renewed,\n    Restart,\n", 1))
    code = (
        "from tests.support.walk import POLICIES, World; world = World(POLICIES[0]); "
        "edges = [edge for each in world.edges.values() for edge in each if edge.event == 'Renewed']; "
        "print(*sorted({edge.before.state for edge in edges}), len({s for s, e in world.refused if e == 'Renewed'}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=environment(tmp_path),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "STARTING 9\n", done.stderr
