"""The command table: one grammar for the wire, the shell, both command lines, `--help`, completion and the man page.

A command line is `VERB [FLAGS] [ARGUMENT...]`. Flags may stand anywhere after the verb; `--` ends them. A flag
belongs to one `side`: the daemon's travel on the wire, the client's never do, and the daemon refuses them.
"""

from __future__ import annotations

from taskmaster_common.aliases import ALIASES, INSTEAD
from taskmaster_common.errors import RequestError
from taskmaster_common.records import Record
from taskmaster_common.text.names import nearest
from taskmaster_common.text.units import parse_seconds

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

MOST_DIGITS = 9
USAGE = 2
"""Exit code of everything that was typed wrongly."""

DAEMON_SIDE = "daemon"
CLIENT_SIDE = "client"


class Flag(Record):
    """One flag: `name` with its dashes, `short` form or "", `value` the placeholder of its value or "" for none."""

    name: str
    help: str
    short: str = ""
    value: str = ""
    side: str = DAEMON_SIDE

    @property
    def key(self) -> str:
        """The flag's name in `Request.flags`: "--no-wait" is "no_wait"."""
        return self.name[2:].replace("-", "_")


class Command(Record):
    """One verb.

    `arguments` names what follows: "" nothing, "[TARGET...]" any number, "TARGET..." at least one,
    "SIGNAL TARGET..." a signal and at least one, "[VERB]" at most one.
    `acts` is true for a verb that changes something: an unknown name is then exit code 5, else 4.
    """

    name: str
    group: str
    summary: str
    arguments: str = ""
    flags: tuple[Flag, ...] = ()
    acts: bool = False
    details: str = ""
    examples: tuple[str, ...] = ()
    exits: str = ""

    def flag(self, word: str) -> Flag | None:
        """Return the flag of that long or short name, or None."""
        return next((flag for flag in self.flags if word in (flag.name, flag.short)), None)


class Request(Record):
    """A parsed command line: `flags` maps keys to True or to the value's text; `targets` are the words left over."""

    verb: str
    flags: Mapping[str, str | bool] = {}
    targets: tuple[str, ...] = ()

    def has(self, key: str) -> bool:
        """Return whether the flag was given."""
        return bool(self.flags.get(key))

    def words(self) -> tuple[str, ...]:
        """Return the words that `parse` makes this of."""
        flags = (
            f"--{key.replace('_', '-')}{'' if value is True else f'={value}'}" for key, value in self.flags.items()
        )
        return (self.verb, *flags, "--", *self.targets)

    def text(self, key: str, default: str = "") -> str:
        """Return the flag's value, or `default` where it was not given."""
        value = self.flags.get(key, default)
        return value if isinstance(value, str) else default


NO_WAIT = Flag("--no-wait", "return at once; the operation goes on in the daemon")

COMMANDS = (
    Command(
        "status",
        "Look",
        "one line for each process: state, pid, uptime, restarts, detail",
        "[TARGET...]",
        (
            Flag("--wide", "never cut the DETAIL column", side=CLIENT_SIDE),
            Flag("--failed", "only processes that are not in their wanted state", side=CLIENT_SIDE),
            Flag("--watch", "show it again whenever something changes, until Ctrl-C", side=CLIENT_SIDE),
        ),
        details="With a TARGET, only those processes. A program that you stopped, or that has autostart: false, counts "
        "as wanted; BACKOFF, FATAL and an unexpected exit do not. On a terminal --watch keeps the table up to date; into "
        "a pipe it writes a line for each change.",
        examples=("status", "status web:1 'db*'", "status --watch"),
        exits="0 all as wanted; 3 something is not (or a named process is not RUNNING); 4 unknown name or no daemon",
    ),
    Command(
        "show",
        "Look",
        "everything about a program: settings, last exits, log files",
        "TARGET...",
        (Flag("--env", "also the values of env (only root and the daemon's user may see them)"),),
        examples=("show nginx",),
        exits="0; 4 unknown name or no daemon",
    ),
    Command(
        "logs",
        "Look",
        "the last lines that programs wrote",
        "[TARGET...]",
        (
            Flag("--follow", "go on with what is written from now on, until Ctrl-C", short="-f"),
            Flag("--lines", "how many lines (default 20)", short="-n", value="N"),
            Flag("--since", "only what was written since so long ago: 90s, 10m, 2h", value="DUR"),
            Flag("--stderr", "the standard error stream"),
            Flag("--daemon", "the daemon's own event log; with a TARGET only what happened to it"),
            Flag("--raw", "on a terminal: pass on control characters too", side=CLIENT_SIDE),
            Flag("--reopen", "close and reopen the log files, for logrotate: those of the TARGETs, or all"),
        ),
        details="Without a TARGET it shows all programs, without --stderr their standard output. Several programs are "
        "shown one after the other; with -f their lines come as they are written, each after the program's name. --since "
        "reaches back to the daemon's start at most, and may begin some lines early: up to a third of the time. On a "
        "terminal, control characters other than line ends, tabs and colours are shown as escapes such as \\x1b; --raw "
        "passes them on. Into a pipe every byte goes unchanged. `tail` is the same verb, `maintail` is `logs --daemon`.",
        examples=("logs web", "logs -f", "logs -f -n 100 web:0", "logs --daemon web"),
        exits="0; 4 unknown name or no daemon",
    ),
    Command(
        "pid",
        "Look",
        "the pid of the daemon, or of processes",
        "[TARGET...]",
        examples=("pid", "pid web:0"),
        exits="0; 1 a named process is not running; 4 unknown name or no daemon",
    ),
    Command(
        "subscribe",
        "Look",
        "every change of a process as it happens, until Ctrl-C",
        "[TARGET...]",
        details="First the state of every process, then a line for each change; with --json one object of the protocol a line.",
        examples=("subscribe", "subscribe web:1 'db*'"),
        exits="130 Ctrl-C; 4 unknown name, or no daemon any more",
    ),
    Command("version", "Look", "the versions of both sides and of the protocol", exits="0; 4 no daemon"),
    Command(
        "start",
        "Act",
        "start programs and wait until they run",
        "TARGET...",
        (NO_WAIT,),
        acts=True,
        details="A program that runs already is left alone. A new start gives a new budget of retries.",
        examples=("start web", "start all"),
        exits="0 running; 1 FATAL, or stopped meanwhile; 5 unknown name; 7 no daemon; 124 --timeout passed",
    ),
    Command(
        "stop",
        "Act",
        "stop programs and wait until nothing of them is left",
        "TARGET...",
        (NO_WAIT,),
        acts=True,
        details="By default all processes of the program get the stop signal (a process that reads the output of "
        "another gets it after that one has ended); stopasgroup changes that. What is left at stoptime is killed. "
        "The program stays stopped until somebody starts it.",
        examples=("stop web", "stop 'w*' db:1"),
        exits="0 nothing is left; 1 something could not be ended; 5 unknown name; 7 no daemon; 124 --timeout passed",
    ),
    Command(
        "restart",
        "Act",
        "stop and start again, as one operation of the daemon",
        "TARGET...",
        (NO_WAIT, Flag("--if-running", "leave alone what is not running")),
        acts=True,
        details="What was stopped is started. The configuration is the loaded one: after an edit use `reload`.",
        examples=("restart nginx", "restart --if-running all"),
        exits="0 running; 1 FATAL, or stopped meanwhile; 5 unknown name; 7 no daemon; 124 --timeout passed",
    ),
    Command(
        "signal",
        "Act",
        "send a signal to the leading process of programs",
        "SIGNAL TARGET...",
        (Flag("--list", "print the names of the signals", side=CLIENT_SIDE),),
        acts=True,
        examples=("signal HUP nginx", "signal 10 web:1"),
        exits="0 sent; 1 nothing runs there; 2 unknown signal; 5 unknown name; 7 no daemon",
    ),
    Command(
        "reload",
        "Configuration",
        "apply the edited configuration; untouched programs keep running",
        "",
        (
            NO_WAIT,
            Flag("--dry-run", "print the plan and change nothing"),
            Flag("--exit-code", "with --dry-run: exit 1 where the plan changes something"),
        ),
        acts=True,
        details="The same as SIGHUP to the daemon. The whole file is checked first; with a mistake in it nothing changes. "
        "`update` is the same verb, `reread` is `reload --dry-run`.",
        examples=("reload --dry-run", "reload"),
        exits="0 applied; 1 something that it started is FATAL; 6 the configuration is wrong; 7 no daemon",
    ),
    Command(
        "upgrade",
        "Daemon",
        "execute the installed version of the daemon; programs, clients and logs go on",
        "",
        acts=True,
        details="First the installed code has to start and to read the state of the daemon, in a child; if it cannot, nothing "
        "is changed and the reason is told. Pids, uptimes, logs and connections stay.",
        exits="0 upgraded; 1 nothing was changed; 7 no daemon",
    ),
    Command(
        "shutdown",
        "Daemon",
        "stop all programs and the daemon",
        "",
        (NO_WAIT,),
        acts=True,
        exits="0 everything is gone; 1 something could not be ended; 7 no daemon",
    ),
    Command(
        "help",
        "Daemon",
        "this list, or everything about one verb",
        "[VERB]",
        examples=("help stop",),
        exits="0; 2 unknown verb",
    ),
)

SHELL_COMMANDS = (
    Command(
        "notify",
        "Shell",
        "print above the prompt what happens to programs by itself, or not",
        "[on|off]",
        details="on (from the start): what nobody asked for, and when it is over. Many changes at once are counted. Without "
        "a word: how it is.",
        exits="0",
    ),
    Command("exit", "Shell", "leave the shell; the daemon goes on (also quit, Ctrl-D)", exits="0"),
)
"""What only the shell understands; `quit` is another word for `exit`."""

_BY_NAME = {command.name: command for command in COMMANDS}


def command(name: str) -> Command:
    """Return the command of that name or alias. Raises RequestError "unknown-verb" with what to type instead."""
    found = _BY_NAME.get(ALIASES.get(name, (name,))[0])
    if found is None:
        raise RequestError(
            "unknown-verb", f'unknown verb "{name}"' + _suggestion(name), USAGE, ("type `help` for the verbs",)
        )
    return found


def _suggestion(name: str) -> str:
    if name in INSTEAD:
        return f"; {INSTEAD[name]}"
    near = nearest(name, (*_BY_NAME, *ALIASES))
    return f"; did you mean {near}?" if near else ""


def parse(words: Sequence[str]) -> Request:
    """Return the request that these words mean, aliases resolved.

    Raises RequestError "unknown-verb" or "usage", exit code 2, for anything that is not in the table.
    """
    if not words:
        raise RequestError("usage", "a verb is missing", USAGE, ("type `help` for the verbs",))
    verb = command(words[0])
    flags: dict[str, str | bool] = {}
    targets: list[str] = []
    rest = iter([*ALIASES.get(words[0], ("",))[1:], *words[1:]])
    for word in rest:
        if word == "--":
            targets.extend(rest)
        elif verb.name == "logs" and word.startswith("-") and word[1:].isdecimal():
            flags["lines"] = word[1:]  # as tail(1) understands it
        elif word.startswith("-") and word != "-":
            flag, value = _flag(verb, word, rest)
            flags[flag.key] = value
        else:
            targets.append(word)
    if words[0] == "tail" and len(targets) > 1 and targets[-1] in ("stdout", "stderr"):
        flags.update({"stderr": True} if targets.pop() == "stderr" else {})  # as supervisorctl's tail has it
    _check_arguments(verb, flags, targets)
    return Request(verb.name, flags, tuple(targets))


def _flag(verb: Command, word: str, rest: Iterator[str]) -> tuple[Flag, str | bool]:
    """Return the flag that `word` is, with its value: `--lines 5`, `--lines=5`, `-n 5` or `-n5`."""
    name, equals, attached = word.partition("=") if word.startswith("--") else (word[:2], "", word[2:])
    flag = verb.flag(name)
    if flag is None:
        near = nearest(name, (flag.name for flag in verb.flags))
        known = ", ".join(flag.name for flag in verb.flags) or "none"
        raise _usage(
            verb, f'{verb.name} has no flag "{name}"' + (f"; did you mean {near}?" if near else f" (it has: {known})")
        )
    if not flag.value:
        if equals or attached:
            raise _usage(verb, f"{flag.name} takes no value")
        return flag, True
    value = attached if equals or attached else next(rest, None)
    if value is None:
        raise _usage(verb, f"{flag.name} needs a value: {flag.name} {flag.value}")
    return flag, value


def _check_arguments(verb: Command, flags: Mapping[str, str | bool], targets: Sequence[str]) -> None:
    least = {"TARGET...": 1, "SIGNAL TARGET...": 2}.get(verb.arguments, 0)
    most = {"": 0, "[VERB]": 1}.get(verb.arguments, len(targets))
    if verb.name == "signal" and "list" in flags:
        least = 0
    if verb.name == "reload" and targets:
        raise _usage(
            verb,
            "reload applies to the whole configuration and takes no name",
            "to send HUP to a program: signal HUP NAME",
        )
    if len(targets) < least:
        raise _usage(
            verb, f"{verb.name} needs {'a signal and a name' if least == 2 else 'a name'}", "`all` means every program"
        )
    if len(targets) > most:
        raise _usage(verb, f'{verb.name} does not take "{targets[most]}"')
    lines = str(flags.get("lines", "0"))
    if not (lines.isascii() and lines.isdecimal() and len(lines) <= MOST_DIGITS):
        raise _usage(verb, f'"{flags["lines"]}" is not a number of lines')
    if "since" in flags:
        try:
            parse_seconds(str(flags["since"]))
        except ValueError as error:
            raise _usage(verb, f"--since: {error}") from None


def _usage(verb: Command, message: str, hint: str = "") -> RequestError:
    return RequestError("usage", message, USAGE, (*((hint,) if hint else ()), f"usage: {usage(verb)}"))


def usage(verb: Command) -> str:
    """Return the one-line usage: `stop [--no-wait] TARGET...`."""
    flags = [f"[{flag.short or flag.name}{' ' + flag.value if flag.value else ''}]" for flag in verb.flags]
    return " ".join([verb.name, *flags, *((verb.arguments,) if verb.arguments else ())])


def refuse_client_flags(request: Request) -> None:
    """Raise RequestError where a flag of the client has reached the daemon: it would be accepted and mean nothing."""
    verb = _BY_NAME[request.verb]
    for flag in verb.flags:
        if flag.side == CLIENT_SIDE and flag.key in request.flags:
            raise _usage(verb, f"{flag.name} is a flag of taskmasterctl, not of the wire")


def help_text(name: str = "", more: tuple[Command, ...] = ()) -> str:
    """Return the help of one verb, or the list of all of them. Raises RequestError for an unknown verb.

    `more` are verbs that only the caller has.
    """
    if name:
        return _help_of(next((entry for entry in more if entry.name == name), None) or command(name))
    lines: list[str] = []
    known = (*COMMANDS, *more)
    for group in dict.fromkeys(entry.group for entry in known):
        lines.append(f"{group}:")
        lines.extend(f"  {entry.name:<10} {entry.summary}" for entry in known if entry.group == group)
    lines.append("TARGET is a program (all its instances), web:1, a pattern like 'web:*' or 'w*', or all.")
    lines.append("`help VERB` tells the flags, examples and exit codes of one verb.")
    return "\n".join(lines)


def _help_of(verb: Command) -> str:
    lines = [f"{verb.name}: {verb.summary}", f"usage: {usage(verb)}"]
    if verb.details:
        lines.append(verb.details)
    for flag in verb.flags:
        left = f"{flag.short + ', ' if flag.short else ''}{flag.name}{' ' + flag.value if flag.value else ''}"
        lines.append(f"  {left:<18} {flag.help}")
    lines.extend(f"example: taskmasterctl {example}" for example in verb.examples)
    lines.append(f"exit codes: {verb.exits}")
    return "\n".join(lines)
