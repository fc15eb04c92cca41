"""What the table of keys is made of: a key, and a record that holds keys. See `keys`."""

from __future__ import annotations

from taskmaster_common.records import Record

REQUIRED = object()
"""Stands for the default of a key that every program has to have."""
FILES = "@files"
"""As `otherwise`: the default depends on the user who runs the daemon; each document names its page about that."""


class Key(Record):
    """One key of a program or of `taskmasterd:`.

    `kind` names the decoder in `schema.values.kinds`. `default` is the decoded value, None where it depends on the host;
    `otherwise` says in words what holds then. `reload` is what a reload does when only this key changed. `doc` is one
    or more sentences with literals in back quotes; {least} and {most} stand for the bounds. `part` is the record
    within the program's that holds the key, "" for the program's own. `least` and `most` bound whole numbers,
    `shortest` (seconds) a time that is not 0, with `never_0` each time. `words` are the texts accepted besides the kind's own,
    `varies` says that instances may have different values, `shared` that `defaults:` may hold the key. `example` is the value
    in config/reference.yaml as written there, "" for the default.
    """

    name: str
    kind: str
    default: object
    reload: str
    doc: str
    part: str = ""
    otherwise: str = ""
    least: int = 0
    most: int = 0
    shortest: float = 0.0
    never_0: bool = False
    words: tuple[str, ...] = ()
    varies: bool = False
    shared: bool = True
    example: str = ""

    def text(self) -> str:
        """Return `doc` with the bounds in place."""
        return self.doc.replace("{least}", str(self.least)).replace("{most}", str(self.most))


class Part(Record):
    """A record within the program's: the field's name, the class, its docstring."""

    name: str
    class_name: str
    doc: str
