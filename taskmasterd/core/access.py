"""Who may do what by `roles`. Pure: users and groups are numbers here, which the reader of the configuration has looked up.

A role is held by a client, and covers programs; the level that a client has on a program is the highest of the roles of which
both is true. What no role of his covers does not exist for him.
"""

from __future__ import annotations

from taskmaster_common.commands.table import LEVELS, at_least, command
from taskmaster_common.records import Record
from taskmaster_common.text.names import ALL
from taskmaster_common.text.patterns import Pattern, is_pattern

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Any, Protocol

    from taskmasterd.core.steps import Steps

    class Credentials(Protocol):
        """Who connected, by the kernel's word."""

        @property
        def uid(self) -> int:
            """The user."""

        @property
        def gid(self) -> int:
            """The primary group."""

        @property
        def groups(self) -> tuple[int, ...]:
            """The other groups."""


PROGRAMS_A_STEP = 20
"""Programs that are held against all patterns before others have a turn."""
UNMAPPED = 65_534
"""The uid and gid of those whom the kernel cannot map; anybody in another user namespace can look like that."""


class Role(Record):
    """One role. `programs` are names without patterns and groups, None for all; `bit` is its own; `names` are (name, uid)."""

    name: str
    level: str
    bit: int
    users: frozenset[int]
    groups: frozenset[int]
    programs: frozenset[str] | None
    patterns: tuple[Pattern, ...]
    names: tuple[tuple[str, int], ...]

    def covers(self, program: str) -> bool:
        """Return whether the role is about a program. "" is the daemon itself, which only a role for all programs covers."""
        if self.programs is None or not program:
            return self.programs is None
        return program in self.programs or any(each.matches(program) for each in self.patterns)


class Roles:
    """All roles of a configuration; `groups` are its groups of programs."""

    def __init__(self, roles: Mapping[str, Any], groups: Mapping[str, Sequence[str]]) -> None:
        self.roles = tuple(_role(name, role, 1 << number, groups) for number, (name, role) in enumerate(roles.items()))
        self._covering: dict[str, int] = {}

    def of(self, client: Credentials) -> Rights:
        """Return what a client may do."""
        groups = {client.gid, *client.groups} - {UNMAPPED}
        held = [
            role
            for role in self.roles
            if (client.uid in role.users and client.uid != UNMAPPED) or not role.groups.isdisjoint(groups)
        ]
        return Rights(self, sorted(held, key=lambda role: -LEVELS.index(role.level)))

    def prepare(self, programs: Iterable[str]) -> Steps[None]:
        """Find out in steps which roles cover these programs; once for all clients."""
        for number, program in enumerate(programs):
            if program not in self._covering and number % PROGRAMS_A_STEP == 0:
                yield
            self.covering(program)

    def covering(self, program: str) -> int:
        """Return the bits of the roles that cover a program of the table."""
        found = self._covering.get(program)
        if found is None:
            found = self._covering[program] = sum(role.bit for role in self.roles if role.covers(program))
        return found


class Rights:
    """What one client may do."""

    def __init__(self, roles: Roles, held: Sequence[Role]) -> None:
        """`held` are the client's roles, that with the highest level first."""
        self._roles = roles
        self._bits = sum(role.bit for role in held)
        self.held = tuple(held)
        self.sees_all = any(role.programs is None for role in held)

    def prepare(self, programs: Iterable[str]) -> Steps[None]:
        """Find out in steps what is known of these programs."""
        return self._roles.prepare(programs)

    def role(self, program: str = "") -> Role | None:
        """Return the role that gives the highest level on a program, None where the program does not exist for him."""
        covering = self._roles.covering(program)
        return next((role for role in self.held if role.bit & covering), None)

    def may(self, level: str, program: str = "") -> bool:
        """Return whether the client has this level on a program; without one, on the daemon itself."""
        role = self.role(program)
        return role is not None and at_least(role.level, level)

    def sees(self, program: str) -> bool:
        """Return whether a program exists for the client."""
        return bool(self._bits & self._roles.covering(program))  # every level holds that of looking


def allowed(client: Credentials, roles: Roles, verb: str, program: str = "") -> bool:
    """Return whether a client may ask for a verb about a program, or about the daemon itself."""
    return roles.of(client).may(command(verb).access, program)


def _role(name: str, role: Mapping[str, Any], bit: int, groups: Mapping[str, Sequence[str]]) -> Role:
    written = role.get("programs", (ALL,))
    programs = frozenset(each for text in written for each in groups.get(text, (text,)))
    return Role(
        name,
        role["level"],
        bit,
        frozenset((*role.get("users", {}).values(), *role.get("members", ()))),
        frozenset(gid for gid in role.get("groups", {}).values() if gid is not None),
        None if ALL in written else programs,
        tuple(Pattern(text) for text in written if is_pattern(text)),
        tuple(role.get("users", {}).items()),
    )
