"""What `taskmasterd` prints for other programs and for people: an example, the schema, a systemd unit, and its own files.

All of them are installed with it; here nobody has to know where. Imported only for the options that print.
"""

from __future__ import annotations

import os
import sys
from shlex import quote

import taskmasterd
from taskmaster_common.errors import system_reason
from taskmaster_common.paths import default_places, prefix_of, shipped_paths
from taskmasterd.launch.daemonize import FAILED, LaunchError, ResolvedPlaces
from taskmasterd.launch.options import SYSTEM, USER
from taskmasterd.output.targets import targets

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from taskmaster_common.config import ProgramConfig

UNITS = {SYSTEM: "systemd/taskmasterd.service", USER: "systemd/user/taskmasterd.service"}
"""The installed unit of each manager."""
UNIT_CONFIG = {SYSTEM: "/etc/taskmaster/taskmaster.yaml", USER: "%E/taskmaster/taskmaster.yaml"}
"""The configuration that the installed units run."""
UNIT_COMMANDS = "/opt/taskmaster/bin/"
"""Where the units that are installed with it have the commands."""


def _examples() -> str:
    """Return the directory of what is installed besides the code, "" without one."""
    return _first_directory(shipped_paths(_code(), ".", "taskmaster"))


def _documentation() -> str:
    """Return the directory of the pages, "" without one."""
    return _first_directory(shipped_paths(_code(), "../docs", "doc/taskmasterd"))


def _code() -> str:
    return os.path.realpath(taskmasterd.__path__[0])


def _first_directory(paths: Iterable[str]) -> str:
    return next((os.path.normpath(path) for path in paths if os.path.isdir(path)), "")


def text_of(what: str, config: str | None = None) -> str:
    """Return the text of EXAMPLE or SCHEMA, or the unit of a manager of UNITS. Raises LaunchError where it is not installed.

    The unit runs the configuration at the absolute path `config`; without one, that of the place where each manager has it.
    """
    return _unit(what, config) if what in UNITS else _text(what)


def _text(name: str) -> str:
    path = os.path.join(_examples(), name)
    if not os.path.exists(path):
        reason = "this installation has none: reinstall the package with its data files"
        raise LaunchError(FAILED, f"cannot print {name}: {reason}")
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except OSError as error:
        raise LaunchError(FAILED, f"cannot print {path}: {system_reason(error)}") from None


def _unit(manager: str, config: str | None) -> str:
    """Return the unit with the commands of this installation, and how to install this one."""
    _, found, rest = _text(UNITS[manager]).partition("\n[Unit]\n")
    where = {SYSTEM: "/etc/systemd/system", USER: "~/.config/systemd/user"}[manager]
    control = {SYSTEM: "systemctl", USER: "systemctl --user"}[manager]
    make = "" if manager == SYSTEM else f"mkdir -p {where} && "
    option = ("" if manager == SYSTEM else " user") + (f" -c {quote(config)}" if config else "")
    head = f"""# Taskmaster under systemd, printed by `taskmasterd --unit{option}`. To install:
#
#   {make}taskmasterd --unit{option} >{where}/taskmasterd.service
#   {control} daemon-reload && {control} enable --now taskmasterd
"""
    for command in ("taskmasterd", "taskmasterctl"):
        rest = rest.replace(f"{UNIT_COMMANDS}{command}", _own(command))
    return head + found + (rest.replace(UNIT_CONFIG[manager], _quoted(config)) if config else rest)


def _own(command: str) -> str:
    """Return the words of a unit that start a command of this installation, whatever PATH is."""
    script = os.path.join(prefix_of(_code()) or sys.prefix, "bin", command)
    if os.access(script, os.X_OK):
        return _quoted(script)
    return f"{_quoted(sys.executable)} -m {command}"


def _quoted(word: str) -> str:
    """Return a path as a word of a unit. Source: systemd.service(5), "Command lines", and systemd.unit(5), "Specifiers"."""
    word = word.replace("%", "%%")
    if not any(each.isspace() or each in "\"'\\" for each in word):
        return word
    escaped = word.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def files(config: str | None, places: ResolvedPlaces, programs: Sequence[ProgramConfig] = ()) -> str:
    """Return a line for each place of a daemon and of its installation; those that nobody has made are said to be missing."""
    rows = [
        ("configuration", config),
        ("socket", places.socket),
        ("pid file", places.pidfile),
        ("event log", places.logfile),
        ("logs of programs", places.log_dir),
        *(("log of a program", path) for path in _other_logs(programs, places.log_dir)),
        ("state, history", places.state_dir),
        ("lines of a shell", f"{default_places(os.geteuid(), os.environ).state_dir}/shell-history"),
    ]
    found = [(label, path, "" if os.path.lexists(path) else "  (not there)") for label, path in rows if path]
    found += [("examples", path, "  (installed)") for path in (_examples(),) if path]
    found += [("documentation", path, "  (installed)") for path in (_documentation(),) if path]
    return "".join(f"{label:<17} {path}{note}\n" for label, path, note in found)


def _other_logs(programs: Sequence[ProgramConfig], log_dir: str | None) -> Iterator[str]:
    """Yield the logs that the configuration has elsewhere than in `log_dir`, each once, of every instance."""
    seen: set[str] = set()
    for program in programs:
        for path in (path for index in range(program.numprocs) for path in targets(program, index, log_dir)):
            is_file = path.startswith("/") and not path.startswith("/dev/")
            if is_file and path not in seen and os.path.dirname(path) != log_dir:
                seen.add(path)
                yield path
