"""YAML and JSON as fields with their lines, taken one by one, so that none is left without a line. Pure.

The nodes are those of the configuration's own reader: bounded in depth, number and what aliases stand for.
"""

from __future__ import annotations

from taskmaster_common.schema.nodes import MAPPING, SCALAR, SEQUENCE, Budget, compose
from taskmaster_common.schema.report import Report as Problems
from taskmaster_common.schema.report import Source
from taskmasterctl.convert.reading.files import WrongInput
from taskmasterctl.convert.report import Where

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from taskmaster_common.schema.nodes import Node
    from taskmasterctl.convert.reading.files import InputFile

TRUE = ("true", "yes", "on")
FALSE = ("false", "no", "off")


def root_of(file: InputFile) -> Fields:
    """Return the fields of a document. Raises WrongInput for what is no mapping, or not YAML."""
    problems = Problems()
    root = compose(Source(file.name, file.text), problems, Budget())
    if problems.is_bad:
        lines: list[str] = []
        try:
            problems.check()
        except Exception as error:  # noqa: BLE001 - ConfigError; the texts alone are wanted
            lines = [each.split("\n")[0] for each in getattr(error, "problems", ())]
        raise WrongInput(*lines)
    if root is None or root.kind != MAPPING:
        raise WrongInput(f"{file.name}: error: expected a mapping")
    return Fields(root, file.name, "")


def text_of(node: Node) -> str:
    """Return the text of a scalar. Raises ValueError for a collection."""
    if node.kind != SCALAR:
        raise ValueError(f"expected a value, not {node.kind}")
    return "" if node.is_null() else node.text


def boolean_of(node: Node) -> bool:
    """Return a boolean. Raises ValueError."""
    text = text_of(node).lower()
    if text not in (*TRUE, *FALSE):
        raise ValueError("neither true nor false")
    return text in TRUE


def number_of(node: Node) -> float:
    """Return a number, whole ones as int. Raises ValueError."""
    text = text_of(node)
    try:
        value = float(text) if len(text) < 20 else float("nan")
    except ValueError:
        raise ValueError("not a number") from None
    if not abs(value) < 1e15:
        raise ValueError("not a number")
    return int(value) if value == int(value) else value


def texts_of(node: Node) -> list[str]:
    """Return the texts of a list, or of a single value. Raises ValueError."""
    return [text_of(each) for each in node.items] if node.kind == SEQUENCE else [text_of(node)]


def pairs_of(node: Node) -> dict[str, str]:
    """Return variables: a mapping, or a list of `NAME=VALUE`. Raises ValueError."""
    if node.kind == MAPPING:
        return {name: text_of(value) for name, (_, value) in node.entries.items()}
    found: dict[str, str] = {}
    for text in texts_of(node):
        name, equals, value = text.partition("=")
        if not equals:
            raise ValueError(f"{text}: no NAME=VALUE")
        found[name] = value
    return found


class Fields:
    """The fields of one mapping. `path` names it in the report."""

    def __init__(self, node: Node, file: str, path: str) -> None:
        self.node = node
        self.path = path
        self._file = file
        self._left = {name: value for name, (_, value) in node.entries.items()} if node.kind == MAPPING else {}

    def take(self, name: str) -> Node | None:
        """Return the value of a field and take it out; None for a missing one and for null."""
        node = self._left.pop(name, None)
        return None if node is None or node.is_null() else node

    def rename(self, name: str, other: str) -> None:
        """Give a field its usual name, unless it is there, too."""
        if name in self._left and other not in self._left:
            self._left[other] = self._left.pop(name)

    def inner(self, name: str) -> Fields | None:
        """Return the fields of a mapping, None if it is missing or no mapping, which then is left."""
        node = self._left.get(name)
        if node is None or node.kind != MAPPING:
            return None
        del self._left[name]
        return Fields(node, self._file, f"{self.path}.{name}" if self.path else name)

    def each(self, name: str) -> Iterator[tuple[str, Fields]]:
        """Yield name and fields of each mapping in a mapping, or in a list of them."""
        node = self._left.pop(name, None)
        if node is None:
            return
        if node.kind == MAPPING:
            for key, (_, value) in node.entries.items():
                yield key, Fields(value, self._file, f"{name}.{key}")
        for number, value in enumerate(node.items):
            yield str(number), Fields(value, self._file, f"{name}.{number}")

    def rest(self) -> Iterator[tuple[str, Node]]:
        """Yield what nobody has taken."""
        yield from self._left.items()

    def place(self, option: str = "", node: Node | None = None) -> Where:
        """Return the place of a field."""
        at = node if node is not None else self.node
        value = node.text if node is not None and node.kind == SCALAR else "…" if node is not None else ""
        return Where(self._file, at.line + 1, self.path, option, value)
