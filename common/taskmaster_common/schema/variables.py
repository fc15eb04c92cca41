"""`${NAME}` and `${NAME:-default}` in values.

`$${` gives `${`; every other `$` stays, because commands use it. The value of a variable is not expanded again.
"""

from __future__ import annotations

from taskmaster_common.schema.report import quoted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_LETTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_")
_NAME_CHARACTERS = _LETTERS | frozenset("0123456789")


class Variables:
    """The variables of values: `own`, which the decoder sets, before `environment`, the daemon's at its start.

    `elsewhere(name)` returns the file in which an undefined one is set, but not for the configuration, or "".
    """

    __slots__ = ("_elsewhere", "_environment", "_own")

    def __init__(
        self,
        environment: Mapping[str, str],
        own: Mapping[str, str],
        elsewhere: Callable[[str], str] | None = None,
    ) -> None:
        self._environment = environment
        self._own = own
        self._elsewhere = elsewhere

    def __contains__(self, name: object) -> bool:
        return name in self._own or name in self._environment

    def expand(self, text: str) -> str:
        """Return `text` with its variables replaced. Raises ValueError for an undefined or malformed one."""
        if "${" not in text:
            return text
        pieces: list[str] = []
        at = 0
        while (here := text.find("${", at)) >= 0:
            if here > at and text[here - 1] == "$":
                pieces.append(text[at : here - 1] + "${")
                at = here + 2
                continue
            end = text.find("}", here)
            if end < 0:
                raise ValueError(
                    f"{quoted(text[here:])} has no closing brace; "
                    "quote the word where a default holds a blank, or write $${ for a literal ${"
                )
            pieces.append(text[at:here] + self._value(text[here + 2 : end]))
            at = end + 1
        return "".join(pieces) + text[at:]

    def _value(self, inside: str) -> str:
        name, separator, default = inside.partition(":-")
        if "${" in default:
            raise ValueError(f"the default in {quoted('${' + inside)} holds another variable")
        if not name or name[0] not in _LETTERS or not _NAME_CHARACTERS.issuperset(name):
            raise ValueError(
                f"{quoted('${' + inside + '}')} is not a variable; "
                f"write ${{NAME}} or ${{NAME:-default}}, or $${{ for a literal ${{"
            )
        value = self._own.get(name)
        if value is None:
            value = self._environment.get(name)
        if separator:
            return value or default
        if value is None:
            file = self._elsewhere(name) if self._elsewhere else ""
            known = f": {file} sets it, but only for the program itself" if file else ""
            raise ValueError(
                f"the variable {name} is not set{known}; give a default with ${{{name}:-...}}, "
                f"or write $${{{name}}} for the text itself"
            )
        return value
