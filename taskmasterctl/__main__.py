"""The entry of the command `taskmasterctl`: nothing is imported before Ctrl-C and a closed stdin are taken care of."""

from __future__ import annotations

import os
import sys


def main() -> None:
    """Run the command line of this process and exit with its code, without running `atexit` handlers."""
    try:
        _open_standard_descriptors()
        from taskmasterctl.cli import main as run  # noqa: PLC0415 - Ctrl-C during the imports is no traceback either

        code = run(sys.argv[1:])
    except KeyboardInterrupt:
        code = 130
    # all output is written; tearing down the interpreter would take an eighth of the time of a `status`
    os._exit(code)


def _open_standard_descriptors() -> None:
    """Fill closed descriptors 0 to 2: the control socket must not become standard output (`taskmasterctl >&-`)."""
    while True:
        descriptor = os.open(os.devnull, os.O_RDWR)
        if descriptor > 2:
            os.close(descriptor)
            return
        os.set_inheritable(descriptor, True)


if __name__ == "__main__":
    main()
