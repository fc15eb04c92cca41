"""Entry of all lives of the daemon: the command, and the resident processes that the command executes.

`taskmasterd OPTIONS` is the launcher. `--resident STATE KEPT PATH...` is what it becomes: STATE is a descriptor that holds the
state as JSON, KEPT one with what a guardian has kept ("-": there is none); the paths are where our packages and PyYAML are
found, because the resident interpreter runs isolated and without site (-I -S). `--guardian STATE LISTENER READY PATH...` is the
guardian, which executes that. `--keeper CHANNEL LISTENER PATH...` is the keeper. `--check STATE - PATH...` reads a state and says whether this code could go on with it.
`--alert STDIN PATH...` delivers alerts. `--watch CHANNEL PATH...` watches files.
These words mean this only to an interpreter that was executed like that, so nobody gets there by a guess: `taskmasterd --check`
is an option of the launcher. What the launcher imports (argparse, ctypes) must not be resident, hence the imports inside the
function.
"""

from __future__ import annotations

import errno
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from taskmasterd.installed import Installed

PATHS_AT = {"--resident": 4, "--check": 4, "--guardian": 5, "--keeper": 4, "--alert": 3, "--watch": 3}
"""Where in the words of each life the paths begin."""


def main() -> int:
    """Run the command; returns the exit code."""
    try:
        return _run()
    except OSError as error:
        if error.errno not in (errno.EMFILE, errno.ENFILE):
            raise
        os.write(2, f"taskmasterd: cannot start: too many open files{_limit(error.errno)}\n".encode())
        return 1


def _limit(number: int) -> str:
    try:
        from taskmasterd.fallbacks import limit  # noqa: PLC0415 - what was open when that happened is closed by now
    except OSError:
        return " (a limit: ulimit -n)" if number == errno.EMFILE else ""
    return limit(number)


def _run() -> int:
    life = _life(sys.argv)
    if life:
        # behind the standard library, as site has it: a module there that is called like one of Python's is not imported
        sys.path += sys.argv[PATHS_AT[life] :]
    if life == "--resident":
        from taskmasterd.installed import Installed  # noqa: PLC0415 - before what it is to know

        installed = Installed()
        copied = _copy_code(installed)
        from taskmasterd.resident import resident  # noqa: PLC0415 - see above

        if not copied:
            _load_all()
        # nothing is left to be done: to take the interpreter apart would be a tenth of the stop of a thousand programs
        os._exit(resident(int(sys.argv[2]), sys.argv[3], installed))
    if life == "--check":
        from taskmasterd.resident import check  # noqa: PLC0415 - see above

        return check(int(sys.argv[2]))
    if life == "--alert":
        from taskmasterd.alerts.helper.main import main as deliver  # noqa: PLC0415 - see above

        return deliver()
    if life == "--watch":
        from taskmasterd.renewal.watcher.main import main as watch  # noqa: PLC0415 - see above

        return watch(sys.argv[2:])
    if life == "--guardian":
        from taskmasterd.guardian import main as guard  # noqa: PLC0415 - see above

        return guard(sys.argv[2:])
    if life == "--keeper":
        from taskmasterd.keeper import main as keep  # noqa: PLC0415 - see above

        return keep(sys.argv[2:])
    if os.getpid() == 1:
        # the kernel drops a signal that PID 1 has no handler for, but keeps one that is blocked (pid_namespaces(7)): a
        # container that is stopped while the file is being read stops, and not after the ten seconds of `docker stop`
        from taskmasterd.system.loop.signals import hold_back  # noqa: PLC0415 - see above

        hold_back()
    from taskmasterd.launch.command import main as launch  # noqa: PLC0415 - see above

    return launch(sys.argv[1:])


def _copy_code(installed: Installed) -> bool:
    """Make sure that the daemon runs code of one version, now and later; returns whether it has a copy of it.

    It begins again if other code was installed meanwhile. All other imports come after the copy: they take the memory that
    making it needed.
    """
    from taskmasterd.copying import copy_code  # noqa: PLC0415 - see _run
    from taskmasterd.ondemand import unload  # noqa: PLC0415 - see _run

    try:
        copy_code(installed)
        copied = True
    except OSError:
        copied = False
    unload("taskmasterd.copying")
    if installed.changed():
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])
    return copied


def _load_all() -> None:
    """Load at once what would be loaded later: where no file can be had for the copy, this costs memory only."""
    from taskmasterd.ondemand import load_all  # noqa: PLC0415 - see _run

    load_all()


def _life(words: list[str]) -> str:
    """Return which life the words ask for, "" for the launcher."""
    life = words[1] if len(words) > 1 else ""
    meant = sys.flags.isolated and sys.flags.no_site and life in PATHS_AT
    return life if meant and len(words) > PATHS_AT[life] and words[2].isdecimal() else ""


if __name__ == "__main__":
    sys.exit(main())
