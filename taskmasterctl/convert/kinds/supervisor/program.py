"""One `[program:x]` -> one program, or one for each process where the number of the process is computed with. Pure."""

from __future__ import annotations

import re

from taskmaster_common.text.nearest import nearest
from taskmasterctl.convert.kinds.supervisor.rows import MEANT, PROGRAM
from taskmasterctl.convert.kinds.supervisor.sockets import SOCKET_OPTIONS
from taskmasterctl.convert.kinds.supervisor.streams import LogOptions
from taskmasterctl.convert.kinds.supervisor.values import (
    boolean,
    codes,
    environment,
    has_variable,
    octal,
    restart,
    stop_signal,
    whole,
)
from taskmasterctl.convert.outcome.commands import has_bare, plain_command, shell_command
from taskmasterctl.convert.outcome.texts import INSTANCE, rendered, variable
from taskmasterctl.convert.reading.taking import Taking
from taskmasterctl.convert.secrets import is_secret

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from taskmasterctl.convert.kinds.supervisor.expand import Names
    from taskmasterctl.convert.kinds.supervisor.facts import InputFacts
    from taskmasterctl.convert.outcome.model import Block, Draft
    from taskmasterctl.convert.reading.ini import IniOption, Section

SIMPLE: dict[str, Callable[[str], Any]] = {
    "autostart": boolean,
    "autorestart": restart,
    "startsecs": whole,
    "startretries": whole,
    "exitcodes": codes,
    "stopsignal": stop_signal,
    "stopwaitsecs": whole,
    "umask": octal,
}
"""Options whose value only changes its notation."""
NAMES_OF_SUPERVISOR = ("ENABLED", "PROCESS_NAME", "GROUP_NAME")
NUMBERING = ("numprocs", "process_name", "numprocs_start")
VARYING = ("command", "environment", "directory", "stdout_logfile", "stderr_logfile")
"""Options whose value may differ between the instances of one program."""
DEFAULT_PRIORITY = 999


class ProgramSection:
    """One program of the input. `blocks` are the programs of the outcome."""

    def __init__(self, name: str, section: Section, names: Names, outcome: Draft, facts: InputFacts) -> None:
        self.name = name
        self.section = section
        self.names = names
        self.blocks: list[Block] = []
        self.priority = DEFAULT_PRIORITY
        self._outcome = outcome
        self._facts = facts
        self._taking = Taking(section)
        self._start = 0
        self._padding = ""
        self._elsewhere: tuple[str, ...] = ()

    def look_at(self, facts: InputFacts) -> None:
        """Take what is known only when all programs were looked at."""
        self._facts = facts

    def leave_out_socket(self) -> None:
        """Leave the options of a socket to the caller."""
        self._elsewhere = SOCKET_OPTIONS

    def numbers(self) -> None:
        """Read what says how many processes there are, and the order."""
        count = self._read("numprocs", whole)
        start = self._read("numprocs_start", whole)
        priority = self._read("priority", whole)
        if isinstance(count, int) and count < 0:
            self._refuse("numprocs", "fewer than none")
        self.names.numprocs = count if isinstance(count, int) else None if count else 1
        self._start = start if isinstance(start, int) else 0
        self.priority = priority if isinstance(priority, int) else DEFAULT_PRIORITY
        option = self.section.options.get("process_name")
        found = re.search(r"%\(process_num\)(0\d)?[ds]", option.value) if option else None
        self._padding = (found[1] or "") if found else ""
        if isinstance(self.names.numprocs, int) and self.names.numprocs > 1 and not found:
            self._refuse("numprocs", "process_name has to hold %(process_num)d where numprocs is more than 1")

    def convert(self, make: Callable[[str], Block]) -> None:
        """Make the program, or one for each number. `make` adds a program of that name to the outcome."""
        self._probe()
        split = self.names.needs_split or (self.names.uses_number and self._start != 0)
        if not split or self.names.numprocs is None:
            block = make(self.name)
            if self.names.numprocs != 1:
                option = self.section.options["numprocs"]
                count = self.names.numprocs
                block.set("numprocs", rendered(self.names.expanded(option)) if count is None else count)
            self._fill(block, quiet=False)
            return
        for number in range(self._start, self._start + self.names.numprocs):
            self.names.number = number
            block = make(f"{self.name}-{f'%{self._padding}d' % number}")
            self._taking = Taking(self.section)
            self._fill(block, quiet=number != self._start)
        self._report_split()

    def _probe(self) -> None:
        """Look at each value once, to see whether one holds the number of the process."""
        for option in self.section.options.values():
            if option.name not in (*NUMBERING, "priority") and option.name in PROGRAM:
                try:
                    text = self.names.expanded(option)
                    self.names.needs_split |= variable(INSTANCE) in text and option.name not in VARYING
                except ValueError as error:
                    self._refuse(option.name, str(error))

    def _report_split(self) -> None:
        place = self.section.place(self.section.options.get("numprocs", ""))
        names = f"{self.blocks[0].name} … {self.blocks[-1].name}"
        text = f"the number of the process is computed with, so there is one program for each: {names}"
        self._outcome.change(place, text, f"the group {self.name} has them all", on=self.blocks[0], key="numprocs")
        free = self._outcome.free_name(self.name)
        self._outcome.groups[free] = [block.name for block in self.blocks]

    def _names_of_processes(self) -> None:
        """Count what names and counts the processes, and note how they are called here."""
        for name in NUMBERING:
            self._outcome.carried(self._taking.take(name) is not None)
        option = self.section.options.get("process_name")
        if option is None or self.names.number is not None:
            return
        report = self._outcome.report
        if self.names.numprocs != 1:
            report.note(
                "its processes are called NAME:0, NAME:1 here; there NAME:NAME_00, or as process_name says", self.name
            )
        elif option.value != "%(program_name)s":
            report.note("its one process has the name of the program here, and that of process_name there", self.name)

    # -- options

    def _refuse(self, option: str, text: str) -> None:
        self._outcome.report.refuse(self.section.place(self.section.options.get(option, option)), text)

    def _read(self, name: str, reader: Callable[[str], Any]) -> Any:
        """Return an option's value without taking it, None if it is missing or wrong."""
        option = self.section.options.get(name)
        if option is None:
            return None
        try:
            return reader(self.names.expanded(option, absolute=name not in VARYING))
        except ValueError as error:
            self._refuse(name, str(error))
            return None

    def _fill(self, block: Block, *, quiet: bool) -> None:
        """Set the keys of one program of the outcome; `quiet`: the report has it from another one already."""
        self.blocks.append(block)
        outcome = self._outcome
        kept = outcome.report.problems, outcome.report.carried
        if quiet:
            outcome.report.problems, outcome.report.carried = [], 0
        for comment in self.section.comments:
            block.remark(comment)
        self._names_of_processes()
        self._environment(block)
        self._command(block)
        for name, reader in SIMPLE.items():
            self._set(block, name, reader)
        for name in ("directory", "user"):
            self._set(block, name, lambda text: rendered(text.strip()))
        self._stops(block)
        LogOptions(self._taking, self.names, outcome, self._facts, self.name).convert(block)
        self._priority(block)
        self._others(block)
        self._notes(block)
        if quiet:
            outcome.report.problems, outcome.report.carried = kept

    def _set(self, block: Block, name: str, reader: Callable[[str], Any]) -> None:
        option = self._taking.take(name)
        if option is None:
            return
        value = self._read(name, reader)
        if value is not None and value != "":
            block.set(PROGRAM[name], value)
            _comment(block, option, PROGRAM[name])
        self._outcome.carried()

    def _command(self, block: Block) -> None:
        option = self._taking.take("command")
        if option is None:
            self._refuse("command", "a program has a command")
            return
        try:
            text = self.names.expanded(option)
            if has_bare(text):
                self._split_by_shell(block, option)
                return
            block.set("cmd", plain_command(text))
            self._outcome.carried()
        except ValueError as error:
            self._refuse("command", str(error))
        _comment(block, option, "cmd")

    def _split_by_shell(self, block: Block, option: IniOption) -> None:
        """A shell splits the values of variables, as supervisor does before it splits the command. Raises ValueError."""
        block.set("cmd", shell_command(self.names.expanded(option, absolute=True)))
        block.set("shell", True)
        text = (
            "supervisor puts variables in before it splits the command, so /bin/sh runs it here and splits their values"
        )
        self._outcome.change(self.section.place(option), text, "quotes in a value stay", on=block, key="cmd")
        _comment(block, option, "cmd")

    def _environment(self, block: Block) -> None:
        option = self._taking.take("environment")
        own: dict[str, str] = {}
        if option is not None:
            try:
                own = environment(self.names.expanded(option))
            except ValueError as error:
                self._refuse("environment", str(error))
            self._outcome.carried()
            _comment(block, option, "env")
        self.names.own = {**self._facts.environment, **own}
        if self._facts.supervisor_env:
            own |= _supervisor_variables(self.name)
        if own:
            block.set("env", {name: rendered(value) for name, value in own.items()})
        self._outcome.secret |= any(is_secret(name) for name in own)

    def _stops(self, block: Block) -> None:
        stop, kill = (self._read(name, boolean) for name in ("stopasgroup", "killasgroup"))
        for name in ("stopasgroup", "killasgroup"):
            self._outcome.carried(self._taking.take(name) is not None)
        if stop:
            if kill is False:
                self._refuse("killasgroup", "stopasgroup=true and killasgroup=false exclude each other")
            return
        if not kill and self._facts.strict_stop:
            block.set("stopasgroup", False)
            return
        block.set("stopasgroup", "leader")
        if not kill:
            text = (
                "a stop signals the leader alone, as before, but what a leader leaves is ended here (there it lived on); "
                "--strict-stop leaves it alone"
            )
            self._outcome.report.note(text, self.name)

    def _priority(self, block: Block) -> None:
        option = self._taking.take("priority")
        if option is None:
            return
        differ = len(set(self._facts.priorities)) > 1
        if self._facts.ordered or not differ:
            self._outcome.carried()
            return
        text = "programs start in this order, and all are stopped at once"
        self._outcome.change(self.section.place(option), text, "--ordered keeps the order of stopping", on=block)

    def _others(self, block: Block) -> None:
        outcome = self._outcome
        option = self._taking.take("serverurl")
        if option is not None and option.value.strip().upper() != "AUTO":
            outcome.drop(self.section.place(option), "children find the socket in TASKMASTER_SOCKET", on=block)
        elif option is not None:
            outcome.carried()
        if self.names.lacks_host:
            text = "%(host_node_name)s is known to the old host only, and is empty here"
            outcome.drop(self.section.place(), text, "--set host_node_name=NAME puts it in", on=block)
        self._unknown(block)

    def _unknown(self, block: Block) -> None:
        for option in [*self._taking.rest()]:
            if option.name in self._elsewhere:
                continue
            near = nearest(option.name, PROGRAM)
            meant = MEANT.get(option.name, f"{near} is what it seems to mean" if near else "")
            text = "supervisor does not know this option either"
            self._outcome.ignore(self.section.place(option), text, meant.replace("{value}", option.value), on=block)

    def _notes(self, block: Block) -> None:
        report = self._outcome.report
        if "directory" not in self.section.options and not self._facts.workdir:
            text = "without `directory`: they run in the directory of taskmaster.yaml; --workdir DIR says where supervisord was started"
            report.note(text, self.name)
        if "user" in block.keys:
            text = "with `user`: HOME, USER, LOGNAME and SHELL are that user's here, and were supervisord's there"
            report.note(text, self.name)
        if any(isinstance(value, str) and has_variable(value) for value in block.keys.values()):
            report.note("with values that only the environment has", self.name)


def _comment(block: Block, option: IniOption, key: str) -> None:
    for comment in option.comments:
        block.remark(comment, key)


def _supervisor_variables(name: str) -> dict[str, str]:
    values = ("1", name, name)
    return {f"SUPERVISOR_{each}": value for each, value in zip(NAMES_OF_SUPERVISOR, values)}
