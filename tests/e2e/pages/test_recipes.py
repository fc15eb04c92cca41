"""docs/recipes/: what each page says to start comes up, and what it says to type works."""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.packaging.test_readme import Block, blocks
from tests.support.daemon import ROOT, Daemon
from tests.support.wait import wait_until

pytestmark = pytest.mark.sweep
RECIPES = sorted((ROOT / "docs" / "recipes").glob("*.md"))
PAGES = [page for page in RECIPES if any(block.language == "sh" for block in blocks(page))]


@contextmanager
def free_prefix(tens: int = 1) -> Iterator[str]:
    """Yield a prefix of three digits so that the ports from it on, ten or several times ten, are free.

    A name that stands for them keeps others that run these tests from taking them meanwhile.
    """
    for prefix in range(801, 1000 - tens):
        with ExitStack() as stack:
            try:
                for more in range(tens):
                    name = stack.enter_context(socket.socket(socket.AF_UNIX))
                    name.bind(f"\0taskmaster-recipes-{prefix + more}")
                for last in range(10 * tens):
                    with socket.socket() as one:
                        one.bind(("127.0.0.1", prefix * 10 + last))
            except OSError:
                continue
            yield str(prefix)
            return
    raise AssertionError("no free ports")


def set_up(daemon: Daemon) -> None:
    """Make the commands, and what pages tell their reader to have."""
    commands = daemon.home / "bin"
    commands.mkdir()
    for name in ("taskmasterd", "taskmasterctl"):
        (commands / name).write_text(f'#!/bin/sh\nexec {sys.executable} -m {name} "$@"\n')
        (commands / name).chmod(0o755)
    (commands / "python3").symlink_to(sys.executable)
    daemon.environment["PATH"] = f"{commands}:{daemon.environment['PATH']}"
    for path in ("conf.d", "run", "secrets"):
        (daemon.home / path).mkdir()
    for name, text in (("chat", "http://127.0.0.1:1/hook"), ("password", "hunter2\n")):
        secret = daemon.home / "secrets" / name
        secret.touch(0o600)
        secret.write_text(text)
    (daemon.home / "web.env").write_text("PORT=8080\n")


@pytest.mark.parametrize("page", RECIPES, ids=lambda page: page.stem)
def test_every_configuration_of_a_recipe_passes_the_check(page: Path, daemon: Daemon) -> None:
    set_up(daemon)
    for block in blocks(page):
        if block.language == "yaml":
            daemon.write(block.text)
            done = daemon.launch("-t")
            assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_what_a_recipe_starts_comes_up_and_what_it_says_to_type_works(page: Path, daemon: Daemon) -> None:
    set_up(daemon)
    shown = blocks(page)
    with free_prefix() as prefix:
        come_up(daemon, shown, prefix)


def come_up(daemon: Daemon, shown: Sequence[Block], prefix: str) -> None:
    """Start what a page says, with these ports, and type what it says to type."""
    local = [re.sub(r"\b808", prefix, block.text) for block in shown if block.language in ("yaml", "sh")]
    kinds = [block.language for block in shown if block.language in ("yaml", "sh")]
    daemon.write(local[kinds.index("yaml")])
    daemon.start()
    wait_until(
        lambda: all(row["state"] not in ("STARTING", "BACKOFF") for row in daemon.status().values()), within_s=60
    )
    assert {name: row["detail"] for name, row in daemon.status().items() if not row["wanted"]} == {}
    reader = {name: value for name, value in daemon.environment.items() if name != "TASKMASTER_SOCKET"}
    for kind, text in zip(kinds, local):
        if kind == "sh":
            done = subprocess.run(
                ["bash", "-euo", "pipefail", "-c", text],
                env=reader,
                cwd=daemon.home,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
            )
            assert done.returncode == 0, f"{text}\n{done.stdout}{done.stderr}"


@pytest.mark.skipif(not shutil.which("curl"), reason="the page asks with curl")
def test_more_than_ten_web_servers_have_a_port_each(daemon: Daemon) -> None:
    set_up(daemon)
    _, many = (block.text for block in blocks(ROOT / "docs" / "recipes" / "web-servers.md") if block.language == "yaml")
    with free_prefix(2) as prefix:
        daemon.write(many.replace("8080", prefix + "0"))
        daemon.start()
        assert daemon.ctl("wait", "web").stdout == "12 up\n"
        assert daemon.ctl("check", "web").returncode == 0


def test_the_table_of_contents_has_every_recipe() -> None:
    contents = (ROOT / "docs" / "recipes" / "README.md").read_text()
    named = re.findall(r"(?m)^\|.*\]\(([a-z-]+\.md)\)", contents)
    assert sorted(named) == [page.name for page in RECIPES if page.name != "README.md"]
