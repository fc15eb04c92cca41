"""The command table: one grammar for the wire, the shell and both command lines. `help` has the texts.

A command line is `VERB [FLAGS] [ARGUMENT...]`. Flags may stand anywhere after the verb; `--` ends them. A flag
belongs to one `side`: the daemon's flags travel on the wire, the client's never do, and the daemon refuses them.
"""

from __future__ import annotations

from taskmaster_common.aliases import ALIASES, INSTEAD
from taskmaster_common.commands.actions import (
    CLASHES,
    EXPORTED,
    OF_ALERTS,
    action_problem,
    level_of,
    metrics_problem,
    scale_problem,
)
from taskmaster_common.commands.flags import OF_EXPORT, OF_IMPORT
from taskmaster_common.commands.grammar import (
    ADMIN,
    CLIENT_SIDE,
    DAEMON_SIDE,
    LEVELS,
    LOOK,
    OPERATE,
    READ,
    TYPE,
    Command,
    Flag,
    Request,
)
from taskmaster_common.errors import RequestError
from taskmaster_common.text.nearest import begun, nearest
from taskmaster_common.text.units import parse_seconds

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

__all__ = [
    "ADMIN",
    "CLIENT_SIDE",
    "COMMANDS",
    "DAEMON_SIDE",
    "LEVELS",
    "LOOK",
    "OPERATE",
    "READ",
    "TYPE",
    "USAGE",
    "Command",
    "Flag",
    "Request",
    "access_of",
    "acts",
    "at_least",
    "command",
    "parse",
    "refuse_client_flags",
    "usage",
]
MOST_DIGITS = 9
LEAST_EVERY_S = {"metrics": 5.0, "top": 0.1}
"""Shortest pause between two files of `metrics`, and between two samples of `top`, seconds."""
USAGE = 2
"""Exit code of everything that was typed wrongly."""

NO_WAIT = Flag("--no-wait")
LINES = Flag("--lines", short="-n", value="N")
DETACH_KEYS = Flag("--detach-keys", value="KEYS", side=CLIENT_SIDE)
NO_DEPS = Flag("--no-deps")
NOW = Flag("--now")
DEPENDENTS = Flag("--dependents")
FOLLOW = Flag("--follow", short="-f")
EVENT = "EVENT"
"""Placeholder of an event's word in usage lines."""
OF_EVENTS = tuple(
    Flag(f"--{name}", value=value)
    for name, value in {"since": "TIME", "until": "TIME", "event": EVENT, "by": "UID", "after": "SEQ"}.items()
)

COMMANDS = (
    Command(
        "status",
        "look",
        LOOK,
        "[TARGET...]",
        flags=(
            Flag("--wide", side=CLIENT_SIDE),
            Flag("--failed", side=CLIENT_SIDE),
            Flag("--watch", side=CLIENT_SIDE),
            Flag("--usage", side=CLIENT_SIDE),
        ),
    ),
    Command("show", "show", LOOK, "[TARGET...]", flags=(Flag("--env", access=ADMIN), Flag("--daemon"))),
    Command(
        "logs",
        "logs",
        READ,
        "[TARGET...]",
        flags=(
            FOLLOW,
            LINES,
            Flag("--since", value="TIME"),
            Flag("--until", value="TIME"),
            Flag("--timestamps"),
            Flag("--merge", side=CLIENT_SIDE),
            Flag("--stderr"),
            Flag("--daemon", access=ADMIN),
            Flag("--raw", side=CLIENT_SIDE),
            Flag("--reopen", access=ADMIN, acts=True),
        ),
    ),
    Command("pid", "look", LOOK, "[TARGET...]"),
    Command("subscribe", "subscribe", LOOK, "[TARGET...]"),
    Command(
        "wait",
        "wait",
        LOOK,
        "TARGET...",
        flags=(Flag("--for", value="GOAL", choices=("up", "healthy", "done", "stopped", "settled")),),
    ),
    Command("why", "why", LOOK, "[TARGET...]", flags=(LINES,)),
    Command("events", "events", LOOK, "[TARGET...]", flags=(FOLLOW, LINES, *OF_EVENTS)),
    Command("health", "health", LOOK, "[TARGET...]"),
    Command("deps", "deps", LOOK, "[TARGET...]", flags=(Flag("--reverse"),)),
    Command("version", "look", LOOK),
    Command(
        "top",
        "",
        LOOK,
        "[TARGET...]",
        flags=(
            Flag(
                "--sort", value="KEY", side=CLIENT_SIDE, choices=("name", "state", "cpu", "mem", "uptime", "restarts")
            ),
            Flag("--every", value="DUR", side=CLIENT_SIDE),
            Flag("--once", side=CLIENT_SIDE),
        ),
    ),
    Command(
        "metrics",
        "",
        LOOK,
        "[TARGET...]",
        flags=(
            Flag("--format", value="FORMAT", side=CLIENT_SIDE, choices=("prometheus", "openmetrics")),
            Flag("--output", value="FILE", side=CLIENT_SIDE),
            Flag("--every", value="DUR", side=CLIENT_SIDE),
            Flag("--listen", value="ADDRESS", side=CLIENT_SIDE),
        ),
    ),
    Command(
        "runs",
        "runs",
        LOOK,
        "[TARGET...]",
        flags=(
            LINES,
            Flag("--from", value="TIME"),
            Flag("--cron", value="SPEC", side=CLIENT_SIDE),
            Flag("--timezone", value="ZONE", side=CLIENT_SIDE),
        ),
    ),
    Command("completion", "", LOOK, "[SHELL]"),
    Command("import", "", LOOK, "FILE...", flags=OF_IMPORT),
    Command("export", "", LOOK, "ACTION [TARGET...]", OF_EXPORT, EXPORTED),
    Command("alert", "alert", LOOK, "ACTION [RULE]", (Flag("--event", value=EVENT),), OF_ALERTS),
    Command("overrides", "overlay", LOOK),
    Command(
        "simulate",
        "simulate",
        LOOK,
        "TARGET",
        flags=(Flag("--end", value="HOW", repeated=True), Flag("--for", value="DUR"), Flag("--seed", value="N")),
    ),
    Command("check", "health", OPERATE, "TARGET..."),
    Command("start", "act", OPERATE, "TARGET...", flags=(NO_WAIT, NO_DEPS, Flag("--next"))),
    Command("stop", "act", OPERATE, "TARGET...", flags=(NO_WAIT, DEPENDENTS, Flag("--run"))),
    Command(
        "restart",
        "act",
        OPERATE,
        "TARGET...",
        flags=(
            NO_WAIT,
            Flag("--if-running"),
            Flag("--outdated"),
            Flag("--rolling"),
            Flag("--max-unavailable", value="N"),
            DEPENDENTS,
            NO_DEPS,
        ),
    ),
    Command("disable", "overlay", OPERATE, "TARGET...", flags=(NOW, Flag("--reason", value="TEXT"), NO_WAIT)),
    Command("enable", "overlay", OPERATE, "TARGET...", flags=(NOW, NO_WAIT)),
    Command("scale", "overlay", OPERATE, "TARGET COUNT", flags=(NO_WAIT,)),
    Command("signal", "act", OPERATE, "SIGNAL TARGET...", flags=(Flag("--list", side=CLIENT_SIDE),)),
    Command(
        "attach",
        "attach",
        TYPE,
        "TARGET",
        flags=(Flag("--read-only", lowers=READ), LINES, Flag("--take"), DETACH_KEYS, Flag("--from", value="PLACE")),
        looks=True,
    ),
    Command(
        "send",
        "send",
        TYPE,
        "TARGET [TEXT...]",
        flags=(Flag("--no-newline"), Flag("--eof"), Flag("--file", value="FILE", side=CLIENT_SIDE)),
    ),
    Command(
        "reload",
        "configure",
        ADMIN,
        flags=(
            NO_WAIT,
            Flag("--dry-run"),
            Flag("--exit-code"),
            Flag("--env"),
            Flag("--wide", side=CLIENT_SIDE),
            Flag("--no-restart"),
            Flag("--rollback"),
        ),
    ),
    Command("upgrade", "upgrade", ADMIN),
    Command("shutdown", "shutdown", ADMIN, flags=(NO_WAIT,)),
    Command("help", "help", LOOK, "[VERB]"),
)

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
    near = begun(name, known := (*_BY_NAME, *ALIASES)) or nearest(name, known)
    return f"; did you mean {near}?" if near else ""


def access_of(request: Request) -> str:
    """Return the level that the request needs: its verb's, or that of a flag or action where this is higher."""
    verb = _BY_NAME[request.verb]
    given = [flag for flag in verb.flags if request.has(flag.key)]
    least = next((flag.lowers for flag in given if flag.lowers), level_of(verb.actions, request.targets, verb.access))
    return max((least, *(flag.access for flag in given)), key=LEVELS.index)


def at_least(level: str, least: str) -> bool:
    """Return whether one level holds another."""
    return LEVELS.index(level) >= LEVELS.index(least)


def acts(request: Request) -> bool:
    """Return whether the request changes something."""
    verb = _BY_NAME[request.verb]
    more = level_of(verb.actions, request.targets, verb.access) != verb.access
    return verb.acts or more or any(flag.acts and request.has(flag.key) for flag in verb.flags)


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
        elif verb.name == "scale" and word.startswith("-") and word[1:].isdecimal():
            targets.append(word)  # so many fewer
        elif word.startswith("-") and word != "-":
            flag, value = _flag(verb, word, rest)
            before = f"{flags[flag.key]}\0" if flag.repeated and flag.key in flags else ""
            flags[flag.key] = f"{before}{value}" if before else value
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
    if flag.choices and value not in flag.choices:
        raise _usage(verb, f'{flag.name}: "{value}" is not one of {", ".join(flag.choices)}')
    return flag, value


def _check_arguments(verb: Command, flags: Mapping[str, str | bool], targets: Sequence[str]) -> None:
    least = {"": 0, "SIGNAL TARGET...": 2, "ACTION [RULE]": 0, "ACTION [TARGET...]": 0}.get(
        verb.arguments, 0 if verb.arguments.startswith("[") else 1
    )
    most = {"": 0, "[VERB]": 1, "TARGET": 1, "TARGET COUNT": 2}.get(verb.arguments, len(targets))
    if wrong := action_problem(verb.name, verb.actions, flags, targets) or scale_problem(verb.name, targets):
        raise _usage(verb, *wrong)
    if verb.name == "signal" and "list" in flags:
        least = 0
    for one, other, *reason in CLASHES:
        if one in flags and other in flags:
            raise _usage(verb, *reason)
    if verb.name == "reload" and targets:
        raise _usage(
            verb,
            "reload applies to the whole configuration and takes no name",
            "to send HUP to a program: signal HUP NAME",
        )
    if len(targets) < least:
        what = "a file" if verb.name == "import" else "a signal and a name" if least == 2 else "a name"
        hints = () if verb.name == "import" or most == 1 else ("`all` means every program",)
        raise _usage(verb, f"{verb.name} needs {what}", *hints)
    if len(targets) > most:
        raise _usage(verb, f'{verb.name} does not take "{targets[most]}"')
    if verb.name == "send" and "file" in flags and len(targets) > 1:
        raise _usage(verb, "--file and a text exclude each other")
    _check_numbers(verb, flags)
    _check_durations(verb, flags)
    if verb.name == "metrics" and (vain := metrics_problem(flags)):
        raise _usage(verb, vain)


def _check_numbers(verb: Command, flags: Mapping[str, str | bool]) -> None:
    lines = str(flags.get("lines", "0"))
    if not (lines.isascii() and lines.isdecimal() and len(lines) <= MOST_DIGITS):
        raise _usage(verb, f'-n: "{flags["lines"]}" is not a number')
    for key in ("by", "after", "seed"):
        number = str(flags.get(key, "0"))
        if not (number.isascii() and number.isdecimal() and len(number) <= MOST_DIGITS + 4):
            raise _usage(verb, f'--{key}: "{number}" is not a number')
    count = str(flags.get("max_unavailable", "1"))
    if not (count.isascii() and count.isdecimal() and len(count) <= MOST_DIGITS and int(count)):
        raise _usage(verb, f'"{count}" is not a number of instances')


def _check_durations(verb: Command, flags: Mapping[str, str | bool]) -> None:
    if "every" in flags:
        try:
            parse_seconds(str(flags["every"]))
        except ValueError as error:
            raise _usage(verb, f"--every: {error}") from None
    least = LEAST_EVERY_S.get(verb.name, 0.0)
    if "every" in flags and parse_seconds(str(flags["every"])) < least:
        raise _usage(verb, f"--every: at least {least:g}s")


def _usage(verb: Command, message: str, hint: str = "") -> RequestError:
    return RequestError("usage", message, USAGE, (*((hint,) if hint else ()), f"usage: {usage(verb)}"))


def usage(verb: Command) -> str:
    """Return the one-line usage: `stop [--no-wait] TARGET...`."""
    flags = [f"[{flag.short or flag.name}{' ' + flag.value if flag.value else ''}]" for flag in verb.flags]
    words = verb.arguments.replace("ACTION", "|".join(word for word, _ in verb.actions))
    return " ".join([verb.name, *flags, *((words,) if words else ())])


def refuse_client_flags(request: Request) -> None:
    """Raise RequestError where a verb or flag of the client has reached the daemon: it would be accepted and mean nothing."""
    verb = _BY_NAME[request.verb]
    if not verb.module:
        raise _usage(verb, f"{verb.name} is a verb of taskmasterctl, not of the wire")
    for flag in verb.flags:
        if flag.side == CLIENT_SIDE and flag.key in request.flags:
            raise _usage(verb, f"{flag.name} is a flag of taskmasterctl, not of the wire")
