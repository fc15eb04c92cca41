"""From a loaded configuration to the resident daemon: places, lock, socket, identity, and the exec.

The resident process inherits the descriptors opened here by number. This module finds every possible failure and reports it to
the caller of the launcher; after the exec only bugs can fail.
"""

from __future__ import annotations

import importlib.util
import os
import resource
import sys

import taskmaster_common
import taskmasterd
from taskmaster_common.config import Config, is_elsewhere, mode_of_socket
from taskmaster_common.errors import SystemFailure, TaskmasterError, system_reason
from taskmaster_common.paths import MAX_SOCKET_PATH, default_places
from taskmaster_common.records import Record
from taskmasterd.control.socket_file import listen_on
from taskmasterd.fallbacks import limit
from taskmasterd.launch.claims import ClaimedError, Holder, claim
from taskmasterd.launch.neighbours import holder_of, refusal, shared
from taskmasterd.output.safe.open import check_log
from taskmasterd.processes.members.proofs import KEY_BYTES
from taskmasterd.sockets.parked import park
from taskmasterd.survival.disk.directory import Known, StateDirectory
from taskmasterd.survival.execute import execute_resident
from taskmasterd.survival.holdings import give_back
from taskmasterd.system.loop.signals import hold_back
from taskmasterd.system.paths.held import Held, inode_of, unlink_own
from taskmasterd.system.paths.locks import AlreadyRunningError, lock_pidfile, make_directory, release, unusable
from taskmasterd.system.paths.walk import PlantedError
from taskmasterd.system.procfs import boot_id
from taskmasterd.system.subreaper import be_subreaper
from taskmasterd.system.users import Account, ActingAs, account, group_id

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import NoReturn

    from taskmasterd.system.paths.held import Inode

FAILED = 1
CANNOT_CREATE = 4


class LaunchError(TaskmasterError):
    """The daemon cannot start; `exit_code` is that of the launcher."""

    def __init__(self, exit_code: int, text: str) -> None:
        super().__init__(text)
        self.exit_code = exit_code


class ResolvedPlaces(Record):
    """The places of this daemon. `socket` is a real path, `named` the path as given.

    `pidfile` None: PID 1 needs none; `logfile` None: stderr only, and `events`, if that is the text of a target; `log_dir`
    None: programs inherit the daemon's streams; `state_dir` None: the daemon keeps no state.
    """

    socket: str
    named: str
    pidfile: str | None
    logfile: str | None
    log_dir: str | None
    state_dir: str | None
    events: str | None = None


class StartOptions(Record):
    """How to start the daemon, decided by the options and the host. `notes` are (level, text) for the event log."""

    level: str
    foreground: bool
    guarded: bool
    pid1: bool
    orphans: str
    notes: tuple[tuple[str, str], ...] = ()


def resolve_places(config: Config, socket: str | None, *, pid1: bool) -> ResolvedPlaces:
    """Return the places of the daemon: -s, then the configuration, then the user's defaults."""
    daemon = config.daemon
    default = default_places(os.geteuid(), os.environ)
    named = socket or daemon.socket
    place = _real(named or default.socket)
    if len(os.fsencode(place)) > MAX_SOCKET_PATH:
        place = named or default.socket  # the given path may be a link that makes it short enough
    elsewhere = daemon.logfile if daemon.logfile and is_elsewhere(daemon.logfile) else None
    return ResolvedPlaces(
        socket=place,
        named=named or default.socket,
        pidfile=daemon.pidfile or (None if pid1 else f"{place}.pid" if named else default.pidfile),
        logfile=None if elsewhere else daemon.logfile or (None if pid1 else default.logfile),
        events=elsewhere,
        log_dir=daemon.log_dir or (None if pid1 else default.log_dir),
        state_dir=daemon.state_dir or default.state_dir,
    )


def _real(path: str) -> str:
    """Return the path with its directory resolved, so that every path to the file gives the same one."""
    return os.path.join(os.path.realpath(os.path.dirname(path)), os.path.basename(path))


def launch_in_background(become: Callable[[int], NoReturn]) -> tuple[int, str]:
    """Run `become(ready fd)` in a daemon process; return (exit code, text) once it is ready or has failed.

    A double fork keeps the daemon from ever getting a terminal. Source: daemon(7), "SysV Daemons".
    """
    ready, write = os.pipe()
    if os.fork() == 0:
        os.close(ready)
        os.setsid()
        if os.fork() != 0:
            os._exit(0)
        os.chdir("/")
        null = os.open(os.devnull, os.O_RDWR)
        for fd in (0, 1, 2):
            os.dup2(null, fd)
        os.close(null)
        become(write)
    os.close(write)
    with open(ready, "rb") as answer:
        said = answer.read()
    code, _, text = said.decode("utf-8", "replace").partition(" ")
    if not code.isdecimal():
        return FAILED, "the daemon ended before it was ready"
    return int(code), text.strip()


def become_daemon(config: Config, places: ResolvedPlaces, ready: int | None, start: StartOptions) -> NoReturn:
    """Open what the daemon owns, take its identity and execute the resident process. Raises LaunchError."""
    who = None
    try:
        who = account(config.daemon.user, None) if config.daemon.user else None
        _prepare(config, places, ready, start, who)
    except LookupError as error:
        raise LaunchError(CANNOT_CREATE, f"taskmasterd.user: {error}") from None
    except AlreadyRunningError as error:
        raise LaunchError(FAILED, refusal(str(error), holder_of(places.to_data(), who), config.path)) from None
    except ClaimedError as error:
        reason, remedy = shared(error.keys, error.holder, places.to_data())
        raise LaunchError(FAILED, f"{reason}\n  To run both, {remedy}.") from None
    except SystemFailure as error:
        known = limit(error.errno)
        text = f"{error}{'' if known in str(error) else known}"
        raise LaunchError(CANNOT_CREATE, f"{text}{'' if known else _remedy(error.target, config, places)}") from None
    except OSError as error:
        raise LaunchError(FAILED, f"cannot start: {system_reason(error)}{limit(error.errno)}") from None


def _remedy(target: str, config: Config, places: ResolvedPlaces) -> str:
    """Return which keys replace the default places that cannot be used, or ""."""
    daemon, default = config.daemon, default_places(os.geteuid(), os.environ)
    named = {
        "socket": places.named if places.named == default.socket else None,
        "pidfile": places.pidfile if places.pidfile == default.pidfile else None,
        "log_dir": None if daemon.log_dir else places.log_dir,
        "logfile": None if daemon.logfile else places.logfile,
    }
    keys = [
        f"`{key}`"
        for key, path in named.items()
        if path and (target in (path, _real(path), os.path.dirname(path)) or not os.path.isdir(os.path.dirname(path)))
    ]
    if not keys:
        return ""
    words = f"{', '.join(keys[:-1])} and {keys[-1]}" if keys[1:] else keys[0]
    return f"; set {words} in `taskmasterd:` to use another place"


def _prepare(
    config: Config, places: ResolvedPlaces, ready: int | None, start: StartOptions, who: Account | None
) -> NoReturn:
    daemon = config.daemon
    owner = (who.uid, who.gid) if who else None
    if who and os.geteuid() not in (0, who.uid):
        raise LaunchError(CANNOT_CREATE, f"cannot become user {who.name}: not started as root")
    hold_back()  # before the pid file exists
    os.umask(daemon.umask)
    places, notes = _make_default_directories(config, places, owner)
    _check_way(places)
    pidfile = lock_pidfile(places.pidfile, owner) if places.pidfile else None
    try:
        gid = group_id(daemon.socket_group) if daemon.socket_group else None
        before = inode_of(places.socket)
        listener = listen_on(places.socket, mode_of_socket(daemon), gid, who)
        fds = {"pidfile": pidfile, "listener": listener.detach(), "ready": ready}
        _execute(config, places, fds, start.replace(notes=notes), who, before)
    except (TaskmasterError, LookupError, OSError):
        release(places.pidfile, pidfile)
        raise


def _execute(
    config: Config,
    places: ResolvedPlaces,
    fds: dict[str, int | None],
    start: StartOptions,
    who: Account | None,
    before: Inode | None,
) -> NoReturn:
    """Claim the logs, take the identity and execute; `before` is the inode of the replaced socket. Removes ours on failure."""
    socket = inode_of(places.socket)
    claims: dict[str, int] = {}
    try:
        owner = (who.uid, who.gid) if who else None
        claims = claim(places.to_data(), owner, Holder(os.getpid(), places.socket, config.path))
        if places.logfile:
            _check_log(places.logfile, owner)
        if who:
            _check_places(config, places, who)
            if os.geteuid() == 0 and who.uid != 0 and any(program.sockets for program in config.programs):
                fds = {**fds, "sockets": park(config.programs, who)}
            _become(who)
        formerly = _take_over_state(places, before)
        notes = start.notes
        if refused := be_subreaper():
            what = "processes that leave their session outlive a stop"
            text = f"the system does not let the daemon adopt orphans ({refused}): {what}"
            notes = (*notes, ("warning", text))
        execute_resident(
            {
                "config": config.to_data(),
                "places": places.to_data(),
                "fds": {**fds, **claims},
                "door": socket,
                "nofile": _raise_nofile(),
                "loglevel": start.level,
                "foreground": start.foreground,
                "pid1": start.pid1,
                "orphans": start.orphans,
                "mark_key": os.urandom(KEY_BYTES).hex(),
                "formerly": formerly,
                "notes": notes,
                "path": import_path(),
            },
            guarded=start.guarded,
        )
    except (TaskmasterError, OSError):
        give_back(places.to_data(), claims)
        unlink_own(places.socket, socket)
        raise


def _check_way(places: ResolvedPlaces) -> None:
    """Refuse a socket whose real place changed because another user exchanged a directory on its way."""
    with Held(places.named, "create socket") as held:
        if places.socket not in (places.named, held.real_path):
            raise SystemFailure("create socket", places.named, "a directory on its way was exchanged")


def _take_over_state(places: ResolvedPlaces, before: Inode | None) -> str:
    """Rename the state file for this daemon and remove useless ones; return the socket that the file was written for.

    Raises AlreadyRunningError if its daemon is alive.
    """
    if not places.state_dir:
        return ""
    pidfile = places.pidfile and _real(places.pidfile)
    mine = Known(boot_id(), os.geteuid(), places.socket, places.named, pidfile, before)
    try:
        with StateDirectory(places.state_dir) as directory:
            directory.remove_useless(mine.boot)
            formerly = directory.take_over_name(mine)
            directory.remove_forgotten(mine)
            return formerly
    except (OSError, PlantedError):  # the daemon reports the problem in its event log
        return ""


def _make_default_directories(
    config: Config, places: ResolvedPlaces, owner: tuple[int, int] | None
) -> tuple[ResolvedPlaces, tuple[tuple[str, str], ...]]:
    """Create the default directories; return the usable places and notes for the event log.

    A default state directory that cannot be created (a read-only disk) is a warning: only adoption needs it.
    """
    default = default_places(os.geteuid(), os.environ)
    notes: tuple[tuple[str, str], ...] = ()
    if places.socket == _real(default.socket) or places.pidfile == default.pidfile:
        make_directory(default.run_dir, 0o755 if os.geteuid() == 0 else 0o700, owner)
    if places.state_dir and not config.daemon.state_dir:
        try:
            make_directory(places.state_dir, 0o700, owner)
        except SystemFailure as failure:
            text = (
                f"{failure}; programs of a daemon that dies are not taken over, unless `state_dir` names another place"
            )
            notes = (("warning", text),)
            places = places.replace(state_dir=None)
    if places.log_dir and not config.daemon.log_dir:
        make_directory(places.log_dir, 0o750, owner)
    for named in (config.daemon.log_dir, config.daemon.state_dir):
        if named and not os.path.isdir(named):
            raise SystemFailure("use directory", named, "it does not exist; a configured directory is not created")
    return places, notes


def _check_log(path: str, owner: tuple[int, int] | None) -> None:
    """Open the event log once, so that the launcher reports any problem with it."""
    check_log(path, owner)


def _become(who: Account) -> None:
    """Take the daemon's identity for good."""
    if os.geteuid() == 0:
        os.setgroups(who.groups)
        os.setresgid(who.gid, who.gid, who.gid)
        os.setresuid(who.uid, who.uid, who.uid)
    if os.getresuid() != (who.uid,) * 3:
        raise SystemFailure("become user", who.name, "the identity did not stick")


def _check_places(config: Config, places: ResolvedPlaces, who: Account) -> None:
    """Check that the user may do what the daemon does later: re-create, rotate, read again, execute itself.

    The check runs as that user and can still go back, so that a failure is cleaned up.
    """
    directories = {os.path.dirname(path) for path in (places.socket, places.pidfile, places.logfile) if path}
    needed = [(directory, os.W_OK | os.X_OK) for directory in sorted(directories)]
    needed += [(places.log_dir, os.W_OK | os.X_OK)] if places.log_dir else []
    needed += [(places.logfile, os.W_OK)] if places.logfile else []
    needed += [(path, os.R_OK) for path, _, _ in config.files]
    needed.append((sys.executable, os.X_OK))
    with ActingAs(who):
        refused = unusable(needed)
    if refused:
        what = {sys.executable: "execute", **{path: "read" for path, _, _ in config.files}}.get(refused, "write")
        raise SystemFailure("use", refused, f"user {who.name} may not {what} it")


def _raise_nofile() -> tuple[int, int]:
    """Raise the soft limit of open files to the hard one; return the old limits for the children."""
    try:
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if soft != hard:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    except OSError:  # a filter of system calls
        return 0, 0
    return soft, hard


def import_path() -> list[str]:
    """Return the directories of our packages and PyYAML, for an interpreter without site."""
    parser = importlib.util.find_spec("yaml")
    packages = [os.path.abspath(path) for path in (*taskmasterd.__path__, *taskmaster_common.__path__)]
    if parser and parser.origin:
        packages.append(os.path.dirname(parser.origin))
    return list(dict.fromkeys(os.path.dirname(package) for package in packages))
