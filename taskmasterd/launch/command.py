"""The command `taskmasterd`: options, checks, and the launch of the resident daemon.

It ends in an exec, so it may import what must not be resident.
"""

from __future__ import annotations

import errno
import os
import resource
import sys

from taskmaster_common.config import Config, DaemonConfig
from taskmaster_common.errors import system_reason
from taskmaster_common.paths import config_candidates, default_places
from taskmaster_common.schema import Here, absolute, effective_text
from taskmasterd.configuration.loading import load
from taskmasterd.launch import printing
from taskmasterd.launch.claims import claimed_by_others
from taskmasterd.launch.daemonize import (
    FAILED,
    LaunchError,
    ResolvedPlaces,
    StartOptions,
    become_daemon,
    launch_in_background,
    resolve_places,
)
from taskmasterd.launch.following import follow
from taskmasterd.launch.neighbours import shared
from taskmasterd.launch.options import USAGE, parse
from taskmasterd.launch.remarks import Remarks, trouble_of_overrides
from taskmasterd.launch.simulating import run_simulation
from taskmasterd.launch.standard_streams import close_inherited, descriptor_of, open_standard_streams, read_descriptor
from taskmasterd.ondemand import on_demand
from taskmasterd.survival.holdings import report
from taskmasterd.system.loop.signals import signal_numbers
from taskmasterd.telling.notify_socket import stderr_is_journal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Sequence
    from typing import NoReturn

    from taskmaster_common.schema import File
    from taskmasterd.configuration import calendar
else:
    calendar = on_demand("taskmasterd.configuration.calendar")

CONFIG = 6
HERE = "./taskmaster.yaml"
FDS_OF_DAEMON = 64
"""Number of descriptors for the daemon itself: log, socket, a reserve for clients."""
FDS_PER_STREAM = 2
"""Number of descriptors for one stream: a pipe and a file."""


def main(arguments: Sequence[str]) -> int:
    """Carry out the options; return the exit code."""
    try:
        open_standard_streams()
    except OSError as error:
        return _failed(FAILED, f"cannot open {os.devnull}: {system_reason(error)}")
    if not sys.flags.utf8_mode and sys.getfilesystemencoding() != "utf-8":  # paths and words are UTF-8 in any locale
        os.execv(sys.executable, [sys.executable, "-X", "utf8", *sys.orig_argv[1:]])
    options = parse(arguments)
    try:
        if options.printed or options.files:
            print(_printed(options), end="")
            return 0
        return _run(options)
    except LaunchError as error:
        return _failed(error.exit_code, str(error))
    except OSError as error:  # a sandbox that refuses a call without a fallback
        if error.errno in (errno.EMFILE, errno.ENFILE):
            raise
        return _failed(FAILED, f"cannot start: {system_reason(error)}")


def _printed(options: Namespace) -> str:
    """Return what is to be printed, without a look at the configuration where that is not asked for. Raises LaunchError."""
    if options.printed:
        return printing.text_of(options.printed, _absolute(options.config) if options.config else None)
    if options.config is None and not any(map(os.path.lexists, config_candidates(os.geteuid(), os.environ))):
        return printing.files(None, resolve_places(Config("", DaemonConfig(), ()), options.socket, pid1=False))
    path = _absolute(_config_path(options.config))
    loaded = load(path, environment=os.environ, options={"daemonized": True, "pid1": False, "lenient_users": True})
    if loaded.config is None:
        why = loaded.shortage or loaded.failure or loaded.problems[0]
        raise LaunchError(CONFIG, f"cannot tell the files of a daemon whose configuration has problems: {why}")
    return printing.files(path, resolve_places(loaded.config, options.socket, pid1=False), loaded.config.programs)


def _run(options: Namespace) -> int:
    """Check the configuration, or start the daemon. Raises LaunchError."""
    checking = options.check or options.print_config
    looking = checking or options.simulate is not None
    path = _config_path(options.config)
    given = _given(path, checking=looking)
    close_inherited()
    path, socket = _absolute(path), _absolute(options.socket) if options.socket else None
    pid1 = os.getpid() == 1
    foreground = options.nodaemon or pid1 or bool(os.environ.get("NOTIFY_SOCKET"))
    guarded = options.guard or (pid1 and sys.platform == "linux")
    if options.guard and sys.platform != "linux":
        raise LaunchError(USAGE, "--guard needs Linux: only there a process can inherit what another one leaves")
    host = {"daemonized": not foreground, "pid1": pid1, "lenient_users": not checking}
    loaded = load(path, environment=os.environ, options=host, given=given)
    if stderr_is_journal():  # more users may read the journal than the configuration
        loaded = loaded.public()
    for warning in loaded.warnings:
        _tell(warning, fd=2)
    obstacle = loaded.shortage or loaded.failure
    if obstacle:
        raise LaunchError(FAILED, f"cannot read {path}: {obstacle}")
    if loaded.config is None:
        return _refuse(path, loaded.problems)
    if options.simulate is not None:
        return run_simulation(loaded.config, options)
    _warn_of_few_descriptors(loaded.config)
    places = resolve_places(loaded.config, socket, pid1=pid1)
    if checking:
        _warn_of_neighbours(path, places)
        return _checked(path, loaded.config, places, effective=options.print_config, values=options.env)
    if options.follow:
        return follow(places.socket)
    _tell(f"taskmasterd: configuration {path}, socket {places.socket}", fd=1)
    start = StartOptions(
        level=options.loglevel or loaded.config.daemon.loglevel,
        foreground=foreground,
        guarded=guarded,
        pid1=pid1,
        orphans=options.orphans,
    )
    return _launch(loaded.config, places, start)


def _config_path(named: str | None) -> str:
    """Return the path of the configuration. Raises LaunchError if there is none."""
    candidates = (named,) if named is not None else config_candidates(os.geteuid(), os.environ)
    for path in candidates:
        if descriptor_of(path) is not None or os.path.exists(path):
            return path
    for path in candidates:
        _absolute(path)  # if the current directory is unknown, that is the reason, and this raises it
    text = f"no configuration: {', '.join(candidates)}: no such file"
    if named is None and os.path.exists(HERE):  # candidates of root leave it out, see config_candidates
        text += f"\n  {HERE} is here, but a daemon of root never reads the current directory:  taskmasterd -c {HERE}"
    elif named is None:
        text += (
            "\n  Name it:  taskmasterd -c FILE\n  Or begin with the example:  taskmasterd --example >taskmaster.yaml"
        )
    raise LaunchError(CONFIG, text)


def _given(path: str, *, checking: bool) -> File | None:
    """Return the content of a path that names one of our descriptors, None if it names a file. Raises LaunchError."""
    fd = descriptor_of(path)
    if fd is None:
        return None
    if not checking:
        raise LaunchError(USAGE, f"cannot use {path}: a pipe cannot be read again at reload; give a file")
    try:
        return read_descriptor(fd)
    except OSError as error:
        raise LaunchError(CONFIG, f"cannot read {path}: {system_reason(error)}") from None


def _absolute(path: str) -> str:
    """Return an absolute path. It keeps `..`, since after a link only the kernel knows where that leads.

    Raises LaunchError if the current directory is unknown.
    """
    path = "/dev/stdin" if path == "-" else path
    try:
        return absolute("" if os.path.isabs(path) else os.getcwd(), path)
    except OSError as error:
        reason = "has been deleted" if error.errno == errno.ENOENT else f"cannot be found: {system_reason(error)}"
        text = f"cannot use {path}: the current directory {reason}; go to another one, or give an absolute path"
        raise LaunchError(FAILED, text) from None


def _refuse(path: str, problems: Sequence[str]) -> int:
    for problem in problems:
        print(problem, file=sys.stderr)
    count = f"{len(problems)} problem{'s' if len(problems) != 1 else ''}"
    print(f"{path}: {count}; nothing was started", file=sys.stderr)
    return CONFIG


def _checked(path: str, config: Config, places: ResolvedPlaces, *, effective: bool, values: bool) -> int:
    trouble = trouble_of_overrides(config, places)
    if trouble:
        print(f"{path}: warning: {trouble}", file=sys.stderr)
    if effective:
        usual, remarks = default_places(os.geteuid(), os.environ), Remarks(config, places)
        here = Here(calendar.upcoming, remarks.start_of, remarks.cgroup_root)
        print(effective_text(config, signal_numbers(), usual, values=values, here=here), end="")
        return 0
    programs, processes = len(config.programs), sum(program.numprocs for program in config.programs)
    print(f"{path}: ok ({_count(programs, 'program')}, {_count(processes, 'process', 'es')})")
    return 0


def _warn_of_neighbours(path: str, places: ResolvedPlaces) -> None:
    """Warn if another daemon holds places that this configuration needs."""
    claimed = claimed_by_others(places.to_data(), places.socket)
    if claimed:
        reason, remedy = shared(*claimed, places.to_data())
        print(f"{path}: warning: {reason}; {remedy}", file=sys.stderr)


def _count(number: int, noun: str, plural: str = "s") -> str:
    return f"{number} {noun}{plural if number != 1 else ''}"


def _warn_of_few_descriptors(config: Config) -> None:
    streams = {True: 1, False: 2}
    needed = FDS_OF_DAEMON + sum(
        program.numprocs * streams[program.output.stderr in ("stdout", program.output.stdout)] * FDS_PER_STREAM
        for program in config.programs
    )
    try:
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    except OSError:  # a filter of system calls
        return
    if hard != resource.RLIM_INFINITY and needed > hard:
        text = f"the programs need about {needed} open files, the limit is {hard} (ulimit -Hn)"
        _tell(f"taskmasterd: warning: {text}", fd=2)


def _launch(config: Config, places: ResolvedPlaces, start: StartOptions) -> int:
    """Start the daemon. Raises LaunchError."""
    if start.foreground:
        become_daemon(config, places, None, start)

    def become(ready: int) -> NoReturn:
        try:
            become_daemon(config, places, ready, start)
        except LaunchError as error:
            report(ready, error.exit_code, str(error))
        finally:
            os._exit(FAILED)

    exit_code, text = launch_in_background(become)
    return _failed(exit_code, text) if exit_code else 0


def _tell(text: str, *, fd: int) -> None:
    """Write a line that nobody has asked for. A disk that is full, or a pipe without a reader, is no reason not to start."""
    try:
        os.write(fd, f"{text}\n".encode("utf-8", "surrogateescape"))
    except OSError:
        return


def _failed(exit_code: int, text: str) -> int:
    print(f"taskmasterd: {text}", file=sys.stderr)
    return exit_code
