"""Checks of `roles`, with the numbers of their users and groups: the daemon never looks one up, which could take long."""

from __future__ import annotations

from taskmaster_common.commands.table import TYPE
from taskmaster_common.schema.nodes import SEQUENCE
from taskmaster_common.schema.report import quoted
from taskmaster_common.schema.values.groups import MOST_MATCHES, Guesses
from taskmaster_common.text.names import ALL
from taskmaster_common.text.patterns import Pattern, is_pattern

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import Any

    from taskmaster_common.config import DaemonConfig
    from taskmaster_common.schema.nodes import Node
    from taskmaster_common.schema.programs import Program
    from taskmaster_common.schema.report import Report
    from taskmaster_common.schema.surroundings import Surroundings, User

PLACE = "taskmasterd.roles"
UNMAPPED = 65_534
"""What users and groups from outside of a user namespace look like. Source: user_namespaces(7)."""
MAY_CONNECT = 0o2
"""The bit of a socket's mode that connect(2) asks for. Source: unix(7)."""


def with_numbers(
    daemon: DaemonConfig, nodes: Mapping[str, Node], surroundings: Surroundings, report: Report
) -> DaemonConfig:
    """Return `taskmasterd:` with the uids and gids of its roles, as `core.access` reads them; report who is unknown.

    Then a role has `users` {name: uid}, `groups` {name: gid, None for an unknown one} and `members`, the uids of the groups'
    members where the kernel does not say in which groups a client is.
    """
    if not daemon.roles:
        return daemon
    roles: dict[str, Any] = {}
    for name, role in daemon.roles.items():
        numbers: dict[str, Any] = {"level": role["level"]}
        users = dict(_users(name, role.get("users", ()), nodes["roles"], surroundings, report))
        groups = dict(_groups(name, role.get("groups", ()), nodes["roles"], surroundings, report))
        members = sorted(
            {uid for group, gid in groups.items() if gid is not None for uid in surroundings.members(group)}
        )
        numbers |= {"users": users} if users else {}
        numbers |= {"groups": groups} if groups else {}
        numbers |= {"members": members} if members else {}
        numbers |= {"programs": list(role["programs"])} if "programs" in role else {}
        roles[name] = numbers
    return daemon.replace(roles=roles)


def _users(
    role: str, names: Sequence[str], node: Node, surroundings: Surroundings, report: Report
) -> Iterator[tuple[str, int]]:
    for number, name in enumerate(names):
        at = _element(node, role, "users", number)
        account = surroundings.user(name)
        if account is None:
            # at a start the programs come first: nobody gets less than he should but this user
            tell = report.warn if surroundings.lenient_users else report.error
            tell(at, PLACE, f"{role}: there is no user {quoted(name)}")
        elif account.uid == UNMAPPED:
            reason = (
                f"{role}: {quoted(name)} is uid {UNMAPPED}, as which the kernel shows every user that it cannot map"
            )
            report.error(at, PLACE, f"{reason}; name another user")
        else:
            yield name, account.uid


def _groups(
    role: str, names: Sequence[str], node: Node, surroundings: Surroundings, report: Report
) -> Iterator[tuple[str, int | None]]:
    for number, name in enumerate(names):
        at = _element(node, role, "groups", number)
        gid = surroundings.group(name)
        if gid == UNMAPPED:
            reason = (
                f"{role}: {quoted(name)} is gid {UNMAPPED}, as which the kernel shows every group that it cannot map"
            )
            report.error(at, PLACE, f"{reason}; name another group")
        elif gid is None:
            report.warn(at, PLACE, f"{role}: there is no group {quoted(name)}, so nobody is in it")
        yield name, gid


def check_roles(
    daemon: DaemonConfig,
    nodes: Mapping[str, Node],
    programs: Sequence[Program],
    groups: Mapping[str, Sequence[str]],
    surroundings: Surroundings,
    report: Report,
) -> None:
    """Report roles for programs that do not exist, that can type as root, and whose users cannot connect."""
    names = tuple(program.config.name for program in programs)
    guesses = Guesses((*names, *groups))
    patterns = sum(is_pattern(text) for role in daemon.roles.values() for text in role.get("programs", ()))
    if patterns * len(names) > MOST_MATCHES:
        report.error(
            nodes["roles"], PLACE, f"{patterns} patterns for {len(names)} programs take too long; write groups"
        )
        return
    for name, role in daemon.roles.items():
        at = nodes["roles"].entries[name][0]
        for number, text in enumerate(role.get("programs", ())):
            place = _element(nodes["roles"], name, "programs", number)
            if is_pattern(text) and not any(_matches(text, each) for each in names):
                report.warn(place, PLACE, f"{name}: {quoted(text)} matches no program")
            elif not is_pattern(text) and text not in (*names, *groups):
                report.error(place, PLACE, f"{name}: there is no program or group {quoted(text)}{guesses.hint(text)}")
        of_root = next((each for each in _covered(role, programs, groups) if _runs_as_root(each, surroundings)), None)
        if role["level"] == TYPE and of_root:
            reason = f"{name}: who types into {of_root.config.name} is as good as root, who runs it"
            report.warn(at, PLACE, f"{reason}; give it a `user`, or leave it out of the role")
    if daemon.roles:
        _check_way(daemon, nodes, surroundings, report)


def _matches(pattern: str, name: str) -> bool:
    return pattern == ALL or Pattern(pattern).matches(name)


def _covered(
    role: Mapping[str, Any], programs: Sequence[Program], groups: Mapping[str, Sequence[str]]
) -> Iterator[Program]:
    texts = role.get("programs")
    named = {name for text in texts or () for name in groups.get(text, (text,))}
    patterns = [text for text in texts or () if is_pattern(text)]
    for program in programs:
        name = program.config.name
        if texts is None or name in named or any(_matches(pattern, name) for pattern in patterns):
            yield program


def _runs_as_root(program: Program, surroundings: Surroundings) -> bool:
    return program.account.uid == 0 if program.account else surroundings.uid == 0


def _check_way(daemon: DaemonConfig, nodes: Mapping[str, Node], surroundings: Surroundings, report: Report) -> None:
    """Warn of a mode or a directory that keeps users of roles from the socket."""
    mode = daemon.socket_mode
    group = surroundings.group(daemon.socket_group) if daemon.socket_group else None
    path = daemon.socket or surroundings.places.socket
    directory = path.rpartition("/")[0] or "/"
    for name, account in _accounts(daemon.roles, surroundings):
        if mode is not None and not _may(mode, group, account):
            reason = f"keeps {account.name} of the role {name} from the socket; write 0666, or leave it out"
            report.warn(nodes["socket_mode"], "taskmasterd.socket_mode", reason)
            return
        if daemon.socket and not surroundings.may_enter(directory, account):
            reason = f"{account.name} of the role {name} may not enter {directory}"
            report.warn(nodes["socket"], "taskmasterd.socket", reason)
            return
    if mode is not None and not mode & MAY_CONNECT:
        for name, role in daemon.roles.items():
            shut = next(
                (each for each, gid in role.get("groups", {}).items() if not (mode & 0o20 and gid == group)), ""
            )
            if shut:
                reason = f"keeps the group {shut} of the role {name} from the socket; write 0666, or leave it out"
                report.warn(nodes["socket_mode"], "taskmasterd.socket_mode", reason)
                return
    if surroundings.uid != 0 and not daemon.socket:
        reason = f"the users of roles may not enter {directory}, which is yours alone; set `socket` to another place"
        report.warn(nodes["roles"], PLACE, reason)


def _accounts(roles: Mapping[str, Any], surroundings: Surroundings) -> Iterator[tuple[str, User]]:
    for name, role in roles.items():
        for user in role.get("users", ()):
            account = surroundings.user(user)
            if account is not None and account.uid not in (0, surroundings.uid):
                yield name, account


def _may(mode: int, group: int | None, account: User) -> bool:
    """Return whether a user may connect to a socket of this mode and group, that is not his."""
    bits = mode >> 3 if group is not None and group in account.groups else mode
    return bool(bits & MAY_CONNECT)


def _element(node: Node, role: str, part: str, number: int) -> Node:
    """Return where an element of a role is written."""
    found = node.entries[role][1].entries[part][1]
    return found.items[number] if found.kind == SEQUENCE else found
