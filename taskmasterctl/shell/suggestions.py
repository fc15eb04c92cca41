"""Words for the cursor's place: verbs, flags, signals, names with their state, the most relevant first. Pure.

Names and states come from the mirror; the daemon is not asked.
"""

from __future__ import annotations

from taskmaster_common.aliases import ALIASES
from taskmaster_common.commands.help import HELP, SHELL_COMMANDS
from taskmaster_common.commands.table import COMMANDS, EVENT, LOOK, Command, Flag
from taskmaster_common.config.events import EVENTS, GROUPS
from taskmaster_common.records import Record
from taskmasterctl.options import GLOBALS, Option

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Any

    from taskmasterctl.reply.mirror import Mirror

MOST_INSTANCES = 20
"""Most instances that are suggested before the colon of `program:` is typed."""

SIGNALS = {
    "HUP": "hang up; many daemons reload their configuration",
    "TERM": "end",
    "INT": "interrupt, as Ctrl-C",
    "QUIT": "quit, often with a core dump",
    "USR1": "the program's own meaning",
    "USR2": "the program's own meaning",
    "KILL": "end at once; cannot be caught",
    "STOP": "pause; cannot be caught",
    "CONT": "go on after STOP",
    "WINCH": "the window size has changed; some servers: end gracefully",
    "ALRM": "alarm clock",
}
"""The common signals with their meaning; the others follow without one."""

MEANINGLESS = ("--socket", "--config", "--exit-on-error", "--version")
"""Options of the client that nobody means in a shell, which has its daemon already."""
TROUBLE_FIRST = ("FATAL", "BACKOFF", "EXITED", "STARTING", "STOPPING", "RUNNING", "STOPPED")
RELEVANT = {
    "start": ("STOPPED", "EXITED", "FATAL", "BACKOFF", "STOPPING", "STARTING", "RUNNING"),
    "stop": ("RUNNING", "STARTING", "BACKOFF", "STOPPING", "FATAL", "EXITED", "STOPPED"),
    "restart": ("RUNNING", "STARTING", "BACKOFF", "FATAL", "EXITED", "STOPPED", "STOPPING"),
    "signal": ("RUNNING", "STARTING", "STOPPING", "BACKOFF", "FATAL", "EXITED", "STOPPED"),
    "pid": ("RUNNING", "STARTING", "STOPPING", "BACKOFF", "FATAL", "EXITED", "STOPPED"),
}
"""The order of states for a verb; TROUBLE_FIRST for other verbs."""


class Suggestion(Record):
    """A word for the cursor's place, and its description."""

    text: str
    meta: str = ""


def suggestions(before: str, mirror: Mirror, signals: Sequence[str]) -> tuple[str, list[Suggestion]]:
    """Return the word before the cursor, which may be "", and the words that it may become, best first.

    `before` is the line up to the cursor. `signals` are the names of this system's signals, without SIG.
    """
    words = before.rpartition(";")[2].split()
    word = "" if not words or before[-1:].isspace() or before.endswith(";") else words.pop()
    verb, rest, pending = _parsed(words)
    if pending is not None:
        found = [Suggestion(each) for each in (*EVENTS, *GROUPS) if pending.value == EVENT]
        found += map(Suggestion, pending.choices)
    elif word.startswith("-"):
        found = _flags(verb, rest)
    elif verb is None:
        found = _verbs(word)
    else:
        found = _arguments(verb, rest, word, mirror, signals)
    return word, [each for each in found if each.text.startswith(_wanted(word, verb, rest))]


def _wanted(word: str, verb: Command | None, rest: Sequence[str]) -> str:
    """Return the prefix of the suggestions; the name of a signal may be typed in lower case."""
    is_signal = verb is not None and verb.name == "signal" and not _plain(rest)
    return word.upper() if is_signal and not word.startswith("-") else word


def _parsed(words: Sequence[str]) -> tuple[Command | None, list[str], Flag | None]:
    """Return the verb, the words after it, and the flag whose value is due at the cursor."""
    verb: Command | None = None
    rest: list[str] = []
    pending: Flag | None = None
    for word in words:
        if pending is not None:
            pending = None
            continue
        flag = next((each for each in _known_flags(verb) if word in (each.name, each.short) and word), None)
        if flag is not None and flag.value:
            pending = flag
        if verb is None and not word.startswith("-"):
            verb = _command(word)
            if verb is None:
                return Command(word, "", LOOK), [], None  # an unknown verb takes no arguments
        elif verb is not None:
            rest.append(word)
    return verb, rest, pending


def _command(word: str) -> Command | None:
    name = ALIASES.get(word, (word,))[0]
    return next((each for each in (*COMMANDS, *SHELL_COMMANDS) if each.name == name), None)


def _known_flags(verb: Command | None) -> tuple[Flag, ...]:
    return (*(verb.flags if verb else ()), *GLOBALS)


def _plain(rest: Iterable[str]) -> list[str]:
    return [word for word in rest if not word.startswith("-")]


def _verbs(word: str) -> list[Suggestion]:
    """Return the verbs; their aliases only if no verb begins with the word."""
    found = [Suggestion(each.name, HELP[each.name].summary) for each in (*COMMANDS, *SHELL_COMMANDS)]
    if any(each.text.startswith(word) for each in found):
        return found
    return [Suggestion(alias, f"the same as {' '.join(meant)}") for alias, meant in ALIASES.items()]


def _flags(verb: Command | None, rest: Sequence[str]) -> list[Suggestion]:
    return [
        Suggestion(flag.name, text)
        for flag, text in (
            *_own_flags(verb),
            *((option, option.help) for option in GLOBALS if _means_something(option, verb)),
        )
        if flag.name not in rest and (not flag.short or flag.short not in rest)
    ]


def _means_something(option: Option, verb: Command | None) -> bool:
    """Return whether an option of the client says anything in a shell: what acts has no long answer for a pager."""
    return option.name not in MEANINGLESS and not (option.name == "--no-pager" and verb is not None and verb.acts)


def _own_flags(verb: Command | None) -> list[tuple[Flag, str]]:
    """Return the flags of a verb with their texts."""
    return [(flag, HELP[verb.name].flags[flag.name]) for flag in verb.flags] if verb else []


def _arguments(
    verb: Command, rest: Sequence[str], word: str, mirror: Mirror, signals: Sequence[str]
) -> list[Suggestion]:
    given = _plain(rest)
    if verb.arguments == "[VERB]":
        return (
            [] if given else [Suggestion(each.name, HELP[each.name].summary) for each in (*COMMANDS, *SHELL_COMMANDS)]
        )
    if verb.arguments == "[on|off]":
        return [] if given else [Suggestion("on", "only what nobody asked for"), Suggestion("off", "nothing")]
    if verb.name == "signal" and not given:
        others = [name for name in signals if name not in SIGNALS]
        named = [Suggestion(name, meta) for name, meta in SIGNALS.items() if name in signals]
        return named + [Suggestion(name) for name in others]
    if verb.actions:
        return [] if given else [Suggestion(action) for action, _access in verb.actions]
    if "TARGET" in verb.arguments:
        return _names(verb.name, given, word, mirror)
    return _flags(verb, rest) if verb.flags else []


def _names(verb: str, given: Sequence[str], word: str, mirror: Mirror) -> list[Suggestion]:
    """Return programs and processes, most relevant first, then groups, then `all`."""
    order = RELEVANT.get(verb, TROUBLE_FIRST)
    ranked: list[tuple[int, Suggestion]] = []
    for program, processes in mirror.programs().items():
        ranks = [order.index(each["state"]) for each in processes]
        alone = len(processes) == 1 and processes[0]["name"] == program
        if not alone:
            ranked.append((min(ranks), Suggestion(program, _program_meta(processes))))
        if len(processes) <= MOST_INSTANCES or word.startswith(f"{program}:"):
            ranked += [(rank, Suggestion(each["name"], _meta(each))) for rank, each in zip(ranks, processes)]
    ranked.sort(key=lambda each: each[0])
    found = [each for _rank, each in ranked if each.text not in given]
    groups = (mirror.daemon.get("groups") or {}).items()
    found += [Suggestion(name, f"group of {len(members)}") for name, members in groups if name not in given]
    if len(mirror) > 1 and not given:
        found.append(Suggestion("all", "every program"))
    return found


def _meta(process: Mapping[str, Any]) -> str:
    detail = process.get("detail") or process.get("description") or ""
    return str(process["state"]).lower() + (f": {detail}" if detail else "")


def _program_meta(processes: Sequence[Mapping[str, Any]]) -> str:
    running = sum(each["state"] == "RUNNING" for each in processes)
    return f"{running} of {len(processes)} running"
