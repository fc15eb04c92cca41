"""What all parts of a unit's conversion share. Pure."""

from __future__ import annotations

from taskmasterctl.convert.kinds.systemd.commands import Line, parsed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from taskmasterctl.convert.kinds.systemd.syntax import Specifiers
    from taskmasterctl.convert.kinds.systemd.unit import Directive, Unit
    from taskmasterctl.convert.outcome.model import Block, Draft


class UnitPart:
    """A part of the conversion of one unit for one program."""

    def __init__(self, unit: Unit, block: Block, specifiers: Specifiers, outcome: Draft) -> None:
        self._unit = unit
        self._block = block
        self._specifiers = specifiers
        self._outcome = outcome
        self._type = "simple"

    def _expanded(self, directive: Directive) -> str:
        """Raises ValueError."""
        return self._specifiers.expanded(directive.value)

    def _take(self, name: str, reader: Callable[[str], Any]) -> tuple[Directive | None, Any]:
        """Return the directive that counts and its value, None for a missing or wrong one."""
        directive = self._unit.last(name)
        if directive is None:
            return None, None
        try:
            return directive, reader(self._expanded(directive))
        except ValueError as error:
            self._unit.refuse(directive, str(error))
            return directive, None

    def _set(self, key: str, value: Any, directive: Directive) -> None:
        self._block.set(key, value)
        self._outcome.carried()
        for comment in directive.comments:
            self._block.remark(comment, key)

    def _drop(self, directive: Directive, text: str, instead: str = "", key: str = "") -> None:
        self._outcome.drop(self._unit.place(directive), text, instead, on=self._block, key=key)

    def _change(self, directive: Directive, text: str, instead: str = "", key: str = "") -> None:
        self._outcome.change(self._unit.place(directive), text, instead, on=self._block, key=key)

    def _set_changed(self, key: str, value: Any, directive: Directive, text: str, instead: str = "") -> None:
        self._block.set(key, value)
        self._change(directive, text, instead, key)

    def _has(self, name: str) -> bool:
        return any(each.name == name for each in self._unit.rest())

    def _lines(self, directives: list[Directive], known: Mapping[str, str]) -> list[Line]:
        found: list[Line] = []
        for directive in directives:
            try:
                found += parsed(self._expanded(directive), known)
            except ValueError as error:
                self._unit.refuse(directive, str(error))
        return found
