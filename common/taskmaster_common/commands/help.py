"""The texts of the command table: for `help`, `--help`, completion and the man page. Other requests do not load them."""

from __future__ import annotations

from taskmaster_common.commands.acting import ACTING
from taskmaster_common.commands.converting import CONVERTING
from taskmaster_common.commands.looking import LOOKING
from taskmaster_common.commands.table import COMMANDS, LOOK, Command, command, usage
from taskmaster_common.commands.text import NO_WAIT, Help, wrapped

HELP = {
    **LOOKING,
    **CONVERTING,
    **ACTING,
    "reload": Help(
        "Configuration",
        "apply the edited configuration; untouched programs keep running",
        exits="0 applied; 1 something that it started is FATAL, or it was rolled back; 6 the configuration is wrong; 7 no daemon",
        details=(
            "The same as SIGHUP to the daemon. The whole file is checked first; with a mistake in it nothing "
            "changes. The plan shows the old and the new value of each key that changes. `update` is the same verb, `reread` is `reload --dry-run`."
        ),
        examples=("reload --dry-run", "reload", "reload --no-restart"),
        flags={
            "--no-wait": NO_WAIT,
            "--dry-run": "print the plan and change nothing",
            "--exit-code": "with --dry-run: exit 1 where the plan changes something",
            "--env": "in the plan also the values of env (only root and the daemon's user may see them)",
            "--wide": "in the plan also what stays as it is, and no line broken for the terminal",
            "--no-restart": "let instances run on whose program has changed: they are outdated then",
            "--rollback": "take it back, unless all that it starts comes up and stays up for 5 s",
        },
    ),
    "upgrade": Help(
        "Daemon",
        "execute the installed version of the daemon; programs, clients and logs go on",
        exits="0 upgraded; 1 nothing was changed; 7 no daemon",
        details=(
            "First a child starts the installed code and reads the daemon's state with it; if that fails, nothing is "
            "changed and the reply says why. Pids, uptimes, logs and connections stay."
        ),
    ),
    "shutdown": Help(
        "Daemon",
        "stop all programs and the daemon",
        exits="0 everything is gone; 1 something could not be ended; 7 no daemon",
        flags={"--no-wait": NO_WAIT},
    ),
    "help": Help(
        "Daemon", "this list, or everything about one verb", exits="0; 2 unknown verb", examples=("help stop",)
    ),
    "notify": Help(
        "Shell",
        "print changes of programs above the prompt, or not",
        exits="0",
        details=(
            "on (the default) prints changes that nobody asked for, and when they are over; of many changes at once it prints "
            "their number. Without a word it says which is set."
        ),
    ),
    "exit": Help("Shell", "leave the shell; the daemon goes on (also quit, Ctrl-D)", exits="0"),
}

SHELL_COMMANDS = (
    Command("notify", "", LOOK, "[on|off]"),
    Command("exit", "", LOOK),
)
"""The words that only the interactive shell understands; `quit` is another word for `exit`."""


EVERY_DAY = ("status", "show", "logs", "why", "top", "start", "stop", "restart", "reload", "shutdown", "exit")
"""The verbs that the shell's `help` explains; it names the others."""


def help_text(name: str = "", more: tuple[Command, ...] = ()) -> str:
    """Return the help of one verb, or the list of all verbs. Raises RequestError "unknown-verb".

    `more` are verbs that only the caller has.
    """
    if name:
        return _help_of(next((entry for entry in more if entry.name == name), None) or command(name))
    lines: list[str] = []
    names = [entry.name for entry in (*COMMANDS, *more)]
    for group in dict.fromkeys(HELP[verb].group for verb in names):
        lines.append(f"{group}:")
        for verb in names:
            lines += _in_list(verb) if HELP[verb].group == group else ()
    return "\n".join((*lines, *TARGETS, "`help VERB` shows the flags, examples and exit codes of one verb."))


TARGETS = (
    "TARGET is a program (all its instances), web:1, a group, a pattern like 'web:*'",
    "or 'w*', or all.",
)
"""What a TARGET is, in lines."""


def short_help(more: tuple[Command, ...] = ()) -> str:
    """Return the verbs of every day and the names of the others: a screen of a small terminal with the line that asked for it."""
    lines = [line for verb in EVERY_DAY for line in _in_list(verb)]
    others = [entry.name for entry in (*COMMANDS, *more) if entry.name not in EVERY_DAY]
    lines += wrapped(f"  and also:  {', '.join(others)}", " " * 13)
    return "\n".join((*lines, *TARGETS, "`help VERB`: one verb with its flags and examples; `help all`: all verbs."))


TOGETHER = "\N{NO-BREAK SPACE}"
"""Between words that stay on one line."""


def _in_list(verb: str) -> list[str]:
    return wrapped(f"  {verb:<10} {HELP[verb].summary}", " " * 13)


def _usage_lines(verb: Command) -> list[str]:
    """Return the usage in lines; what stands in brackets is not broken."""
    text = usage(verb)
    for flag in verb.flags:
        text = text.replace(
            f"[{flag.short or flag.name} {flag.value}]", f"[{flag.short or flag.name}{TOGETHER}{flag.value}]"
        )
    return [line.replace(TOGETHER, " ") for line in wrapped(f"usage: {text}", "  ")]


def _help_of(verb: Command) -> str:
    text = HELP[verb.name]
    lines = wrapped(f"{verb.name}: {text.summary}", "  ") + _usage_lines(verb)
    lines += wrapped(text.details) if text.details else ()
    for flag in verb.flags:
        left = f"{flag.short + ', ' if flag.short else ''}{flag.name}{' ' + flag.value if flag.value else ''}"
        lines += wrapped(f"  {left:<18} {text.flags[flag.name]}", " " * 21)
    for example in text.examples:
        lines += wrapped(f"example: taskmasterctl {example}", " " * 4, " \\")
    return "\n".join(lines + wrapped(f"exit codes: {text.exits}", "  "))
