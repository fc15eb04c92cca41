"""Noise against the decoders and against a real daemon: no crash, no hang, no growth, children untouched.

Run: python -m tests.fuzz [MINUTES [SEED]]. The tests run two seconds of it.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from tests.fuzz.run import fuzz
from tests.support.daemon import Daemon


def main() -> int:
    """Fuzz for so many minutes, one where none are given; 1 where something did not hold."""
    minutes = float(sys.argv[1]) if len(sys.argv) > 1 else 1.0
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else 1
    with tempfile.TemporaryDirectory(prefix="tm", dir="/tmp") as home:
        daemon = Daemon(Path(home))
        try:
            report = fuzz(daemon, minutes * 60, seed)
        finally:
            daemon.destroy()
    print(report.text())
    return 1 if report.broken else 0


if __name__ == "__main__":
    sys.exit(main())
