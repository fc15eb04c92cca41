"""Files of supervisor -> an outcome: includes, the order of programs, groups, and what is true of all."""

from __future__ import annotations

import os

from taskmasterctl.convert.kinds.supervisor.daemon import DaemonSection, inet_server, names_of_logs, unix_server
from taskmasterctl.convert.kinds.supervisor.expand import Names
from taskmasterctl.convert.kinds.supervisor.facts import InputFacts
from taskmasterctl.convert.kinds.supervisor.listeners import http_checks, listener
from taskmasterctl.convert.kinds.supervisor.program import ProgramSection
from taskmasterctl.convert.kinds.supervisor.sockets import FcgiSocket
from taskmasterctl.convert.kinds.supervisor.values import has_variable
from taskmasterctl.convert.outcome.texts import rendered
from taskmasterctl.convert.reading.ini import Ini
from taskmasterctl.convert.report import Where

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from taskmasterctl.convert.outcome.model import Block, Draft
    from taskmasterctl.convert.reading.files import InputFile, InputReader
    from taskmasterctl.convert.reading.ini import Section
    from taskmasterctl.convert.settings import ImportSettings

OF_ALL = (
    "failed starts are tried again after 0.5, 1, 2 s and so on up to 30 (there 1, 2, 3 s)",
    "after 10 automatic restarts in 60 s a program waits (there it does not)",
    "each process has a session of its own, and reads from /dev/null unless that is a socket (there an open pipe: `cat` ends here)",
)
EXACT = ("supervisorctl", "rpcinterface:supervisor")
KNOWN = ("supervisord", "unix_http_server", "inet_http_server", "include", *EXACT)
PREFIXES = ("program:", "fcgi-program:", "eventlistener:", "group:", "rpcinterface:", "ctlplugin:")
BAD_IN_NAMES = " :/"


def convert(files: Sequence[InputFile], settings: ImportSettings, reader: InputReader, outcome: Draft) -> None:
    """Convert these files and those that they include. Raises Unreadable, WrongInput."""
    _Conversion(settings, reader, outcome).run(files)


class _Conversion:
    def __init__(self, settings: ImportSettings, reader: InputReader, outcome: Draft) -> None:
        self._settings = settings
        self._reader = reader
        self._outcome = outcome
        self._ini = Ini(outcome.report)
        self._programs: list[ProgramSection] = []
        self._by_name: dict[str, Block] = {}

    def run(self, files: Sequence[InputFile]) -> None:
        for file in files:
            self._ini.read(file)
            self._include()
        facts = self._facts(self._daemon())
        for name, section in self._sections():
            self._prepare(name, section, facts)
        facts = facts.replace(priorities=tuple(each.priority for each in self._programs))
        self._convert_all(facts)
        self._groups()
        self._other_sections()
        if "supervisord" in self._ini.sections:
            names_of_logs(self._ini.sections["supervisord"], self._outcome)
        if self._programs:
            for text in OF_ALL:
                self._outcome.report.note(text)
        if not facts.supervisor_env:
            self._outcome.report.note("SUPERVISOR_* variables are not set; --supervisor-env sets three of them")

    # -- files

    def _include(self) -> None:
        """Read the files of `[include]`, one level deep."""
        section = self._ini.sections.pop("include", None)
        if section is None:
            return
        option = section.options.get("files")
        if option is None:
            self._outcome.report.refuse(section.place(), "[include] needs files=")
            return
        try:
            patterns = self._names("").expanded(option, absolute=True).split()
        except ValueError as error:
            self._outcome.report.refuse(section.place(option), str(error))
            return
        self._outcome.carried()
        for pattern in patterns:
            if has_variable(pattern):
                text = f"{rendered(pattern)} is known where supervisord runs"
                self._outcome.drop(section.place(option), text, "--set NAME=VALUE for its variables")
                continue
            self._include_matching(os.path.join(option.file.directory, pattern), pattern)
        self._ignore_deeper()

    def _include_matching(self, pattern: str, shown: str) -> None:
        paths = self._reader.matching(pattern)
        if not paths:
            self._outcome.report.note(f"no file matches {shown} of [include]")
        for path in paths:
            file = self._reader.included(path)
            if file is not None:
                file.name = os.path.relpath(path) if len(os.path.relpath(path)) < len(path) else path
                self._ini.read(file)
            else:
                self._outcome.report.note(f"{shown} of [include] names a file that was read already: {path}")

    def _ignore_deeper(self) -> None:
        deeper = self._ini.sections.pop("include", None)
        for option in deeper.options.values() if deeper else ():
            place = Where(option.file.name, option.line, "include", option.name, option.value)
            self._outcome.ignore(place, "supervisor follows [include] of the main file only")

    # -- sections

    def _names(self, program: str, group: str = "") -> Names:
        return Names(self._settings, self._outcome.report, program, group or program)

    def _daemon(self) -> DaemonSection | None:
        section = self._ini.sections.get("supervisord")
        if section is None:
            self._outcome.report.note("there is no [supervisord] here: a fragment, whose main file may say more")
            return None
        daemon = DaemonSection(section, self._settings, self._outcome)
        daemon.convert()
        self._outcome.foreground = daemon.foreground
        return daemon

    def _facts(self, daemon: DaemonSection | None) -> InputFacts:
        mentions = any(
            "SUPERVISOR_" in option.value
            for section in self._ini.sections.values()
            for option in section.options.values()
        )
        if self._settings.workdir and "workingdir" not in self._outcome.defaults.keys:
            self._outcome.defaults.set("workingdir", self._settings.workdir)
        return InputFacts(
            foreground=daemon.foreground if daemon else None,
            listens=any(True for _ in self._ini.named("eventlistener:")),
            environment=daemon.environment if daemon else {},
            supervisor_env=self._settings.supervisor_env or mentions,
            ordered=self._settings.ordered,
            strict_stop=self._settings.strict_stop,
            workdir=self._settings.workdir or ("given" if "workingdir" in self._outcome.defaults.keys else ""),
        )

    def _sections(self) -> list[tuple[str, Section]]:
        return [*self._ini.named("program:"), *self._ini.named("fcgi-program:"), *self._ini.named("eventlistener:")]

    def _group_of(self, name: str) -> str:
        for group, section in self._ini.named("group:"):
            option = section.options.get("programs")
            if option and name in [each.strip() for each in option.value.split(",")]:
                return group
        return name

    def _prepare(self, name: str, section: Section, facts: InputFacts) -> None:
        self._reader.check_time()
        wrong = next((character for character in BAD_IN_NAMES if character in name), "")
        if wrong or not name:
            self._outcome.report.refuse(section.place(), f"supervisor does not allow {wrong!r} in a name")
            return
        names = self._names(name, self._group_of(name))
        names.own = facts.environment
        program = ProgramSection(name, section, names, self._outcome, facts)
        program.numbers()
        self._programs.append(program)

    def _convert_all(self, facts: InputFacts) -> None:
        self._programs.sort(key=lambda each: each.priority)
        sockets: dict[str, Any] = {}
        for program in self._programs:
            self._reader.check_time()
            program.look_at(facts)
            if program.section.name.startswith("eventlistener:"):
                block = self._make(program)(program.name)
                listener(program.name, program.section, block, self._outcome)
                continue
            if not program.section.name.startswith("fcgi-program:"):
                program.convert(self._make(program))
                continue
            program.leave_out_socket()
            program.convert(self._make(program))
            FcgiSocket(program.section, program.names, self._outcome, sockets).convert(program.blocks)
        for _, section in self._ini.named("eventlistener:"):
            for block in http_checks(section, self._by_name, self._names(""), self._outcome):
                text = "superlance's httpok looks every minute; here the health check does, every 10 s"
                self._outcome.change(section.place(section.options["command"]), text, on=block, key="health")
        if facts.ordered:
            self._order()

    def _make(self, program: ProgramSection) -> Callable[[str], Block]:
        def make(name: str) -> Block:
            block, reason = self._outcome.program(name)
            if reason:
                text = f"it is called {block.name} here: {reason}"
                self._outcome.change(program.section.place(), text, on=block)
            self._by_name[name] = block
            return block

        return make

    def _order(self) -> None:
        """Write a soft edge to each program of the next lower priority: stops then go from the last to the first."""
        by_priority: dict[int, list[Block]] = {}
        for program in self._programs:
            by_priority.setdefault(program.priority, []).extend(each for each in program.blocks if not each.dead)
        before: list[Block] = []
        for _, blocks in sorted(by_priority.items()):
            for block in blocks if before else ():
                block.set("depends_on", {each.name: {"condition": "started", "required": False} for each in before})
            before = blocks or before

    # -- other sections

    def _groups(self) -> None:
        for name, section in self._ini.named("group:"):
            for option in section.options.values():
                if option.name == "programs":
                    self._group(name, section, [each.strip() for each in option.value.split(",") if each.strip()])
                elif option.name == "priority":
                    text = "a group has no place in the order here; its programs have"
                    self._outcome.drop(section.place(option), text)
                else:
                    self._outcome.ignore(
                        section.place(option), "supervisor does not know this option of a group either"
                    )

    def _group(self, name: str, section: Section, members: list[str]) -> None:
        place = section.place(section.options["programs"])
        known = {program.name: [block.name for block in program.blocks if not block.dead] for program in self._programs}
        for member in members:
            if member not in known:
                self._outcome.report.refuse(place, f"there is no program {member}")
        written = [each for member in members for each in known.get(member, ())]
        free = self._outcome.free_name(name)
        if free != name:
            self._outcome.change(place, f"the group is called {free} here: a program has its name")
        else:
            self._outcome.carried()
        self._outcome.groups[free] = written

    def _other_sections(self) -> None:
        for name, section in self._ini.sections.items():
            if name in EXACT:
                self._outcome.carried(len(section.options))
            elif name == "unix_http_server":
                unix_server(section, self._outcome, self._names(""))
            elif name == "inet_http_server":
                inet_server(section, self._outcome)
            elif name.startswith(("rpcinterface:", "ctlplugin:")):
                text = f"{name.partition(':')[2]} extends supervisor's own interface"
                self._outcome.drop(section.place(), text, "the protocol of the socket is in docs/protocol.md")
            elif name not in KNOWN and not name.startswith(PREFIXES):
                for option in section.options.values():
                    self._outcome.ignore(section.place(option), "supervisor does not know this section either")
