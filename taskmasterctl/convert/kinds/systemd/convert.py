"""Units -> an outcome: their names, their instances, and what they say of each other."""

from __future__ import annotations

import os

from taskmaster_common.errors import RequestError
from taskmasterctl.convert.kinds.systemd.edges import Edges
from taskmasterctl.convert.kinds.systemd.service import Service
from taskmasterctl.convert.kinds.systemd.syntax import Specifiers
from taskmasterctl.convert.kinds.systemd.unit import Unit

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from taskmasterctl.convert.outcome.model import Block, Draft
    from taskmasterctl.convert.reading.files import InputFile, InputReader
    from taskmasterctl.convert.settings import ImportSettings

INSTANCES = "instances"
USAGE = 2
OF_ALL = (
    "programs inherit the environment of taskmasterd; systemd gives its services little more than PATH and LANG",
    "a program that reaches its restart limit waits, and is never given up",
)


def convert(files: Sequence[InputFile], settings: ImportSettings, reader: InputReader, outcome: Draft) -> None:
    """Convert these units. Raises Unreadable, WrongInput, and RequestError for a template without instances."""
    edges = Edges(outcome)
    for file in files:
        reader.check_time()
        name = os.path.basename(file.name).removesuffix(".service")
        blocks = [
            _service(file, name, instance, settings, reader, outcome, edges) for instance in _instances(name, settings)
        ]
        edges.add(name, blocks)
        numbers = _numbers(settings) if name.endswith("@") else 0
        if numbers > 1:
            blocks[0].set("numprocs", numbers)
    edges.write()
    for text in OF_ALL:
        outcome.report.note(text)


def _instances(name: str, settings: ImportSettings) -> list[str | None]:
    """Return the instances that are programs of their own; None for one program that has them all, or for no template."""
    if not name.endswith("@"):
        return [None]
    given = settings.values.get(INSTANCES, "")
    if not given:
        raise RequestError(
            "usage", f"{name}.service is a template; --set instances=1,2 says which instances there are", USAGE
        )
    return [None] if _numbers(settings) else [*given.split(",")]


def _numbers(settings: ImportSettings) -> int:
    """Return the number of instances where they are 0, 1 and so on without a gap, else 0."""
    given = settings.values.get(INSTANCES, "").split(",")
    return len(given) if given == [str(number) for number in range(len(given))] else 0


def _service(  # noqa: PLR0913, PLR0917 - all that one unit needs
    file: InputFile,
    name: str,
    instance: str | None,
    settings: ImportSettings,
    reader: InputReader,
    outcome: Draft,
    edges: Edges,
) -> Block:
    unit = Unit(file, outcome.report)
    block, reason = outcome.program(f"{name}{instance}" if instance else name.removesuffix("@"))
    if reason:
        outcome.change(unit.place(), f"it is called {block.name} here: {reason}", on=block)
    specifiers = Specifiers(name, instance, settings.values, template=name.endswith("@"))
    Service(unit, block, specifiers, outcome, reader).convert(edges)
    return block
