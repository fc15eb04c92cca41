"""What shells of the system understand and this one does not, and what to do instead. Pure."""

from __future__ import annotations

from taskmaster_common.errors import RequestError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

USAGE = 2
SENDS = "send"
"""The verb whose words may be anything."""
BETWEEN = {
    "|": "there are no pipes here",
    "||": "`;` separates commands here, and `-e` of a script ends it at the first that fails",
    "&&": "`;` separates commands here, and `-e` of a script ends it at the first that fails",
    ">": "no output goes into a file from here",
    ">>": "no output goes into a file from here",
    "<": "no command here reads a file that way",
    "&": "nothing goes on in the background here; `--no-wait` returns at once",
}
"""Words of other shells between or behind commands."""


def refuse_foreign(words: Sequence[str]) -> None:
    """Raise RequestError for a command in the language of a system's shell; quotes are gone, so a text to send may be anything."""
    first = words[0]
    if first.startswith("!"):
        rest = " ".join((first[1:], *words[1:])).strip()
        hint = "leave with Ctrl-D, or suspend with Ctrl-Z and come back with `fg`"
        raise RequestError("usage", f"no commands of the system here: {rest or '!'}", USAGE, (hint,))
    if first == SENDS or "--" in words:
        return
    found = next((word for word in words[1:] if word in BETWEEN), "")
    if found:
        hint = f"in a shell of the system:  taskmasterctl {' '.join(words)}"
        raise RequestError("usage", BETWEEN[found], USAGE, (hint,))
