"""The man pages: free of warnings, complete, and of one mind with the tables that the programs use."""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess

import pytest

from taskmaster_common import __version__
from taskmaster_common.aliases import ALIASES
from taskmaster_common.commands.help import HELP, SHELL_COMMANDS
from taskmaster_common.commands.table import COMMANDS, Command, Flag, usage
from taskmasterctl.options import GLOBALS
from taskmasterd.launch.options import _parser
from tests.support.daemon import ROOT

PAGES = {path.name: path for path in sorted((ROOT / "man").iterdir())}
SECTIONS = ("NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "EXIT STATUS", "ENVIRONMENT", "FILES", "EXAMPLES", "SEE ALSO")
CLIENT, DAEMON, FILE = "taskmasterctl.1", "taskmasterd.8", "taskmaster.yaml.5"

every_page = pytest.mark.parametrize("name", sorted(PAGES))


def source(name: str) -> str:
    """Return a page as it is written."""
    return PAGES[name].read_text()


def plain(text: str) -> str:
    """Return the words of roff, with one blank between them: macros and fonts are gone."""
    words = []
    for line in text.splitlines():
        macro, _, rest = line.partition(" ")
        if macro in (".B", ".I", ".SH", ".SS"):
            words.append(re.sub('"("?)', r"\1", rest))
        elif re.fullmatch(r"\.[BIR]{2}", macro):
            parts = re.findall(r'"((?:[^"]|"")*)"|(\S+)', rest)
            words.append("".join(quoted.replace('""', '"') or bare for quoted, bare in parts))
        elif not line.startswith("."):
            words.append(line)
    joined = re.sub(r"\\f[BIR]", "", " ".join(words)).replace("\\&", "").replace("\\-", "-")
    return " ".join(joined.replace("\\(aq", "'").replace("\\(dq", '"').replace("\\e", "\\").split())


def entries(text: str) -> dict[str, str]:
    """Return what is said of each tag of a list, by the tag's words; lists within it belong to it."""
    found, depth, tag = {}, 0, ""
    lines = iter(text.splitlines())
    for line in lines:
        depth += {".RS": 1, ".RE": -1}.get(line, 0)
        if line == ".PP" or line.startswith((".SS", ".SH")):
            tag = ""
        elif line == ".TP" and depth == 0:
            tag = plain(next(lines))
            found[tag] = ""
        elif tag:
            found[tag] += line + "\n"
    return found


def section(name: str, title: str) -> str:
    """Return the lines of a section, `.SH`, or of a part of it, `.SS`."""
    kind = ".SH" if f".SH {title}\n" in source(name) else ".SS"
    ends = r"\n\.SH " if kind == ".SH" else r"\n\.S[HS] "
    return re.split(ends, source(name).split(f"{kind} {title}\n", 1)[1] + "\n")[0]


def tag(flag: Flag) -> str:
    """Return how the pages name a flag."""
    value = f" {flag.value}" if flag.value else ""
    return ", ".join(f"{form}{value}" for form in (flag.short, flag.name) if form)


def sentence(text: str) -> str:
    """Return the text of a table as the pages have it: no back quotes, a capital letter, a full stop."""
    text = text.replace("`", "")
    return text[:1].upper() + text[1:].rstrip(".") + "."


# -- form


@every_page
@pytest.mark.parametrize("device", ["ascii", "utf8"])
def test_groff_has_nothing_to_complain_of(name: str, device: str) -> None:
    if shutil.which("groff") is None:
        pytest.skip("groff is not installed")
    done = subprocess.run(
        ["groff", "-man", "-ww", "-z", f"-T{device}", str(PAGES[name])], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@every_page
def test_mandoc_has_nothing_to_complain_of(name: str) -> None:
    if shutil.which("mandoc") is None:
        pytest.skip("mandoc is not installed")
    done = subprocess.run(["mandoc", "-T", "lint", str(PAGES[name])], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@every_page
def test_a_page_has_its_sections_in_order_and_names_its_version(name: str) -> None:
    found = [title for title in re.findall(r"^\.SH (.*)$", source(name), re.MULTILINE) if title in SECTIONS]
    assert tuple(found) == SECTIONS
    title, number = name.rsplit(".", 1)
    head = next(line for line in source(name).splitlines() if line.startswith(".TH"))
    assert head.startswith(f".TH {title.upper()} {number} ")
    assert f'"taskmaster {__version__}"' in head


@every_page
def test_what_a_page_refers_to_is_a_page(name: str) -> None:
    elsewhere = {"systemd.service(5)", "systemd(1)"}
    ours = {f"{page.rsplit('.', 1)[0]}({page.rsplit('.', 1)[1]})" for page in PAGES}
    assert set(re.findall(r"[\w.]+\(\d\)", plain(section(name, "SEE ALSO")))) <= ours | elsewhere


# -- taskmasterctl(1)


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
def test_the_client_page_says_of_a_verb_what_its_help_says(command: Command) -> None:
    verbs = entries(section(CLIENT, "VERBS"))
    assert usage(command) in verbs
    text = verbs[usage(command)]
    said, flags = plain(text.partition(".RS\n")[0]), entries(text.partition(".RS\n")[2].partition(".RE")[0])
    details = HELP[command.name].details.replace("`", "")
    assert said == " ".join(
        part
        for part in (sentence(HELP[command.name].summary), details, f"Exit status: {HELP[command.name].exits}.")
        if part
    )
    assert {name: plain(text) for name, text in flags.items()} == {
        tag(flag): HELP[command.name].flags[flag.name] for flag in command.flags
    }


def test_the_client_page_has_no_verb_that_does_not_exist() -> None:
    assert list(entries(section(CLIENT, "VERBS"))) == [usage(command) for command in COMMANDS]


def test_the_client_page_says_of_the_words_of_the_shell_what_their_help_says() -> None:
    said = {name: plain(text) for name, text in entries(section(CLIENT, "Words of its own")).items()}
    assert said == {
        usage(command): " ".join(
            part for part in (sentence(HELP[command.name].summary), HELP[command.name].details) if part
        )
        for command in SHELL_COMMANDS
    }


def test_the_client_page_has_the_options_of_the_command() -> None:
    said = {name: plain(text) for name, text in entries(section(CLIENT, "OPTIONS")).items()}
    assert said == {tag(flag): flag.help for flag in GLOBALS}


def test_the_client_page_names_every_alias() -> None:
    said = plain(section(CLIENT, "VERBS"))
    for alias, words in ALIASES.items():
        assert f"{alias} is {' '.join(words)}" in said


def test_the_client_page_explains_every_exit_code_of_the_verbs() -> None:
    explained = set(entries(section(CLIENT, "EXIT STATUS")))
    told = {code for command in COMMANDS for code in re.findall(r"(?:^|; )(\d+)", HELP[command.name].exits)}
    assert told <= explained


# -- taskmasterd(8)


def test_the_daemon_page_has_the_options_of_the_command() -> None:
    wanted = set()
    for action in _parser()._actions:
        assert isinstance(action, argparse.Action)
        value = "" if action.nargs == 0 else f" [{action.metavar}]" if action.nargs else f" {action.metavar}"
        wanted.add(", ".join(f"{form}{value}" for form in action.option_strings))
    assert {", ".join(sorted(name.split(", "))) for name in entries(section(DAEMON, "OPTIONS"))} == {
        ", ".join(sorted(name.split(", "))) for name in wanted
    }
