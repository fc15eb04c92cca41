"""docs/operate/python-client.md: its examples, one after the other in one program, print what the page says."""

from __future__ import annotations

import contextlib
import io
import re

import pytest

from taskmasterctl import client
from tests.packaging.test_readme import blocks
from tests.support.daemon import ROOT, Daemon

PAGE = ROOT / "docs" / "operate" / "python-client.md"


def test_its_examples_print_what_it_says(daemon: Daemon, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = blocks(PAGE)
    (config,) = [block.text for block in shown if block.language == "yaml"]
    daemon.write(config)
    daemon.start()
    monkeypatch.setenv("TASKMASTER_SOCKET", str(daemon.socket))
    namespace: dict[str, object] = {}
    for block, after in zip(shown, [*shown[1:], None]):
        if block.language == "python":
            said = io.StringIO()
            with contextlib.redirect_stdout(said):
                exec(compile(block.text, PAGE.name, "exec"), namespace)
            if after and after.language == "text":
                assert said.getvalue() == after.text
            else:
                assert re.fullmatch(r"(db [A-Z]+ -> [A-Z]+\n)*db STARTING -> RUNNING\n", said.getvalue())
    assert sum(block.language == "python" for block in shown) == 4


def test_the_page_has_every_exception_every_method_and_every_field() -> None:
    text = PAGE.read_text()
    named = {name for name in client.__all__ if name.endswith("Error") and name != "TaskmasterError"}
    assert set(re.findall(r"(?m)^\| `(\w+Error)` \|", text)) == named
    for method in (name for name in vars(client.Taskmaster) if not name.startswith("_")):
        assert re.search(rf"\b{method}\b", text), method
    records = {name: getattr(client, name) for name in client.__all__ if hasattr(getattr(client, name), "fields_")}
    told = {name: re.findall(r"`(\w+)`", cells) for name, cells in re.findall(r"(?m)^\| `(\w+)` \|(.*)\|$", text)}
    for name, record in records.items():
        own = {each for each in vars(record) if isinstance(vars(record)[each], property)}
        assert set(told[name]) == ({*record.fields_} | own) - {"data"}, name
