"""Where the daemon may listen: the sockets to try, who named them, and the configuration that was named.

Reads the configuration file that -c or TASKMASTER_CONFIG names, and nothing else; the environment is an argument.
"""

from __future__ import annotations

import os
import stat

from taskmaster_common.errors import ConfigError, system_reason
from taskmaster_common.paths import socket_candidates
from taskmaster_common.records import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from taskmasterctl.options import Options

MAX_CONFIG = 16 * 1024 * 1024
"""Largest configuration file, bytes."""


class Sockets(Record):
    """The sockets to try, best first.

    `origin` says who named them, "" if the user did on this command line. `named`: the user chose this very socket, so its
    daemon is trusted. `config` is the file that was named, "" without one.
    """

    paths: tuple[str, ...]
    origin: str = ""
    named: bool = False
    config: str = ""


def find_sockets(options: Options, environment: Mapping[str, str]) -> Sockets:
    """Return where the daemon that these options mean may listen. Raises ConfigError."""
    if options.socket:
        return Sockets((options.socket,), named=True)
    by_variable = bool(environment.get("TASKMASTER_SOCKET"))
    config = options.config or ("" if by_variable else environment.get("TASKMASTER_CONFIG", ""))
    if config:
        origin = config if options.config else f"$TASKMASTER_CONFIG, {config}"
        named = _socket_of(config, environment)
        if named:
            return Sockets((named,), origin, named=True, config=config)
        others = {name: value for name, value in environment.items() if name != "TASKMASTER_SOCKET"}
        return Sockets(socket_candidates(os.geteuid(), others), origin, config=config)
    origin = "$TASKMASTER_SOCKET" if by_variable else ""
    return Sockets(socket_candidates(os.geteuid(), environment), origin, named=by_variable)


def _socket_of(path: str, environment: Mapping[str, str]) -> str | None:
    """Return the socket that a configuration names, None if it names none. Only this function of the client loads YAML."""
    from taskmaster_common.schema import daemon_section  # noqa: PLC0415 - costs 20 ms, with a file only

    return daemon_section(path, _read(path), environment, "/" if os.path.isabs(path) else os.getcwd()).socket


def _read(path: str) -> bytes:
    """Return the content of a regular file. Raises ConfigError, also for a FIFO, which could block."""
    text = None
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            if stat.S_ISREG(os.fstat(descriptor).st_mode):
                with open(descriptor, "rb", closefd=False) as file:
                    text = file.read(MAX_CONFIG + 1)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise ConfigError((f"{path}: error: cannot read it: {system_reason(error)}",)) from None
    if text is None or len(text) > MAX_CONFIG:
        raise ConfigError((f"{path}: error: it is not a regular file of at most 16 MiB",))
    return text
