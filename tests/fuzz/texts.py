"""Random requests and configurations: grammar, mutations of it, and noise; each case from a seed that repeats it."""

from __future__ import annotations

import random

from taskmaster_common.commands.table import COMMANDS, command, parse
from taskmaster_common.errors import RequestError

TOY = "toy"
"""The only program that requests of the fuzzer may touch."""

NAMES = (
    TOY,
    "toy:0",
    "toy:1",
    "toy:*",
    "to*",
    "web",
    "web:0",
    "web:9",
    "*",
    "all",
    "[a-z]*",
    "[",
    "nobody",
    "-x",
    ":",
    "é",
    "\udcff",
)
FLAGS = ("--no-wait", "-n", "--lines=5", "--lines", "-f", "--follow", "--since", "--stderr", "--daemon", "--dry-run", "--exit-code",
         "--if-running", "--", "--env", "--json", "--wide", "--timeout", "-", "---", "--=")  # fmt: skip
VALUES = ("0", "-1", "5", "1h", "1e999", "9" * 400, "TERM", "HUP", "KILL", "SIGUSR1", "0x9", "²", "", "nan", "65")
NOISE = (
    b"\0",
    b"\r",
    b"\n",
    b"\n\n",
    b" ",
    b"\t",
    b"\xff",
    b"\xc0\x80",
    b"{",
    b"}",
    b'"',
    b"\\",
    b";",
    b"|",
    b"\x1b[2J",
    b"A" * 3000,
)
VERBS = tuple(verb.name for verb in COMMANDS)
YAML = (
    *(
        "programs:",
        "defaults:",
        "taskmasterd:",
        "include:",
        "x-a:",
        "  web:",
        "    cmd:",
        "    env:",
        "    shell:",
        "    numprocs:",
    ),
    *(
        "    stdout:",
        "    exitcodes:",
        "    stoptime:",
        "    user:",
        "    umask:",
        "    <<:",
        "- ",
        "? ",
        ": ",
        "&a ",
        "*a",
        "!!str ",
    ),
    *(
        "sleep 300",
        "true",
        "022",
        "[",
        "]",
        "{",
        "}",
        ",",
        "|",
        ">",
        "~",
        "null",
        "1e9",
        "99999999999999999999",
        "conf.d/*.yaml",
    ),
    *(
        "'",
        '"',
        "#",
        "%YAML 1.1",
        "---",
        "...",
        "\t",
        "\n",
        "\n",
        "\n",
        "\n  ",
        "\n    ",
        "${HOME}",
        "${",
        "$${",
        "\0",
        "\ufeff",
        "\ud7ff",
    ),
)


def requests(dice: random.Random) -> bytes:
    """Return some bytes for one connection, which ask for nothing that would touch a program but `TOY`."""
    pieces = [_request(dice) for _ in range(dice.randrange(1, 8))]
    if dice.random() < 0.2:
        pieces.append(dice.randbytes(dice.choice((10, 1000, 70_000))))
    text = _harmless(b"\n".join(pieces))
    return text if dice.random() < 0.3 else text + b"\n"


def _request(dice: random.Random) -> bytes:
    words = [dice.choice(VERBS) if dice.random() < 0.9 else dice.choice(VALUES)]
    words += [dice.choice(dice.choice((NAMES, FLAGS, VALUES))) for _ in range(dice.choice((0, 1, 1, 2, 3, 30)))]
    text = " ".join(words).encode("utf-8", "surrogateescape")
    for _ in range(dice.choice((0, 0, 1, 4))):
        at = dice.randrange(len(text) + 1)
        text = text[:at] + dice.choice(NOISE) + text[at + dice.randrange(3) :]
    return text


def _harmless(text: bytes) -> bytes:
    """Return the text without the lines that would act on others than `TOY`, as the daemon will read them."""
    return b"\n".join(line for line in text.split(b"\n") if not _acts_on_others(line))


def _acts_on_others(line: bytes) -> bool:
    try:
        request = parse(line.removesuffix(b"\r").decode("utf-8", "surrogateescape").split())
    except RequestError:
        return False
    if request.verb in ("shutdown", "reload"):  # what lies on the disk at that moment may be a sound configuration
        return not request.has("dry_run")
    targets = request.targets[1:] if request.verb == "signal" else request.targets
    return command(request.verb).acts and any(not name.startswith("to") for name in targets)


def configuration(dice: random.Random, good: str) -> bytes:
    """Return a configuration that is probably none: a mutation of a good one, a heap of words, or noise."""
    kind = dice.random()
    if kind < 0.5:
        text = good.encode()
        for _ in range(dice.randrange(1, 6)):
            at = dice.randrange(len(text) + 1)
            text = text[:at] + dice.choice(YAML).encode() + text[at + dice.randrange(8) :]
        return text
    if kind < 0.9:
        return "".join(dice.choices(YAML, k=dice.choice((5, 40, 400)))).encode()
    return dice.randbytes(dice.choice((20, 5000)))
