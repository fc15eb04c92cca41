"""The command `taskmasterd`: options, checks, and the launch of the resident daemon. Exit codes: specification, section 1.

It is a program of its own that ends in an exec, so it may import what must not be resident.
"""

from __future__ import annotations

import argparse
import os
import resource
import sys

from taskmaster_common import __version__
from taskmaster_common.config import LOG_LEVELS, Config
from taskmaster_common.places import config_candidates, default_places
from taskmaster_common.schema import effective_text
from taskmasterd.core.orphans import POLICIES
from taskmasterd.daemonize import (
    FAILED,
    Launch,
    LaunchError,
    ResolvedPlaces,
    become_daemon,
    launch_in_background,
    resolve_places,
)
from taskmasterd.loading import load
from taskmasterd.system.notify import stderr_is_journal
from taskmasterd.system.places import report
from taskmasterd.system.signals import signal_numbers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import NoReturn

USAGE, CONFIG = 2, 6
FDS_OF_DAEMON = 64
"""Descriptors that the daemon itself needs: log, socket, a reserve for clients."""
FDS_PER_STREAM = 2
"""A pipe and a file."""


def main(arguments: Sequence[str]) -> int:
    """Do what the options say; returns the exit code."""
    _open_standard_streams()
    _close_inherited()
    if not sys.flags.utf8_mode and sys.getfilesystemencoding() != "utf-8":  # paths and words are UTF-8, whatever LANG
        os.execv(sys.executable, [sys.executable, "-X", "utf8", *sys.orig_argv[1:]])
    options = _parser().parse_args(arguments)
    if options.env and not options.print_config:
        return _failed(USAGE, "--env belongs to -T")
    path = _config_path(options.config)
    if path is None:
        return CONFIG
    pid1 = os.getpid() == 1
    foreground = options.nodaemon or pid1 or bool(os.environ.get("NOTIFY_SOCKET"))
    checking = options.check or options.print_config
    guarded = options.guard or (pid1 and sys.platform == "linux")
    if options.guard and sys.platform != "linux":
        return _failed(USAGE, "--guard needs Linux: only there a process can inherit what another one leaves")
    outcome = load(path, environment=os.environ, daemonized=not foreground, pid1=pid1, lenient_users=not checking)
    if stderr_is_journal():  # more people may read it than the configuration
        outcome = outcome.public()
    for warning in outcome.warnings:
        print(warning, file=sys.stderr)
    obstacle = outcome.shortage or outcome.failure
    if obstacle:
        return _failed(FAILED, f"cannot read {path}: {obstacle}")
    if outcome.config is None:
        return _refuse(path, outcome.problems)
    _warn_of_few_descriptors(outcome.config)
    if checking:
        return _checked(path, outcome.config, effective=options.print_config, values=options.env)
    places = resolve_places(outcome.config, _absolute(options.socket), pid1=pid1)
    print(f"taskmasterd: configuration {path}, socket {places.socket}", flush=True)
    how = Launch(
        level=options.loglevel or outcome.config.daemon.loglevel,
        foreground=foreground,
        guarded=guarded,
        pid1=pid1,
        orphans=options.orphans,
    )
    return _launch(outcome.config, places, how)


def _open_standard_streams() -> None:
    """Open /dev/null in place of a closed stdin, stdout or stderr: the next file opened would be taken for it."""
    for fd in (0, 1, 2):
        try:
            os.fstat(fd)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest free number, which is this one


def _close_inherited() -> None:
    """Close what the caller left open: a script's lock or pipe would be held by the daemon and by all that it starts.

    Source: daemon(7), "SysV Daemons", step 1.
    """
    try:
        highest = max(map(int, os.listdir("/dev/fd")))
    except (OSError, ValueError):
        highest = os.sysconf("SC_OPEN_MAX")
    os.closerange(3, highest + 1)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="taskmasterd",
        description="Keep the programs of one YAML file running.",
        epilog="Exit codes: 0 stopped as asked, 1 failed while running, 2 usage, 4 cannot create socket, log or pid file, "
        "6 configuration. Signals: TERM and INT stop, QUIT stops at once, HUP reloads, USR1 and USR2 reopen logs.",
    )
    parser.add_argument("-c", dest="config", metavar="FILE", help="the configuration (default: see taskmasterd(8))")
    parser.add_argument("-n", "--nodaemon", action="store_true", help="stay in the foreground and log to stderr too")
    check = parser.add_mutually_exclusive_group()
    check.add_argument("-t", dest="check", action="store_true", help="check the configuration and start nothing")
    check.add_argument("-T", dest="print_config", action="store_true", help="the same, and print it with its defaults")
    parser.add_argument("--env", action="store_true", help="with -T, print the values of env too")
    parser.add_argument("-s", dest="socket", metavar="SOCKET", help="the control socket, instead of the configured one")
    parser.add_argument(
        "--loglevel",
        choices=LOG_LEVELS,
        metavar="LEVEL",
        help="debug, info, warning or error: of the event log, instead of the configured one",
    )
    parser.add_argument(
        "--guard", action="store_true", help="with a guardian, which starts a daemon that died anew (PID 1: always)"
    )
    parser.add_argument(
        "--orphans",
        choices=POLICIES,
        metavar="POLICY",
        default=POLICIES[0],
        help="adopt, kill or refuse programs that an earlier daemon left and whose state is lost (default: %(default)s)",
    )
    parser.add_argument("-V", "--version", action="version", version=f"taskmasterd {__version__}")
    return parser


def _config_path(named: str | None) -> str | None:
    """Return the absolute path of the configuration, or None after having said that there is none."""
    candidates = (named,) if named is not None else config_candidates(os.geteuid(), os.environ)
    found = next((path for path in candidates if os.path.exists(path)), None)
    if found is not None:
        return os.path.abspath(found)
    print(f"taskmasterd: no configuration: {', '.join(candidates)}: no such file", file=sys.stderr)
    if named is None:
        print("  Name it:  taskmasterd -c FILE", file=sys.stderr)
    return None


def _absolute(path: str | None) -> str | None:
    return os.path.abspath(path) if path else None


def _refuse(path: str, problems: Sequence[str]) -> int:
    for problem in problems:
        print(problem, file=sys.stderr)
    count = f"{len(problems)} problem{'s' if len(problems) != 1 else ''}"
    print(f"{os.path.basename(path)}: {count}; nothing was started", file=sys.stderr)
    return CONFIG


def _checked(path: str, config: Config, *, effective: bool, values: bool) -> int:
    if effective:
        places = default_places(os.geteuid(), os.environ)
        print(effective_text(config, signal_numbers(), places, values=values), end="")
        return 0
    programs, processes = len(config.programs), sum(program.numprocs for program in config.programs)
    name = os.path.basename(path)
    print(f"{name}: ok ({_count(programs, 'program')}, {_count(processes, 'process', 'es')})")
    return 0


def _count(number: int, noun: str, plural: str = "s") -> str:
    return f"{number} {noun}{plural if number != 1 else ''}"


def _warn_of_few_descriptors(config: Config) -> None:
    streams = {True: 1, False: 2}
    needed = FDS_OF_DAEMON + sum(
        program.numprocs * streams[program.stderr in ("stdout", program.stdout)] * FDS_PER_STREAM
        for program in config.programs
    )
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if hard != resource.RLIM_INFINITY and needed > hard:
        text = f"the programs need about {needed} open files, the limit is {hard} (ulimit -Hn)"
        print(f"taskmasterd: warning: {text}", file=sys.stderr)


def _launch(config: Config, places: ResolvedPlaces, how: Launch) -> int:
    if how.foreground:
        try:
            become_daemon(config, places, None, how)
        except LaunchError as error:
            return _failed(error.exit_code, str(error))

    def become(ready: int) -> NoReturn:
        try:
            become_daemon(config, places, ready, how)
        except LaunchError as error:
            report(ready, error.exit_code, str(error))
        finally:
            os._exit(FAILED)

    exit_code, text = launch_in_background(become)
    return _failed(exit_code, text) if exit_code else 0


def _failed(exit_code: int, text: str) -> int:
    print(f"taskmasterd: {text}", file=sys.stderr)
    return exit_code
