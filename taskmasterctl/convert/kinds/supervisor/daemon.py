"""`[supervisord]`, the servers and the clients -> `taskmasterd:` and `defaults:`. Pure."""

from __future__ import annotations

from taskmasterctl.convert.kinds.supervisor.expand import Names
from taskmasterctl.convert.kinds.supervisor.rows import SUPERVISORD, UNIX_SERVER
from taskmasterctl.convert.kinds.supervisor.values import boolean, environment, octal, size, whole
from taskmasterctl.convert.outcome.model import Plain
from taskmasterctl.convert.outcome.texts import rendered
from taskmasterctl.convert.reading.taking import Taking
from taskmasterctl.convert.report import LESS_PROTECTED
from taskmasterctl.convert.secrets import is_secret

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from taskmasterctl.convert.outcome.model import Draft
    from taskmasterctl.convert.reading.ini import IniOption, Section
    from taskmasterctl.convert.settings import ImportSettings

LEVELS = {
    "trace": "debug", "blat": "debug", "blather": "debug", "debug": "debug", "info": "info", "warn": "warning",
    "warning": "warning", "error": "error", "crit": "error", "critical": "error",
}  # fmt: skip
EVENT_LOG_SIZE = 50 * 1024**2
EVENT_LOG_BACKUPS = 10
NOT_HERE = {
    "strip_ansi": "logs keep what programs write; on a terminal `logs` shows control characters as escapes",
    "silent": "the event log of a daemon in the foreground goes to the terminal",
    "identifier": "a daemon is known by its socket",
}
"""Options of [supervisord] that are dropped where they are on."""


class DaemonSection:
    """The section of the daemon; `environment` are its variables as texts with variables, `foreground` is nodaemon."""

    def __init__(self, section: Section, settings: ImportSettings, outcome: Draft) -> None:
        self.environment: dict[str, str] = {}
        self.foreground = False
        self._taking = Taking(section)
        self._section = section
        self._settings = settings
        self._outcome = outcome
        self._names = Names(settings, outcome.report, "supervisord", "supervisord")

    def convert(self) -> None:
        """Set the keys."""
        self.foreground = self._read("nodaemon", boolean) is True
        self._environment()
        self._event_log()
        self._paths()
        self._level()
        self._where_it_daemonizes("directory", lambda text: rendered(text.strip()))
        self._where_it_daemonizes("umask", octal)
        for name in ("minfds", "minprocs"):
            self._read(name, whole)
        self._read("nocleanup", boolean)
        self._not_here()
        for option in self._taking.rest():
            self._outcome.ignore(
                self._section.place(option), "supervisor does not know this option of [supervisord] either"
            )

    def _read(self, name: str, reader: Callable[[str], Any], *, count: bool = True) -> Any:
        option = self._taking.take(name)
        if option is None:
            return None
        self._outcome.carried(count)
        for comment in option.comments:
            self._outcome.daemon.remark(comment, SUPERVISORD.get(name, ""))
        return self._value(option, reader)

    def _value(self, option: IniOption, reader: Callable[[str], Any]) -> Any:
        try:
            return reader(self._names.expanded(option))
        except ValueError as error:
            self._outcome.report.refuse(self._section.place(option), str(error))
            return None

    def _environment(self) -> None:
        self.environment = self._read("environment", environment) or {}
        if self.environment:
            self._outcome.defaults.set("env", {name: rendered(value) for name, value in self.environment.items()})
            self._outcome.secret |= any(is_secret(name) for name in self.environment)

    def _event_log(self) -> None:
        logfile = self._read("logfile", str.strip)
        if logfile in ("/dev/stdout", "/dev/stderr", "/dev/fd/1", "/dev/fd/2"):
            self._outcome.report.note(
                "the event log of a daemon in the foreground goes to stderr; `logfile` is left out"
            )
        elif logfile and logfile.lower() == "syslog":
            self._outcome.daemon.set("logfile", "syslog")
        elif logfile:
            self._outcome.daemon.set("logfile", self._path(logfile))
        is_file = not logfile or not (logfile.startswith("/dev/") or logfile.lower() == "syslog")
        self._log_limit("logfile_maxbytes", size, EVENT_LOG_SIZE, is_file=is_file)
        self._log_limit("logfile_backups", whole, EVENT_LOG_BACKUPS, is_file=is_file)

    def _log_limit(self, name: str, reader: Callable[[str], Any], here: int, *, is_file: bool) -> None:
        option = self._taking.take(name)
        if option is None:
            return
        value = self._value(option, reader)
        if value == here or not is_file:
            self._outcome.carried()
            return
        text = "the event log rotates at 50 MB and keeps 10"
        self._outcome.change(self._section.place(option), text, on=self._outcome.daemon)

    def _path(self, text: str) -> str:
        if not text.startswith(("/", "\0")):
            if self._settings.workdir:
                text = f"{self._settings.workdir.rstrip('/')}/{text}"
            else:
                self._outcome.report.note(
                    "relative paths of [supervisord] begin at the directory of taskmaster.yaml; "
                    "--workdir DIR says where supervisord was started"
                )
        return rendered(text)

    def _paths(self) -> None:
        for name in ("pidfile", "childlogdir"):
            value = self._read(name, str.strip)
            if value:
                self._outcome.daemon.set(SUPERVISORD[name], self._path(value))
        user = self._read("user", str.strip)
        if user and user not in ("root", "0"):
            self._outcome.daemon.set("user", rendered(user))

    def _level(self) -> None:
        value = self._read("loglevel", str.strip)
        if not value:
            return
        level = rendered(value) if "\0" in value else LEVELS.get(value.lower())
        if level is None:
            option = self._section.options["loglevel"]
            self._outcome.report.refuse(self._section.place(option), "no level of supervisor")
        elif level != "info":
            self._outcome.daemon.set("loglevel", level)

    def _where_it_daemonizes(self, name: str, reader: Callable[[str], Any]) -> None:
        option = self._taking.take(name)
        if option is None:
            return
        value = self._value(option, reader)
        if self.foreground:
            text = "with nodaemon=true supervisord ignores this"
            self._outcome.ignore(self._section.place(option), text, on=self._outcome.daemon)
            return
        self._outcome.carried()
        block = self._outcome.defaults if name == "directory" else self._outcome.daemon
        if value and not (name == "umask" and value == "022"):
            block.set(SUPERVISORD[name], value)

    def _not_here(self) -> None:
        for name, text in NOT_HERE.items():
            option = self._taking.take(name)
            if option is None:
                continue
            value = self._value(option, str.strip if name == "identifier" else boolean)
            if value in (False, "supervisor"):
                self._outcome.carried()
            else:
                self._outcome.drop(self._section.place(option), text, on=self._outcome.daemon)


def names_of_logs(section: Section, outcome: Draft) -> None:
    """Report the other names of the logs in childlogdir, if there are any."""
    option = section.options.get("childlogdir")
    if option is None or not any(each.logs_by_default for each in outcome.living()):
        return
    outcome.report.carried -= 1
    text = "logs of AUTO have other names there, one for each stream, and go at each start; here NAME.log, which stays"
    outcome.change(section.place(option), text, on=outcome.daemon, key="log_dir")


def unix_server(section: Section, outcome: Draft, names: Names) -> None:
    """Convert `[unix_http_server]`."""
    taking = Taking(section)
    for option in taking.rest():
        try:
            value = names.expanded(option).strip()
            _server_option(section, option, value, outcome)
        except ValueError as error:
            outcome.report.refuse(section.place(option), str(error))


def _server_option(section: Section, option: IniOption, value: str, outcome: Draft) -> None:
    """Raises ValueError."""
    at, daemon = section.place(option), outcome.daemon
    if option.name == "file":
        daemon.set("socket", rendered(value))
        outcome.carried()
    elif option.name == "chmod":
        _socket_mode(section, option, value, outcome)
    elif option.name == "chown":
        user, _, group = value.partition(":")
        if group:
            daemon.set("socket_group", rendered(group))
            daemon.set("socket_mode", Plain("0660"))
        if user not in ("root", "0", ""):
            text = "the socket belongs to the daemon's user"
            outcome.drop(at, text, "roles: say who else may do what", on=daemon, key="socket_group")
        else:
            outcome.carried()
    elif option.name in UNIX_SERVER:
        text = "there is no password: the kernel says who connects"
        outcome.drop(at, text, "roles: say who may do what", on=daemon, key="socket_mode")
    else:
        outcome.ignore(at, "supervisor does not know this option either", on=daemon)


def _socket_mode(section: Section, option: IniOption, value: str, outcome: Draft) -> None:
    mode = int(str(octal(value)), 8)
    group = section.options.get("chown")
    if mode & 0o006:
        outcome.daemon.set("socket_mode", Plain("0660"))
        text = "everybody may connect there, here the group alone"
        outcome.change(
            section.place(option), text, "socket_group: or roles: say who else", on=outcome.daemon, key="socket_mode"
        )
    else:
        if mode & 0o060 and group is not None and ":" in group.value:
            outcome.daemon.set("socket_mode", Plain("0660"))
        outcome.carried()


def inet_server(section: Section, outcome: Draft) -> None:
    """Convert `[inet_http_server]`: nothing of it."""
    for option in section.options.values():
        protected = option.name in ("username", "password")
        text = "there is no listener on the network" + (
            f", so no password; {LESS_PROTECTED} if you open one" if protected else ""
        )
        instead = "ssh HOST taskmasterctl, or ssh -L with the socket"
        outcome.drop(section.place(option), text, instead, on=outcome.daemon)
    if not section.options:
        outcome.drop(
            section.place(), "there is no listener on the network", "ssh HOST taskmasterctl", on=outcome.daemon
        )
