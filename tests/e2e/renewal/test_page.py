"""Each example of docs/programs/recycling.md and docs/programs/watching.md runs as it stands."""

from __future__ import annotations

import json

import pytest

from tests.support.daemon import ROOT, Daemon
from tests.support.wait import wait_until

PAGE = (ROOT / "docs" / "programs" / "recycling.md").read_text()
EXAMPLES = {
    section.splitlines()[0]: section.partition("```yaml\n")[2].partition("```")[0]
    for section in PAGE.split("\n## ")[1:]
    if "```yaml" in section
}


def test_all_examples_come_up_together_and_the_effective_configuration_has_what_they_say(daemon: Daemon) -> None:
    assert len(EXAMPLES) == 2
    whole = "programs:\n" + "".join(text.removeprefix("programs:\n") for text in EXAMPLES.values())
    daemon.write(whole)
    daemon.start()
    assert daemon.ctl("wait", "all").returncode == 0
    shown = daemon.ctl("show", "worker", "--json").stdout
    assert json.loads(shown)["programs"][0]["settings"]["recycle"]["memory"] == 400_000_000
    assert "{memory: 400MB, age: 12h, interval: 15s, samples: 2, jitter: 30m}" in daemon.ctl("show", "worker").stdout


@pytest.mark.sweep
def test_all_examples_of_watching_come_up_together_and_one_of_their_files_restarts_what_it_is_for(
    daemon: Daemon,
) -> None:
    page = (ROOT / "docs" / "programs" / "watching.md").read_text()
    examples = [each.partition("```")[0].removeprefix("programs:\n") for each in page.split("```yaml\n")[1:]]
    assert len(examples) == 2
    for name in ("src", "config"):
        (daemon.home / name).mkdir()
    daemon.write("programs:\n" + "".join(examples))
    daemon.start()
    assert daemon.ctl("wait", "all").returncode == 0
    wait_until(lambda: [each["watch"] for each in daemon.status().values()] == ["on"] * 3)
    assert "ignore: [src/generated]" in daemon.ctl("show", "api").stdout.replace('"', "")
    for name in ("config/one.yaml", "proxy.conf"):
        draft = (
            daemon.home / "log" / "draft"
        )  # nobody watches it; two writes are two changes where much time is between them
        draft.write_text("x")
        draft.replace(daemon.home / name)
    wait_until(lambda: daemon.status()["api"]["restarts"] == 1 and daemon.log("proxy") == b"reloaded\n")
    assert [daemon.status()[name]["restarts"] for name in ("web", "proxy")] == [0, 0]
