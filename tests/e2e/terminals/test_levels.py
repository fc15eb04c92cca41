"""Who may attach: reading needs the level read, typing the level type, and a role that is taken away ends both at once."""

from __future__ import annotations

import json
import os
from contextlib import ExitStack
from typing import IO, Any

import pytest

from tests.support.daemon import Daemon
from tests.support.users import connections_as
from tests.support.variants import in_the_sweep

pytestmark = [
    pytest.mark.slow,
    pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0, reason="becomes other users"),
]
PROGRAMS = "programs: {sh: {cmd: bash --norc -i, tty: true, starttime: 0, stopsignal: HUP}}"
TYPES, READS = 60_001, 60_002


def until(said: IO[bytes], kind: str) -> dict[str, Any]:
    """Return the next message of a kind."""
    while True:
        message: dict[str, Any] = json.loads(said.readline())
        if message["type"] == kind:
            return message


@pytest.mark.parametrize("upgraded", [False, *in_the_sweep(True)])
def test_levels_decide_who_reads_and_who_types_and_a_reload_ends_what_is_no_longer_allowed(
    daemon: Daemon, upgraded: bool
) -> None:
    daemon.home.parent.chmod(0o755)
    daemon.home.chmod(0o755)
    roles = f"t: {{users: [{TYPES}], level: type}}, r: {{users: [{READS}], level: read}}"
    daemon.write(f"taskmasterd: {{roles: {{{roles}}}}}\n{PROGRAMS}")
    daemon.start()
    pid = daemon.status()["sh"]["pid"]
    with ExitStack() as stack:
        (types,) = stack.enter_context(connections_as(daemon, TYPES, 1))
        reads, refused = stack.enter_context(connections_as(daemon, READS, 2))
        typist, reader, other = [stack.enter_context(channel.makefile("rb")) for channel in (types, reads, refused)]
        refused.sendall(b"attach sh\n")
        assert until(other, "end")["error"]["needs"] == "type"
        refused.sendall(b"send sh\n")
        assert until(other, "end")["error"]["needs"] == "type"
        reads.sendall(b"attach --read-only sh\n")
        assert until(reader, "attached")["typing"] is False
        types.sendall(b'attach sh\n{"type":"input","text":"echo $((6*7))\\r"}\n')
        assert until(typist, "attached")["typing"] is True
        reads.sendall(b'{"type":"take"}\n{"type":"input","text":"exit\\r"}\n')
        shown = ""
        while "42" not in shown:
            shown += until(reader, "output")["text"]
        if upgraded:
            assert daemon.ctl("upgrade").returncode == 0
        daemon.write(f"taskmasterd: {{roles: {{o: {{users: [{TYPES}], level: look}}}}}}\n{PROGRAMS}")
        assert daemon.ctl("reload").returncode == 0
        for said in (typist, reader):
            end = until(said, "end")
            assert (end["exit"], end["error"]["code"]) == (4, "permission")
    assert daemon.status()["sh"]["pid"] == pid
