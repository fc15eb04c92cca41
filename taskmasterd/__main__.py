"""Entry of both lives of the daemon: the command, and the resident process that the command executes.

`taskmasterd OPTIONS` is the launcher. `--resident FD PATH...` is what it becomes: FD holds the state as JSON, the paths are
where our packages and PyYAML are found, because the resident interpreter runs isolated and without site (-I -S).
What the launcher imports (argparse, ctypes) must not be resident, hence the imports inside the function.
"""

from __future__ import annotations

import os
import sys


def main() -> int:
    """Run the command; returns the exit code."""
    if sys.argv[1:2] == ["--resident"]:
        sys.path[:0] = sys.argv[3:]
        from taskmasterd.daemon import resident  # noqa: PLC0415 - see above

        return resident(int(sys.argv[2]))
    if os.getpid() == 1:
        # the kernel drops a signal that PID 1 has no handler for, but keeps one that is blocked (pid_namespaces(7)): a
        # container that is stopped while the file is being read stops, and not after the ten seconds of `docker stop`
        from taskmasterd.system.signals import hold_back  # noqa: PLC0415 - see above

        hold_back()
    from taskmasterd.cli import main as launch  # noqa: PLC0415 - see above

    return launch(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
