"""The options of one section, taken one by one, so that none is left without a line. Pure."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from taskmasterctl.convert.reading.ini import IniOption, Section


class Taking:
    """The options of a section; `rest` are those that nobody has taken."""

    def __init__(self, section: Section) -> None:
        self.section = section
        self._left = dict(section.options)

    def take(self, name: str) -> IniOption | None:
        """Return an option and take it out, None if the section does not have it."""
        return self._left.pop(name, None)

    def has(self, name: str) -> bool:
        """Return whether the section has the option, taken or not."""
        return name in self.section.options

    def rest(self) -> Iterator[IniOption]:
        """Yield what is left, and take it."""
        yield from self._left.values()
        self._left = {}
