"""The options of `taskmasterd`, and a hint for words that are not options. Imported by the launcher only."""

from __future__ import annotations

import argparse
import os
import sys

from taskmaster_common import __version__
from taskmaster_common.aliases import ALIASES, INSTEAD
from taskmaster_common.commands.table import COMMANDS
from taskmaster_common.config import LOG_LEVELS
from taskmaster_common.text.nearest import nearest
from taskmasterd.core.programs.orphans import POLICIES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import NoReturn

USAGE = 2
EXAMPLE, SCHEMA = "taskmaster.yaml", "taskmaster.schema.json"
"""What --example and --schema print: files that are installed with the daemon."""
SYSTEM, USER = "system", "user"
"""The managers of --unit."""
HABITS = {
    "--test": "-t",
    "--validate": "-t",
    "--foreground": "-n",
    "--no-daemon": "-n",
    "--configuration": "-c",
    "-f": "-c",
}
"""Our options by those of other tools."""
CHECKS = ("check", "configtest", "lint", "test", "validate", "verify")
HERE = {
    "help": "use taskmasterd --help",
    "version": "use taskmasterd --version",
    "start": "taskmasterd without this word starts the daemon; `taskmasterctl start NAME` starts a program",
    "run": "taskmasterd without this word starts the daemon; with -n it stays in the foreground",
    "stop": "`taskmasterctl shutdown` ends the daemon and its programs, `taskmasterctl stop NAME` one program",
    "restart": "`taskmasterctl restart NAME` restarts a program; "
    "the daemon follows an edited file by `taskmasterctl reload`",
}
"""Advice for verbs that concern the daemon itself, by verb."""


class _Parser(argparse.ArgumentParser):
    """Reports a usage error in one sentence."""

    def error(self, message: str) -> NoReturn:
        print(f"taskmasterd: {message}\n  The options:  taskmasterd --help", file=sys.stderr)
        sys.exit(USAGE)


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Return the options; on a usage error print a sentence and exit with code 2."""
    parser = _parser()
    options, rest = parser.parse_known_args(arguments)
    if rest:
        parser.error(unknown(rest, [name for action in parser._actions for name in action.option_strings]))  # noqa: SLF001
    if options.simulate is None and (options.end or options.lasts or options.seed or options.json):
        parser.error("--end, --for, --seed and --json belong to --simulate")
    if options.seed and not (options.seed.isascii() and options.seed.isdecimal()):
        parser.error(f'--seed: "{options.seed}" is not a number')
    if options.env and not options.print_config:
        parser.error("--env belongs to -T")
    return options


def unknown(words: Sequence[str], known: Sequence[str]) -> str:
    """Return the error text for words that are not options; `known` are the options."""
    word = words[0]
    if word.startswith("-") and word != "-":
        name = word.partition("=")[0]
        near = HABITS.get(name) or (nearest(name, known) if len(name) > len("-x") else "")
        return f"there is no option {name}" + (f"; did you mean {near}?" if near else "")
    if word in CHECKS:
        return f'"{word}" is not an option; `taskmasterd -t -c FILE` checks a configuration'
    if word in HERE:
        return f'"{word}" is not an option; {HERE[word]}'
    if word in INSTEAD:
        return f'"{word}" is not an option, and commands are the client\'s, taskmasterctl: {INSTEAD[word]}'
    if word in ALIASES or any(word == command.name for command in COMMANDS):
        return f'"{word}" is a command of the client: taskmasterctl {" ".join(ALIASES.get(word, (word,)))}'
    if "/" in word or "." in word or os.path.exists(word):
        return f'"{word}" is not an option; the configuration is named by -c: taskmasterd -c {word}'
    return f'"{word}" is not an option; taskmasterd takes options only, commands are the client\'s: taskmasterctl'


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="taskmasterd",
        description="Keep the programs of one YAML file running.",
        epilog="Exit codes: 0 stopped as asked, 1 failed while running, 2 usage, "
        "4 cannot create socket, log or pid file, 6 configuration. "
        "Signals: TERM, INT and QUIT stop, QUIT once more kills at once, HUP reloads, USR1 and USR2 reopen logs.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "-c", "--config", dest="config", metavar="FILE", help="the configuration (default: see taskmasterd(8))"
    )
    parser.add_argument("-n", "--nodaemon", action="store_true", help="stay in the foreground and log to stderr too")
    parser.add_argument(
        "--follow",
        action="store_true",
        help="stay in the foreground and show what all programs write; Ctrl-C stops all",
    )
    check = parser.add_mutually_exclusive_group()
    check.add_argument("-t", "--check", action="store_true", help="check the configuration and start nothing")
    check.add_argument("-T", dest="print_config", action="store_true", help="the same, and print it with its defaults")
    for word, name, text in (
        ("--example", EXAMPLE, "print a small configuration to begin with"),
        ("--schema", SCHEMA, "print the JSON schema of configurations, for editors"),
    ):
        check.add_argument(word, dest="printed", action="store_const", const=name, help=text)
    check.add_argument(
        "--unit",
        dest="printed",
        nargs="?",
        choices=(SYSTEM, USER),
        const=SYSTEM,
        metavar="MANAGER",
        help="print a systemd unit for this installation: of the system (default), or of a user",
    )
    check.add_argument("--files", action="store_true", help="print where the daemon keeps its files, and what is there")
    parser.add_argument("--env", action="store_true", help="with -T, print the values of env too")
    parser.add_argument(
        "-s", "--socket", dest="socket", metavar="SOCKET", help="the control socket, instead of the configured one"
    )
    parser.add_argument(
        "--loglevel",
        choices=LOG_LEVELS,
        metavar="LEVEL",
        help="debug, info, warning or error: of the event log, instead of the configured one",
    )
    parser.add_argument(
        "--guard", action="store_true", help="run a guardian that restarts the daemon if it dies (PID 1: always)"
    )
    parser.add_argument(
        "--orphans",
        choices=POLICIES,
        metavar="POLICY",
        default=POLICIES[0],
        help="what to do with programs of an earlier daemon whose state is lost: adopt, kill or refuse "
        "(default: %(default)s)",
    )
    _add_simulation(parser)
    parser.add_argument("-V", "--version", action="version", version=f"taskmasterd {__version__}")
    return parser


def _add_simulation(parser: argparse.ArgumentParser) -> None:
    simulated = parser.add_argument_group("simulation, without a daemon")
    simulated.add_argument("--simulate", metavar="NAME", help="print what this program would do, and start nothing")
    simulated.add_argument(
        "--end",
        action="append",
        default=[],
        metavar="HOW",
        help="how it ends: 1@0.2, KILL@3s; again for the next start",
    )
    simulated.add_argument("--for", dest="lasts", default="", metavar="DUR", help="how long (default: 1h)")
    simulated.add_argument("--seed", default="", metavar="N", help="choose other random delays")
    simulated.add_argument("--json", action="store_true", help="one JSON document instead of text")
