"""Export to a Procfile, with what its programs share in `.env`. Pure.

Every tool that reads a Procfile gives its lines to a shell, so the words are quoted for one. `.env` has only what each program has
with the same value, in a form that foreman and honcho read alike; all else stands before the command.
"""

from __future__ import annotations

import re
import shlex

from taskmaster_common.config.words import DEFAULT_LOG, INHERIT, SAME_AS_STDOUT
from taskmaster_common.text.formats import signal_name
from taskmasterctl.convert.export.targets.containers import NO_VARIABLES, entries, say_names
from taskmasterctl.convert.export.targets.draft import KeyRow, KeyRows, TargetDraft, carry, lost, silent
from taskmasterctl.convert.export.targets.outcome import ExportFiles, ExportTarget
from taskmasterctl.convert.export.targets.source import TEXT, VARIABLE, pieces, variables_in
from taskmasterctl.convert.report import LESS_PROTECTED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from taskmasterctl.convert.export.targets.draft import ExportContext
    from taskmasterctl.convert.export.targets.source import ExportSource

ALL_END = "when one process ends, `foreman start` and `honcho start` end all of them, and restart nothing"
ONE_STREAM = "its stdout and stderr are those of the tool"
_SIMPLE = re.compile(r"[A-Za-z0-9_./:@%+,-]+")
"""Values that every reader of `.env` reads alike."""
OF_SHELLS = frozenset(
    [
        ".",
        ":",
        "[",
        "alias",
        "bg",
        "bind",
        "break",
        "builtin",
        "caller",
        "case",
        "cd",
        "chdir",
        "command",
        "compgen",
        "complete",
        "compopt",
        "continue",
        "coproc",
        "declare",
        "dirs",
        "disown",
        "do",
        "done",
        "echo",
        "elif",
        "else",
        "enable",
        "esac",
        "eval",
        "exec",
        "exit",
        "export",
        "false",
        "fc",
        "fg",
        "fi",
        "for",
        "function",
        "getopts",
        "hash",
        "help",
        "history",
        "if",
        "in",
        "jobs",
        "kill",
        "let",
        "local",
        "local",
        "logout",
        "mapfile",
        "popd",
        "printf",
        "pushd",
        "pwd",
        "read",
        "readarray",
        "readonly",
        "return",
        "select",
        "set",
        "shift",
        "shopt",
        "source",
        "suspend",
        "test",
        "then",
        "time",
        "times",
        "trap",
        "true",
        "type",
        "typeset",
        "ulimit",
        "umask",
        "unalias",
        "unset",
        "until",
        "wait",
        "while",
        "!",
        "{",
        "}",
        "[[",
        "]]",
    ]
)
"""First words that a shell would not take for the name of a file."""
OWN = ("PORT",)
"""Variables that the tools set themselves."""


class LineDraft(TargetDraft):
    """A program as a line. `before` are the commands before its own one, `shared` the variables that `.env` has."""

    def __init__(self, source: ExportSource, context: ExportContext, name: str, shared: Mapping[str, str]) -> None:
        super().__init__(source, context)
        self.name = name
        self.shared = shared
        self.before: list[str] = []
        self.env: list[str] = []

    def line(self) -> str:
        """Return the line."""
        words, shell = self.source.opened("cmd"), self.source.config.shell
        if shell and not self.before and not self.env:
            return f"{self.name}: {in_one_line(words[0])}"
        command = f"/bin/sh -c {shlex.quote(words[0])}" if shell else " ".join(map(quoted, words))
        if not shell and "=" in words[0]:  # or it would be an assignment
            command = f'/bin/sh -c \'exec "$0" "$@"\' {command}'
        if self.env:
            command = f"exec env {' '.join(self.env)} {command}"
        elif self.before or words[0] in OF_SHELLS:
            command = f"exec {command}"
        return f"{self.name}: {in_one_line(' && '.join((*self.before, command)))}"


def quoted(text: str) -> str:
    """Return a text for a shell: what is literal in single quotes, variables in double ones."""
    found = [
        shlex.quote(piece) if kind == TEXT else f'"${{{piece}}}"' if kind == VARIABLE else "0"
        for kind, piece in pieces(text)
    ]
    return "".join(found) or "''"


def in_one_line(command: str) -> str:
    """Return a command for a shell without a line feed. Source: POSIX XCU, printf."""
    if command.splitlines() == [command]:
        return command
    made = "".join(_octal(each) for each in command)
    return f"eval \"$(printf '%b' {shlex.quote(made)})\""


def _octal(character: str) -> str:
    """Return what `%b` of printf makes that character of."""
    if character == "\\" or (character.splitlines() != [character]):
        return "".join(f"\\0{byte:03o}" for byte in character.encode("utf-8", "surrogateescape"))
    return character


def _cmd(draft: LineDraft) -> None:
    if draft.source.config.shell and "TASKMASTER_" in draft.source.config.cmd[0]:
        draft.changed("cmd", NO_VARIABLES)


def _workingdir(draft: LineDraft) -> None:
    if draft.source.config.workingdir != draft.context.directory:
        draft.before.append(f"cd {quoted(draft.source.opened('workingdir'))}")
    else:
        draft.note("runs in the directory of the Procfile")


def _umask(draft: LineDraft) -> None:
    if draft.source.config.umask is not None:
        draft.before.append(f"umask {draft.source.config.umask:04o}")


def _env(draft: LineDraft) -> None:
    for name, value in draft.source.opened("env").items():
        if value is None:
            draft.env.insert(0, f"-u {quoted(name)}")
        elif isinstance(value, dict):
            draft.env.append(f'{name}="$(cat {quoted(value["file"])})"')
            draft.changed("env", f"{name} is without all line feeds at the end of its file")
        elif name not in draft.shared:
            draft.env.append(f"{name}={quoted(value)}")


def _numprocs(draft: LineDraft) -> None:
    if draft.source.config.numprocs > 1:
        more = f"honcho start -c {draft.name}={draft.source.config.numprocs}"
        draft.dropped("numprocs", "a line is one process", more)


def _account(key: str) -> KeyRow:
    def say(draft: LineDraft) -> None:
        if getattr(draft.source.config.run_as, key) is not None:
            draft.dropped(
                key, f"every process runs as who starts the tool; {LESS_PROTECTED}", "start the tool as that user"
            )

    return KeyRow("dropped", say)


def _stream(key: str) -> KeyRow:
    def say(draft: LineDraft) -> None:
        if draft.source.value(key) in (DEFAULT_LOG, INHERIT, SAME_AS_STDOUT):
            draft.note(ONE_STREAM)
        else:
            draft.dropped(key, ONE_STREAM)

    return KeyRow("that of the tool; else dropped", say)


def _autorestart(draft: LineDraft) -> None:
    draft.note(ALL_END)
    if draft.source.differs("autorestart"):
        draft.dropped("autorestart", "nothing is restarted there")


def _type(draft: LineDraft) -> None:
    if draft.source.config.policy.type == "oneshot":
        draft.dropped("type", "runs beside the others, and its end ends them", "run it by hand: honcho run")


def _stopsignal(draft: LineDraft) -> None:
    if draft.source.differs("stopsignal"):
        name = signal_name(draft.source.config.stopsignal, draft.context.signals)
        draft.dropped("stopsignal", "the tools send TERM", f"let the program end by TERM as it does by {name}")


def _none(key: str, text: str = "a Procfile has no word for it") -> KeyRow:
    return lost(key, text)


ROWS: KeyRows = {
    "workingdir": KeyRow("`cd` before the command, where it is not the directory of the file", _workingdir),
    "umask": KeyRow("`umask` before the command", _umask),
    "env": KeyRow("`.env` where all programs have the same value, else `env` before the command", _env),
    "cmd": KeyRow("the command, quoted for a shell", _cmd),
    "shell": silent("the text as it is"),
    "numprocs": KeyRow("dropped: `-c NAME=N` of the tool; a line for each instance where its number stands in a text", _numprocs),
    "type": KeyRow("dropped", _type),
    "autorestart": KeyRow("dropped", _autorestart),
    "stopsignal": KeyRow("dropped", _stopsignal),
    "stdout": _stream("stdout"),
    "stderr": _stream("stderr"),
    "user": _account("user"),
    "group": _account("group"),
    "description": silent("a comment"),
    "clear_env": _none("clear_env", "a process gets all of the environment"),
    **{
        key: _none(key)
        for key in (
            "autostart", "depends_on", "ready", "start_timeout", "health", "exitcodes", "startretries", "starttime", "stoptime",
            "tty", "stdin", "stopasgroup", "pre_start", "post_start", "pre_restart", "pre_stop", "stop_cmd", "post_stop",
            "restart_delay", "restart_max_delay", "restart_burst", "restart_window", "log_maxbytes", "log_backups", "log_format",
            "log_prefix", "log_time", "log_levels", "log_events", "essential", "update", "rlimits", "nice", "cpu_affinity", "oom_score_adj", "limits", "cgroup", "recycle", "env_file", "enabled", "schedule", "watch", "sockets",
        )
    },
}  # fmt: skip
"""One row for each key of a program, in the order of a line."""


def make(context: ExportContext, head: Sequence[str]) -> ExportFiles:
    """Return Procfile, and .env where the programs share variables."""
    shared = shared_env(context.sources.values())
    text = [f"# {line}" for line in head]
    drafts: list[LineDraft] = []
    carried = 0
    for entry in entries(context.sources, lambda name: re.sub(r"[^A-Za-z0-9_-]", "-", name)):
        draft = LineDraft(entry.source, context, entry.name, shared)
        drafts.append(draft)
        say_names(draft, entry, "line")
        carried += carry(draft, ROWS)
        description = entry.source.config.description
        text += [f"# {line}" for line in (*([description] if description else []), *draft.comments())]
        later = draft.source.optional("schedule", {})  # the tools would run it at once, and end with it
        text.append("# " * bool(later) + draft.line())
    files = {"Procfile": "\n".join(text) + "\n"}
    if shared:
        files[".env"] = "".join(f"{name}={value}\n" for name, value in shared.items())
    keys = ("cmd", "env", "workingdir")
    needs = tuple(
        dict.fromkeys(name for draft in drafts for key in keys for name in variables_in(draft.source.opened(key)))
    )
    secret = frozenset(files if any(draft.secret for draft in drafts) else ())
    return ExportFiles(files, tuple(drafts), carried, secret, needs)


def shared_env(sources: Iterable[ExportSource]) -> dict[str, str]:
    """Return the variables that all programs have with the same simple value."""
    envs = [source.opened("env") for source in sources]
    first = envs[0] if envs else {}
    return {
        name: value
        for name, value in first.items()
        if isinstance(value, str)
        and name not in OWN
        and _SIMPLE.fullmatch(value)
        and all(env.get(name) == value for env in envs)
    }


PROCFILE = ExportTarget("procfile", make, ROWS, ("honcho", "check", "-f"))
