"""Checks of `sockets` that need more than their own value: other keys, other programs, the host."""

from __future__ import annotations

from taskmaster_common.config import said_of_instance
from taskmaster_common.config.sockets import FIRST_FD, UDP, Socket, socket_on_stdin, sockets_of
from taskmaster_common.paths import MAX_SOCKET_PATH
from taskmaster_common.schema.advice.shelltext import unexpanded_name
from taskmaster_common.schema.report import quoted
from taskmaster_common.schema.values.sockets import inet_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from taskmaster_common.config import DaemonConfig
    from taskmaster_common.schema.programs import Program
    from taskmaster_common.schema.report import Report
    from taskmaster_common.schema.surroundings import Surroundings

KEY = "sockets"
LOWEST_FREE_PORT = 1024
EVERYWHERE = ("", "0.0.0.0")
"""Hosts that stand for all addresses, the second one for those of IPv4."""


def check_sockets(programs: Sequence[Program], daemon: DaemonConfig, host: Surroundings, report: Report) -> None:
    """Report sockets that cannot be, that do not fit together, or that may not reach the program."""
    taken: dict[str, tuple[Program, Socket]] = {}
    for program in programs:
        config = program.config
        name = socket_on_stdin(config.stdin)
        sockets = sockets_of(config.sockets, config.socket_options) if config.sockets else ()
        if name and name not in [each.name for each in sockets]:
            reason = f"there is no socket {quoted(name)}; write its address below sockets"
            report.error(program.at("stdin"), program.place("stdin"), reason)
        for each in sockets:
            problem = _owner_problem(each, host, daemon) or _address_problem(program, each, taken)
            problem = problem or _place_problem(each, host, daemon)
            place = f"{program.place(KEY)}.{each.name}"
            if problem:
                report.error(program.at(KEY), place, problem)
            elif each.is_file and (taken_by := _directory_at(each, host)):
                path = each.addresses(0)[0]
                lenient = host.lenient_users or host.decided_by_others(path)
                (report.warn if lenient else report.error)(program.at(KEY), place, taken_by)
            elif each.is_file and not host.may_enter(_directory_of(each), None):
                reason = f"there is no directory {quoted(_directory_of(each))} that the daemon can enter"
                report.warn(program.at(KEY), place, unexpanded_name(each.addresses(0)[0]) or reason)
        if sockets:
            _check_program(program, sockets, daemon, report)
    _check_overlaps(taken, report)


def _address_problem(program: Program, socket: Socket, taken: dict[str, tuple[Program, Socket]]) -> str:
    """Return why the instances of a program cannot listen there, or ""; the addresses are `taken` from then on."""
    for index in range(program.config.numprocs if socket.varies else 1):
        for address in socket.addresses(index):
            if problem := _impossible(address):
                return said_of_instance(problem, index) if socket.varies else problem
            if address not in taken:
                taken[address] = program, socket
                continue
            other, same = taken[address]
            if other is program:
                return f"{address} is written twice"
            differing = [part for part in ("backlog", "mode", "user", "group") if _differs(same, socket, part)]
            if differing:
                named = " and ".join(differing)
                return f"{other.config.name} listens at {address}, too, with another {named}; both share one socket"
    return ""


def _check_overlaps(taken: Mapping[str, tuple[Program, Socket]], report: Report) -> None:
    """Warn of addresses that another one has taken whole: only one of the two can be open."""
    for address, (program, socket) in taken.items():
        host, colon, port = address.removeprefix(UDP).rpartition(":")
        kind = UDP if address.startswith(UDP) else ""
        if not colon or address.startswith(("/", "@")) or not host:
            continue
        for wide in EVERYWHERE:
            other = taken.get(f"{kind}{wide}:{port}")
            if other and wide != host and not (wide and host.startswith("[")):
                reason = f"{other[0].config.name} listens at {kind}{wide}:{port}, which is this address, too; only one can be open"
                report.warn(program.at(KEY), f"{program.place(KEY)}.{socket.name}", reason)
                break


def _differs(one: Socket, other: Socket, part: str) -> bool:
    return bool(getattr(one, part) != getattr(other, part))


def _impossible(address: str) -> str:
    if address.startswith(("/", "@")):
        length = len(address.encode("utf-8", "surrogateescape"))
        return (
            f"{quoted(address)} has {length} bytes; at most {MAX_SOCKET_PATH} are allowed"
            if length > MAX_SOCKET_PATH
            else ""
        )
    try:
        inet_of(address.removeprefix(UDP), address)
    except ValueError as error:
        return str(error)
    return ""


def _directory_of(socket: Socket) -> str:
    return socket.addresses(0)[0].rpartition("/")[0] or "/"


def _place_problem(socket: Socket, host: Surroundings, daemon: DaemonConfig) -> str:
    """Return why there can be no file of a socket at its path, or ""."""
    path = socket.addresses(0)[0]
    if not socket.is_file:
        return ""
    if path == (daemon.socket or host.places.socket):
        return f"{quoted(path)} is the control socket of taskmasterd"
    return ""


def _directory_at(socket: Socket, host: Surroundings) -> str:
    """Return that a directory has the place of the file of a socket, which fails that program's start, or ""."""
    path = socket.addresses(0)[0]
    return f"{quoted(path)} is a directory" if not host.identity(path) and host.may_enter(path, None) else ""


def _owner_problem(socket: Socket, host: Surroundings, daemon: DaemonConfig) -> str:
    """Return why the file cannot belong to whom it should, or ""."""
    user = host.user(socket.user) if socket.user else None
    gid = host.group(socket.group) if socket.group else None
    if socket.user and user is None:
        return f"there is no user {quoted(socket.user)}"
    if socket.group and gid is None:
        return f"there is no group {quoted(socket.group)}"
    becomes = host.user(daemon.user) if daemon.user else None
    uid = becomes.uid if becomes else host.uid
    if user and uid not in (0, user.uid):
        return f"only root can give a file to another user, {quoted(socket.user)}; taskmasterd runs as uid {uid}"
    return ""


def _check_program(program: Program, sockets: Sequence[Socket], daemon: DaemonConfig, report: Report) -> None:
    config, count = program.config, sum(len(each.addresses(0)) for each in sockets)
    if FIRST_FD <= config.ready.get("fd", 0) < FIRST_FD + count:
        reason = f"descriptor {config.ready['fd']} is one of its sockets; write a number from {FIRST_FD + count} on"
        report.error(program.at("ready"), program.place("ready"), reason)
    for key, probe in (("ready", config.ready), ("health", config.health)):
        way = next((way for way in ("tcp", "unix") if _is_of_daemon(probe.get(way), sockets)), "")
        if way:
            reason = f"the daemon listens at {probe[way]} for it, so {way} always succeeds; use http or exec"
            report.warn(program.at(key), program.place(key), reason)
    if config.shell and not config.cmd[0].lstrip().startswith("exec "):
        reason = (
            "LISTEN_PID is that of the shell, so the program may take the sockets for another's; begin cmd with exec"
        )
        report.warn(program.at("cmd"), program.place("cmd"), reason)
    low = [each.name for each in sockets if _is_low(each)]
    if low and daemon.user and not config.autostart:
        reason = f"{low[0]}: ports below {LOWEST_FREE_PORT} are opened at the daemon's start only, before it becomes {daemon.user}"
        report.warn(program.at(KEY), program.place(KEY), f"{reason}; with autostart: false that is too early")


def _is_of_daemon(asked: str | None, sockets: Sequence[Socket]) -> bool:
    """Return whether a probe connects to one of these: by its path, or by its port, since hosts have several names."""
    if not asked:
        return False
    if asked.startswith("/"):
        return asked in (each.listen for each in sockets)
    ports = [each.listen.rpartition(":")[2] for each in sockets if not each.listen.startswith(("/", "@", UDP))]
    return asked.rpartition(":")[2] in ports


def _is_low(socket: Socket) -> bool:
    port = socket.addresses(0)[0].rpartition(":")[2]
    return not socket.listen.startswith(("/", "@")) and port.isdecimal() and int(port) < LOWEST_FREE_PORT
