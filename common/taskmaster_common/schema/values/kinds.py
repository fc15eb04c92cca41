"""One decoder for each kind of value.

A decoder gets the node, the context and the key's row of the table, and returns the value or raises ValueError with the
reason; `WrongElementError` adds the element it is about. Decoders read the text as written: what YAML would make of it
does not count.
"""

from __future__ import annotations

from taskmaster_common.config import ALWAYS, NEVER
from taskmaster_common.config.keys import DAEMON, EXTRA, PROGRAM, Key
from taskmaster_common.config.words import FILE, OPTIONAL
from taskmaster_common.paths import MAX_SOCKET_PATH
from taskmaster_common.schema.advice.foreign import SHELLS
from taskmaster_common.schema.nodes import BROKEN, MAPPING, SCALAR, SEQUENCE
from taskmaster_common.schema.report import quoted
from taskmaster_common.schema.surroundings import absolute
from taskmaster_common.schema.values.dependencies import dependencies_of
from taskmaster_common.schema.values.health import health_of
from taskmaster_common.schema.values.history import history_of
from taskmaster_common.schema.values.hooks import decode_hook
from taskmaster_common.schema.values.limits import cpus_of, limits_of_group, rlimits_of
from taskmaster_common.schema.values.ready import ready_of
from taskmaster_common.schema.values.recycle import recycle_of
from taskmaster_common.schema.values.roles import roles_of
from taskmaster_common.schema.values.scalars import (
    FALSE_WORDS,
    TRUE_WORDS,
    Decoding,
    WrongElementError,
    WrongElementsError,
    boolean_of,
    elements_of,
    expect,
    is_shape_alone,
    limits_of,
    not_one_of,
    text_of,
)
from taskmaster_common.schema.values.schedule import decode_schedule
from taskmaster_common.schema.values.sockets import input_of, sockets_of
from taskmaster_common.schema.values.split import words_of
from taskmaster_common.schema.values.streams import event_log_of, stream_of
from taskmaster_common.schema.values.tty import tty_of
from taskmaster_common.schema.values.update import update_of
from taskmaster_common.schema.values.watch import watch_of
from taskmaster_common.text.lineformat import placeholder_problem
from taskmaster_common.text.names import name_problem
from taskmaster_common.text.units import MAX_DIGITS, parse_seconds, parse_signal, parse_size, parse_umask

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from taskmaster_common.schema.nodes import Node
    from taskmaster_common.schema.report import Report

NEVER_IN_ENV = ("TASKMASTER_PROGRAM", "TASKMASTER_INSTANCE", "TASKMASTER_SOCKET", "TASKMASTER_MARK", "TASKMASTER_ROLE")
"""Variables that the daemon sets for its children; by some it recognises its orphans."""
NOT_PATHS = (*TRUE_WORDS, *FALSE_WORDS, "none", "auto")
"""Words that stand for a choice in other tools."""


# -- text


def _one_line(node: Node, context: Decoding, key: Key) -> str:
    text = " ".join(text_of(node, context, key).split())
    if len(text) > key.most:  # each of thousands of rows of `status` repeats it
        raise ValueError(f"has {len(text)} characters; at most {key.most} are allowed")
    return text


def _log_prefix(node: Node, context: Decoding, key: Key) -> str:
    text = text_of(node, context, key)
    if problem := placeholder_problem(text):
        raise ValueError(problem)
    return text


def _choice(node: Node, context: Decoding, key: Key) -> str:
    text = text_of(node, context, key)
    if text not in key.words:
        raise ValueError(not_one_of(text, key.words))
    return text


# -- booleans and numbers


def _boolean(node: Node, context: Decoding, key: Key) -> bool:
    text = text_of(node, context, key)
    if text.rpartition("/")[2] in SHELLS:
        raise ValueError(f"shell is true or false; for another shell than /bin/sh write cmd: {text} -c '...'")
    return boolean_of(node, context, key)


def _autorestart(node: Node, context: Decoding, key: Key) -> str:
    text = text_of(node, context, key)
    if text.lower() in TRUE_WORDS:
        return ALWAYS
    return NEVER if text.lower() in FALSE_WORDS else _choice(node, context, key)


def _boolean_or_word(node: Node, context: Decoding, key: Key) -> bool | str:
    text = text_of(node, context, key)
    if text.lower() in TRUE_WORDS + FALSE_WORDS:
        return text.lower() in TRUE_WORDS
    return _choice(node, context, key)


def _whole(node: Node, context: Decoding, key: Key) -> int:
    """Return a whole number in its range. Quotes are refused, unless a variable needs them."""
    text = text_of(node, context, key)
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdecimal()):
        raise ValueError(f"{quoted(text)} is not a whole number")
    if not node.plain and "${" not in node.text:
        raise ValueError(f"{quoted(text)} is text; write the number without quotes")
    if digits[0] == "0" and len(digits) > 1:
        raise ValueError(f"{quoted(text)} begins with 0; write the number without it")
    if len(digits) > MAX_DIGITS or not key.least <= int(text) <= key.most:
        raise ValueError(f"{quoted(text)} is not between {key.least} and {key.most}")
    return int(text)


def _exit_codes(node: Node, context: Decoding, key: Key) -> tuple[int, ...]:
    if node.kind == SEQUENCE:
        return tuple(sorted(set(elements_of(node.items, context, key, _whole))))
    text = text_of(node, context, key)
    if "," in text or " " in text:
        codes = ", ".join(text.replace(",", " ").split())
        raise ValueError(f"{quoted(text)} is not one code; write a list: [{codes}]")
    return (_whole(node, context, key),)


def _octal(node: Node, context: Decoding, key: Key) -> int:
    return parse_umask(text_of(node, context, key))


def _seconds(node: Node, context: Decoding, key: Key) -> float:
    seconds = parse_seconds(text_of(node, context, key))
    if seconds < key.shortest and (seconds or key.never_0):
        raise ValueError(f"is less than {key.shortest:g} s; write that or more{'' if key.never_0 else ', or 0'}")
    return seconds


def _size(node: Node, context: Decoding, key: Key) -> int:
    return parse_size(text_of(node, context, key))


def _signal(node: Node, context: Decoding, key: Key) -> int:
    return parse_signal(text_of(node, context, key), context.signals)


# -- paths and commands


def _path(node: Node, context: Decoding, key: Key) -> str:
    text = text_of(node, context, key)
    if not text:
        raise ValueError("a path has at least one character")
    if key.name in DAEMON_TABLE and text.lower() in NOT_PATHS:
        raise ValueError(
            f"{quoted(text)} is not a path; remove the line for the default, or write ./{text} for that name"
        )
    return absolute(context.directory, text)


def _socket(node: Node, context: Decoding, key: Key) -> str:
    text = text_of(node, context, key)
    scheme, separator, path = text.partition("://")
    if separator or text.rpartition(":")[2].isdecimal():
        hint = f"write the path alone: {path}" if scheme == "unix" else "there is no network listener; use ssh"
        raise ValueError(f"{quoted(text)} is not a path; {hint}")
    path = _path(node, context, key)
    length = len(path.encode("utf-8", "surrogateescape"))
    if length > MAX_SOCKET_PATH:
        raise ValueError(f"{quoted(path)} has {length} bytes; the path of a socket has at most {MAX_SOCKET_PATH}")
    return path


def _cleared(node: Node, context: Decoding, key: Key) -> bool | tuple[str, ...]:
    """Return whether nothing is inherited, or the names of what is."""
    if node.kind != SEQUENCE:
        if node.kind == SCALAR and node.text.isupper() and node.text.lower() not in TRUE_WORDS + FALSE_WORDS:
            raise ValueError(
                f"is true, false or a list of names; write [{', '.join(node.text.replace(',', ' ').split())}]"
            )
        return boolean_of(node, context, key)
    return tuple(dict.fromkeys(elements_of(node.items, context, key, _inherited_name))) or True


def _inherited_name(node: Node, context: Decoding, key: Key) -> str:
    text = text_of(node, context, key)
    if problem := variable_name_problem(text):
        raise ValueError(problem)
    if not text.isprintable() or text[0].isdecimal() or any(character in text for character in " ,*?"):
        raise ValueError(f"{quoted(text)} is not the name of one variable; write a list of whole names")
    return text


def _command(node: Node, context: Decoding, key: Key) -> tuple[str, ...]:
    return tuple(words_of(node, context, key, shell=context.shell))


# -- names, users and variables


def _templates(node: Node, context: Decoding, key: Key) -> tuple[str, ...]:
    """Return names, of which each is one element."""
    if node.kind == MAPPING:
        raise ValueError(
            f"expected the name of a template, or a list, not {node.kind}; templates: holds what is shared"
        )
    return tuple(elements_of(node.items if node.kind == SEQUENCE else [node], context, key, _template))


def _template(node: Node, context: Decoding, key: Key) -> str:
    text = text_of(node, context, key)
    if "," in text or " " in text.strip():
        raise ValueError(f"{quoted(text)} is not one name; write a list: [{', '.join(text.replace(',', ' ').split())}]")
    if problem := name_problem(text):
        raise ValueError(f"{quoted(text)} cannot be a name: {problem}")
    return text


def _account(node: Node, context: Decoding, key: Key) -> str:
    text = text_of(node, context, key)
    if not text:
        raise ValueError("a name has at least one character")
    return text


def _variable(node: Node, context: Decoding, _key: Key) -> str | None:
    """Return a variable's expanded text, or None for a variable to remove."""
    expect(node, SCALAR)
    if node.is_empty():
        raise ValueError('has no value; write "" for an empty one, or null to remove the variable')
    return None if node.is_null() else context.variables.expand(node.text)


def _variable_or_file(node: Node, context: Decoding, key: Key) -> str | dict[str, str] | None:
    """Return a variable's text, None for one to remove, or the map that names its file."""
    if node.kind != MAPPING:
        return _variable(node, context, key)
    found = limits_of(node, context, key, {FILE: _path})
    if not found:
        raise ValueError(f"expected {{{FILE}: PATH}}, not an empty mapping")
    return found


def variable_files(node: Node, context: Decoding, key: Key) -> tuple[str, ...]:
    """Return paths, behind `?` where the file may be missing. Raises ValueError."""
    return tuple(elements_of(node.items if node.kind == SEQUENCE else [node], context, key, _variable_file))


def _variable_file(node: Node, context: Decoding, key: Key) -> str:
    """Return a path, behind `?` where the file may be missing."""
    if node.kind == MAPPING:  # as YAML reads [?PATH]
        raise ValueError("expected a path, not a mapping; quote one that begins with ?: ['?PATH']")
    text = text_of(node, context, key)
    bare = text.removeprefix(OPTIONAL)
    if not bare:
        raise ValueError("a path has at least one character")
    return text[: len(text) - len(bare)] + absolute(context.directory, bare)


def variable_name_problem(name: str) -> str:
    """Return why `name` cannot name a variable, or ""."""
    if not name or "=" in name:
        return f"{quoted(name)} cannot be the name of a variable"
    return f"{name} is set by taskmasterd itself" if name in NEVER_IN_ENV else ""


# -- which kind has which decoder

DECODERS: Mapping[str, Callable[[Node, Decoding, Key], object]] = {
    "account": _account,
    "autorestart": _autorestart,
    "boolean": _boolean,
    "boolean or word": _boolean_or_word,
    "choice": _choice,
    "cleared": _cleared,
    "command": _command,
    "control group": _path,
    "dependencies": dependencies_of,
    "event log": event_log_of,
    "exit codes": _exit_codes,
    "health": health_of,
    "history": history_of,
    "hook": decode_hook,
    "input": input_of,
    "limits": limits_of_group,
    "log prefix": _log_prefix,
    "octal": _octal,
    "path": _path,
    "processors": cpus_of,
    "ready": ready_of,
    "rlimits": rlimits_of,
    "recycle": recycle_of,
    "roles": roles_of,
    "schedule": decode_schedule,
    "seconds": _seconds,
    "signal": _signal,
    "size": _size,
    "socket": _socket,
    "sockets": sockets_of,
    "stream": stream_of,
    "templates": _templates,
    "text": _one_line,
    "tty": tty_of,
    "update": update_of,
    "variable": _variable,
    "variable files": variable_files,
    "variable or file": _variable_or_file,
    "watch": watch_of,
    "whole": _whole,
}
"""Every kind but "environment" and "variables", whose values are decoded one by one."""

VARIABLE = Key("env", "variable", None, "", "", varies=True)
VARIABLE_OR_FILE = Key("env", "variable or file", None, "", "", varies=True)
"""One value under `env:`, of a rule and of a program."""

PROGRAM_TABLE = {key.name: key for key in PROGRAM}
EXTRA_TABLE = {key.name: key for key in EXTRA}
DAEMON_TABLE = {key.name: key for key in DAEMON}


def decode_value(
    key: Key,
    node: Node,
    context: Decoding,
    place: str,
    report: Report,
    decoders: Mapping[str, Callable[[Node, Decoding, Key], object]] = DECODERS,
) -> Any:
    """Return the decoded value, or None after reporting what is wrong with it at `place`."""
    if node.kind == BROKEN:
        return None
    try:
        return decoders[key.kind](node, context, key)
    except WrongElementsError as several:
        wrong = several.elements
    except WrongElementError as one:
        wrong = [one]
    except ValueError as error:
        wrong = [WrongElementError(node, str(error))]
    for each in wrong:
        if reason := str(each):
            advice, lines = (
                _right_shape(key, node) if each.node is node and is_shape_alone(reason) and key.doc else ("", ())
            )
            report.error(each.node, f"{place}.{each.below}".rstrip("."), reason + advice, example=lines)
    return None


def _right_shape(key: Key, node: Node) -> tuple[str, tuple[str, ...]]:
    """Return how the key is written, for a value of another shape: the end of a sentence, or lines of an example."""
    first, *lines = key.example.split("\n")
    if lines:
        return "", (f"{key.name}:", *(f"  {line}" for line in lines))
    if node.kind == SEQUENCE and node.items and node.items[0].kind == SCALAR and node.items[0].text:
        first = node.items[0].text
    first = first or _default(key)
    return (f"; write {key.name}: {first}" if first else ""), ()


def _default(key: Key) -> str:
    """Return the key's default as it is written, or "" where it has none of one word."""
    value: Any = key.default
    if key.kind in ("signal", "octal"):
        return "TERM" if key.kind == "signal" else f"{value or 0o022:03o}"
    if isinstance(value, tuple):
        return " ".join(map(str, value))
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else "" if value is None or isinstance(value, dict) else str(value)
