"""The README and docs/: every shell block runs, every table agrees with the code."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import yaml

from scripts.pages import pictures
from taskmaster_common import protocol
from taskmaster_common.aliases import ALIASES, INSTEAD
from taskmaster_common.commands.help import HELP
from taskmaster_common.commands.table import COMMANDS, usage
from taskmaster_common.config import PROGRAM_KEYS
from taskmaster_common.errors import ConfigError
from taskmaster_common.protocol import PROTOCOL_VERSION
from taskmaster_common.records import Record
from taskmaster_common.schema.advice.foreign import PROGRAM_WORDS, squash
from taskmaster_common.schema.values.dependencies import FOREIGN_CONDITIONS
from taskmaster_common.states import STATES
from taskmasterctl import cli, conversation
from taskmasterctl.options import GLOBALS
from tests.support.daemon import ROOT, Daemon, command_environment, marked
from tests.support.host import load
from tests.support.wait import wait_until

README = ROOT / "README.md"
DOCS = ROOT / "docs"
TOUR = DOCS / "start.md"
VERBS = DOCS / "commands.md"
PAGES = [README, TOUR, *sorted(page for page in DOCS.rglob("*.md") if page != TOUR)]
"""All pages, in the order in which their shell blocks run: the tour goes on where the README ends."""
LONGEST_README = 180
LEAST_PICTURE = 8
"""Lines, both."""
TEST_COMMAND = "<!-- ci: the test command -->"
LANGUAGES = {"sh", "text", "yaml", "ini", "dockerfile", "python", "json"}


class Block(Record):
    """A fenced block: its language, its text, and the last line above it that is not empty."""

    language: str
    text: str
    above: str


def blocks(path: Path) -> list[Block]:
    """Return the fenced blocks of a page."""
    found: list[Block] = []
    language, above = "", ""
    inside: list[str] | None = None
    for line in path.read_text().splitlines():
        if inside is None and line.startswith("```"):
            language, inside = line[3:], []
        elif inside is not None and line == "```":
            found.append(Block(language=language, text="\n".join(inside) + "\n", above=above))
            inside = None
            above = ""
        elif inside is not None:
            inside.append(line)
        elif line:
            above = line
    return found


def table(head: str, path: Path) -> list[list[str]]:
    """Return the rows of the table whose head line is `head`, each a list of cells."""
    lines = path.read_text().splitlines()
    assert lines.count(head) == 1, f"{path.name} has not exactly one table {head}"
    at = lines.index(head) + 2
    rows = []
    while lines[at].startswith("|"):
        rows.append([cell.strip() for cell in lines[at].strip("|").replace("\\|", "\0").split("|")])
        at += 1
    return [[cell.replace("\0", "|") for cell in row] for row in rows]


def code(cell: str) -> str:
    """Return the text between the first pair of backquotes."""
    return cell.split("`")[1]


def name_of(page: Path) -> str:
    """Return the path within the tree, which names a page."""
    return str(page.relative_to(ROOT))


# -- the blocks


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_block_says_what_it_is(page: Path) -> None:
    assert {block.language for block in blocks(page)} <= LANGUAGES


def test_the_pictures_are_in_their_places() -> None:
    text = README.read_text()
    for name in pictures.PICTURES:
        picture = text.partition(pictures.MARKS.format(name=name))[2].partition(pictures.END)[0]
        assert picture.count("\n") > LEAST_PICTURE, "run: python -m scripts.pages.pictures"


def test_the_readme_is_short() -> None:
    assert len(README.read_text().splitlines()) <= LONGEST_README


def test_the_first_screen_has_a_capture_and_the_two_commands() -> None:
    screen = README.read_text().splitlines()[:40]
    assert "```text" in screen
    assert screen.count("```sh") == 2
    assert TEST_COMMAND in screen


def test_ci_runs_the_test_command_of_the_readme() -> None:
    (block,) = [block for block in blocks(README) if block.above == TEST_COMMAND]
    done = subprocess.run([ROOT / ".ci" / "run", "--test-command"], capture_output=True, text=True, check=False)
    assert done.stdout == block.text
    assert "pip install -e" in block.text
    assert "-m pytest" in block.text
    assert subprocess.run(["bash", "-n", ROOT / ".ci" / "run"], check=False).returncode == 0


def files_beside(page: Path) -> list[tuple[str, str]]:
    """Return name and content of the files that a page shows with `cat`."""
    return re.findall(r"^\$ cat ([a-z.]+)\n(.*?)(?=^\$|```)", page.read_text(), re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("page", [page for page in PAGES if page.parent.name != "recipes"], ids=name_of)
def test_every_configuration_block_loads(page: Path, daemon: Daemon) -> None:
    for name, content in files_beside(page):
        (daemon.home / name).write_text(content)
    for block in blocks(page):
        if block.language == "yaml":
            daemon.write(block.text)
            daemon.environment["TOKEN"] = "secret"
            done = daemon.launch("-t")
            errors = [line for line in done.stderr.splitlines() if ": error:" in line]
            problems = [line for line in errors if ".user: " not in line and "there is no user" not in line]
            assert not problems, done.stderr


@pytest.fixture
def reader(short_dir: Path) -> Iterator[tuple[Path, dict[str, str]]]:
    """A checkout, and the environment of somebody who follows the README; no network is needed.

    `python3 -m venv` makes a venv that also sees the packages of the interpreter that runs the tests, pip among them.
    """
    tree, home, commands = short_dir / "tree", short_dir / "home", short_dir / "bin"
    ignored = shutil.ignore_patterns(".*", "__pycache__", "*.egg-info")
    shutil.copytree(ROOT, tree, ignore=ignored)
    shutil.copytree(ROOT / ".ci", tree / ".ci")
    home.mkdir()
    commands.mkdir()
    packages = Path(yaml.__file__).parents[1]
    shim = commands / "python3"
    shim.write_text(
        f'#!/bin/sh\n[ "$1 $2" = "-m venv" ] || exec "{sys.executable}" "$@"\n"{sys.executable}" "$@" --without-pip || exit\n'
        f'for d in "$3"/lib/python3*/site-packages; do echo "{packages}" > "$d/outside.pth"; done\n'
        'pip="$3/bin/pip"; printf \'#!/bin/sh\\nexec "${0%%/*}/python" -m pip "$@"\\n\' > "$pip"; chmod +x "$pip"\n'
    )
    shim.chmod(shim.stat().st_mode | stat.S_IXUSR)
    environment = command_environment(home)
    del environment["PYTHONPATH"], environment["PYTHONDONTWRITEBYTECODE"]
    environment.update(
        PATH=f"{commands}:{environment['PATH']}", PIP_NO_INDEX="1", PIP_NO_BUILD_ISOLATION="0", TERM="dumb"
    )
    yield tree, environment
    for pid in (*marked(home / "taskmaster.sock"), *_daemon_of(home)):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not marked(home / "taskmaster.sock"))


def _daemon_of(home: Path) -> list[int]:
    pidfile = home / "taskmasterd.pid"
    return [int(pidfile.read_text())] if pidfile.exists() else []


@pytest.mark.sweep
@pytest.mark.timeout(240)
def test_the_shell_blocks_run_one_after_the_other(reader: tuple[Path, dict[str, str]]) -> None:
    tree, environment = reader
    shown = [
        block for page in PAGES if page.parent.name != "recipes" for block in blocks(page) if block.language == "sh"
    ]
    script = ["set -euo pipefail"]
    for number, block in enumerate(shown):
        if block.above != TEST_COMMAND:
            script += [f"echo '--- block {number}'", block.text]
    before = {path.name for path in tree.iterdir()}
    (tree / "blocks").write_text("\n".join(script))
    done = subprocess.run(
        ["bash", "blocks"],
        cwd=tree,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout}\n(exit {done.returncode} in the last block named above)"
    assert done.stdout.count("--- block") == len(shown) - 1
    home = tree.parent / "home"
    assert not (home / "taskmaster.sock").exists()
    assert not marked(home / "taskmaster.sock")
    assert (tree / "config" / "taskmaster.yaml").read_text() == (ROOT / "config" / "taskmaster.yaml").read_text()
    assert {path.name for path in tree.iterdir()} - before <= {"blocks", ".venv", "build", "taskmasterd.egg-info"}
    assert "web:2" in done.stdout


def test_the_transcript_of_the_wire_is_of_this_protocol() -> None:
    (transcript,) = [block for block in blocks(DOCS / "protocol.md") if "nc -U" in block.text]
    objects = [json.loads(line) for line in transcript.text.splitlines() if line.startswith("{")]
    assert objects[0]["type"] == "hello"
    assert objects[0]["protocol"] == PROTOCOL_VERSION
    assert all(f"    {each['type']} " in str(protocol.__doc__) for each in objects[1:])
    assert [each["exit"] for each in objects if each["type"] == "end"] == [0, 5]


# -- the tables


def test_the_reference_has_every_verb_with_its_usage_and_summary() -> None:
    rows = table("| verb | what it does | exit codes |", VERBS)
    expected = [[f"`{usage(verb)}`", HELP[verb.name].summary, HELP[verb.name].exits] for verb in COMMANDS]
    assert rows == expected


def test_the_reference_has_every_alias_and_every_option_of_the_client() -> None:
    text = VERBS.read_text()
    for alias, words in ALIASES.items():
        assert f"`{alias}` is `{' '.join(words)}`" in text
    options = [f"`{flag.short}{', ' if flag.short else ''}{flag.name} {flag.value}".rstrip() + "`" for flag in GLOBALS]
    assert table("| option | meaning |", VERBS) == [
        [option, flag.help] for option, flag in zip(options, GLOBALS, strict=True)
    ]


def test_the_reference_has_every_exit_code() -> None:
    listed = {int(code(row[0])) for row in table("| code | meaning |", VERBS)}
    named = {
        int(word.strip(";,"))
        for verb in COMMANDS
        for word in HELP[verb.name].exits.split()
        if word.strip(";,").isdecimal()
    }
    codes = ("FAILED", "DENIED", "CONFIG", "TIMED_OUT", "INTERRUPTED")
    own = {cli.BROKEN_PIPE, *(getattr(conversation, code) for code in codes)}
    assert listed == named | own


def test_the_reference_has_every_state() -> None:
    assert [
        code(row[0]) for row in table("| state | alive | what happens by itself |", DOCS / "explain" / "states.md")
    ] == list(STATES)


def test_the_reference_has_every_option_of_the_daemon(daemon: Daemon) -> None:
    daemon.write("programs: {}\n")
    words = {word.strip("[],") for word in daemon.launch("-h").stdout.split()}
    offered = {word for word in words if (word.startswith("-") and word[1:2].isalpha()) or word.startswith("--")}
    told = (DOCS / "operate" / "daemon.md").read_text()
    assert offered
    assert {option for option in offered if f"`{option}" not in told and f", {option}`" not in told} == set()


# -- links


def headings(page: Path) -> set[str]:
    """Return the anchors of a page: its headings as forges make them, in lower case, with hyphens for blanks."""
    outside = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)
    titles = re.findall(r"^#+ (.*)$", outside, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", [*PAGES, *ROOT.glob("*.md")], ids=name_of)
def test_every_link_leads_to_a_file_and_a_heading_that_exist(page: Path) -> None:
    outside = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)
    for link in re.findall(r"\]\(([^)\s]+)\)", re.sub(r"`[^`]*`", "", outside)):
        if not link.startswith(("http://", "https://")):
            path, _, anchor = link.partition("#")
            target = (page.parent / path).resolve() if path else page
            assert target.exists(), link
            assert not anchor or anchor in headings(target), link


def test_the_table_of_contents_has_every_page() -> None:
    contents = (DOCS / "README.md").read_text()
    named = {(DOCS / link.partition("#")[0]).resolve() for link in re.findall(r"\]\(([^)]+)\)", contents)}
    recipes = (DOCS / "recipes").glob("*.md")
    assert {*PAGES, *named} == {*named, DOCS / "README.md", *recipes}


# -- coming from supervisor


def test_the_page_for_supervisors_users_leads_to_keys_that_exist() -> None:
    page = ROOT / "docs" / "coming-from" / "supervisor.md"
    head = "| supervisor | Taskmaster | note |"
    text = page.read_text()
    part = text.partition("## Keys of")[2].partition("## Other")[0]
    rows = [line for line in part.splitlines() if line.startswith("| `")]
    assert head in part
    for row in rows:
        _, _, ours, _, _ = row.split("|")
        for name in ours.replace("`", "").split(","):
            assert not name.strip() or name.split(":")[0].strip() in PROGRAM_KEYS, row
    theirs = part.split("|")
    for key in SUPERVISORS_KEYS:
        assert squash(key) in PROGRAM_WORDS
        assert any(f"`{key}`" in cell for cell in theirs), key


SUPERVISORS_KEYS = {
    "command",
    "directory",
    "startsecs",
    "stopwaitsecs",
    "environment",
    "stdout_logfile",
    "stderr_logfile",
    "redirect_stderr",
    "stdout_logfile_maxbytes",
    "stderr_logfile_maxbytes",
    "stdout_logfile_backups",
    "stderr_logfile_backups",
    "killasgroup",
    "priority",
    "process_name",
    "numprocs_start",
}


def test_the_page_for_supervisors_users_has_every_alias_and_substitute() -> None:
    commands = (ROOT / "docs" / "coming-from" / "supervisor.md").read_text().partition("## Commands")[2]
    for word in (*ALIASES, "add", "remove", "avail", "clear", "fg", "open"):
        assert f"`{word}" in commands, word
        assert word in ALIASES or word in INSTEAD


# -- coming from Compose


def test_the_page_for_composes_users_leads_to_words_that_exist() -> None:
    text = (ROOT / "docs" / "coming-from" / "compose.md").read_text()
    theirs, ours = re.findall(r"```(?:text|yaml)\n(.*?)```", text, re.DOTALL)
    with pytest.raises(ConfigError, match="services"):
        load(theirs)
    loaded = load(ours)
    assert ([each.name for each in loaded.config.programs], loaded.warnings) == (["db", "migrate", "web", "cache"], ())
    rows = [[cell.strip() for cell in line.split("|")] for line in text.splitlines() if line.startswith("| `")]
    called = {word: row[2] for row in rows for word in re.findall(r"`(\w+)`", row[1])}
    for word, condition in FOREIGN_CONDITIONS.items():
        assert word not in text or called[word] == f"`{condition}`", word
    keys = text.partition("## Keys")[2]
    named = {
        word
        for line in keys.splitlines()
        if line.startswith("| `")
        for word in re.findall(r"`(\w+)`", line.split("|")[2])
    }
    assert named <= set(PROGRAM_KEYS)
