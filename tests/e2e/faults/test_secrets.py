"""What a member of the socket's group gets to see of a configuration that is wrong: no value of env."""

from __future__ import annotations

import grp
import os
import socket

import pytest

from tests.support.daemon import Daemon

pytestmark = [
    pytest.mark.slow,
    pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0, reason="becomes another user"),
]

GOOD = "{taskmasterd: {socket_group: games, socket_mode: 0660}, programs: {p: {cmd: sleep 300, env: {P: hunter2}, %s}}}"


def as_member(daemon: Daemon, *requests: str) -> str:
    """Return all that nobody, as a member of the group, is answered."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.setgroups([grp.getgrnam("games").gr_gid])
            os.setgid(65_534)
            os.setuid(65_534)
            with socket.socket(socket.AF_UNIX) as channel, open(writer, "wb") as out:
                channel.settimeout(20)
                channel.connect(str(daemon.socket))
                channel.sendall("".join(f"{request}\n" for request in requests).encode())
                channel.shutdown(socket.SHUT_WR)
                while received := channel.recv(65_536):
                    out.write(received)
        finally:
            os._exit(0)
    os.close(writer)
    with open(reader, "rb") as answers:
        text = answers.read().decode()
    os.waitpid(pid, 0)
    return text


def test_values_of_env_reach_root_and_neither_the_group_nor_the_event_log(daemon: Daemon) -> None:
    daemon.home.parent.chmod(0o755)
    daemon.home.chmod(0o755)
    daemon.write(GOOD % "starttime: 0")
    daemon.start()
    for mistake in ("numprocs: no", "env: {P: *hunter2 }", "starttime: 0, cmd: x && y"):
        daemon.write(GOOD % mistake)
        told = as_member(daemon, "reload --dry-run", "reload", "status", "show p", "logs --daemon -n 1000")
        assert told.count('"type":"end"') == 5, told
        assert f"{daemon.config}:1:" in told
        assert "hunter2" not in told
        assert "hunter2" not in daemon.ctl("logs", "--daemon", "-n", "1000").stdout
        assert "hunter2" not in daemon.ctl("--json", "status").stdout
    daemon.write(GOOD % "numprocs: no")
    refused = daemon.ctl("reload")
    assert refused.returncode == 6
    assert "hunter2" in refused.stderr
