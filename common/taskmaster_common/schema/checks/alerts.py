"""Checks of alert rules that need the host, or more than one of a rule's keys."""

from __future__ import annotations

from taskmaster_common.config import DEFAULT_PATH
from taskmaster_common.config.alerts.places import authority_of, host_and_port, is_loopback
from taskmaster_common.config.alerts.words import CMD, HTTP, MAIL, batch_of, kind_of
from taskmaster_common.schema.advice.shelltext import command_doubt
from taskmaster_common.schema.checks.doubts import text_of_command
from taskmaster_common.schema.report import quoted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from taskmaster_common.schema.report import Report
    from taskmaster_common.schema.surroundings import Surroundings, User
    from taskmaster_common.schema.values.alerts.section import Rule

ROOT = 0


def check_alerts(rules: Sequence[Rule], daemons: User | None, surroundings: Surroundings, report: Report) -> None:
    """Report what cannot work on this host, or is hardly meant; `daemons` is the account that the daemon becomes, None its own."""
    for rule in rules:
        kind = kind_of(rule.value)
        if kind == CMD:
            _check_command(rule, daemons, surroundings, report)
        if kind == MAIL and batch_of(rule.value) == 0:
            report.warn(
                rule.at("batch"), rule.place("batch"), "each event becomes a mail of its own; 30 is the usual batch"
            )
        if kind == HTTP:
            _check_url(rule, report)
        for text, refused in surroundings.destination_doubts(getattr(rule.value, kind), daemons):
            (report.error if refused else report.warn)(rule.at(kind), rule.place(kind), text)


def _check_url(rule: Rule, report: Report) -> None:
    url = rule.value.http.get("url", "")
    if url.lower().startswith("http:"):
        host, _ = host_and_port(authority_of(url), 80)
        if not is_loopback(host):
            reason = f"everybody on the way to {host} can read http, and the URL; write https"
            report.warn(rule.at(HTTP), rule.place(HTTP), reason)


def _check_command(rule: Rule, daemons: User | None, surroundings: Surroundings, report: Report) -> None:
    value, account = rule.value, daemons
    given = "workingdir" in rule.nodes
    if value.user is not None:
        account = surroundings.user(value.user)
        problem = _user_problem(value.user, account, surroundings)
        if problem:
            (report.warn if surroundings.lenient_users else report.error)(rule.at("user"), rule.place("user"), problem)
            return
    if value.group is not None and surroundings.group(value.group) is None:
        report.error(rule.at("group"), rule.place("group"), f"there is no group {quoted(value.group)}")
        return
    if not surroundings.may_enter(value.workingdir, account):
        if given:
            who = account.name if account else "taskmasterd"
            reason = f"{who} may not enter {value.workingdir}"
            report.warn(rule.at("workingdir"), rule.place("workingdir"), reason)
        else:
            rule.run_in("/")
            value = rule.value
    if value.cmd.get("shell"):
        return
    path = value.env.get("PATH", surroundings.environment.get("PATH", DEFAULT_PATH)) or DEFAULT_PATH
    word = value.cmd["cmd"][0]
    missing = surroundings.find_command(word, path, value.workingdir, account)
    doubt = command_doubt(text_of_command(rule.at(CMD)), surroundings.environment, value.env) or missing
    if doubt:
        report.warn(rule.at(CMD), rule.place(CMD), doubt)
    if not missing and surroundings.uid == ROOT and (account is None or account.uid == ROOT):
        for text, refused in surroundings.writable_command(word, path, value.workingdir):
            (report.error if refused else report.warn)(rule.at(CMD), rule.place(CMD), text)


def _user_problem(name: str, account: User | None, surroundings: Surroundings) -> str:
    if account is None:
        return f"there is no user {quoted(name)}"
    if surroundings.uid not in (ROOT, account.uid):
        return (
            f"only root can run a command as another user, {quoted(name)}; taskmasterd runs as uid {surroundings.uid}"
        )
    return ""
