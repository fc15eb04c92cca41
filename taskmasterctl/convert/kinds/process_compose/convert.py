"""process-compose files -> an outcome: processes, what they need of each other, namespaces."""

from __future__ import annotations

from taskmasterctl.convert.kinds.process_compose.process import ComposedProcess
from taskmasterctl.convert.kinds.process_compose.rows import CONDITIONS, NOT_HERE, WITHOUT_EFFECT
from taskmasterctl.convert.reading.tree import Fields, pairs_of, root_of, text_of
from taskmasterctl.convert.secrets import is_secret

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from taskmasterctl.convert.outcome.model import Draft
    from taskmasterctl.convert.reading.files import InputFile, InputReader
    from taskmasterctl.convert.settings import ImportSettings

OF_ALL = (
    "/bin/sh runs commands that need a shell (there bash)",
    "output goes to logs; `taskmasterctl logs -f` shows it with names, and `taskmasterd --follow` runs all in one terminal",
    "the daemon stays when all programs have ended; exit_when: all-done ends it",
)


def convert(files: Sequence[InputFile], settings: ImportSettings, reader: InputReader, outcome: Draft) -> None:
    """Convert these files. Raises Unreadable, WrongInput."""
    found: dict[str, tuple[ComposedProcess, Fields]] = {}
    for file in files:
        reader.check_time()
        root = root_of(file)
        _global(root, outcome)
        for name, fields in root.each("processes"):
            reader.check_time()
            block, reason = outcome.program(name)
            if reason:
                outcome.change(fields.place(), f"it is called {block.name} here: {reason}", on=block)
            process = ComposedProcess(name, fields, block, outcome)
            process.convert()
            found[name] = process, fields
        _rest(root, outcome)
    if settings.workdir:
        outcome.defaults.set("workingdir", settings.workdir)
    for process, fields in found.values():
        _dependencies(process, fields, found, outcome)
        _namespace(process, fields, outcome)
        process.rest()
    for text in OF_ALL if found else ():
        outcome.report.note(text)


def _global(root: Fields, outcome: Draft) -> None:
    node = root.take("environment")
    if node is None:
        return
    try:
        env = pairs_of(node)
    except ValueError as error:
        outcome.report.refuse(root.place("environment", node), str(error))
        return
    process = ComposedProcess("", root, outcome.defaults, outcome)
    outcome.defaults.set("env", {name: process.expanded(value) for name, value in env.items()})
    outcome.secret |= any(is_secret(name) for name in env)
    outcome.carried()


def _rest(root: Fields, outcome: Draft) -> None:
    for name, node in root.rest():
        place = root.place(name, node)
        if name in WITHOUT_EFFECT:
            outcome.carried()
        elif name == "vars":
            outcome.report.refuse(place, "variables of templates, which only process-compose fills in")
        elif name in NOT_HERE:
            outcome.drop(place, *NOT_HERE[name])
        else:
            outcome.drop(place, "import does not know it")


def _dependencies(
    process: ComposedProcess, fields: Fields, found: dict[str, tuple[ComposedProcess, Fields]], outcome: Draft
) -> None:
    needs: dict[str, Any] = {}
    for name, each in fields.each("depends_on"):
        other = found.get(name)
        node = each.take("condition")
        word = text_of(node) if node is not None else "process_started"
        if other is None:
            outcome.report.refuse(each.place(), f"there is no process {name}")
        elif word not in CONDITIONS:
            outcome.report.refuse(each.place("condition", node), f"{word}: no condition of process-compose")
        else:
            condition = CONDITIONS[word]
            if condition == "done":
                _job(other[0])
            needs[other[0].block.name] = {"condition": condition}
            outcome.carried()
    if needs:
        process.block.set("depends_on", needs)


def _job(process: ComposedProcess) -> None:
    """Make a program a job, whose good end others wait for."""
    if "schedule" in process.block.keys:
        return  # which makes it one
    process.block.set("type", "oneshot")
    for key in ("starttime", "autorestart"):
        if process.block.keys.get(key) in (0, "never"):
            process.block.keys.pop(key, None)


def _namespace(process: ComposedProcess, fields: Fields, outcome: Draft) -> None:
    node = fields.take("namespace")
    if node is None:
        return
    name, reason = outcome.group(text_of(node))
    if reason:
        text = f"the group is called {name} here: {reason}"
        outcome.change(fields.place("namespace", node), text, on=process.block)
    else:
        outcome.carried()
    outcome.groups[name].append(process.block.name)
