"""An ecosystem file of pm2, as JSON. Source: the documentation of pm2 5. Pure."""

from __future__ import annotations

import re

from taskmaster_common.text.calendar.cron import parse_cron
from taskmasterctl.convert.outcome.model import Plain
from taskmasterctl.convert.outcome.texts import INSTANCE, literal, rendered, split_words, variable
from taskmasterctl.convert.reading.tree import Fields, boolean_of, number_of, pairs_of, root_of, text_of, texts_of
from taskmasterctl.convert.secrets import is_secret

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from taskmaster_common.schema.nodes import Node
    from taskmasterctl.convert.outcome.model import Draft
    from taskmasterctl.convert.reading.files import InputFile, InputReader
    from taskmasterctl.convert.settings import ImportSettings

ROWS: dict[str, str] = {
    "name": "programs",
    "script": "cmd",
    "args": "cmd",
    "interpreter": "cmd",
    "interpreter_args": "cmd",
    "node_args": "cmd",
    "cwd": "workingdir",
    "user": "user",
    "uid": "user",
    "gid": "group",
    "env": "env",
    "instances": "numprocs",
    "exec_mode": "",
    "instance_var": "env",
    "autorestart": "autorestart",
    "autostart": "autostart",
    "stop_exit_codes": "exitcodes",
    "max_restarts": "startretries",
    "min_uptime": "starttime",
    "restart_delay": "restart_delay",
    "exp_backoff_restart_delay": "restart_delay",
    "kill_timeout": "stoptime",
    "out_file": "stdout",
    "error_file": "stderr",
    "merge_logs": "",
    "time": "",
    "log_date_format": "",
    "watch": "watch",
    "ignore_watch": "watch",
    "watch_delay": "watch",
    "max_memory_restart": "recycle",
    "cron_restart": "recycle",
    "wait_ready": "ready",
    "listen_timeout": "",
    "treekill": "stopasgroup",
}
"""Fields of an app, and the keys that they become. docs/coming-from/pm2.md is checked against it."""
NOT_HERE = {
    "time": ("a line is written as it comes", "log_format: prefix puts the time before it"),
    "log_date_format": ("a line is written as it comes", "log_format: prefix puts the time before it"),
    "wait_ready": ("process.send of Node does not reach taskmasterd", "ready: by tcp, http or a line of its log"),
    "listen_timeout": ("it belongs to wait_ready", "start_timeout: with ready"),
}
"""What is dropped where it is on: why, and what to do."""
INTERPRETERS = {
    ".js": "node",
    ".cjs": "node",
    ".mjs": "node",
    ".ts": "bun",
    ".py": "python3",
    ".sh": "sh",
    ".pl": "perl",
    ".rb": "ruby",
    ".php": "php",
}
OFF = ("false", "0", "")
STOP_S = 1.6
RETRIES = 16
ALIASES = {"exec_interpreter": "interpreter", "out": "out_file", "output": "out_file", "error": "error_file", "err_file": "error_file",
           "log_file": "out_file", "interpreterArgs": "interpreter_args", "combine_logs": "merge_logs", "exec": "script"}  # fmt: skip
WITHOUT_EFFECT = (
    "pmx",
    "vizion",
    "source_map_support",
    "disable_source_map_support",
    "automation",
    "namespace",
    "filter_env",
    "append_env_to_name",
    "pid_file",
)


def convert(files: Sequence[InputFile], settings: ImportSettings, reader: InputReader, outcome: Draft) -> None:
    """Convert these files. Raises Unreadable, WrongInput."""
    for file in files:
        root = root_of(file)
        for number, fields in root.each("apps"):
            reader.check_time()
            _App(fields, number, settings, outcome).convert()
        for name, node in root.rest():
            if name == "deploy":
                outcome.drop(
                    root.place(name, node), "taskmasterd deploys nothing", "a script, and taskmasterctl reload"
                )
            else:
                outcome.drop(root.place(name, node), "import does not know it")
    outcome.report.note("a program waits after 10 automatic restarts in 60 s; there it ends after max_restarts")
    outcome.report.note("logs rotate at 50 MB and 10 are kept (there by a module)")


class _App:
    def __init__(self, fields: Fields, number: str, settings: ImportSettings, outcome: Draft) -> None:
        self._fields = fields
        self._settings = settings
        self._outcome = outcome
        for alias, name in ALIASES.items():
            fields.rename(alias, name)
        node = fields.take("name")
        wanted = text_of(node) if node is not None else f"app-{number}"
        outcome.carried(node is not None)
        self._block, reason = outcome.program(wanted)
        if reason:
            outcome.change(
                fields.place("name", node), f"it is called {self._block.name} here: {reason}", on=self._block
            )

    def convert(self) -> None:
        self._counts()
        self._command()
        self._identity()
        self._environment()
        self._restarts()
        self._streams()
        self._recycle()
        self._watch()
        self._rest()

    def _take(self, name: str, reader: Callable[[Node], Any]) -> Any:
        node = self._fields.take(name)
        if node is None:
            return None
        self._outcome.carried()
        try:
            return reader(node)
        except ValueError as error:
            self._outcome.report.refuse(self._fields.place(name, node), str(error))
            return None

    def _changed(self, name: str, reader: Callable[[Node], Any], text: str, key: str) -> Any:
        node = self._fields.take(name)
        if node is None:
            return None
        try:
            value = reader(node)
        except ValueError as error:
            self._outcome.report.refuse(self._fields.place(name, node), str(error))
            return None
        self._block.set(key, value)
        self._outcome.change(self._fields.place(name, node), text, on=self._block, key=key)
        return value

    def _counts(self) -> None:
        node = self._fields.take("instances")
        text = text_of(node) if node is not None else "1"
        if text in ("max", "0", "-1"):
            self._block.set("numprocs", max(1, self._settings.cores - (text == "-1")))
            self._outcome.change(
                self._fields.place("instances", node),
                "the number of this machine's cores, now",
                on=self._block,
                key="numprocs",
            )
        elif not re.fullmatch(r"[1-9][0-9]{0,4}", text):
            self._outcome.report.refuse(self._fields.place("instances", node), "no number of instances")
        else:
            self._block.set("numprocs", int(text))
            self._outcome.carried(node is not None)
        node = self._fields.take("exec_mode")
        if node is not None and text_of(node).startswith("cluster"):
            text = "instances do not share a port"
            self._outcome.drop(
                self._fields.place("exec_mode", node),
                text,
                "a port for each, by ${TASKMASTER_INSTANCE}, and a proxy",
                on=self._block,
            )
        else:
            self._outcome.carried(node is not None)

    def _command(self) -> None:
        script = self._take("script", text_of)
        args = self._take("args", texts_of)
        node = self._fields.take("interpreter")
        interpreter = text_of(node) if node is not None else ""
        self._outcome.carried(node is not None)
        flags = self._take("interpreter_args", texts_of) or self._take("node_args", texts_of) or []
        if not script:
            self._outcome.report.refuse(self._fields.place("script"), "an app has a script")
            return
        suffix = re.search(r"\.[a-z]+$", script)
        if not interpreter:
            interpreter = (
                INTERPRETERS.get(suffix[0], "") if suffix else "" if "/" not in script or " " in script else "node"
            )
        try:
            flag_words = split_words(" ".join(flags)) if len(flags) == 1 else flags
            arg_words = split_words(" ".join(args)) if args and len(args) == 1 else args or []
            script_words = split_words(script) if not suffix and not interpreter else [script]
        except ValueError as error:
            self._outcome.report.refuse(self._fields.place("script"), str(error))
            return
        words = [*([interpreter] if interpreter not in ("", "none") else []), *flag_words, *script_words, *arg_words]
        plain = all(re.fullmatch(r"[A-Za-z0-9_@%+=:,./-]+", word) for word in words)
        self._block.set("cmd", " ".join(words) if plain else [literal(word) for word in words])

    def _identity(self) -> None:
        for name, key in (("cwd", "workingdir"), ("user", "user"), ("uid", "user"), ("gid", "group")):
            value = self._take(name, text_of)
            if value:
                self._block.set(key, literal(value))

    def _environment(self) -> None:
        env = self._take("env", pairs_of) or {}
        chosen = self._settings.values.get("env", "")
        for name in [name for name, _ in self._fields.rest() if name.startswith("env_")]:
            if name == f"env_{chosen}":
                env |= self._take(name, pairs_of) or {}
                continue
            node = self._fields.take(name)
            if node is not None:
                text = "one environment is used"
                self._outcome.drop(
                    self._fields.place(name, node), text, f"--set env={name[4:]} merges it", on=self._block, key="env"
                )
        written = {name: literal(value) for name, value in env.items()}
        own = self._take("instance_var", text_of)
        if own or self._block.keys.get("numprocs", 1) != 1:
            written[own or "NODE_APP_INSTANCE"] = rendered(variable(INSTANCE))
        if written:
            self._block.set("env", written)
        self._outcome.secret |= any(is_secret(name) for name in written)

    def _restarts(self) -> None:
        block = self._block
        if self._take("autostart", boolean_of) is False:
            block.set("autostart", False)
        block.set("autorestart", "never" if self._take("autorestart", boolean_of) is False else "always")
        codes = self._take("stop_exit_codes", lambda node: [int(text) for text in texts_of(node)])
        if codes:
            block.set("exitcodes", codes)
            block.set("autorestart", "unexpected")
        self._changed(
            "max_restarts", lambda node: int(number_of(node)), "it counts failed starts in a row", "startretries"
        )
        self._changed(
            "min_uptime", _time, "a start that is shorter has failed, and is tried again after a pause", "starttime"
        )
        for name in ("restart_delay", "exp_backoff_restart_delay"):
            self._changed(name, _time, "it holds for failed starts, and doubles with each", "restart_delay")
        block.set("stoptime", self._take("kill_timeout", _time) or STOP_S)
        block.set("stopsignal", "INT")
        if self._take("treekill", boolean_of) is False:
            block.set("stopasgroup", "leader")

    def _streams(self) -> None:
        merged = self._take("merge_logs", boolean_of)
        many = self._block.keys.get("numprocs", 1) != 1 and not merged
        for name, key in (("out_file", "stdout"), ("error_file", "stderr")):
            node = self._fields.take(name)
            path = text_of(node) if node is not None else ""
            if not path:
                continue
            self._block.places[key] = self._fields.place(name, node)
            self._outcome.carried()
            if path in ("/dev/null", "NULL"):
                self._block.set(key, "null")
                continue
            stem, dot, suffix = path.rpartition(".")
            path = (
                path
                if not many
                else f"{stem}-{variable(INSTANCE)}.{suffix}"
                if dot and "/" not in suffix
                else f"{path}-{variable(INSTANCE)}"
            )
            self._block.set(key, rendered(path))
        keys = self._block.keys
        if keys.get("stderr") == keys.get("stdout", "") and "/" in keys.get("stdout", ""):
            keys["stderr"] = "stdout"

    def _recycle(self) -> None:
        """Set what restarts it as planned."""
        recycle: dict[str, Any] = {}
        for name, inner, reader, text in PLANNED:
            node = self._fields.take(name)
            if node is None or _is_off(node):
                self._outcome.carried(node is not None)
                continue
            place = self._fields.place(name, node)
            try:
                recycle[inner] = reader(node)
            except ValueError as error:
                instead = "recycle: {" + inner + ": ...} by hand"
                self._outcome.drop(place, str(error), instead, on=self._block, key="recycle")
                continue
            self._outcome.change(place, text, on=self._block, key="recycle")
        if recycle:
            self._block.set("recycle", recycle)

    def _watch(self) -> None:
        """Set whose change restarts it."""
        node = self._fields.take("watch")
        others = {name: self._fields.take(name) for name in ("ignore_watch", "watch_delay")}
        if node is None or _is_off(node):
            self._outcome.carried((node is not None) + sum(each is not None for each in others.values()))
            return
        try:
            paths = ["."] if _word(node) in ("true", "1") else _patterns(node)
            watch: dict[str, Any] = {"paths": paths}
            ignored, delay = others.values()
            if ignored is not None:
                watch["ignore"] = _patterns(ignored)
            if delay is not None:
                watch["debounce"] = _time(delay)
        except ValueError as error:
            self._outcome.report.refuse(self._fields.place("watch", node), str(error))
            return
        self._block.set("watch", watch if len(watch) > 1 or len(paths) > 1 else paths[0])
        text = "a pattern without a slash means a name at any depth, and what editors and version control leave is never watched"
        self._outcome.change(self._fields.place("watch", node), text, on=self._block, key="watch")
        self._outcome.carried(len(watch) - 1)

    def _rest(self) -> None:
        for name, node in [*self._fields.rest()]:
            place = self._fields.place(name, node)
            if name in WITHOUT_EFFECT or (node.plain and node.text.lower() in ("false", "")):
                self._outcome.carried()
            elif name in NOT_HERE:
                self._outcome.drop(place, *NOT_HERE[name], on=self._block)
            else:
                self._outcome.drop(place, "import does not know it", on=self._block)


def _is_off(node: Node) -> bool:
    """Return whether the value says no, quoted or not."""
    return not (node.items or node.entries) and node.text.lower() in OFF


def _word(node: Node) -> str:
    """Return the text of a scalar in lower case, "" for a list."""
    return node.text.lower() if node.plain else ""


def _patterns(node: Node) -> list[str]:
    """Return paths or patterns. Raises ValueError where there is none."""
    found = [literal(text) for text in texts_of(node) if text]
    if not found:
        raise ValueError("no path")
    return found


def _memory(node: Node) -> Any:
    """Return a size: bytes, or `300K`, `300M`, `1G`, powers of 1024. Raises ValueError."""
    found = re.fullmatch(r"([0-9]{1,15})([KMG]?)B?", text_of(node).strip().upper())
    if not found or not int(found[1]):
        raise ValueError("no size such as 300M")
    return Plain(f"{found[1]}{found[2]}iB") if found[2] else int(found[1])


def _cron(node: Node) -> str:
    """Return a line of cron. Raises ValueError for one that Taskmaster does not know."""
    return parse_cron(text_of(node)).text


PLANNED: tuple[tuple[str, str, Callable[[Node], Any], str], ...] = (
    (
        "max_memory_restart",
        "memory",
        _memory,
        "it counts what the program and its descendants have for themselves, looked at every 15 s, twice in a row (there all of one process, every 30 s)",
    ),
    ("cron_restart", "cron", _cron, "an instance that runs is restarted, one at a time; one that has ended is not"),
)
"""Fields of planned restarts: their names in `recycle`, how they are read, and what is different here."""


def _time(node: Node) -> float:
    """Return seconds of milliseconds, or of `10s`, `5m`, `1h`. Raises ValueError."""
    text = text_of(node)
    found = re.fullmatch(r"([0-9]{1,9})(ms|s|m|h)?", text)
    if not found:
        raise ValueError("no time such as 1600 or 10s")
    value = int(found[1]) * {"": 0.001, "ms": 0.001, "s": 1, "m": 60, "h": 3600}[found[2] or ""]
    return int(value) if value == int(value) else round(value, 3)
