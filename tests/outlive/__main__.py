"""Programs outlive their daemon: it is killed again and again, or upgraded, and nothing may be lost.

Run: python -m tests.outlive [--mode restart|guardian|upgrade|all] [--kills 50] [--programs 200] [--seed N] [--user NAME].
Exit 0 where there is no finding. In `restart` the daemon is started again after up to half a second, in `guardian` its
guardian does that, and in `upgrade` it is not killed, but upgraded so often, with clients that must not notice.
"""

from __future__ import annotations

import argparse
import os
import pwd
import random
import shutil
import signal
import sys
import tempfile
from pathlib import Path

from tests.outlive.run import MODES, outlive


def become(name: str) -> None:
    """Become an ordinary user, for good."""
    who = pwd.getpwnam(name)
    os.setgroups([])
    os.setresgid(who.pw_gid, who.pw_gid, who.pw_gid)
    os.setresuid(who.pw_uid, who.pw_uid, who.pw_uid)


def main() -> int:
    """Read the options, make a directory for each mode, and run it there."""
    parser = argparse.ArgumentParser(prog="python -m tests.outlive", description=__doc__.partition("\n")[0])
    parser.add_argument("--mode", choices=(*MODES, "all"), default="all")
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--programs", type=int, default=200)
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000))
    parser.add_argument("--user", help="become this user first (root only)")
    parser.add_argument("--keep", action="store_true", help="leave the directories where they are, for a look")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # a time limit must leave nothing behind
    if options.user:
        become(options.user)
    worst = 0
    for mode in MODES if options.mode == "all" else (options.mode,):
        home = Path(tempfile.mkdtemp(prefix="tmout", dir="/tmp"))
        who = pwd.getpwuid(os.geteuid()).pw_name
        print(f"{mode}: seed {options.seed}, {options.programs} programs, as {who}, {home}", flush=True)
        code = 1
        try:
            code = outlive(mode, options.kills, options.programs, options.seed, home)
        finally:
            if options.keep or code:
                print(f"see {home}")
            else:
                shutil.rmtree(home, ignore_errors=True)
        worst = max(worst, code)
    return worst


if __name__ == "__main__":
    sys.exit(main())
