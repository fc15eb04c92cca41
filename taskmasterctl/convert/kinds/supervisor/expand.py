"""`%(NAME)s` in supervisor's values, as texts with variables. Pure.

Source: supervisor's documentation of the configuration file; Python's % with a mapping.
"""

from __future__ import annotations

import re

from taskmasterctl.convert.outcome.texts import INSTANCE, variable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from taskmasterctl.convert.reading.ini import IniOption
    from taskmasterctl.convert.report import LossReport
    from taskmasterctl.convert.settings import ImportSettings

MOST_PADDED = 10
"""Most instances whose numbers all have one digit."""
_FORMAT = re.compile(r"%(?:(%)|\(([^)]*)\)([-#0 +]*\d*(?:\.\d+)?)([sdi]))?")


class Names:
    """What can stand in a value of one program. `number`: the process that is meant, None for all instances of one program.

    `own` are the variables of its environment and of supervisord's, as texts with variables. After `expanded`, `uses_number`
    says whether the process's number was in a value, and `needs_split` whether one program cannot hold all instances.
    """

    def __init__(self, settings: ImportSettings, report: LossReport, program: str, group: str) -> None:
        self.own: Mapping[str, str] = {}
        self.numprocs: int | None = 1
        self.number: int | None = None
        self.uses_number = False
        self.needs_split = False
        self.lacks_host = False
        self._settings = settings
        self._report = report
        self._program = program
        self._group = group

    def expanded(self, option: IniOption, *, absolute: bool = False) -> str:
        """Return an option's value with its names replaced. Raises ValueError for what supervisor refuses.

        `absolute`: `%(here)s` becomes a path without a variable.
        """
        here = option.file.directory if absolute else self._settings.beside(option.file.directory)
        return _FORMAT.sub(lambda found: self._one(found, here), option.value)

    def _one(self, found: re.Match[str], here: str) -> str:
        if found[1]:
            return "%"
        if found[2] is None:
            raise ValueError("a % that begins no %(NAME)s; write %% for the character")
        name, flags, kind = found[2], found[3], found[4]
        if name in ("process_num", "numprocs"):
            return self._number(name, flags, kind)
        text = self._text(name, here)
        if kind != "s":
            raise ValueError(f"%({name}){flags}{kind}: a text, not a number")
        return text if not flags else f"%{flags}s" % text

    def _text(self, name: str, here: str) -> str:
        if name == "here":
            return here
        if name == "program_name":
            return self._program
        if name == "group_name":
            return self._group
        if name == "host_node_name":
            self.lacks_host = name not in self._settings.values
            return self._settings.values.get(name, "")
        if not name.startswith("ENV_"):
            raise ValueError(f"%({name})s: supervisor has no such name")
        return self._environment(name[4:])

    def _environment(self, name: str) -> str:
        if name in self.own:
            return self.own[name]
        if name in self._settings.values:
            return self._settings.values[name]
        if not name.isidentifier() or not name.isascii():
            raise ValueError(f"%(ENV_{name})s: no name of a variable")
        self._report.need(name)
        return variable(name)

    def _number(self, name: str, flags: str, kind: str) -> str:
        value = self.numprocs if name == "numprocs" else self.number
        self.uses_number |= name == "process_num"
        if value is not None:
            return f"%{flags}{kind}" % value
        if name == "numprocs":
            self.needs_split = True
            return ""
        padded = re.fullmatch(r"0([1-9])", flags)
        if flags and (not padded or self.numprocs is None or self.numprocs > MOST_PADDED):
            self.needs_split = True
        return "0" * (int(padded[1]) - 1 if padded else 0) + variable(INSTANCE)
