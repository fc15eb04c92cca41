"""One table of the project's figures: ours, the C floor, supervisor, their ratios, and the limits.

    python -m tests.bench [NAME...]

Without a name all of GROUPS, in 20 minutes. Measure on a machine that does nothing else, in a venv made for it: an interpreter
behind a shim, a .pth file that imports much, or a command's script that imports re, as pip 23 and 24 write it, distorts starts by
several ms. With many programs, `ulimit -n 65536`.
supervisor is measured where it is installed next to the interpreter (the extra `bench`).
"""

from __future__ import annotations

import resource
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from tests.bench.clients import reload, status
from tests.bench.contestants import Supervisor
from tests.bench.gaps import gaps
from tests.bench.health import health
from tests.bench.lives import crash, masses
from tests.bench.logs import chatty, logs
from tests.bench.many import many
from tests.bench.scale import scale
from tests.bench.standing import demand, idle, memory
from tests.bench.table import Row, table
from tests.bench.tools import Tools

GROUPS: dict[str, Callable[[Tools], list[Row]]] = {
    "idle": idle,
    "memory": memory,
    "demand": demand,
    "crash": crash,
    "masses": masses,
    "scale": scale,
    "logs": logs,
    "chatty": chatty,
    "status": status,
    "reload": reload,
    "many": many,
    "gaps": gaps,
    "health": health,
}
DESCRIPTORS = 65_536


def main() -> None:
    """Measure what was named, print the table."""
    names = sys.argv[1:] or list(GROUPS)
    if unknown := [name for name in names if name not in GROUPS]:
        sys.exit(f"no such figures: {', '.join(unknown)}; there are {', '.join(GROUPS)}")
    with suppress(OSError, ValueError):  # an ordinary user has what the hard limit allows
        resource.setrlimit(resource.RLIMIT_NOFILE, (DESCRIPTORS, DESCRIPTORS))
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="tmbench") as home:
        tools = Tools(Path(home))
        for name in names:
            began = time.monotonic()
            found = GROUPS[name](tools)
            rows += found
            print(f"{name}, {time.monotonic() - began:.0f} s:\n{table(found)}\n", file=sys.stderr, flush=True)
    print(table(rows))
    if not Supervisor.installed():
        print("\nsupervisor is not installed next to this interpreter: pip install supervisor==4.3.0")


if __name__ == "__main__":
    main()
