"""Hooks as commands of a unit. Pure. Source: systemd.service(5), ExecStartPre= and those beside it."""

from __future__ import annotations

import re

from taskmaster_common.config.hooks import USUAL_TIMEOUT_S, hook_of
from taskmasterctl.convert.export.targets.draft import KeyRow, KeyRows, lost

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from taskmasterctl.convert.export.targets.systemd.draft import UnitDraft

_PID = re.compile(r"\bTASKMASTER_PID\b")
"""The variable that is MAINPID there."""


def _hook(key: str, name: str, then: str = "") -> Callable[[UnitDraft], None]:
    """Return what carries a hook as the setting `name`; `then` says how it behaves otherwise."""

    def carry(unit: UnitDraft) -> None:
        row = unit.source.opened(key)
        if not row:
            return
        hook = hook_of(row)
        words = tuple(_PID.sub("MAINPID", word) for word in hook.words) if hook.shell else hook.words
        root = hook.user in ("root", "0")
        unit.set(name, "+" * root + unit.command(key, words, shell=hook.shell))
        if hook.user and not root:
            unit.changed(key, f"runs as the user of the unit, not as {hook.user}")
        if hook.timeout_s != USUAL_TIMEOUT_S:
            unit.changed(key, "its time is that of the start or stop there: TimeoutStartSec=, TimeoutStopSec=")
        if then:
            unit.changed(key, then)

    return carry


STOPPED = "what still runs when it has ended gets the stop signal at once"

HOOKS: KeyRows = {
    "pre_start": KeyRow("`ExecStartPre=`", _hook("pre_start", "ExecStartPre")),
    "post_start": KeyRow("`ExecStartPost=`", _hook("post_start", "ExecStartPost")),
    "pre_restart": lost("pre_restart", "nothing is asked before a restart", "run it before `systemctl restart`"),
    "pre_stop": KeyRow("`ExecStop=`", _hook("pre_stop", "ExecStop")),
    "stop_cmd": KeyRow("`ExecStop=`, changed", _hook("stop_cmd", "ExecStop", STOPPED)),
    "post_stop": KeyRow("`ExecStopPost=`", _hook("post_stop", "ExecStopPost")),
}
"""The rows of the hooks."""
