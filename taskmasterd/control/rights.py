"""What a client may do, and what exists for him.

Root, the daemon's user and the members of socket_group may do everything: of them nothing else is asked. Of all others `roles`
decide at each request, so a reload that changes them holds at once. The rules themselves are those of `core.access`.
"""

from __future__ import annotations

from taskmaster_common.commands.table import ADMIN, LOOK, READ
from taskmaster_common.errors import RequestError
from taskmasterd.core.words.describe import names_text
from taskmasterd.ondemand import on_demand

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Any

    from taskmasterd.configuration.current import Current
    from taskmasterd.core import access
    from taskmasterd.core.access import Rights, Roles
    from taskmasterd.core.programs.table import Entry, Table
    from taskmasterd.core.steps import Steps
    from taskmasterd.core.words import veil
    from taskmasterd.system.peers import Peer

    Claim = tuple[str, Sequence[str]]
    """What a stream was allowed for: the level, and the programs, none where it is about whatever there is."""
else:
    access = on_demand("taskmasterd.core.access")
    veil = on_demand("taskmasterd.core.words.veil")

EVERYTHING = ADMIN
"""`access` of a client who may do everything."""
BY_ROLE = "role"
"""`access` of a client of whom roles decide."""
NO_PERMISSION = 4
MOST_NAMED = 20
"""Most programs in the line that a refusal proposes."""


MOST_CONNECTIONS = 16
"""Most connections of one user who is let in by roles only: he must not take those of others."""


def stranger_text(uid: int, *, by_roles: bool) -> RequestError:
    """Return what somebody hears whom nothing lets in; `by_roles`: the configuration has roles."""
    text = f"uid {uid} may not use this daemon"
    hint = "root, the daemon's own user and members of its socket_group may"
    if by_roles:
        hint = f"a line for `roles`: {{users: [{uid}], level: {LOOK}}}"
    return RequestError("permission", text, NO_PERMISSION, (hint,), {"needs": LOOK, "has": ""})


def too_many_text(uid: int) -> RequestError:
    """Return what somebody hears who has too many connections by a role."""
    return RequestError("busy", f"uid {uid} has {MOST_CONNECTIONS} connections, the most by a role; close one", 1)


class Sight:
    """What exists for a client, and what he may do; `rights` is None for one who may do everything."""

    def __init__(self, peer: Peer, rights: Rights | None, table: Table) -> None:
        self.peer = peer
        self.rights = rights
        self.limited = rights is not None and not rights.sees_all
        self._whole = table

    def table(self) -> Table:
        """Return the table of what exists for the client, as it is now; `prepared` has gone before."""
        return self._whole.only(self.sees) if self.limited else self._whole

    def prepared(self) -> Steps[None]:
        """Look in steps at what exists for the client: a file has thousands of names and patterns."""
        if self.limited and self.rights is not None:
            yield from self.rights.prepare(self._whole.names())

    def groups(self) -> dict[str, list[str]]:
        """Return the groups, with the programs that exist for the client."""
        found = {name: [each for each in programs if self.sees(each)] for name, programs in self._whole.groups.items()}
        return {name: programs for name, programs in found.items() if programs or not self.limited}

    def sees(self, program: str) -> bool:
        """Return whether a program exists for the client."""
        return self.rights is None or self.rights.sees(program)

    def reads(self, program: str) -> bool:
        """Return whether the client may read what a program writes."""
        return self.may(READ, program)

    def may(self, level: str, program: str = "") -> bool:
        """Return whether the client has a level on a program; without one, on the daemon itself."""
        return self.rights is None or self.rights.may(level, program)

    def process(self, view: dict[str, Any]) -> dict[str, Any]:
        """Return a PROCESS object for the client; one of whom roles decide learns what he may do with it."""
        if self.rights is None:
            return view
        role = self.rights.role(view["program"])
        shown = veil.process(view, self._whole, self.sees) if self.limited else view
        return {**shown, "may": role.level if role else ""}

    def settings(self, view: dict[str, Any]) -> dict[str, Any]:
        """Return the settings of a program for the client."""
        return veil.settings(view, self._whole, self.sees) if self.limited else view

    def text(self, text: str) -> str:
        """Return a text for the client: one that names what does not exist for him is left out, and says so."""
        return veil.text(text, self._whole, self.sees) if self.limited else text

    def still_allows(self, claim: Claim) -> bool:
        """Return whether a stream may go on that was allowed before: one that looks, while any of its programs exists for him."""
        level, programs = claim
        if self.rights is None:
            return True
        if level == LOOK:
            return any(map(self.sees, programs)) if programs else bool(self.rights.held)
        return all(self.may(level, program) for program in programs)

    def require(self, level: str, what: str, programs: Iterable[str] = ("",)) -> None:
        """Raise RequestError "permission" unless the client has the level on all of these programs; `what` is his request."""
        if self.rights is not None:
            denied = [program for program in dict.fromkeys(programs) if not self.may(level, program)]
            if denied:
                raise denial(self.peer, self.rights, level, what, denied)

    def require_for(self, level: str, verb: str, entries: Sequence[Entry]) -> None:
        """Raise RequestError "permission" unless the client has the level on the programs of all these entries."""
        if self.rights is not None:
            denied = [entry for entry in entries if not self.may(level, entry.program)]
            if denied:
                named = names_text([self._whole.name(entry) for entry in denied])
                programs = tuple(dict.fromkeys(entry.program for entry in denied))
                raise denial(self.peer, self.rights, level, f"{verb} {named}", programs)


def denial(peer: Peer, rights: Rights, level: str, what: str, programs: Sequence[str]) -> RequestError:
    """Return why a request is refused: what it needs, what the client has and by which role, and the line that would allow it."""
    role = rights.role(programs[0])
    held = role or rights.held[0]
    has = f"has {held.level} (role {held.name}{'' if role else ', for its programs'})"
    several = f", {len(programs)} programs" if len(programs) > MOST_NAMED else ""
    scope = f", programs: [{', '.join(programs)}]" if programs[0] and not several else ""
    name = next((name for name, uid in _names(rights) if uid == peer.uid), str(peer.uid))
    line = f"a line for `roles`: {{users: [{name}], level: {level}{scope}}}"
    text = f"{what}: needs {level}{several}; uid {peer.uid} {has}"
    return RequestError("permission", text, NO_PERMISSION, (line,), {"needs": level, "has": held.level})


def _names(rights: Rights) -> Iterable[tuple[str, int]]:
    return (pair for role in rights.held for pair in role.names)


class Judge:
    """Judges clients by the roles of the configuration that is followed."""

    def __init__(self, current: Current, table: Table) -> None:
        self._current = current
        self._table = table
        self._roles: Roles | None = None
        self._made_of: tuple[object, object] = (None, None)

    def admit(self, peer: Peer, owner: int, group: int | None) -> str:
        """Return the `access` of who connects, "" for one who is let in by nothing."""
        if peer.uid in (0, owner) or group in (peer.gid, *peer.groups):
            return EVERYTHING
        return BY_ROLE if self._current.running.roles and self._by_roles(peer).held else ""

    def sight(self, peer: Peer, admitted: str) -> Sight:
        """Return what exists for a client who was admitted in this way, and what he may do now."""
        return Sight(peer, None if admitted == EVERYTHING else self._by_roles(peer), self._table)

    def ends(self, peer: Peer, admitted: str, claim: Claim | None) -> RequestError | None:
        """Return why a stream must end that was allowed for `claim`, None where it may go on."""
        if claim is None or admitted == EVERYTHING:
            return None
        sight = self.sight(peer, admitted)
        if sight.still_allows(claim) or sight.rights is None:
            return None
        level, programs = claim
        if not sight.rights.held:
            return stranger_text(peer.uid, by_roles=True)
        denied = [program for program in programs if not sight.may(level, program)]
        if any(not sight.sees(program) for program in denied):
            return RequestError("permission", "a reload has taken away the role that allowed this", NO_PERMISSION)
        return denial(peer, sight.rights, level, names_text(denied), denied)

    def _by_roles(self, peer: Peer) -> Rights:
        made_of = (self._current.running.roles, self._table.groups)
        if self._roles is None or made_of[0] is not self._made_of[0] or made_of[1] is not self._made_of[1]:
            self._roles = access.Roles(*made_of)
            self._made_of = made_of
        return self._roles.of(peer)
