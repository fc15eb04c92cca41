"""One process -> one program. Pure."""

from __future__ import annotations

import re
import signal

from taskmasterctl.convert.kinds.process_compose.probes import health_of, ready_of
from taskmasterctl.convert.kinds.process_compose.rows import NOT_HERE, PROCESS, WITHOUT_EFFECT
from taskmasterctl.convert.kinds.process_compose.scheduled import schedule_of
from taskmasterctl.convert.outcome.shelltext import needs_shell, set_command
from taskmasterctl.convert.outcome.texts import rendered, variable
from taskmasterctl.convert.reading.tree import boolean_of, number_of, pairs_of, text_of
from taskmasterctl.convert.secrets import is_secret

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from taskmaster_common.schema.nodes import Node
    from taskmasterctl.convert.outcome.model import Block, Draft
    from taskmasterctl.convert.reading.tree import Fields

DEFAULT_STOP_S = 10
RESTARTS = {"always": "always", "on_failure": "unexpected", "no": "never", "never": "never", "exit_on_failure": "never"}
_VARIABLE = re.compile(r"\$(?:\$|\{([A-Za-z_][A-Za-z0-9_]*)\}|([A-Za-z_][A-Za-z0-9_]*))")


class ComposedProcess:
    """The conversion of one process."""

    def __init__(self, name: str, fields: Fields, block: Block, outcome: Draft) -> None:
        self.name = name
        self.block = block
        self._fields = fields
        self._outcome = outcome

    def convert(self) -> None:
        """Set the keys, and report what is lost. `depends_on` and `namespace` are left to the caller."""
        self._simple()
        self._command()
        self._availability()
        self._shutdown()
        ready_of(self._fields, self.block, self._outcome)
        health_of(self._fields, self.block, self._outcome)
        schedule_of(self._fields, self.block, self._outcome)

    def take(self, name: str, reader: Callable[[Node], Any], fields: Fields | None = None) -> Any:
        """Return a field's value and count it; None if it is missing or wrong."""
        own = fields or self._fields
        node = own.take(name)
        if node is None:
            return None
        self._outcome.carried()
        try:
            value = reader(node)
        except ValueError as error:
            self._outcome.report.refuse(own.place(name, node), str(error))
            return None
        if isinstance(value, str) and "{{" in value:
            self._outcome.report.refuse(own.place(name, node), "a template, which only process-compose fills in")
            return None
        return value

    def expanded(self, text: str) -> str:
        """Return a text with the variables that process-compose puts in when it reads the file."""

        def one(found: re.Match[str]) -> str:
            name = found[1] or found[2]
            if not name:
                return "$"
            self._outcome.report.need(name)
            return variable(name)

        return rendered(_VARIABLE.sub(one, text))

    def _simple(self) -> None:
        block = self.block
        for name, reader in (("description", text_of), ("working_dir", text_of)):
            value = self.take(name, reader)
            if value:
                block.set(PROCESS[name], self.expanded(value)[:500])
        env = self.take("environment", pairs_of)
        if env:
            block.set("env", {name: self.expanded(value) for name, value in env.items()})
            self._outcome.secret |= any(is_secret(name) for name in env)
        count = self.take("replicas", number_of)
        if count is not None:
            block.set("numprocs", int(count))
        if self.take("disabled", boolean_of):
            block.set("autostart", False)
        node = self._fields.take("log_location")
        if node is not None:
            block.places["stdout"] = self._fields.place("log_location", node)
            block.set("stdout", self.expanded(node.text))
            block.set("stderr", "stdout")
            self._outcome.carried()

    def _command(self) -> None:
        entrypoint = self._fields.take("entrypoint")
        command = self.take("command", text_of)
        if entrypoint is not None:
            words = [self.expanded(text_of(each)) for each in entrypoint.items]
            self.block.set("cmd", [*words, *([self.expanded(command)] if command else [])])
            self._outcome.carried()
        elif not command:
            self._outcome.report.refuse(self._fields.place("command"), "a process has a command")
        else:
            set_command(self.block, command.replace("$$", "$").strip())
        self.block.set("starttime", 0)

    def _availability(self) -> None:
        fields = self._fields.inner("availability")
        self.block.set("autorestart", "never")
        if fields is None:
            return
        word = self.take("restart", text_of, fields)
        if word is not None and word not in RESTARTS:
            self._outcome.report.refuse(fields.place("restart"), f"{word}: no restart of process-compose")
        elif word is not None:
            self.block.set("autorestart", RESTARTS[word])
            if word == "exit_on_failure":
                self.block.set("essential", "on-failure")
        backoff = self.take("backoff_seconds", number_of, fields)
        if backoff is not None:
            self.block.set("restart_delay", backoff)
        self._most_restarts(fields)
        self._end_of_all(fields)
        self._drop_rest(fields, {"exit_on_skipped": ("nothing ends with what was skipped", "exit_when: all-done")})

    def _end_of_all(self, fields: Fields) -> None:
        node = fields.take("exit_on_end")
        if node is None:
            return
        wanted = text_of(node).lower() == "true"
        if wanted and self.block.keys["autorestart"] == "always":
            text = "a program that is always started again never ends for good"
            self._outcome.drop(fields.place("exit_on_end", node), text, "essential: on-failure", on=self.block)
            return
        if wanted:
            self.block.set("essential", True)
        self._outcome.carried()

    def _most_restarts(self, fields: Fields) -> None:
        node = fields.take("max_restarts")
        if node is None:
            return
        try:
            count = number_of(node)
        except ValueError as error:
            self._outcome.report.refuse(fields.place("max_restarts", node), str(error))
            return
        if not count:
            self._outcome.carried()
            return
        self.block.set("startretries", int(count))
        text = "it counts failed starts in a row; a program that was up is started again without end"
        self._outcome.change(fields.place("max_restarts", node), text, on=self.block, key="startretries")

    def _shutdown(self) -> None:
        fields = self._fields.inner("shutdown")
        if fields is None:
            return
        number = self.take("signal", number_of, fields)
        if number is not None:
            try:
                self.block.set("stopsignal", signal.Signals(int(number)).name.removeprefix("SIG"))
            except ValueError:
                self._outcome.report.refuse(fields.place("signal"), "no signal")
        timeout = self.take("timeout_seconds", number_of, fields)
        self.block.set("stoptime", timeout or DEFAULT_STOP_S)
        command = self.take("command", text_of, fields)
        if command:
            text = command.replace("$$", "$")
            self.block.set("stop_cmd", {"cmd": text, "shell": True} if needs_shell(text) else rendered(text))
        if self.take("parent_only", lambda node: text_of(node).lower() in ("true", "yes", "on"), fields):
            self.block.set("stopasgroup", "leader")
        self._drop_rest(fields, {})

    def rest(self) -> None:
        """Report what is left of the process's fields."""
        node = self._fields.take("is_daemon")
        if node is not None and text_of(node).lower() == "true":
            text = "a program that goes to the background by itself cannot be supervised"
            self._outcome.drop(self._fields.place("is_daemon", node), text, "keep it in the foreground", on=self.block)
            self._outcome.kill(self.block)
        elif node is not None:
            self._outcome.carried()
        node = self._fields.take("vars")
        if node is not None:
            self._outcome.report.refuse(
                self._fields.place("vars", node), "variables of templates, which only process-compose fills in"
            )
        self._drop_rest(self._fields, NOT_HERE)

    def _drop_rest(self, fields: Fields, known: dict[str, tuple[str, str]]) -> None:
        for name, node in [*fields.rest()]:
            place = fields.place(name, node)
            if name in WITHOUT_EFFECT or (node.plain and node.text.lower() in ("false", "")):
                self._outcome.carried()
            elif name in known:
                self._outcome.drop(place, *known[name], on=self.block)
            else:
                self._outcome.drop(place, "import does not know it", on=self.block)
