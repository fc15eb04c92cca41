"""What people type first who know another supervisor: it works, or the answer says what to type."""

from __future__ import annotations

import pytest

from taskmaster_common.aliases import INSTEAD
from taskmaster_common.commands.table import parse
from taskmaster_common.errors import RequestError


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("tail -f web", "logs -f web"),
        ("tail -100 web", "logs -n 100 web"),
        ("tail web stderr", "logs --stderr web"),
        ("tail -f web stderr", "logs -f --stderr web"),
        ("tail web stdout", "logs web"),
        ("tail stderr", "logs stderr"),
        ("maintail -f", "logs --daemon -f"),
        ("update", "reload"),
        ("reread", "reload --dry-run"),
        ("restart all", "restart all"),
        ("stop web:*", "stop web:*"),
        ("signal SIGHUP web", "signal SIGHUP web"),
    ],
)
def test_what_users_of_supervisorctl_type_works(typed: str, meant: str) -> None:
    assert parse(typed.split()) == parse(meant.split())


def test_logs_keeps_a_program_that_is_called_stderr() -> None:
    assert parse(["logs", "web", "stderr"]).targets == ("web", "stderr")


@pytest.mark.parametrize(
    ("typed", "says"),
    [
        ("add web", "`reload`"),
        ("avail", "`status`"),
        ("clear web", "`logs --reopen`"),
        ("list-units", "`status`"),
        ("daemon-reload", "`reload`"),
        ("is-active web", "`status -q NAME`"),
        ("is-failed web", "`status --failed NAME`"),
        ("try-restart web", "`restart --if-running NAME`"),
        ("cat web", "`show NAME`"),
        ("kill -s HUP web", "`signal KILL NAME`"),
        ("journalctl -u web", "`logs NAME`"),
        ("ls", "`status`"),
        ("exit", "it only leaves the shell; use `shutdown`"),
        ("quit", "it only leaves the shell; use `shutdown`"),
        ("reload web", "signal HUP NAME"),
        ("restrat web", "did you mean restart?"),
    ],
)
def test_what_does_not_exist_here_is_answered_with_what_does(typed: str, says: str) -> None:
    with pytest.raises(RequestError) as caught:
        parse(typed.split())
    assert says in " ".join((str(caught.value), *caught.value.hints))
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("verb", INSTEAD)
def test_every_advice_names_a_verb_or_an_option_that_exists(verb: str) -> None:
    for words in (quoted.split() for quoted in INSTEAD[verb].split("`")[1::2]):
        if not words[0].endswith(":"):
            advised = [word for word in words if word != "-q"] if words[0] != "numprocs" else ["status"]
            assert parse(advised).verb == advised[0]
