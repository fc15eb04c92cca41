"""What the command table is made of: verbs, flags and the levels that they need, and a request as it was parsed. See `table`."""

from __future__ import annotations

from taskmaster_common.records import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

DAEMON_SIDE = "daemon"
CLIENT_SIDE = "client"

LOOK = "look"
READ = "read"
OPERATE = "operate"
TYPE = "type"
ADMIN = "admin"
LEVELS = (LOOK, READ, OPERATE, TYPE, ADMIN)
"""The levels of roles; each holds those before it.

See how programs are; read what they write; start, stop and signal them; type into them; change the daemon itself.
"""


class Flag(Record):
    """One flag: `name` with its dashes, `short` form or "", `value` the placeholder of its value or "" for none.

    `access` is the level that a request with this flag needs at least; `acts`: it changes something, though its verb may only
    look. `choices` are all values that it takes, () where any text may be one. `lowers`: the level that is enough with it.
    `repeated`: it may be given several times; its values are joined by NUL.
    """

    name: str
    short: str = ""
    value: str = ""
    side: str = DAEMON_SIDE
    access: str = LOOK
    choices: tuple[str, ...] = ()
    acts: bool = False
    lowers: str = ""
    repeated: bool = False

    @property
    def key(self) -> str:
        """The flag's name in `Request.flags`: "--no-wait" is "no_wait"."""
        return self.name[2:].replace("-", "_")


class Command(Record):
    """One verb. The file `verbs/MODULE` of the daemon serves it, "" for one that the client carries out by other verbs.

    `access` is the level that it needs.

    `arguments` names what follows: "" nothing, "[TARGET...]" any number, "TARGET..." at least one,
    "SIGNAL TARGET..." a signal and at least one, "[VERB]" at most one, "TARGET [TEXT...]" one and a text, "TARGET" one, "ACTION [RULE]"
    one of the `actions`, which are (word, level), and for all but the first one the name of an alert rule. `looks`: though it needs
    more than READ, it only looks at its targets.
    """

    name: str
    module: str
    access: str
    arguments: str = ""
    flags: tuple[Flag, ...] = ()
    actions: tuple[tuple[str, str], ...] = ()
    looks: bool = False

    @property
    def acts(self) -> bool:
        """Whether the verb changes something: an unknown name is then exit code 5, else 4."""
        return self.access not in (LOOK, READ) and not self.looks

    def flag(self, word: str) -> Flag | None:
        """Return the flag of that long or short name, or None."""
        return next((flag for flag in self.flags if word in (flag.name, flag.short)), None)


class Request(Record):
    """A parsed command line: `flags` maps keys to True or to the value's text; `targets` are the words left over."""

    verb: str
    flags: Mapping[str, str | bool] = {}
    targets: tuple[str, ...] = ()

    def has(self, key: str) -> bool:
        """Return whether the flag was given."""
        return bool(self.flags.get(key))

    def words(self) -> tuple[str, ...]:
        """Return words from which `parse` makes an equal request."""
        flags = (
            f"--{key.replace('_', '-')}{'' if value is True else f'={value}'}" for key, value in self.flags.items()
        )
        return (self.verb, *flags, "--", *self.targets)

    def text(self, key: str, default: str = "") -> str:
        """Return the flag's value, or `default` where it was not given."""
        value = self.flags.get(key, default)
        return value if isinstance(value, str) else default
