"""YAML text -> nodes that keep their text, style and position. The only module that imports yaml.

It keeps nodes because loading values loses what was written: YAML 1.1 turns `022` into 18, `NO` into False and `22:30`
into 1350, and drops duplicate keys. One loop without recursion builds the tree from the parser's events, so that depth,
number of nodes and the size of expanded aliases are bounded while it grows. An alias shares the node of its anchor;
merge keys (`<<`) are applied when their mapping ends. Tags are refused, never resolved.
"""

from __future__ import annotations

import yaml

from taskmaster_common.schema.report import Position, Source, quoted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from taskmaster_common.schema.report import Report

SCALAR = "a value"
SEQUENCE = "a list"
MAPPING = "a mapping"
BROKEN = "broken"  # a problem has been reported; further checks skip the node

MAX_DEPTH = 50
MAX_NODES = 500_000
MAX_EXPANDED = 1_000_000
"""Most nodes that all aliases together stand for: 10 000 programs that merge 25 keys each need half of it."""

# The C parser is six times as fast; PyYAML may be built without it.
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

_NULLS = frozenset(("", "~", "null", "Null", "NULL"))


class Node(Position):
    """A scalar with its `text`, a sequence with its `items`, or a mapping with its `entries` by the key's text.

    `plain` is true for a scalar without quotes; `weight` is the number of nodes in its tree, 0 until it is complete.
    """

    __slots__ = ("entries", "items", "kind", "plain", "text", "weight")

    def __init__(self, kind: str, source: Source, mark: Any, text: str = "", *, plain: bool = False) -> None:
        super().__init__(source, mark.line, mark.column)
        self.kind = kind
        self.text = text
        self.plain = plain
        self.weight = 0
        # Scalars share the empty ones: there may be half a million.
        self.items: list[Node] = [] if kind == SEQUENCE else _NO_ITEMS
        self.entries: dict[str, tuple[Node, Node]] = {} if kind == MAPPING else _NO_ENTRIES

    def empty_mapping(self) -> Node:
        """Return a mapping without entries at this node's position."""
        return Node(MAPPING, self.source, self)

    def is_null(self) -> bool:
        """Return whether the value is missing, or `~` or `null` without quotes."""
        return self.kind == SCALAR and self.plain and self.text in _NULLS

    def is_empty(self) -> bool:
        """Return whether the value is missing."""
        return self.kind == SCALAR and self.plain and not self.text


def cut_by_a_comma(key: Node, value: Node) -> bool:
    """Return whether a key without a value is probably the rest of the value before it, as in {cmd: echo a, b}."""
    before = key.source.line(key.line)[: key.column].rstrip()
    return key.plain and value.is_empty() and before.endswith(",") and "{" in before


_NO_ITEMS: list[Node] = []
_NO_ENTRIES: dict[str, tuple[Node, Node]] = {}


NEEDS_QUOTES = frozenset("&*!|>%@`\"'{}[],?-#")
"""First characters that have a meaning of their own in YAML. Source: YAML 1.1, 5.3."""


class Budget:
    """Nodes that the files of one configuration may still use: written ones, and those that aliases stand for."""

    __slots__ = ("expanded", "nodes")

    def __init__(self) -> None:
        self.nodes = MAX_NODES
        self.expanded = MAX_EXPANDED


class _GivenUp(Exception):
    """Ends the reading of a file whose rest is useless."""


def compose(source: Source, report: Report, budget: Budget, until: str = "") -> Node | None:
    """Return the root node of the file's document, or None if it has no document or cannot be parsed.

    With `until`, composing ends after the value of that top-level key. Problems go to `report`.
    """
    composer = _Composer(source, report, budget, until)
    try:
        for event in yaml.parse(source.text, Loader=_LOADER):
            composer.take(event)
            if composer.found:
                break
    except yaml.MarkedYAMLError as error:
        _syntax_error(source, report, error)
        return None
    except (yaml.YAMLError, ValueError, OverflowError) as error:  # a character that YAML forbids, an absurd escape
        report.file_error(source.shown, f"not YAML: {str(error).splitlines()[0]}", source.order)
        return None
    except _GivenUp:
        return None
    return composer.root


class _Open:
    """A collection that is being read, with the key whose value comes next."""

    __slots__ = ("key", "merges", "node", "weight")

    def __init__(self, node: Node) -> None:
        self.node = node
        self.key: Node | None = None
        self.merges: list[Node] = []
        self.weight = 1


class _Composer:
    def __init__(self, source: Source, report: Report, budget: Budget, until: str) -> None:
        self.root: Node | None = None
        self.found = False
        self._source = source
        self._report = report
        self._budget = budget
        self._until = until
        self._stack: list[_Open] = []
        self._anchors: dict[str, Node] = {}
        self._documents = 0

    def take(self, event: yaml.Event) -> None:
        """Take the parser's next event. Raises _GivenUp if the rest of the file is useless."""
        if isinstance(event, yaml.ScalarEvent):
            self._add(self._scalar(event))
        elif isinstance(event, (yaml.MappingStartEvent, yaml.SequenceStartEvent)):
            self._open(event)
        elif isinstance(event, (yaml.MappingEndEvent, yaml.SequenceEndEvent)):
            self._close()
        elif isinstance(event, yaml.AliasEvent):
            self._add(self._alias(event))
        elif isinstance(event, yaml.DocumentStartEvent):
            self._documents += 1
            if self._documents > 1:
                self._give_up(
                    event.start_mark,
                    "a second document; a configuration file is one: remove the ---, or put the rest into a file of include:",
                )

    # -- nodes from events

    def _node(self, kind: str, event: Any, text: str = "", *, plain: bool = False) -> Node:
        self._budget.nodes -= 1
        if self._budget.nodes < 0:
            self._give_up(event.start_mark, f"the configuration has more than {MAX_NODES} values")
        node = Node(kind, self._source, event.start_mark, text, plain=plain)
        if event.tag is not None:
            self._error(
                node, f"the tag {quoted(event.tag)}: tags are not used here; quote the value where ! begins a text"
            )
        if event.anchor is not None:
            self._anchors[event.anchor] = node
        return node

    def _scalar(self, event: yaml.ScalarEvent) -> Node:
        node = self._node(SCALAR, event, event.value, plain=not event.style)
        node.weight = 1
        if "\0" in node.text:
            self._error(node, "a NUL character cannot be part of a value")
            node.kind = BROKEN
        elif not node.text.isascii() and any("\ud800" <= character <= "\udfff" for character in node.text):
            self._error(node, "half of a surrogate pair cannot be part of a value")
            node.kind = BROKEN
        return node

    def _alias(self, event: yaml.AliasEvent) -> Node:
        name = str(event.anchor)
        node = self._anchors.get(name)
        mark: Any = event.start_mark
        broken = Node(BROKEN, self._source, mark)
        broken.weight = 1
        if node is None:
            reason = f"there is no anchor &{name} before this alias{_quoting_hint(self._source, mark.line)}"
            self._error(broken, f"{reason}; an anchor holds only in the file that has it")
            return broken
        if not node.weight:
            self._error(broken, f"the alias *{name} is part of its own anchor")
            return broken
        self._spend(node.weight, mark)
        return node

    def _spend(self, weight: int, mark: Any) -> None:
        self._budget.expanded -= weight
        if self._budget.expanded < 0:
            self._give_up(mark, f"the aliases of the configuration stand for more than {MAX_EXPANDED} values")

    # -- the tree

    def _open(self, event: yaml.MappingStartEvent | yaml.SequenceStartEvent) -> None:
        if len(self._stack) >= MAX_DEPTH:
            self._give_up(event.start_mark, f"nested more than {MAX_DEPTH} levels deep")
        kind = MAPPING if isinstance(event, yaml.MappingStartEvent) else SEQUENCE
        self._stack.append(_Open(self._node(kind, event)))

    def _close(self) -> None:
        frame = self._stack.pop()
        for merged in frame.merges:
            self._merge(frame, merged)
        frame.node.weight = frame.weight
        self._add(frame.node)

    def _add(self, node: Node) -> None:
        if not self._stack:
            self.root = node
            return
        frame = self._stack[-1]
        frame.weight += node.weight
        if frame.node.kind == SEQUENCE:
            frame.node.items.append(node)
        elif frame.key is None:
            frame.key = node
            if node.kind in (SEQUENCE, MAPPING):
                self._error(node, f"a key is a word, not {node.kind}", inside=self._stack[:-1])
        else:
            self._pair(frame, frame.key, node)
            frame.key = None

    def _pair(self, frame: _Open, key: Node, value: Node) -> None:
        if key.kind != SCALAR:
            return
        first = frame.node.entries.get(key.text)
        if first is not None:
            self._error(key, f"written twice; the first is on line {first[0].line + 1}", first=first[0])
        elif key.text == "<<" and key.plain:
            self._remember_merge(frame, key, value)
        else:
            frame.node.entries[key.text] = (key, value)
            if len(self._stack) == 1 and key.text == self._until:
                self.root, self.found = frame.node, True

    def _remember_merge(self, frame: _Open, key: Node, value: Node) -> None:
        if frame.merges:
            names = {id(node): f"*{name}" for name, node in self._anchors.items()}
            both = ", ".join(names.get(id(node), "...") for node in (*frame.merges, value))
            self._error(key, f"a second << in one mapping; merge both in one line: <<: [{both}]")
            return
        frame.merges = value.items if value.kind == SEQUENCE else [value]
        for merged in frame.merges:
            if merged.kind not in (MAPPING, BROKEN):
                self._error(merged, f"<< takes a mapping or a list of mappings, not {merged.kind}")

    @staticmethod
    def _merge(frame: _Open, merged: Node) -> None:
        """Add the merged entries that the mapping lacks; earlier ones win. Source: yaml.org, type/merge."""
        for name, entry in merged.entries.items():
            frame.node.entries.setdefault(name, entry)

    # -- problems

    def _place(self, stack: list[_Open]) -> str:
        return ".".join(frame.key.text for frame in stack if frame.key is not None)

    def _error(
        self, at: Position, reason: str, *, first: Position | None = None, inside: list[_Open] | None = None
    ) -> None:
        self._report.error(at, self._place(self._stack if inside is None else inside), reason, first)

    def _give_up(self, mark: Any, reason: str) -> None:
        self._report.error(Position(self._source, mark.line, mark.column), "", reason)
        raise _GivenUp


def _syntax_error(source: Source, report: Report, error: yaml.MarkedYAMLError) -> None:
    """Report the parser's error; one found at the end of the file is shown at the opening quote or bracket."""
    reason, mark, context = error.problem or "no reason", error.problem_mark, error.context_mark
    if mark is None or (context is not None and not source.line(mark.line).strip()):
        mark = context
    line, column = (mark.line, mark.column) if mark is not None else (0, 0)
    if error.context:
        begins = f", which begins on line {context.line + 1}" if context is not None and context.line != line else ""
        reason = f"{reason} ({error.context}{begins})"
    hint = _closing_hint(source, context) if "flow" in (error.context or "") else ""
    report.error(Position(source, line, column), "", f"not YAML: {reason}{hint or _quoting_hint(source, line)}")


def _closing_hint(source: Source, opening: Any) -> str:
    """Return that the bracket at that mark is not closed where its line ends, or ""."""
    text = source.line(opening.line)
    pair = {"{": "{}", "[": "[]"}.get(text[opening.column : opening.column + 1], "")
    if not pair or ": " not in text[opening.column :] or text.count(pair[0]) <= text.count(pair[1]):
        return ""
    return f"; on line {opening.line + 1} there is no {pair[1]} for the {pair[0]}"


def _quoting_hint(source: Source, line: int) -> str:
    """Return how to write that line so that YAML reads it as text, or ""."""
    text = source.line(line)
    indentation = text[: len(text) - len(text.lstrip())]
    if "\t" in indentation:
        return "; indent with spaces: YAML does not allow tabs there"
    if bare := _without_colon(source, line, len(indentation)):
        return bare
    key, colon, value = text.lstrip(" -").partition(":")
    value = value.strip()
    if value[:1] in ("'", '"') and value.endswith(value[0]) and len(value) > 1:
        return "; in double quotes a backslash begins an escape: use single quotes" if "\\" in value else ""
    if not colon or not value or not key.replace("_", "").replace("-", "").isalnum():
        return ""
    if value[0] in "{[" and ": " in value:
        return "; a value inside { } or [ ] that holds one of { } [ ] , is quoted"
    if value[0] not in NEEDS_QUOTES and ": " not in f"{value} ":
        return _indentation_hint(source, line, len(indentation))
    return f"; quote the {'whole ' if value[0] in chr(34) + chr(39) else ''}value: {key}: '…'"


def _before(source: Source, line: int) -> tuple[int, int, str]:
    """Return number, indentation and text of the previous line that is more than a comment; number -1 for none."""
    number = next((each for each in range(line - 1, -1, -1) if source.line(each).partition("#")[0].strip()), -1)
    text = source.line(number).partition(" #")[0].rstrip() if number >= 0 else ""
    return number, len(text) - len(text.lstrip()), text.strip()


def _without_colon(source: Source, line: int, indentation: int) -> str:
    """Return a hint that the line above, to which this one belongs, lacks its colon, or ""."""
    number, outer, word = _before(source, line)
    if not word or ":" in word or outer >= indentation or word[0] in NEEDS_QUOTES or word == "...":
        return ""
    return f"; there is no colon after {quoted(word)} on line {number + 1}"


def _indentation_hint(source: Source, line: int, indentation: int) -> str:
    """Return how the line's indentation differs from that of the line above, or ""."""
    number, other, word = _before(source, line)
    if other == indentation or ":" not in word:
        return ""
    return f"; it is indented by {indentation}, line {number + 1} by {other}"


def read_text(content: bytes, shown: str, order: int, report: Report) -> Source | None:
    """Return the file's text without a byte order mark; report a file that is not UTF-8 text, and return None."""
    bare = Source(shown, "", order)
    try:
        text = content.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        at = _end_of(content[: error.start].decode("utf-8"), bare)
        report.error(at, "", f"not UTF-8 text: it holds the byte 0x{content[error.start]:02x}")
        return None
    wrong = yaml.reader.Reader.NON_PRINTABLE.search(text)
    if wrong is not None:
        character = f"U+{ord(wrong.group()):04X}"
        report.error(_end_of(text[: wrong.start()], bare), "", f"not a text file: it holds the character {character}")
        return None
    return Source(shown, text, order)


def _end_of(before: str, source: Source) -> Position:
    return Position(source, before.count("\n"), len(before) - before.rfind("\n") - 1)
