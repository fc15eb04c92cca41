"""Failed steps in words; loaded with the first one."""

from __future__ import annotations

import os

from taskmaster_common.errors import shortened, system_reason
from taskmasterd.system.spawner.spec import MAX_REASON, SEARCH_PATH

TYPE_CHECKING = False
if TYPE_CHECKING:
    from taskmasterd.system.spawner.spec import ChildSpec


def failed_step(spec: ChildSpec, report: str) -> tuple[str, str]:
    """Return step and text of a child's report: a line with the step and its errno, perhaps followed by an explanation."""
    first, _, words = report.partition("\n")
    step, _, number = first.partition(" ")
    error = OSError(int(number), os.strerror(int(number)))
    if step in ("search", "exec") and not words:
        words = plain_text(spec, error) if step == "exec" or "/" in spec.argv[0] else not_found(spec)
    return step, shortened(words or step_text(step, spec, error), MAX_REASON)


def plain_text(spec: ChildSpec, error: OSError) -> str:
    """Return why a file was not executed, as the kernel says it."""
    return f"cannot execute {shortened(spec.argv[0], 256)}: {system_reason(error)}"


def not_found(spec: ChildSpec) -> str:
    """Return that no directory of PATH has the command."""
    path = shortened(spec.environment.get("PATH", SEARCH_PATH), 512)
    return f"cannot execute {shortened(spec.argv[0], 256)}: not found in PATH={path}"


def step_text(step: str, spec: ChildSpec, error: OSError) -> str:
    """Return that a step failed which has no words of its own."""
    reason = system_reason(error)
    what = {
        "workingdir": f"enter workingdir {spec.workingdir}",
        "user": f"become uid {spec.identity.uid}, gid {spec.identity.gid}" if spec.identity else "become the user",
        "umask": f"set umask {spec.umask:03o}",
        "limits": "set the limit of open files",
    }
    return f"cannot {what.get(step, f'set up the {step}')}: {reason}"
