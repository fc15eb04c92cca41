"""Where a stream leads: a path, a word, a command that reads it, or a map with one of `syslog`, `journal` and `pipe`."""

from __future__ import annotations

from taskmaster_common.config import DISCARD
from taskmaster_common.config.elsewhere import (
    AS_STDOUT,
    BETWEEN_WORDS,
    NAMES,
    SCHEMES,
    USUAL,
    WORDS,
    Elsewhere,
    address_problem,
)
from taskmaster_common.config.words import LOGGER, PIPE, SYSLOG, is_logger
from taskmaster_common.schema.advice.foreign import NO_OUTPUT, foreign_stream
from taskmaster_common.schema.nodes import MAPPING, SCALAR
from taskmaster_common.schema.report import quoted
from taskmaster_common.schema.surroundings import absolute
from taskmaster_common.schema.values.scalars import (
    FALSE_WORDS,
    TRUE_WORDS,
    WrongElementError,
    WrongElementsError,
    expect,
    expect_map,
    text_of,
)
from taskmaster_common.schema.values.split import split, words_of
from taskmaster_common.text.lineformat import LEVELS
from taskmaster_common.text.nearest import nearest
from taskmaster_common.text.syslog import FACILITIES, MOST_TAG

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from taskmaster_common.config.keys import Key
    from taskmaster_common.schema.nodes import Node
    from taskmaster_common.schema.values.scalars import Decoding

STREAMS = ("stdout", "stderr")
NO_COMMAND = "has no command behind the |; write '| command word', quoted"
OTHER_LEVELS = {"emergency": 0, "critical": 2, "error": 3, "warn": 4, "informational": 6}


def stream_of(node: Node, context: Decoding, key: Key) -> str:
    """Return a path, one of the key's words, or the text of a target; a file named like a word needs a slash: ./null."""
    if node.kind == MAPPING:
        return _elsewhere(node, context, key)
    expect(node, SCALAR)
    if node.is_empty():
        raise ValueError("has no value; write null to discard the output, or remove the line")
    if node.is_null():
        return DISCARD
    text = text_of(node, context, key)
    if text in key.words:
        return text
    if text in ("stdout", "stderr"):
        raise ValueError(f'{quoted(text)} cannot be used here; "stderr: stdout" sends both to one place')
    if text.lower() in key.words:
        raise ValueError(f"did you mean {text.lower()}? For a file of that name, write ./{text}")
    if text.startswith(LOGGER):
        return _logger_of_text(node, context)
    if instead := _instead_of(text):
        raise ValueError(f"{quoted(text)} is {instead}; for a file of that name, write ./{text}")
    if not text:
        raise ValueError("a path has at least one character")
    return absolute(context.directory, text)


def _instead_of(text: str) -> str:
    """Return what a text that is not meant as a path is, and what to write: the address of a log daemon, a foreign word; or ""."""
    scheme, colon, rest = text.partition(":")
    rest = rest.removeprefix("//")
    scheme = {SYSLOG: "unix" if rest.startswith("/") else "udp"}.get(scheme.lower(), scheme.lower())
    if not colon or scheme not in SCHEMES:
        foreign = foreign_stream(text)
        return f"another tool's word; {foreign}" if foreign else ""
    if not address_problem(SYSLOG, f"{scheme}:{rest}"):
        return f"not a path; write {{syslog: {{to: '{scheme}:{rest}'}}}}"
    if scheme == "unix":
        return "not a path; write {syslog: {to: 'unix:/PATH'}}"
    return f"not a path; write {{syslog: {{to: '{scheme}:ADDRESS:PORT'}}}}, with a numeric address"


def event_log_of(node: Node, context: Decoding, key: Key) -> str:
    """Return a path, or the text of a target."""
    discarded = node.kind == SCALAR and not node.is_empty() and foreign_stream(node.text) == NO_OUTPUT
    found = DISCARD if discarded else stream_of(node, context, key)
    if found == DISCARD:
        raise ValueError("an event log cannot be discarded; remove the line for the default")
    if is_logger(found):
        raise ValueError("no command reads the event log; write a path, syslog or journal")
    return found


def _logger_of_text(node: Node, context: Decoding) -> str:
    """Return the target of `| word word`."""
    command = node.text.lstrip()[len(LOGGER) :]
    if not command.strip():
        raise ValueError(NO_COMMAND)
    words = [context.variables.expand(word) for word in split(command, node)]
    return _logger(words, shell=False)


def _logger_of_map(node: Node, context: Decoding, key: Key) -> str:
    """Return the target of {pipe: words, shell: false}."""
    wrong = [
        WrongElementError(at, f"unknown key; a command has {PIPE} and shell")
        for each, (at, _) in node.entries.items()
        if each not in (PIPE, "shell")
    ]
    if wrong:
        raise WrongElementsError(wrong)
    value = node.entries[PIPE][1]
    shell = "shell" in node.entries and _true(node.entries["shell"][1], context, key)
    if value.is_empty() or value.is_null():
        raise ValueError(NO_COMMAND)
    return _logger(words_of(value, context, key, shell=shell), shell=shell)


def _true(node: Node, context: Decoding, key: Key) -> bool:
    text = text_of(node, context, key).lower()
    if text not in TRUE_WORDS + FALSE_WORDS:
        raise ValueError(f"shell: {quoted(text)} is neither true nor false")
    return text in TRUE_WORDS


def _logger(words: Sequence[str], *, shell: bool) -> str:
    if not words or not words[0]:
        raise ValueError(NO_COMMAND)
    return Elsewhere(LOGGER, BETWEEN_WORDS.join(words), shell=int(shell)).text()


def _unknown(kind: str, value: Node, key: Key) -> str:
    """Return why a map that names no target is refused."""
    if kind.lower() in ("path", "file", "filename", "to") and value.kind == SCALAR:
        return f"a path stands alone; write {key.name}: {value.text}"
    near = nearest(kind, (*WORDS, PIPE))
    return f"unknown target {quoted(kind)}; " + (
        f"did you mean {near}?" if near else f"write one of {', '.join((*WORDS, PIPE))}"
    )


def _elsewhere(node: Node, context: Decoding, key: Key) -> str:
    if PIPE in node.entries:
        return _logger_of_map(node, context, key)
    if len(node.entries) != 1:
        raise ValueError(f"is a map with one of {', '.join((*WORDS, PIPE))}")
    ((kind, (name, value)),) = node.entries.items()
    if kind not in WORDS:
        raise WrongElementError(name, _unknown(kind, value, key))
    if value.is_empty() or value.is_null():
        return Elsewhere(kind).text()
    expect_map(value, f"{{{kind}: {{{_meant(kind, value.text)}}}}}" if value.kind == SCALAR else "")
    wrong = [
        WrongElementError(at, f"unknown key; {kind} has {', '.join(NAMES[kind])}")
        for each, (at, _) in value.entries.items()
        if each not in NAMES[kind]
    ]
    if wrong:
        raise WrongElementsError(wrong)
    by_stream = value.entries.get("severity", (None, None))[1]
    parts = {
        each: text_of(found, context, key)
        for each, (_, found) in value.entries.items()
        if found.kind == SCALAR or each != "severity"
    }
    target = Elsewhere(kind)
    if problem := address_problem(kind, parts["to"]) if "to" in parts else "":
        raise ValueError(f"to: {quoted(parts['to'])} cannot be used; {problem}")
    if "facility" in parts and parts["facility"] not in FACILITIES:
        raise ValueError(f"facility: {quoted(parts['facility'])} is unknown; write one of {', '.join(FACILITIES)}")
    if "tag" in parts and not _is_tag(parts["tag"]):
        raise ValueError(
            f"tag: {quoted(parts['tag'])} cannot be used; write at most {MOST_TAG} letters, digits and ._-/"
        )
    severity = _severity(parts["severity"]) if "severity" in parts else target.severity
    errors = AS_STDOUT
    if by_stream is not None and by_stream.kind == MAPPING:
        severity, errors = _severities(by_stream, context, key)
    texts = {each: parts[each] for each in ("to", "facility", "tag") if each in parts}
    return target.replace(**texts, severity=severity, errors=errors).text()


def _meant(kind: str, text: str) -> str:
    """Return how a text in the place of a target's map is written in one: `to: 'udp:127.0.0.1:514'`."""
    if kind == SYSLOG and text in FACILITIES:
        return f"facility: {text}"
    to = f"unix:{text}" if text.startswith("/") else text
    if not address_problem(kind, to):
        return f"to: '{to}'"
    scheme = to.partition(":")[0].lower()
    return f"to: '{scheme}:ADDRESS:PORT'" if kind == SYSLOG and scheme in ("udp", "tcp") else f"to: '{USUAL[kind]}'"


def _severities(node: Node, context: Decoding, key: Key) -> tuple[int, int]:
    """Return the severities of {stdout: ..., stderr: ...}; what is not written is as usual."""
    wrong = [
        WrongElementError(at, "unknown stream; severity has stdout and stderr")
        for each, (at, _) in node.entries.items()
        if each not in STREAMS
    ]
    if wrong:
        raise WrongElementsError(wrong)
    given = {each: _severity(text_of(found, context, key)) for each, (_, found) in node.entries.items()}
    usual = Elsewhere(SYSLOG).severity
    stdout = given.get("stdout", usual)
    errors = given.get("stderr", usual)
    return stdout, AS_STDOUT if errors == stdout else errors


def _severity(text: str) -> int:
    if text in LEVELS:
        return LEVELS.index(text)
    if text in OTHER_LEVELS:
        return OTHER_LEVELS[text]
    if text in [str(number) for number in range(len(LEVELS))]:
        return int(text)
    raise ValueError(f"severity: {quoted(text)} is unknown; write one of {', '.join(LEVELS)}")


def _is_tag(text: str) -> bool:
    return 0 < len(text) <= MOST_TAG and text.isascii() and all(each.isalnum() or each in "._-/" for each in text)
