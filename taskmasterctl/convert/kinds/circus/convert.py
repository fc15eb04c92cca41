"""Files of circus -> an outcome: includes, environments, the order of watchers, sockets and plugins."""

from __future__ import annotations

import fnmatch
import os

from taskmasterctl.convert.kinds.circus.rows import CIRCUS, NOT_HERE, WITHOUT_EFFECT
from taskmasterctl.convert.kinds.circus.sockets import CircusSockets
from taskmasterctl.convert.kinds.circus.watcher import FALSE, WatcherSection, priority_of
from taskmasterctl.convert.outcome.model import Plain
from taskmasterctl.convert.outcome.texts import literal
from taskmasterctl.convert.reading.ini import Ini

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from taskmasterctl.convert.outcome.model import Draft
    from taskmasterctl.convert.reading.files import InputFile, InputReader
    from taskmasterctl.convert.reading.ini import IniOption, Section
    from taskmasterctl.convert.settings import ImportSettings

LEVELS = {"debug": "debug", "info": "info", "warning": "warning", "error": "error", "critical": "error"}
OF_ALL = (
    "a program that ends at once again and again waits longer and longer (there max_retry and flapping)",
    "each process has a session of its own, and reads from /dev/null unless stdin_socket is set",
)


def convert(files: Sequence[InputFile], settings: ImportSettings, reader: InputReader, outcome: Draft) -> None:
    """Convert these files and those that they include. Raises Unreadable, WrongInput."""
    ini = Ini(outcome.report, strict=True)
    for file in files:
        ini.read(file)
        _include(ini, file, reader, outcome)
    if settings.workdir:
        outcome.defaults.set("workingdir", settings.workdir)
    watchers = sorted(ini.named("watcher:"), key=lambda each: (-priority_of(each[1]), each[0]))
    sockets = CircusSockets(ini, outcome)
    for name, section in watchers:
        reader.check_time()
        _watcher(name, section, ini, sockets, settings, outcome)
    sockets.report()
    names = [name for name, _ in watchers]
    for name, section in ini.sections.items():
        if not name.startswith(("watcher:", "socket:")):
            _section(name, section, names, outcome)
    for text in OF_ALL if watchers else ():
        outcome.report.note(text)


def _section(name: str, section: Section, watchers: Sequence[str], outcome: Draft) -> None:
    if name == "circus":
        _daemon(section, outcome)
    elif name.startswith("plugin:"):
        for option in section.options.values():
            outcome.drop(section.place(option), "a plugin of circus does not run here", "health, alerts and events")
    elif name == "env" or name.startswith("env:"):
        _counted(name, section, watchers, outcome)
    else:
        for option in section.options.values():
            outcome.ignore(section.place(option), "circus does not know this section either")


def _counted(name: str, section: Section, watchers: Sequence[str], outcome: Draft) -> None:
    patterns = [each.strip() for each in name.partition(":")[2].split(",")]
    if name == "env" or any(fnmatch.fnmatchcase(watcher, pattern) for watcher in watchers for pattern in patterns):
        outcome.carried(len(section.options))
        return
    for option in section.options.values():
        outcome.ignore(section.place(option), "no watcher has this environment")


def _include(ini: Ini, file: InputFile, reader: InputReader, outcome: Draft) -> None:
    section = ini.sections.get("circus")
    for name, suffix in (("include", ""), ("include_dir", "*.ini")):
        option = section.options.pop(name, None) if section else None
        for pattern in option.value.split() if option else ():
            paths = reader.matching(
                os.path.join(file.directory, pattern, suffix) if suffix else os.path.join(file.directory, pattern)
            )
            if not paths:
                outcome.report.note(f"no file matches {pattern} of {name}")
            for path in paths:
                found = reader.included(path)
                if found is not None:
                    ini.read(found)
        outcome.carried(option is not None)


def _watcher(
    name: str, section: Section, ini: Ini, sockets: CircusSockets, settings: ImportSettings, outcome: Draft
) -> None:
    block, reason = outcome.program(name)
    if reason:
        outcome.change(section.place(), f"it is called {block.name} here: {reason}", on=block)
    environment: dict[str, str] = {}
    for other, each in ini.sections.items():
        patterns = (
            [pattern.strip() for pattern in other.partition(":")[2].split(",")] if other.startswith("env:") else []
        )
        if other == "env" or any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns):
            environment.update((option.name, option.value) for option in each.options.values())
    WatcherSection(section, block, environment, sockets, settings, outcome).convert()


def _daemon(section: Section, outcome: Draft) -> None:
    for option in section.options.values():
        _daemon_option(section, option, outcome)


def _daemon_option(section: Section, option: IniOption, outcome: Draft) -> None:
    place, value = section.place(option), option.value.strip()
    key = CIRCUS.get(option.name, "")
    if option.name == "loglevel" and value.lower() not in LEVELS:
        outcome.report.refuse(place, "no level of circus")
    elif key and not (option.name == "logoutput" and value in ("-", "stdout")):
        outcome.daemon.set(
            key,
            Plain(LEVELS[value.lower()]) if key == "loglevel" else Plain(value) if key == "umask" else literal(value),
        )
        outcome.carried()
    elif option.name in NOT_HERE and value.lower() not in FALSE:
        outcome.drop(place, *NOT_HERE[option.name], on=outcome.daemon)
    elif option.name in CIRCUS or option.name in WITHOUT_EFFECT:
        outcome.carried()
    else:
        outcome.ignore(place, "circus does not know this option of [circus] either")
