"""One `[watcher:x]` -> one program. Pure."""

from __future__ import annotations

import re

from taskmaster_common.config import PROGRAM_KEYS
from taskmasterctl.convert.kinds.circus.rows import NOT_HERE, WITHOUT_EFFECT
from taskmasterctl.convert.kinds.circus.streams import StreamOptions
from taskmasterctl.convert.outcome.commands import has_bare, plain_command, shell_command
from taskmasterctl.convert.outcome.texts import INSTANCE, SOCKET, rendered, variable
from taskmasterctl.convert.reading.signals import signal_name
from taskmasterctl.convert.reading.taking import Taking
from taskmasterctl.convert.secrets import is_secret

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from taskmasterctl.convert.kinds.circus.sockets import CircusSockets
    from taskmasterctl.convert.outcome.model import Block, Draft
    from taskmasterctl.convert.reading.ini import IniOption, Section
    from taskmasterctl.convert.settings import ImportSettings

TRUE = ("true", "yes", "on", "1")
FALSE = ("false", "no", "off", "0")
DEFAULT_RETRIES = 5
DEFAULT_STOP_S = 30
DEFAULT_VARIANCE_S = 30
ENDLESS = 1_000_000
_VARIABLE = re.compile(r"\$\(circus\.([\w.-]+)\)|\(\(circus\.([\w.-]+)\)\)", re.IGNORECASE)


def boolean(text: str) -> bool:
    """Return a boolean. Raises ValueError."""
    word = text.strip().lower()
    if word not in TRUE + FALSE:
        raise ValueError("neither true nor false")
    return word in TRUE


def priority_of(section: Section) -> int:
    """Return the priority, 0 if there is none or a wrong one."""
    option = section.options.get("priority")
    return int(option.value) if option and re.fullmatch(r"-?[0-9]{1,9}", option.value) else 0


class WatcherSection:
    """The conversion of one watcher; `environment` is that of the sections `[env]` and `[env:x]`, `sockets` are those of all."""

    def __init__(
        self,
        section: Section,
        block: Block,
        environment: Mapping[str, str],
        sockets: CircusSockets,
        settings: ImportSettings,
        outcome: Draft,
    ) -> None:
        self._section = section
        self._block = block
        self._given = environment
        self._settings = settings
        self._outcome = outcome
        self._taking = Taking(section)
        self._wid = False
        self._sockets = sockets
        self._lost_sockets: dict[str, str] = {}
        self._uses_sockets = False

    def convert(self) -> None:
        """Set the keys, and report what is lost."""
        for comment in self._section.comments:
            self._block.remark(comment)
        self._counts()
        self._command()
        self._input()
        self._environment()
        self._identity()
        self._restarts()
        self._age()
        self._stop()
        StreamOptions(self._taking, self._block, self._expanded, self._outcome).convert()
        self._rest()

    # -- tools

    def _expanded(self, option: IniOption) -> str:
        return _VARIABLE.sub(self._one, option.value)

    def _one(self, found: re.Match[str]) -> str:
        name = found[1] or found[2]
        kind, _, inner = name.partition(".")
        if kind.lower() == "wid":
            self._wid = True
            return "1" if self._block.keys.get("numprocs", 1) == 1 else variable(INSTANCE)
        if kind.lower() == "sockets":
            return self._socket(inner, found[0])
        if kind.lower() != "env" or not inner:
            return found[0]
        own = {each.lower(): value for each, value in self._given.items()}
        if inner.lower() in own:
            return own[inner.lower()]
        if inner in self._settings.values:
            return self._settings.values[inner]
        if inner.islower():  # circus compares without regard to case
            self._outcome.report.note(f"$(circus.env.{inner}) is taken for ${{{inner.upper()}}}", self._block.name)
            inner = inner.upper()
        self._outcome.report.need(inner)
        return variable(inner)

    def _socket(self, name: str, written: str) -> str:
        """Give the program a socket; return its number as a text with a variable, or what was `written` if it cannot be."""
        reason = self._sockets.reason(name) if name in self._sockets else f"there is no [socket:{name}]"
        called = self._sockets.give(name, self._block)
        if reason:
            self._lost_sockets[name] = reason
            return written
        self._uses_sockets = True
        return variable(f"{SOCKET}{called}")

    def _input(self) -> None:
        option = self._taking.take("stdin_socket")
        if option is None:
            return
        name = option.value.strip()
        if name not in self._sockets:
            self._outcome.report.refuse(self._section.place(option), f"there is no [socket:{name}]")
            return
        called = self._sockets.give(name, self._block)
        reason = self._sockets.reason(name)
        if reason:
            self._outcome.drop(self._section.place(option), reason, "let the program open its own", on=self._block)
            self._outcome.kill(self._block)
            return
        self._block.set("stdin", {"socket": called})
        self._outcome.carried()

    def _use_of_sockets(self) -> None:
        """Say what became of the numbers in the command, and of the flag that lets them be inherited."""
        for reason in self._lost_sockets.values():
            place = self._section.place(self._section.options["cmd"])
            self._outcome.drop(place, reason, "let the program open its own", on=self._block, key="cmd")
            self._outcome.kill(self._block)
        option = self._taking.take("use_sockets")
        wanted = option is not None and option.value.strip().lower() in TRUE
        if option is not None and wanted and not self._uses_sockets and not self._lost_sockets:
            text = "its command names no socket: it gets none"
            self._outcome.ignore(self._section.place(option), text, "$(circus.sockets.NAME) in cmd", on=self._block)
        else:
            self._outcome.carried(option is not None)
        if self._uses_sockets and not wanted:
            text = "it gets its sockets; there they are closed without use_sockets"
            self._outcome.change(
                self._section.place(option or self._section.options["cmd"]), text, on=self._block, key="sockets"
            )

    def _take(self, name: str, reader: Callable[[str], Any]) -> Any:
        option = self._taking.take(name)
        if option is None:
            return None
        self._outcome.carried()
        for comment in option.comments:
            self._block.remark(comment)
        try:
            return reader(self._expanded(option).strip())
        except ValueError as error:
            self._outcome.report.refuse(self._section.place(option), str(error))
            return None

    def _change(self, name: str, text: str, instead: str = "", key: str = "") -> None:
        self._outcome.report.carried -= 1
        place = self._section.place(self._section.options[name])
        self._outcome.change(place, text, instead, on=self._block, key=key)

    # -- keys

    def _counts(self) -> None:
        count = self._take("numprocesses", _whole)
        single = self._take("singleton", boolean)
        if count is not None and not single:
            self._block.set("numprocs", count)
        self._take("priority", _whole)

    def _command(self) -> None:
        option, args = self._taking.take("cmd"), self._taking.take("args")
        if option is None:
            self._outcome.report.refuse(self._section.place(), "a watcher has a cmd")
            return
        text = " ".join(self._expanded(each) for each in (option, args) if each is not None).replace("\n", " ")
        try:
            self._set_command(option, text)
        except ValueError as error:
            self._outcome.report.refuse(self._section.place(option), str(error))
            return
        self._outcome.carried(args is not None)
        self._take("shell", boolean)  # circus quotes each word for the shell, which so has nothing to do
        if self._wid and self._block.keys.get("numprocs", 1) != 1:
            place = self._section.place(option)
            self._outcome.drop(
                place,
                "circus.wid counts from 1, and instances from 0",
                "compute with it in the program",
                on=self._block,
                key="cmd",
            )
        self._use_of_sockets()

    def _set_command(self, option: IniOption, text: str) -> None:
        """Raises ValueError."""
        if not has_bare(text):
            self._block.set("cmd", plain_command(text))
            self._outcome.carried()
            return
        self._block.set("cmd", shell_command(text))
        self._block.set("shell", True)
        reason = (
            "circus puts variables in before it splits the command, so /bin/sh runs it here and splits their values"
        )
        self._outcome.change(self._section.place(option), reason, "quotes in a value stay", on=self._block, key="cmd")

    def _environment(self) -> None:
        env = {name: rendered(value) for name, value in self._given.items()}
        copy = self._take("copy_env", boolean)
        virtualenv = self._take("virtualenv", rendered)
        if virtualenv:
            env["VIRTUAL_ENV"] = virtualenv
            env["PATH"] = f"{virtualenv}/bin:{env.get('PATH', '${PATH}')}"
            self._change("virtualenv", "PATH and VIRTUAL_ENV stand for it", key="env")
        if env:
            self._block.set("env", env)
        self._outcome.secret |= any(is_secret(name) for name in env)
        if copy:
            return
        if "clear_env" in PROGRAM_KEYS:
            self._block.set("clear_env", True)
            text = "which get nothing of the daemon's environment but PATH, HOME, USER, LOGNAME and SHELL (there not even these)"
            self._outcome.report.note(text, self._block.name)
            return
        place = self._section.place(self._section.options.get("copy_env", "copy_env"))
        self._outcome.report.carried -= "copy_env" in self._section.options
        self._outcome.change(
            place, "it inherits the environment of taskmasterd", "env: {NAME: null} removes a variable", on=self._block
        )

    def _identity(self) -> None:
        for name, key in (("working_dir", "workingdir"), ("uid", "user"), ("gid", "group")):
            value = self._take(name, rendered)
            if value:
                self._block.set(key, value)
        if "working_dir" not in self._section.options and not self._settings.workdir:
            text = "without working_dir: they run in the directory of taskmaster.yaml; --workdir DIR says where circusd was started"
            self._outcome.report.note(text, self._block.name)

    def _restarts(self) -> None:
        if self._take("autostart", boolean) is False:
            self._block.set("autostart", False)
        respawn = self._take("respawn", boolean)
        self._block.set("autorestart", "never" if respawn is False else "always")
        retries = self._take("max_retry", int)
        if retries is not None:
            self._block.set("startretries", ENDLESS if retries < 0 else retries)
            self._change("max_retry", "it counts failed starts in a row, with a pause that doubles", key="startretries")

    def _age(self) -> None:
        """Set the age at which it is replaced: up to `max_age_variance` later than `max_age`, and `jitter` goes both ways."""
        age, variance = self._take("max_age", _whole), self._take("max_age_variance", _whole)
        if not age or age < 0:
            return
        half = max(DEFAULT_VARIANCE_S if variance is None else variance, 0) / 2
        self._block.set("recycle", {"age": _plain(age + half)} | ({"jitter": _plain(half)} if half else {}))
        self._change("max_age", "one instance after the other is replaced, once it runs", key="recycle")

    def _stop(self) -> None:
        timeout = self._take("graceful_timeout", float)
        value = DEFAULT_STOP_S if timeout is None else timeout
        self._block.set("stoptime", _plain(value))
        name = self._take("stop_signal", signal_name)
        if name:
            self._block.set("stopsignal", name)
        if not self._take("stop_children", boolean):
            self._block.set("stopasgroup", "leader")

    def _rest(self) -> None:
        rlimits: dict[str, Any] = {}
        for option in self._taking.rest():
            place = self._section.place(option)
            limit = option.name.removeprefix("rlimit_")
            if limit != option.name and option.value and not option.value.isdecimal():
                self._outcome.report.refuse(place, "not a number")
            elif limit == "nofile" and limit != option.name and not option.value:
                text = "programs that close all descriptors would take minutes"
                self._outcome.drop(place, text, "a number, such as 65536", on=self._block)
            elif limit != option.name and "rlimits" in PROGRAM_KEYS:
                rlimits[limit] = int(option.value) if option.value.isdecimal() else "unlimited"
                self._outcome.carried()
            elif limit != option.name:
                self._outcome.drop(place, "there is no such limit here", "set it on taskmasterd", on=self._block)
            elif option.name.startswith("hooks."):
                text = "a hook of circus is a function in Python"
                self._outcome.drop(
                    place, text, "pre_start, post_start, pre_stop, post_stop run commands", on=self._block
                )
            elif option.name in NOT_HERE and option.value.strip().lower() not in FALSE:
                self._outcome.drop(place, *NOT_HERE[option.name], on=self._block)
            elif option.name in NOT_HERE or option.name in WITHOUT_EFFECT:
                self._outcome.carried()
            else:
                self._outcome.ignore(place, "circus keeps this for plugins and hooks", on=self._block)
        if rlimits:
            self._block.set("rlimits", rlimits)


def _plain(value: float) -> float:
    return int(value) if value == int(value) else value


def _whole(text: str) -> int:
    if not re.fullmatch(r"-?[0-9]{1,9}", text):
        raise ValueError("not a whole number")
    return int(text)
