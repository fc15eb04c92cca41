"""One unit -> one program, or one for each instance."""

from __future__ import annotations

from taskmaster_common.config import PROGRAM_KEYS
from taskmasterctl.convert.kinds.systemd.commands import Line, as_text, by_shell, hook, signal_of
from taskmasterctl.convert.kinds.systemd.identity import Environment, UnitIdentity
from taskmasterctl.convert.kinds.systemd.life import UnitRestarts, UnitStops
from taskmasterctl.convert.kinds.systemd.limits import Limits
from taskmasterctl.convert.kinds.systemd.part import UnitPart
from taskmasterctl.convert.kinds.systemd.rows import INSTALL, PROTECTIONS, SERVICE, UNIT
from taskmasterctl.convert.kinds.systemd.streams import UnitStreams
from taskmasterctl.convert.outcome.texts import rendered
from taskmasterctl.convert.report import LESS_PROTECTED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from taskmasterctl.convert.kinds.systemd.edges import Edges
    from taskmasterctl.convert.kinds.systemd.syntax import Specifiers
    from taskmasterctl.convert.kinds.systemd.unit import Directive, Unit
    from taskmasterctl.convert.outcome.model import Block, Draft
    from taskmasterctl.convert.reading.files import InputReader

HOOKS = ("ExecStartPre", "ExecStartPost", "ExecStopPost")
NO_EFFECT = ("DefaultDependencies", "NotifyAccess", "RemainAfterExit", "PassEnvironment", "SendSIGKILL")
NOT_HERE = {
    "Conflicts": ("nothing stops another unit for this one", "stop the other by hand"),
    "OnFailure": ("no unit is started when this one fails", "alerts: tells somebody, or runs a command"),
    "OnSuccess": ("no unit is started after this one", "depends_on: {NAME: done} on the other program"),
    "ExecCondition": ("nothing asks before a start", "pre_start, whose failure is a failed start"),
    "RestartPreventExitStatus": (
        "exit codes that forbid a restart do not exist",
        "exitcodes: with autorestart: unexpected",
    ),
    "RestartForceExitStatus": ("exit codes that force a restart do not exist", "leave them out of exitcodes:"),
    "SendSIGHUP": ("only the stop signal is sent", "stop_cmd: sends what you want"),
    "SupplementaryGroups": ("its groups are those of its user", "make the user a member"),
    "BusName": ("nothing waits for a name on the bus", "ready: says when it is up"),
    "SyslogIdentifier": ("its output goes to a file", "stdout: {syslog: {tag: NAME}}"),
    "SyslogFacility": ("its output goes to a file", "stdout: {syslog: {facility: NAME}}"),
    "Alias": ("a program has one name", "groups: gives others"),
    "Also": ("a program is enabled alone", "autostart: on the other one"),
    "DefaultInstance": ("instances are counted", "numprocs: or one program each"),
}
CANNOT_RUN = ("forking",)


class Service(UnitPart):
    """The conversion of one unit for one program."""

    def __init__(self, unit: Unit, block: Block, specifiers: Specifiers, outcome: Draft, reader: InputReader) -> None:
        super().__init__(unit, block, specifiers, outcome)
        self._environment = Environment(unit, block, self._expanded, outcome, reader)

    def convert(self, edges: Edges) -> None:
        """Set the keys, and report what is lost."""
        for comment in self._unit.comments:
            self._block.remark(comment)
        self._environment.convert()
        self._kind()
        self._command()
        self._hooks()
        parts = (self._unit, self._block, self._specifiers, self._outcome)
        UnitStops(*parts).convert(self._environment.known)
        UnitRestarts(*parts).convert(job=self._type == "oneshot")
        UnitIdentity(*parts).convert()
        UnitStreams(self._unit, self._block, self._expanded, self._outcome).convert()
        Limits(self._unit, self._block, self._outcome).convert()
        self._about(edges)
        self._rest()

    # -- what it is

    def _kind(self) -> None:
        directive, value = self._take("Type", str.strip)
        self._type = value or ("oneshot" if not self._has("ExecStart") else "simple")
        if directive is None:
            pass
        elif value in ("simple", "exec"):
            self._outcome.carried()
        elif value in ("notify", "notify-reload"):
            self._set("ready", "notify", directive)
        elif value == "oneshot":
            self._set("type", "oneshot", directive)
        elif value in ("dbus", "idle"):
            self._change(directive, "it counts as started once it is executed", "ready: says when it is up")
        elif value in CANNOT_RUN:
            self._drop(
                directive,
                "a program that goes to the background by itself cannot be supervised",
                "keep it in the foreground",
            )
            self._outcome.kill(self._block)
        else:
            self._unit.refuse(directive, "no type of systemd")
        if self._type not in ("oneshot", "notify", "notify-reload"):
            self._block.set("starttime", 0)
        directive, _ = self._take("PIDFile", str.strip)
        if directive is not None:
            self._drop(directive, "the leader is the process that was started", "keep it in the foreground")

    def _command(self) -> None:
        directives = self._unit.take("ExecStart")
        lines = self._lines(directives, self._environment.known)
        if not lines:
            self._outcome.report.refuse(self._unit.place(), "no ExecStart=")
            return
        first = directives[0]
        if len(lines) > 1 and self._type != "oneshot":
            self._unit.refuse(directives[-1], "more than one ExecStart= needs Type=oneshot")
        unknown = [name for line in lines for name in line.variables]
        if len(lines) > 1 or unknown:
            self._block.set("cmd", by_shell(lines))
            self._block.set("shell", True)
        else:
            self._block.set("cmd", as_text(self._expanded(first), lines[0]))
        for comment in first.comments:
            self._block.remark(comment, "cmd")
        self._prefixes(first, lines, unknown)

    def _prefixes(self, directive: Directive, lines: list[Line], unknown: list[str]) -> None:
        if any(line.ignored for line in lines) and len(lines) == 1:
            self._set_changed(
                "exitcodes",
                [*range(256)],
                directive,
                "the - says that every exit code is a success",
                "exitcodes: names those that are",
            )
        elif len(lines) > 1:
            self._change(directive, "/bin/sh runs one command after the other", key="cmd")
        elif unknown and not self._environment.files:
            text = f"/bin/sh puts {', '.join(dict.fromkeys(unknown))} in; systemd has no value for it"
            self._change(directive, text, "env: gives it one", key="cmd")
        else:
            self._outcome.carried()
        for prefix in dict.fromkeys("".join(line.prefixes for line in lines)):
            meaning = {
                "@": "another name as argv[0]",
                "+": "full privileges",
                "!": "other privileges",
                "|": "a login shell",
            }
            self._drop(
                directive, f"the prefix {prefix} ({meaning.get(prefix, 'unknown')}) does not exist here", key="cmd"
            )

    def _hooks(self) -> None:
        for name in HOOKS:
            directives = self._unit.take(name)
            lines = self._lines(directives, self._environment.known)
            if not lines:
                continue
            if name == "ExecStartPost" and self._type == "oneshot":
                self._drop(directives[0], "a job has no post_start", "add it to cmd", "post_start")
                continue
            self._block.set(SERVICE[name], hook(lines, directives[0].value, None))
            self._outcome.carried(len(directives))
        directives = self._unit.take("ExecReload")
        for directive, line in zip(directives, self._lines(directives, self._environment.known)):
            name = signal_of(line)
            instead = (
                f"taskmasterctl signal {name} {self._block.name}" if name else "run it by hand, or with pre_restart"
            )
            self._drop(directive, "nothing asks a program to read its configuration again", instead)

    # -- the rest

    def _about(self, edges: Edges) -> None:
        directive, value = self._take("Description", str.strip)
        if directive is not None and value:
            self._set("description", rendered(value[:500]), directive)
        for directive in self._unit.take("Documentation"):
            self._block.remark(f"see {directive.value}")
            self._outcome.carried()
        for name in [name for name, key in UNIT.items() if key == "depends_on"]:
            for directive in self._unit.take(name):
                edges.want(self._unit, directive, [self._block])
        wanted = [each for name in ("WantedBy", "RequiredBy") for each in self._unit.take(name)]
        self._outcome.carried(len(wanted))
        if not wanted:
            self._block.set("autostart", False)
            place = self._unit.place().replace(section="Install")
            text = "nothing wants it, so it does not start by itself"
            self._outcome.change(place, text, "autostart: true if it should", on=self._block, key="autostart")

    def _rest(self) -> None:
        for directive in self._unit.rest():
            name = directive.name
            if name in NO_EFFECT:
                self._outcome.carried()
            elif name in NOT_HERE:
                self._drop(directive, *NOT_HERE[name])
            elif name in PROTECTIONS:
                text = f"{LESS_PROTECTED}: there is no such sandbox"
                self._drop(directive, text, "put it on the unit of taskmasterd, where it holds for all programs")
            elif name.startswith(("Condition", "Assert")):
                self._drop(
                    directive, "nothing looks before a start", "pre_start: test …, whose failure is a failed start"
                )
            elif directive.section.startswith("X-") or name.startswith("X-"):
                self._outcome.ignore(self._unit.place(directive), "systemd leaves it to others")
            elif directive.section not in ("Unit", "Service", "Install"):
                self._outcome.ignore(self._unit.place(directive), "a service has no such section")
            elif name in SERVICE or name in INSTALL or name in PROGRAM_KEYS:
                self._drop(directive, "it has no counterpart here")
            else:
                self._drop(directive, "import does not know it", "look in systemd.directives(7) for what it does")
