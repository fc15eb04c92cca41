"""The shape of a configuration: its sections, the files it includes, which entry is stronger.

`decode` is the decoder's front door. It reads through its `Surroundings` only, and reports all problems at once.
"""

from __future__ import annotations

from taskmaster_common.config import DAEMON_KEYS, Config, DaemonConfig
from taskmaster_common.devices import normalised
from taskmaster_common.errors import ConfigError, system_reason
from taskmaster_common.schema.advice.foreign import DAEMON_WORDS, key_list
from taskmaster_common.schema.advice.meant import unknown_key
from taskmaster_common.schema.advice.sections import SECTION_WORDS, other_format
from taskmaster_common.schema.advice.shelltext import unexpanded
from taskmaster_common.schema.checks.alerts import check_alerts
from taskmaster_common.schema.checks.dependencies import Named, check_dependencies
from taskmaster_common.schema.checks.roles import check_roles, with_numbers
from taskmaster_common.schema.checks.trust import doubts_of_directory, doubts_of_file
from taskmaster_common.schema.checks.values import check_configuration, check_sum
from taskmaster_common.schema.checks.writers import Sources, check_writers
from taskmaster_common.schema.misplaced import Candidate, below_programs, elsewhere, example, listed
from taskmaster_common.schema.nodes import BROKEN, MAPPING, SCALAR, SEQUENCE, Budget, compose, read_text
from taskmaster_common.schema.programs import DEFAULTS, Layer, Program, Scope, check_defaults, decode_program
from taskmaster_common.schema.report import Report, Source, quoted
from taskmaster_common.schema.surroundings import Loaded, absolute
from taskmaster_common.schema.templates import TEMPLATES, TemplateSection
from taskmaster_common.schema.values.alerts.section import ALERTS, AlertSection
from taskmaster_common.schema.values.env_files import EnvFiles
from taskmaster_common.schema.values.groups import GROUPS, GroupSection
from taskmaster_common.schema.values.kinds import DAEMON_TABLE, decode_value
from taskmaster_common.schema.values.scalars import Decoding
from taskmaster_common.schema.variables import Variables
from taskmaster_common.text.names import name_problem

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from taskmaster_common.schema.checks.trust import Doubt
    from taskmaster_common.schema.nodes import Node
    from taskmaster_common.schema.surroundings import File, Surroundings

TASKMASTERD = "taskmasterd"
SHARED_SECTIONS = ("defaults", TEMPLATES, GROUPS, ALERTS, "programs")
"""Sections that every file may have."""
SECTIONS = (TASKMASTERD, "include", *SHARED_SECTIONS)
NO_PROGRAM = "no program at all; write `programs: {}` if that is what is meant"


def decode(path: str, surroundings: Surroundings, placed: dict[str, Program | None] | None = None) -> Loaded:
    """Return the configuration at `path` with its warnings. Raises ConfigError with every problem of every file.

    `placed` gets each program with the nodes of its keys, which know where they were written.
    """
    return _Decoder(path, surroundings, {} if placed is None else placed).run()


def daemon_section(path: str, content: bytes, environment: Mapping[str, str], cwd: str) -> DaemonConfig:
    """Return what a client needs of a configuration: `taskmasterd:`, read only up to the end of that section.

    Wrong keys keep their default, except `socket`; the rest of the file is not checked. A file without the section
    means the defaults. Raises ConfigError if `socket` is wrong or the section is not YAML.
    """
    report = Report()
    source = Source(path, content.decode("utf-8", "replace").removeprefix("\ufeff"))
    root = compose(source, report, Budget(), until=TASKMASTERD)
    if root is None or TASKMASTERD not in root.entries:
        alone = _section_alone(source)
        if alone is None:
            return DaemonConfig()
        report = Report()
        root = compose(alone, report, Budget(), until=TASKMASTERD)
    if root is None:
        report.check()
        return DaemonConfig()
    own = Report()
    _, node = root.entries.get(TASKMASTERD, (None, None))
    directory = absolute(cwd, _directory(path) or ".")
    config, nodes = _daemon(node, Decoding(Variables(environment, {"CONFIG_DIR": directory}), directory, {}), own)
    if "socket" in nodes and config.socket is None:
        own.check()
    return config


def _section_alone(source: Source) -> Source | None:
    """Return the lines of `taskmasterd:` alone, each at its old number, or None if no line begins with it."""
    number = 0
    while source.line(number) or number <= source.text.count("\n"):
        if source.line(number).startswith(f"{TASKMASTERD}:"):
            break
        number += 1
    else:
        return None
    lines = [source.line(number)]
    while (following := source.line(number + len(lines)))[:1] in (" ", "#") or (
        not following and number + len(lines) <= source.text.count("\n")
    ):
        lines.append(following)
    return Source(source.shown, "\n" * number + "\n".join(lines) + "\n")


def _directory(path: str) -> str:
    """Return the directory of a path as written: "" for a bare name."""
    head = path.rpartition("/")[0]
    return "/" if not head and path.startswith("/") else head


def _daemon(node: Node | None, context: Decoding, report: Report) -> tuple[DaemonConfig, dict[str, Node]]:
    """Return `taskmasterd:` decoded, and the nodes of its keys."""
    if node is None or node.is_null() or node.kind == BROKEN:
        return DaemonConfig(), {}
    if node.kind != MAPPING:
        report.error(node, TASKMASTERD, f"expected a mapping such as {{loglevel: debug}}, not {node.kind}")
        return DaemonConfig(), {}
    values: dict[str, Any] = {}
    for name, (key, value) in node.entries.items():
        place = f"{TASKMASTERD}.{name}"
        if name not in DAEMON_TABLE:
            meant = unknown_key(name, DAEMON_KEYS, DAEMON_WORDS)
            if not meant and report.is_first("the keys of the daemon"):
                meant = key_list(DAEMON_KEYS)
            report.error(key, place, f"unknown key; {meant}" if meant else "unknown key")
            continue
        decoded = decode_value(DAEMON_TABLE[name], value, context, place, report)
        if decoded is not None and decoded != getattr(DaemonConfig, name):
            values[name] = decoded
    return DaemonConfig(**values), {name: value for name, (_, value) in node.entries.items()}


class _Decoder:
    def __init__(self, path: str, surroundings: Surroundings, placed: dict[str, Program | None]) -> None:
        self._path = path
        self._surroundings = surroundings
        self._report = Report()
        self._budget = Budget()
        self._directory = absolute(surroundings.cwd, _directory(path) or ".")
        own = {"CONFIG_DIR": self._directory}
        self._context = Decoding(Variables(surroundings.environment, own), self._directory, surroundings.signals)
        self._files: dict[str, tuple[str, int, int]] = {}
        self._programs = placed
        self._keys: dict[str, Node] = {}
        self._doubted: set[object] = set()
        self._elsewhere: dict[Node, list[Candidate]] = {}
        self._wild: list[tuple[Node, str]] = []
        self._groups = GroupSection(self._context.variables, self._report)
        self._alerts = AlertSection(self._context, self._report)
        self._templates = TemplateSection(self._context, self._report)

    def run(self) -> Loaded:
        root = self._main()
        daemon, nodes = _daemon(_value(root, TASKMASTERD), self._context, self._report)
        daemon = with_numbers(daemon, nodes, self._surroundings, self._report)
        scope = self._scope(daemon, nodes)
        self._take_files((root, *self._included(root)), scope)
        groups = self._groups.resolved(self._keys)
        programs = [program for program in self._programs.values() if program is not None]
        if not (programs or self._report.is_bad or self._says_none(root)):
            key = root.entries["programs"][0] if "programs" in root.entries else root
            self._report.error(key, "", NO_PROGRAM)
        rules = self._alerts.checked({program.config.name: program.config for program in programs}, groups)
        sources = Sources(tuple(self._files), tuple(self._wild), tuple(rules))
        if not check_sum(programs, self._report):  # the next looks at every instance
            check_writers(programs, daemon, nodes, sources, self._surroundings, self._report)
        check_configuration(programs, daemon, nodes, self._surroundings, self._report)
        named = Named({program.config.name: program for program in programs}, self._keys, groups)
        check_dependencies(named, daemon, nodes, self._report)
        check_roles(daemon, nodes, programs, groups, self._surroundings, self._report)
        check_alerts(rules, scope.account, self._surroundings, self._report)
        self._report.check()
        config = Config(
            path=absolute(self._surroundings.cwd, self._path),
            daemon=daemon,
            programs=tuple(program.config for program in programs),
            groups=groups,
            files=tuple(self._files.values()),
            alerts={rule.value.name: rule.value.to_data() for rule in rules},
        )
        return Loaded(config, self._report.warnings(), self._report.public_warnings())

    # -- files

    def _main(self) -> Node:
        """Return the main file's root. Raises ConfigError if it cannot be read."""
        try:
            file = self._surroundings.read(self._path)
        except OSError as error:
            raise ConfigError((f"{self._path}: error: cannot read it: {system_reason(error)}",)) from None
        root = self._root(self._path, file)
        if root is None:
            self._report.check()
            problem = f"{self._path}: error: the file is empty: {NO_PROGRAM}"
            raise ConfigError((problem,))
        self._check_sections(root, SECTIONS)
        return root

    def _root(self, path: str, file: File) -> Node | None:
        """Return a file's root mapping, or None if it is empty or a problem has been reported."""
        order = len(self._files)
        self._files[absolute(self._surroundings.cwd, path)] = (
            absolute(self._surroundings.cwd, path),
            file.mtime_ns,
            file.size,
        )
        self._check_trust(path, file, order)
        source = read_text(file.content, path, order, self._report)
        if source is not None and (other := other_format(source.text)):
            self._report.file_error(path, other, order)
            return None
        root = compose(source, self._report, self._budget) if source is not None else None
        if root is None or root.is_null() or root.kind == BROKEN:
            return None
        return root if root.kind == MAPPING else self._list_of_programs(root)

    def _list_of_programs(self, root: Node) -> Node | None:
        """Report a root that is not a mapping; return one that stands for its programs, to decode them."""
        found = list(listed(root, ""))
        shown = example([each.name for each in found])
        self._report.error(root, "", f"expected a mapping with programs:, not {root.kind}", example=shown)
        stand_in = root.empty_mapping()
        self._elsewhere[stand_in] = found
        return stand_in if found else None

    def _check_trust(self, path: str, file: File, order: int) -> None:
        """Report a file that root must not obey, or should not."""
        host = self._surroundings
        if host.uid == 0:
            for doubt in doubts_of_file(path, file, host.trusted, included=order > 0):
                if self._is_new(doubt):
                    tell = self._report.file_error if doubt.refused else self._report.warn_file
                    tell(doubt.shown, doubt.reason, order)

    def _check_listed(self, node: Node, pattern: str) -> None:
        """Report the directories in which root must not look for files that match the pattern."""
        host = self._surroundings
        for way in host.listed(pattern) if host.uid == 0 else ():
            for doubt in doubts_of_directory(way, host.trusted):
                if self._is_new(doubt):
                    tell = self._report.error if doubt.refused else self._report.warn
                    tell(node, "include", f"{doubt.shown}: {doubt.reason}")

    def _is_new(self, doubt: Doubt) -> bool:
        """Return whether the doubt is new: each directory, and each owner warned about, is reported once."""
        key = doubt.owner if doubt.owner is not None and not doubt.refused else (doubt.shown, doubt.reason)
        new = key not in self._doubted
        self._doubted.add(key)
        return new

    def _check_sections(self, root: Node, allowed: tuple[str, ...]) -> None:
        """Report unknown sections, and keep what looks like programs in them."""
        unknown = [name for name in root.entries if name not in allowed and not name.startswith("x-")]
        for name in [each for each in unknown if each in SECTIONS]:
            self._report.error(root.entries[name][0], name, "only the main file may have this section")
        strange = [name for name in unknown if name not in SECTIONS]
        found, rest = elsewhere(root, strange, self._report)
        self._elsewhere.setdefault(root, []).extend(found)
        for name in rest:
            word = name.strip("[]").partition(":")[0]  # of supervisor's [group:web]
            meant = unknown_key(word, allowed, SECTION_WORDS) or key_list(allowed)
            self._report.error(root.entries[name][0], name, f"unknown key; {meant}")

    def _included(self, root: Node) -> list[Node]:
        """Return the roots of the included files, in their order."""
        roots: list[Node] = []
        for node, pattern in self._patterns(_value(root, "include")):
            wild = any(character in pattern for character in "*?[")
            base = _directory(self._path)
            whole = pattern if pattern.startswith("/") or not base else f"{base.rstrip('/')}/{pattern}"
            if wild:
                self._check_listed(node, whole)
                self._wild.append((node, normalised(absolute(self._surroundings.cwd, whole))))
            paths = self._surroundings.expand(whole) if wild else (whole,)
            if not paths:
                hint = f"; {doubt}" if (doubt := unexpanded(node.text)) else ""
                self._report.warn(node, "include", f"{quoted(pattern)} matches no file{hint}")
            for path in paths:
                included = self._include(node, path)
                if included is not None:
                    roots.append(included)
        return roots

    def _include(self, node: Node, path: str) -> Node | None:
        if absolute(self._surroundings.cwd, path) in self._files:
            return None
        try:
            file = self._surroundings.read(path)
        except OSError as error:
            hint = f"; {doubt}" if (doubt := unexpanded(node.text)) else ""
            self._report.error(node, "include", f"cannot read {path}: {system_reason(error)}{hint}")
            return None
        root = self._root(path, file)
        if root is not None:
            self._check_sections(root, SHARED_SECTIONS)
        return root

    def _patterns(self, node: Node | None) -> list[tuple[Node, str]]:
        if node is None or node.is_null() or node.kind == BROKEN:
            return []
        patterns: list[tuple[Node, str]] = []
        for item in node.items if node.kind == SEQUENCE else [node]:
            if item.kind != SCALAR or item.is_null() or not item.text:
                self._report.error(item, "include", "expected a list of paths or patterns such as [conf.d/*.yaml]")
                continue
            try:
                patterns.append((item, self._context.variables.expand(item.text)))
            except ValueError as error:
                self._report.error(item, "include", str(error))
        return patterns

    # -- programs

    def _scope(self, daemon: DaemonConfig, nodes: dict[str, Node]) -> Scope:
        """Return what all programs share; they run as `taskmasterd.user` by default."""
        surroundings, account, uid = self._surroundings, None, self._surroundings.uid
        if daemon.user is not None:
            account = surroundings.user(daemon.user)
            if account is None:
                self._report.error(nodes["user"], f"{TASKMASTERD}.user", f"there is no user {quoted(daemon.user)}")
            elif uid == 0:
                uid = account.uid
            elif account.uid != uid:
                self._report.warn(nodes["user"], f"{TASKMASTERD}.user", "only root can become another user")
                account = None
        if daemon.socket_group is not None and surroundings.group(daemon.socket_group) is None:
            reason = f"there is no group {quoted(daemon.socket_group)}"
            self._report.error(nodes["socket_group"], f"{TASKMASTERD}.socket_group", reason)
        return Scope(
            self._directory,
            surroundings,
            self._report,
            account,
            uid,
            daemon.log_dir is not None,
            EnvFiles(surroundings),
        )

    def _defaults(self, root: Node, scope: Scope) -> list[Layer]:
        node = _value(root, "defaults")
        if node is None or node.is_null() or node.kind == BROKEN:
            return []
        if node.kind != MAPPING:
            self._report.error(node, "defaults", f"expected a mapping of program keys, not {node.kind}")
            return []
        layer = Layer(DEFAULTS, node)
        check_defaults(layer, scope)
        return [layer]

    def _take_files(self, roots: Sequence[Node], scope: Scope) -> None:
        """Take in all files, the main one first: programs may extend a template of any file."""
        for root in roots:
            self._groups.take(_value(root, GROUPS))
            self._alerts.take(_value(root, ALERTS))
            self._templates.take(_value(root, TEMPLATES))
        candidates = [self._candidates(root) for root in roots]
        self._templates.resolve({candidate.name for each in candidates for candidate in each})
        defaults = [self._defaults(root, scope) for root in roots]
        for number, each in enumerate(candidates):
            layers = [*defaults[0], *(defaults[number] if number else ())]
            for candidate in each:
                self._take(candidate, layers, scope)
        self._templates.check_unused(scope)

    def _candidates(self, root: Node) -> list[Candidate]:
        """Return the programs of a file, also those at a wrong place, which is reported."""
        node = _value(root, "programs")
        candidates = list(self._elsewhere.pop(root, ()))
        if node is not None and node.kind in (MAPPING, SEQUENCE):
            candidates = below_programs(node, self._report) + candidates
        elif node is not None and not node.is_null() and node.kind != BROKEN:
            self._report.error(node, "programs", f"expected a mapping {{NAME: {{cmd: ...}}}}, not {node.kind}")
        return candidates

    def _take(self, candidate: Candidate, defaults: list[Layer], scope: Scope) -> None:
        name, key, value = candidate.name, candidate.key, candidate.value
        first = self._keys.setdefault(name, key) if name else key
        problem = name_problem(name)
        if not name:
            self._report.error(key, candidate.place.rstrip("."), "a program has a name: the key above its settings")
        elif first is not key:
            where = f"{first.source.shown}, line {first.line + 1}"
            self._report.error(key, f"programs.{name}", f"a program of that name is in {where}", first)
        elif problem:
            self._report.error(key, "programs", f"{quoted(name)} cannot be a name: {problem}")
        elif value.kind == MAPPING:
            own = self._templates.layers(Layer(candidate.place, value, candidate.ignored))
            self._programs[name] = decode_program(name, key, (*defaults, *own), scope)
        elif value.is_null():
            self._report.error(key, f"programs.{name}", "cmd is missing: the command line to run")
        elif value.kind != BROKEN:
            reason = f"expected a mapping with cmd:, not {value.kind}"
            self._report.error(value, f"programs.{name}", reason, example=example([name]))

    @staticmethod
    def _says_none(root: Node) -> bool:
        node = _value(root, "programs")
        return node is not None and node.kind == MAPPING and not node.entries


def _value(root: Node, name: str) -> Node | None:
    return root.entries[name][1] if name in root.entries else None
