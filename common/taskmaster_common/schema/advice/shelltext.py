"""Recognises text meant for a shell or for another tool. Pure; every answer is a sentence or "".

Text in single quotes is never meant for a shell. In double quotes only variables and $( ) are, and only if the command
itself does not call a shell.
"""

from __future__ import annotations

import re

from taskmaster_common.schema.advice.foreign import SHELLS
from taskmaster_common.schema.report import quoted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Container, Sequence

_OPERATORS = frozenset(("&&", "||", "|", "|&", ";", ";;", "&"))
_REDIRECTION = re.compile(r"[0-9]*[<>]|&>")
_VARIABLE = re.compile(r"(?<!\$)\$([A-Za-z_][A-Za-z0-9_]*)")
_PERCENT = re.compile(r"%\((program_name|process_num|group_name|here|host_node_name|numprocs|ENV_\w+)\)[0-9.]*[sd]")
_PERCENT_HERE = {
    "program_name": "${TASKMASTER_PROGRAM}",
    "group_name": "${TASKMASTER_PROGRAM}",
    "process_num": "${TASKMASTER_INSTANCE}",
    "here": "${CONFIG_DIR}",
}
_ASSIGNMENT = re.compile(r"[A-Za-z_][A-Za-z0-9_]*=")
_PIPE_TOKEN = re.compile(r"\|\||&&|\|&|>\||>&|<&|&>|[|;&\n(){}]|[^\s|;&(){}<>]+|[<>]")
_OPENING = frozenset(("(", "{", "if", "while", "until", "for", "case", "select"))
_CLOSING = frozenset((")", "}", "fi", "done", "esac"))

_BASH = (
    ("> >(", r"[<>]\s?[<>]\("),
    ("<(", r"(^|\s)[<>]\("),
    ("set -o pipefail", r"\bset\s+-\w*o\s+pipefail\b"),
    ("[[", r"(^|[\s;&|])\[\[\s"),
    ("source", r"(^|[;&|\n])\s*source\s"),
    ("|&", r"\|&"),
    ("&>", r"&>"),
)
"""Syntax of bash that a POSIX shell lacks, with its pattern. POSIX has `pipefail` since 2024, dash not yet."""

_SHELL = "set shell: true to have /bin/sh run it"
_BUILTINS = {
    "exec": "leave it out: no shell stands in between",
    "cd": "set workingdir, or shell: true",
    "export": "put the variable under env:, or set shell: true",
    "umask": "set umask, or shell: true",
    "exit": _SHELL,
}
_BUILTINS.update(
    dict.fromkeys(
        (
            *("source", ".", "set", "unset", "trap", "eval", "alias", "unalias", "wait", "read", "ulimit", "shift"),
            *(
                "return",
                "break",
                "continue",
                "local",
                "declare",
                "typeset",
                "readonly",
                "shopt",
                "pushd",
                "popd",
                "hash",
            ),
            *("jobs", "bg", "fg", "command", "builtin", "if", "for", "while", "until", "case", "function", "select"),
            *("{", "(", "[[", "((", ":", "!", "let", "getopts", "type", "disown", "enable"),
        ),
        _SHELL,
    )
)
"""First words that only a shell runs. Source: POSIX XCU 2.4, 2.14 and 1.6; bash(1)."""


def command_doubt(text: str, inherited: Container[str], own: Container[str]) -> str:
    """Return why a command line seems to be meant for a shell.

    `inherited` are the variables that `${NAME}` can expand, `own` those of `env:`, which only a shell can expand.
    """
    plain, double = split_quotes(text)
    words = plain.split()
    if not words:
        return ""
    lines = [line.strip() for line in plain.strip().split("\n")]
    if any(line and not line.startswith("-") for line in lines[1:]):
        return "the command has several lines, and without a shell the end of a line is a blank; set shell: true"
    if _ASSIGNMENT.match(words[0]):
        name = words[0].partition("=")[0]
        return f"without a shell {quoted(words[0])} is taken as the command; put {name} under env:, or set shell: true"
    return (
        builtin_doubt(words[0])
        or next((doubt for word in words if (doubt := _word_doubt(word, inherited, own))), "")
        or _double_quoted_doubt(text, double, inherited, own)
    )


def words_doubt(words: Sequence[str], inherited: Container[str], own: Container[str]) -> str:
    """Return why a list of words seems meant for a shell: it names an existing variable and calls no shell."""
    if any(word.rpartition("/")[2] in SHELLS for word in words):
        return ""
    names = (found[1] for word in words for found in _VARIABLE.finditer(word))
    name = next((name for name in names if name in inherited or name in own), "")
    here = "" if name in own and name not in inherited else f"write ${{{name}}}, or "
    return f"without a shell ${name} is ordinary text; {here}write cmd as one text with shell: true" if name else ""


def bash_doubt(script: str) -> str:
    """Return which syntax of a script only bash knows; the caller asks if /bin/sh is another shell."""
    plain = split_quotes(script)[0]
    found = next((shown for shown, pattern in _BASH if re.search(pattern, plain)), "")
    return (
        f"{quoted(found)} is bash's, and shell: true runs /bin/sh; write cmd: bash -c '...' without shell:"
        if found
        else ""
    )


def builtin_doubt(word: str) -> str:
    """Return what to do about a first word that is a shell builtin."""
    bare = "(" if word.startswith("(") else word
    return f"{quoted(bare)} is the shell's own; {_BUILTINS[bare]}" if bare in _BUILTINS else ""


def _word_doubt(word: str, inherited: Container[str], own: Container[str]) -> str:
    if word in _OPERATORS or _REDIRECTION.match(word):
        return f"without a shell {quoted(word)} is an ordinary word; {_SHELL}"
    if word[-1] in ";&|" or (len(word) > 1 and word[0] in "|;"):
        return (
            f"without a shell {quoted(word[-1] if word[-1] in ';&|' else word[0])} is an ordinary character; {_SHELL}"
        )
    if word == "~" or word.startswith("~/"):
        return "without a shell ~ is an ordinary character; write ${HOME}, or set shell: true"
    if "$(" in word:
        return "without a shell $( ) is not run; set shell: true"
    if "`" in word:
        return "without a shell ` is an ordinary character; set shell: true"
    if "|" in word and "://" not in word:
        return f'without a shell "|" is an ordinary character; {_SHELL}'
    found = _VARIABLE.search(word)
    if found:
        return _variable_doubt(found[1], inherited, own)
    return _glob_doubt(word)


def _variable_doubt(name: str, inherited: Container[str], own: Container[str]) -> str:
    here = "" if name in own and name not in inherited else f"write ${{{name}}}, or "
    return f"without a shell ${name} is ordinary text; {here}set shell: true"


def _glob_doubt(word: str) -> str:
    """Return a doubt about *, ? and [ ] in a word that is probably a path, not an option, URL or address."""
    if word.startswith("-") or "://" in word or "=" in word or ":" in word:
        return ""
    if "*" in word or (word.find("[") >= 0 and word.find("]") > word.find("[") + 1):
        return "without a shell a pattern of file names is ordinary text; set shell: true"
    inside = word.strip("?")
    if "?" in inside or (inside and word != inside and "/" in word):
        return "without a shell a pattern of file names is ordinary text; set shell: true"
    return ""


def _double_quoted_doubt(text: str, double: str, inherited: Container[str], own: Container[str]) -> str:
    """Return a doubt about double quotes, unless some word calls a shell, which expands its argument itself."""
    if not double.strip() or any(word.rpartition("/")[2] in SHELLS for word in text.split()):
        return ""
    if "$(" in double or "`" in double:
        return "without a shell $( ) is not run; set shell: true"
    for found in _VARIABLE.finditer(double):
        if found[1] in inherited or found[1] in own:
            return _variable_doubt(found[1], inherited, own)
    return ""


def split_quotes(text: str) -> tuple[str, str]:
    """Return the text with quoted and escaped characters as `x`, and the parts in double quotes, separated by blanks.

    A backslash at the end of a line continues it: a blank in the first. Source: POSIX XCU 2.2.
    """
    plain: list[str] = []
    double: list[str] = []
    quote = ""
    characters = iter(text)
    for character in characters:
        if character == "\\" and quote != "'":
            plain.append(" " if next(characters, "") == "\n" and not quote else "x")
        elif quote:
            plain.append("x")
            if character == quote:
                quote = ""
                double.append(" ")
            elif quote == '"':
                double.append(character)
        elif character in "'\"":
            quote = character
            plain.append("x")
            double.append(" ")
        else:
            plain.append(character)
    return "".join(plain), "".join(double)


# -- pipes


def pipe_doubt(script: str) -> str:
    """Return why the exit code of a script is not that of the program that its author means."""
    if "pipefail" in script or not ends_in_a_pipe(script):
        return ""
    return (
        "the exit code is that of the last command of the pipe, so a crash before it goes unnoticed; "
        "leave the pipe out, or write cmd: bash -o pipefail -c '...' without shell:"
    )


def ends_in_a_pipe(script: str) -> bool:
    """Return whether the last command of a script, which gives its exit code, is a pipeline of several."""
    piped = False
    after_separator = False
    depth = 0
    first = True  # a word that begins a command; only there `if` and `done` are words of the shell
    for word in _PIPE_TOKEN.findall(_without_comments(split_quotes(script)[0])):
        if depth == 0 and after_separator and word not in (";", "&", "\n"):
            piped = after_separator = False
        if word in _OPENING and (first or word in ("(", "{")):
            depth += 1
        elif word in _CLOSING and (first or word in (")", "}")):
            depth = max(0, depth - 1)
        elif depth == 0 and word in ("|", "|&"):
            piped = True
        elif depth == 0 and word in (";", "&", "&&", "||", "\n"):
            after_separator = True
        first = word in ("|", "|&", ";", "&", "&&", "||", "\n", "(", "{", "do", "then", "else", "!")
    return piped


def _without_comments(plain: str) -> str:
    return re.sub(r"(^|\s)#[^\n]*", r"\1", plain)


def script_of(words: Sequence[str]) -> str:
    """Return the script of a command `sh -c SCRIPT`, or ""."""
    for at, word in enumerate(words):
        if word.rpartition("/")[2] in SHELLS:
            options = " ".join(words[at + 1 :])
            for number, option in enumerate(words[at + 1 : -1], at + 1):
                if option.startswith("-") and not option.startswith("--") and "c" in option:
                    return "" if "pipefail" in options else words[number + 1]
            return ""
    return ""


# -- paths and other values


def unexpanded(text: str) -> str:
    """Return what in a path or another value is not expanded although its author may expect it."""
    if text == "~" or text.startswith("~/") or re.match(r"~[a-z_][a-z0-9_-]*/", text):
        return "~ is not expanded here; write ${HOME}"
    percent = _PERCENT.search(text)
    if percent:
        name = percent[1]
        here = f"${{{name[4:]}}}" if name.startswith("ENV_") else _PERCENT_HERE.get(name, "")
        return f"%({name}) is supervisor's; " + (f"write {here}" if here else "it has no counterpart here")
    found = _VARIABLE.search(text)
    return f"${found[1]} is not expanded here; write ${{{found[1]}}}" if found else ""


def unexpanded_name(path: str) -> str:
    """Return the same for a path that was made absolute since it was written: one of its names begins so."""
    return next((doubt for name in path.split("/") if (doubt := unexpanded(f"{name}/"))), "")


def unexpanded_variable(text: str, names: Container[str]) -> str:
    """Return the same for a value of env, where a `$` is often intended: only existing variables are reported."""
    reason = unexpanded(text)
    if reason.startswith("$"):
        known = next((found[1] for found in _VARIABLE.finditer(text) if found[1] in names), "")
        return f"${known} is not expanded here; write ${{{known}}}" if known else ""
    return reason
