"""What an index shows of the package: its metadata, and a description whose links lead somewhere."""

from __future__ import annotations

import re
import sys
import types
from pathlib import Path

import pytest

from taskmaster_common import __version__
from taskmaster_common.commands.table import LEVELS
from taskmaster_common.protocol import PROTOCOL_VERSION
from tests.support.daemon import ROOT

PROJECT = (ROOT / "pyproject.toml").read_text()
PYTHON = "Programming Language :: Python :: "
README = """# Name

A [page](docs/page.md), [docs/page.md](docs/page.md#part), a [heading](#part), an [address](https://example.org/x).

```sh
echo [kept](as/it.is)
```

![The shell](docs/shell.svg) and [![two](docs/two.svg)](docs/two.md)
"""
SHOWN = """A page (`docs/page.md`), docs/page.md, a heading, an [address](https://example.org/x).

```sh
echo [kept](as/it.is)
```

The shell and two (`docs/two.md`)
"""


@pytest.fixture(scope="module")
def hook() -> types.ModuleType:
    """The script that hatchling runs."""
    pytest.importorskip("hatchling")
    from scripts import index_readme

    return index_readme


def listed(name: str) -> list[str]:
    """Return the texts of a list of pyproject.toml."""
    return re.findall(r'"([^"]+)"', re.split(rf"(?m)^{name} = \[", PROJECT)[1].partition("\n]")[0])


def test_links_that_lead_nowhere_on_an_index_become_text_and_blocks_stay(hook: types.ModuleType) -> None:
    made = hook.for_index(README)
    title, where, rest = made.split("\n\n", 2)
    assert title == "# Name"
    assert "taskmasterd --files" in where
    assert f"{where}\n" == hook.WHERE
    assert rest == SHOWN


def test_the_description_has_the_readme_and_no_relative_link(hook: types.ModuleType) -> None:
    metadata: dict[str, dict[str, str]] = {}
    hook.IndexReadme(str(ROOT), {}).update(metadata)
    text = metadata["readme"]["text"]
    assert metadata["readme"]["content-type"] == "text/markdown"
    prose = "".join(re.split(r"(?m)^```", text)[::2])
    assert [target for target in re.findall(r"\]\(([^)]*)\)", prose) if "://" not in target] == []
    readme = (ROOT / "README.md").read_text()
    assert re.split(r"(?m)^```", readme)[1::2] == re.split(r"(?m)^```", text)[1::2]


def test_the_classifiers_name_the_pythons_that_ci_tests() -> None:
    ci = (ROOT / ".ci" / "run").read_text()
    oldest, newest = (re.search(rf"(?m)^{which}=(3\.\d+)$", ci) for which in ("oldest", "newest"))
    assert oldest
    assert newest
    first, last = (int(found.group(1).split(".")[1]) for found in (oldest, newest))
    named = [each.removeprefix(PYTHON) for each in listed("classifiers") if each.startswith(PYTHON)]
    assert [each for each in named if re.fullmatch(r"3\.\d+", each)] == [f"3.{n}" for n in range(first, last + 1)]
    assert f'requires-python = ">={oldest.group(1)}"' in PROJECT
    assert "Operating System :: POSIX" in listed("classifiers")


def test_no_address_is_invented() -> None:
    assert "[project.urls]" not in PROJECT or "://" in PROJECT.partition("[project.urls]")[2].partition("\n[")[0]
    assert re.findall(r"(?m)^(?:readme|urls) = ", PROJECT) == []
    assert f"{sys.prefix}" not in PROJECT
    assert not re.findall(r"(?m)^[^#\n]*://", PROJECT)


@pytest.mark.parametrize(
    "page", [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))], ids=lambda page: page.name
)
def test_each_link_of_a_page_leads_to_a_file_and_one_to_another_page_does_so_below_share_doc_too(page: Path) -> None:
    prose = "".join(re.split(r"(?m)^```", page.read_text())[::2])
    for target in re.findall(r"\]\(([^()\s#]+)(?:#[^()\s]*)?\)", prose):
        if "://" in target or target.startswith("mailto:"):
            continue
        leads = (page.parent / target).resolve()
        assert leads.exists(), f"{page.name}: {target}"
        if leads.suffix == ".md":
            first = leads.relative_to(ROOT).parts[0]
            assert f'"{first}" = "share/doc/taskmasterd/{first}"' in PROJECT, f"{page.name}: {target}"


def test_the_page_on_security_has_every_level_and_invents_no_address() -> None:
    text = (ROOT / "SECURITY.md").read_text()
    for level in LEVELS:
        assert f"`{level}`" in text
    assert re.findall(r"\S+@\S+|\w+://", text) == []
    targets = re.findall(r"\]\(([^)#]+)", text)
    assert targets
    assert [target for target in targets if not (ROOT / target).exists()] == []


def test_the_changelog_begins_with_this_version_and_says_what_it_promises() -> None:
    text = (ROOT / "CHANGELOG.md").read_text()
    first, *_ = re.findall(r"(?m)^## \[([^]]+)\]", text)
    assert first == __version__
    assert "### What 1.0 promises" in text
    assert f"| protocol | Version {PROTOCOL_VERSION}:" in text
    linked = re.findall(r"\[(docs/[^]]+)\]\(\1\)", text)
    assert linked
    assert all((ROOT / page).is_file() for page in linked)
