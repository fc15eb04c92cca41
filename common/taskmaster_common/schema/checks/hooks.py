"""Checks of hooks that need more than their own value."""

from __future__ import annotations

from taskmaster_common.config import for_instance
from taskmaster_common.config.hooks import HOOK_KEYS, hook_of
from taskmaster_common.schema.checks.doubts import search_path, written_doubt
from taskmaster_common.schema.report import quoted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from taskmaster_common.config import DaemonConfig
    from taskmaster_common.config.hooks import HookCommand
    from taskmaster_common.schema.nodes import Node
    from taskmaster_common.schema.programs import Program
    from taskmaster_common.schema.report import Report
    from taskmaster_common.schema.surroundings import Surroundings, User


def check_hooks(
    program: Program, daemon: DaemonConfig, daemon_nodes: Mapping[str, Node], surroundings: Surroundings, report: Report
) -> None:
    """Report hooks that cannot be executed, and a stop that takes longer with its hooks than a shutdown may take."""
    for key in HOOK_KEYS:
        row = program.config.value(key)
        if row and not program.config.refusal:
            _check_hook(program, key, hook_of(row), surroundings, report)
    policy, limit = program.config.policy, daemon.shutdown_timeout
    parts = {"pre_stop": policy.pre_stop, "post_stop": policy.post_stop}
    hooks = {key: hook_of(row).timeout_s for key, row in parts.items() if row}
    whole = policy.stoptime + sum(hooks.values())
    if hooks and whole > limit >= policy.stoptime:
        terms = " + ".join(f"{name} {seconds:g}" for name, seconds in {**hooks, "stoptime": policy.stoptime}.items())
        reason = (
            f"a stop may take {whole:g}s ({terms}), but at shutdown everything is killed after {limit:g}s "
            "(taskmasterd.shutdown_timeout); give the hooks a timeout"
        )
        key = next(iter(hooks))
        at = program.nodes.get(key) or daemon_nodes.get("shutdown_timeout") or program.key
        report.warn(at, program.place(key), reason)


def _check_hook(program: Program, key: str, hook: HookCommand, surroundings: Surroundings, report: Report) -> None:
    at, place, account = program.at(key), program.place(key), program.account
    if hook.user:
        account = surroundings.user(hook.user)
        problem = _user_problem(hook.user, account, surroundings)
        if problem:
            (report.warn if surroundings.lenient_users else report.error)(at, place, problem)
            return
    if not hook.shell:
        doubt = written_doubt(program.nodes.get(key), program, surroundings)
        if doubt:
            report.warn(at, place, doubt)
            return
        path = search_path(program.config, surroundings.environment)
        word, directory = for_instance(hook.words[0], 0), for_instance(program.config.workingdir, 0)
        missing = surroundings.find_command(word, for_instance(path, 0), directory, account)
        if missing:
            report.warn(at, place, missing)


def _user_problem(name: str, account: User | None, surroundings: Surroundings) -> str:
    if account is None:
        return f"there is no user {quoted(name)}"
    if surroundings.uid not in (0, account.uid):
        return f"only root can run a hook as another user, {quoted(name)}; taskmasterd runs as uid {surroundings.uid}"
    return ""
