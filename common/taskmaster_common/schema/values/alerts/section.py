"""`alerts:` -> the rules of all files. What a rule is about is checked once all programs and groups are known."""

from __future__ import annotations

from taskmaster_common.config.alerts.keys import ALERT
from taskmaster_common.config.alerts.rule import AlertRule
from taskmaster_common.config.alerts.words import DESTINATIONS
from taskmaster_common.schema.advice.foreign import ALERT_WORDS
from taskmaster_common.schema.advice.meant import unknown_key
from taskmaster_common.schema.nodes import BROKEN, MAPPING
from taskmaster_common.schema.report import quoted
from taskmaster_common.schema.values.alerts.destinations import alert_command_of, http_of, mail_of, syslog_of
from taskmaster_common.schema.values.alerts.events import events_of, rate_of, targets_of
from taskmaster_common.schema.values.groups import Guesses
from taskmaster_common.schema.values.kinds import DECODERS, VARIABLE, decode_value, variable_name_problem
from taskmaster_common.text.names import name_problem
from taskmaster_common.text.patterns import Pattern, is_pattern

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from taskmaster_common.config import ProgramConfig
    from taskmaster_common.schema.nodes import Node
    from taskmaster_common.schema.report import Report
    from taskmaster_common.schema.values.scalars import Decoding

ALERTS = "alerts"
ALERT_TABLE = {key.name: key for key in ALERT}
ALERT_DECODERS = {
    **DECODERS,
    "alert command": alert_command_of,
    "events": events_of,
    "http": http_of,
    "mail": mail_of,
    "rate": rate_of,
    "syslog": syslog_of,
    "targets": targets_of,
}
OF_CMD = ("user", "group", "env", "workingdir")
"""Keys that say as what `cmd` runs."""
MOST_RULES = 100
"""Most rules: each event is compared with all of them."""
SHAPE = (f"{ALERTS}:", "  NAME: {events: [trouble, recovered], mail: {to: ADDRESS}}")


class Rule:
    """A decoded rule with the nodes of its keys, for later checks."""

    __slots__ = ("key", "nodes", "value")

    def __init__(self, value: AlertRule, key: Node, nodes: Mapping[str, Node]) -> None:
        self.value = value
        self.key = key
        self.nodes = nodes

    def run_in(self, directory: str) -> None:
        """Let its command run in this directory."""
        self.value = self.value.replace(workingdir=directory)

    def at(self, key: str) -> Node:
        """Return the node of that key's value, or the rule's name if the key is not written."""
        return self.nodes.get(key, self.key)

    def place(self, key: str) -> str:
        """Return the place of that key in messages."""
        return f"{ALERTS}.{self.value.name}.{key}"


class AlertSection:
    """All rules of a configuration, with their positions."""

    def __init__(self, context: Decoding, report: Report) -> None:
        self._context = context
        self._report = report
        self._keys: dict[str, Node] = {}
        self._rules: dict[str, Rule] = {}

    def take(self, node: Node | None) -> None:
        """Take in the section of one file."""
        if node is None or node.is_null() or node.kind == BROKEN:
            return
        if node.kind != MAPPING:
            self._report.error(node, ALERTS, f"expected a mapping of names to rules, not {node.kind}", example=SHAPE)
            return
        for name, (key, value) in node.entries.items():
            first = self._keys.setdefault(name, key)
            if first is not key:
                where = f"{first.source.shown}, line {first.line + 1}"
                self._report.error(key, f"{ALERTS}.{name}", f"a rule of that name is in {where}", first)
            elif problem := name_problem(name):
                self._report.error(key, ALERTS, f"{quoted(name)} cannot be a name: {problem}")
            elif len(self._keys) > MOST_RULES:
                self._report.error(key, ALERTS, f"there are more than {MOST_RULES} rules")
                return
            elif value.kind != BROKEN:
                self._take_rule(name, key, value)

    def _take_rule(self, name: str, key: Node, node: Node) -> None:
        place, report = f"{ALERTS}.{name}", self._report
        if node.kind != MAPPING:
            report.error(node, place, f"expected a mapping with one of {_listed()}, not {node.kind}", example=SHAPE)
            return
        values: dict[str, Any] = {}
        for word, (written, value) in node.entries.items():
            if word not in ALERT_TABLE:
                hint = unknown_key(word, ALERT_TABLE, ALERT_WORDS)
                hint = hint or f"the keys of a rule are {', '.join(ALERT_TABLE)}"
                report.error(written, f"{place}.{word}", f"unknown key; {hint}")
                continue
            decoded = self._decoded(word, value, f"{place}.{word}")
            if decoded is not None and decoded != ALERT_TABLE[word].default:
                values[f"{word}_" if word == "for" else word] = decoded
        named = [word for word in DESTINATIONS if word in node.entries]
        if not named and any(_is_destination(word) for word in node.entries):
            return  # which is reported
        if len(named) != 1:
            said = f"names {' and '.join(named)}" if named else "has no destination"
            report.error(key, place, f"{said}; write exactly one of {_listed()}")
            return
        if named[0] not in values:
            return
        vain = [word for word in OF_CMD if word in node.entries and named[0] != "cmd"]
        if vain:
            report.error(node.entries[vain[0]][0], f"{place}.{vain[0]}", f"{vain[0]} belongs to cmd; remove it")
        if named[0] == "cmd" and "workingdir" not in node.entries:
            values["workingdir"] = self._context.directory
        nodes = {word: value for word, (_, value) in node.entries.items()}
        self._rules[name] = Rule(AlertRule(name=name, **values), key, nodes)

    def _decoded(self, word: str, node: Node, place: str) -> Any:
        if word != "env":
            return decode_value(ALERT_TABLE[word], node, self._context, place, self._report, ALERT_DECODERS)
        if node.kind != MAPPING:
            if not node.is_null() and node.kind != BROKEN:
                self._report.error(node, place, f"expected a mapping of names to values, not {node.kind}")
            return None
        found: dict[str, str | None] = {}
        for name, (key, value) in node.entries.items():
            if problem := variable_name_problem(name):
                self._report.error(key, place, problem)
            else:
                found[name] = decode_value(VARIABLE, value, self._context, place, self._report)
        return found

    def checked(self, programs: Mapping[str, ProgramConfig], groups: Mapping[str, object]) -> tuple[Rule, ...]:
        """Return the rules, once their targets are compared with the names that there are."""
        guesses = Guesses((*programs, *groups))
        for rule in self._rules.values():
            for target in rule.value.targets:
                problem = _target_problem(target, programs, groups, guesses)
                if problem:
                    tell = self._report.warn if is_pattern(target) else self._report.error
                    tell(rule.at("targets"), rule.place("targets"), problem)
        return tuple(self._rules.values())


def _is_destination(word: str) -> bool:
    """Return whether a wrong key stands for a destination."""
    hint = "" if word in ALERT_TABLE else unknown_key(word, ALERT_TABLE, ALERT_WORDS)
    return any(f"{kind} here" in hint or f"mean {kind}?" in hint or f"{kind}: {{" in hint for kind in DESTINATIONS)


def _listed() -> str:
    return f"{', '.join(DESTINATIONS[:-1])} and {DESTINATIONS[-1]}"


def _target_problem(
    target: str, programs: Mapping[str, ProgramConfig], groups: Mapping[str, object], guesses: Guesses
) -> str:
    """Return why a target means nothing, or ""."""
    if is_pattern(target):
        pattern = Pattern(target)
        if target == "all" or any(pattern.matches(name) for name in programs):
            return ""
        if any(pattern.selects(name, index) for name, each in programs.items() for index in range(each.numprocs)):
            return ""
        return f"{quoted(target)} matches no program"
    program, colon, index = target.partition(":")
    if colon and program in programs:
        count = programs[program].numprocs
        if index.isascii() and index.isdecimal() and len(index) < 6 and int(index) < count:
            return ""
        return f"{program} has no instance {quoted(index)}; it has 0 to {count - 1}"
    if target in programs or target in groups:
        return ""
    return f"there is no program or group {quoted(target)}{guesses.hint(target)}"
