"""Exported units under a real systemd: it gives a program the words, variables and rights that it has here."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from taskmaster_common.config import INSTANCE, ProgramConfig
from tests.support.exporting import TRAPS, export
from tests.support.systemd_host import SYSTEMD, Host
from tests.support.wait import wait_until

pytestmark = [
    pytest.mark.sweep,
    pytest.mark.slow,
    pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0 or not SYSTEMD.exists(), reason="needs root and systemd"),
]
SHOW = """\
#!/bin/sh
# Writes its words, its variables, and its directory, umask and user, each part ended by a line; the last word is in the name.
for number; do :; done
{ printf '%s\\0' "$@"; echo; env -0; echo; pwd; umask; id -un; } > "/tmp/shown-$number.new"
mv "/tmp/shown-$number.new" "/tmp/shown-$number"
"""


@pytest.fixture
def host(short_dir: Path) -> Iterator[Host]:
    for tool in ("unshare", "nsenter"):
        if not shutil.which(tool):
            pytest.skip(f"needs {tool}")
    made = Host(short_dir)
    try:
        made.boot()
        yield made
    finally:
        made.process.kill()
        made.process.wait()


def test_an_exported_unit_runs_with_the_same_words_variables_and_rights(host: Host) -> None:
    variables = {f"V{number}": trap for number, trap in enumerate(TRAPS)}
    program = ProgramConfig.of(
        name="web",
        cmd=("/bin/show", *TRAPS, "${NOT_SET}", INSTANCE),
        numprocs=2,
        umask=0o027,
        workingdir="/usr",
        env={**variables, "N": INSTANCE},
        user="nobody",
        autorestart="never",
    )
    for name, text in export("systemd", program).files.items():
        host.write(f"/etc/systemd/system/{name}", text)
    host.write("/bin/show", SHOW, 0o755)
    host.run("systemctl", "daemon-reload")
    host.run("systemctl", "start", "web.target")
    for number in ("0", "1"):
        words, env, facts = _written(host, f"/tmp/shown-{number}").split("\0\n")
        assert words.split("\0") == [*TRAPS, "${NOT_SET}", number]
        given = dict(each.split("=", 1) for each in env.split("\0"))
        assert {name: given[name] for name in program.env} == {**variables, "N": number}
        assert facts.split() == ["/usr", "0027", "nobody"]


def _written(host: Host, path: str) -> str:
    """Return a file of that host, once it is there."""
    place = Path(f"/proc/{host.init}/root{path}")
    wait_until(place.exists, within_s=20)
    return place.read_text()
