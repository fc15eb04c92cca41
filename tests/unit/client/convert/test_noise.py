"""Inputs with mistakes: an import refuses them, or writes what the daemon reads; it never fails by itself."""

from __future__ import annotations

import json
import random
from collections import Counter

import pytest

from taskmaster_common.errors import RequestError
from taskmasterctl.convert.check import check_outcome
from taskmasterctl.convert.kinds.table import KINDS
from taskmasterctl.convert.outcome.model import Draft
from taskmasterctl.convert.outcome.text import text_of
from taskmasterctl.convert.reading.files import InputFile, InputReader, Unreadable, WrongInput
from taskmasterctl.convert.report import LossReport
from taskmasterctl.convert.settings import ImportSettings
from tests.unit.client.convert import (
    test_circus,
    test_pm2,
    test_process_compose,
    test_procfile,
    test_supervisor,
    test_systemd,
)

SERVERS = (
    "[unix_http_server]\nfile=/run/s.sock\nchmod=0766\nchown=nobody:www\nusername=ada\n[eventlistener:x]\n"
    "command=httpok -p front http://x/\nevents=TICK_60\n[fcgi-program:y]\ncommand=php\nsocket=unix:///x\n[group:g]\nprograms=front\n"
)
FULL = "processes:\n  db: {command: run}\n  web:\n" + "".join(
    f"    {name}: {value}\n" for name, value in test_process_compose.FULL.items()
)
SEEDS = {
    "supervisor": (
        test_supervisor.WEB_STACK,
        test_supervisor.WORKERS,
        test_supervisor.SCREEN,
        test_supervisor.TREE["supervisord.conf"],
        SERVERS + test_supervisor.WEB_STACK,
    ),
    "systemd": (test_systemd.KEEPER.replace("%i", "1"),),
    "circus": (test_circus.SITE,),
    "process-compose": (test_process_compose.SITE, FULL),
    "procfile": (test_procfile.PROCFILE,),
    "pm2": (json.dumps({"apps": [test_pm2.API]}, indent=1),),
}
NOISE = (
    "=", ":", "%", "$", "${X}", "%(ENV_A)s", "%(process_num)02d", "%(here)s", "\n", "\n\n", "  ", "'", '"', "[", "]", "{", "}", "-", "0",
    "-1", "99999999999999", "true", "null", "~", "all", ";", "#", "\\", "\t", "\u00e9", "$$", "%%", "*", "&a", "*a", "- ", "auto", "NONE",
    "syslog", ",", "$(circus.wid)", "{{x}}", "infinity", "|",
)  # fmt: skip


def noisy(text: str, choose: random.Random) -> str:
    """Return the text with a few mistakes in it."""
    for _ in range(choose.choice((1, 1, 2, 4))):
        lines = text.split("\n")
        at, line = choose.randrange(len(text) + 1), choose.randrange(len(lines))
        match choose.randrange(5):
            case 0:
                text = text[:at] + choose.choice(NOISE) + text[at:]
            case 1:
                text = text[:at] + text[at + choose.randrange(1, 12) :]
            case 2:
                text = "\n".join([*lines[:line], choose.choice(lines), *lines[line:]])
            case 3:
                head, mark, _ = lines[line].partition("=" if "=" in lines[line] else ":")
                text = "\n".join([*lines[:line], head + mark + choose.choice(NOISE), *lines[line + 1 :]])
            case _:
                text = "\n".join([*lines[:line], *lines[line + 1 :]])
    return text


def imported(kind: str, text: str) -> str:
    """Return what became of an input; fails where the outcome is not what the daemon reads."""
    report = LossReport()
    outcome = Draft(kind, report)
    outcome.sources = ["x"]
    settings = ImportSettings(base="/tmp", cores=2, ordered=len(text) % 2 == 0)
    try:
        KINDS[kind]()([InputFile("web.service", text, "/tmp")], settings, InputReader(), outcome)
    except (Unreadable, WrongInput, RequestError):
        return "refused"
    if report.wrong:
        return "refused"
    outcome.finish()
    written = text_of(outcome)
    assert text_of(outcome) == written
    assert [*report.lines("summary")]
    assert report.to_data(kind, 1)["schema"] == 1
    faults, _ = check_outcome(written, "/tmp/taskmaster.yaml", {"PATH": "/bin", "HOME": "/root"})
    assert not faults, f"{faults[0]}\n{written}\nfrom\n{text}"
    return "written"


@pytest.mark.parametrize("kind", SEEDS)
@pytest.mark.parametrize("count", [15, pytest.param(1500, marks=pytest.mark.sweep)])
def test_a_mistake_is_refused_or_written_down(kind: str, count: int) -> None:
    choose = random.Random(f"{kind} {count}")
    results = Counter(imported(kind, noisy(choose.choice(SEEDS[kind]), choose)) for _ in range(count))
    assert results["written"] > 0, "noise that leaves nothing to import shows little"
