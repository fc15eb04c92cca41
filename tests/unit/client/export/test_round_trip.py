"""What is exported to systemd or a Procfile and imported again is the same configuration, but for what the two reports named."""

from __future__ import annotations

from typing import Any

from hypothesis import Phase, example, given, reject, settings
from hypothesis import strategies as st

from taskmaster_common.config import ProgramConfig
from taskmaster_common.errors import ConfigError
from taskmaster_common.schema import User
from taskmasterctl.convert.export.targets.source import KEYS
from taskmasterctl.convert.kinds.table import KINDS
from taskmasterctl.convert.outcome.model import Draft
from taskmasterctl.convert.outcome.text import text_of
from taskmasterctl.convert.reading.files import InputFile, InputReader
from taskmasterctl.convert.report import LossReport
from taskmasterctl.convert.settings import ImportSettings
from tests.support.exporting import export_text
from tests.support.host import load

ENDINGS = {"systemd": ".service", "procfile": "Procfile"}
KEY_LINES = {
    "numprocs": st.sampled_from((1, 2)),
    "umask": st.sampled_from(("077", "002")),
    "workingdir": st.sampled_from(("/tmp", "'/a b%c'")),
    "autostart": st.booleans(),
    "autorestart": st.sampled_from(("always", "never", "unexpected")),
    "exitcodes": st.sampled_from(("[0, 3]", "[2]", "0")),
    "startretries": st.integers(0, 5),
    "starttime": st.sampled_from((0, 5)),
    "stopsignal": st.sampled_from(("INT", "QUIT", "TERM")),
    "stoptime": st.sampled_from((0, 3, 0.5)),
    "stdout": st.sampled_from(("/tmp/a.log", "'null'", "journal")),
    "stderr": st.sampled_from(("stdout", "'null'")),
    "env": st.sampled_from(("{A: 'x y%', B: '$c'}", "{PORT: '1'}", "{A: null}")),
    "user": st.just("root"),
    "group": st.just("root"),
    "description": st.sampled_from(("50% of it", "short")),
    "stopasgroup": st.sampled_from((True, False, "leader")),
    "pre_start": st.just("/bin/true '%i $x'"),
    "post_stop": st.just("/bin/true"),
    "ready": st.just("notify"),
    "health": st.just("{watchdog: 5}"),
    "restart_delay": st.just(2),
    "restart_burst": st.sampled_from((0, 5)),
    "log_maxbytes": st.just("1MB"),
}
COMMANDS = ("/bin/sh -c 'echo $$ \"$X\" %i' \"a b\" ';'", "/bin/true", "['/bin/a', '$${X}', \"q'd\", '']", "/bin/a x=y")
Lines = dict[str, Any]
IN_THE_COMMAND = frozenset(("cmd", "shell", "env", "workingdir", "umask", "autorestart", "description"))
"""Keys that a line of a Procfile holds in its command, in a comment, or by what the tools do; `test_words` runs such commands."""
no_shrinking = settings(phases=(Phase.explicit, Phase.generate))
"""What differs says enough, and each try decodes three configurations."""


@no_shrinking
@given(st.sampled_from(COMMANDS), st.fixed_dictionaries({}, optional=KEY_LINES))
@example(COMMANDS[0], {"stopasgroup": "leader", "exitcodes": "[0, 3]", "autorestart": "always"})
@example(COMMANDS[2], {"numprocs": 2, "stoptime": 0, "autorestart": "never", "exitcodes": "[2]"})
def test_a_unit_read_back_is_the_same_program(cmd: str, keys: Lines) -> None:
    assert _differences("systemd", cmd, keys) == {}


@no_shrinking
@given(st.sampled_from(COMMANDS), st.fixed_dictionaries({}, optional=KEY_LINES))
def test_a_line_of_a_procfile_read_back_is_the_same_program(cmd: str, keys: Lines) -> None:
    assert _differences("procfile", cmd, keys).keys() <= IN_THE_COMMAND


def _differences(kind: str, cmd: str, keys: Lines) -> dict[str, tuple[object, object]]:
    """Return the keys that are not what they were and of which no report said so."""
    lines = "".join(
        f"    {key}: {str(value).lower() if isinstance(value, bool) else value}\n" for key, value in keys.items()
    )
    text = f"programs:\n  web:\n    cmd: {cmd}\n{lines}"
    try:
        before = _decoded(text)
    except ConfigError:
        reject()
    made = export_text(kind, text)
    report = LossReport()
    values = {"instances": "0,1"} if "web@.service" in made.files else {}
    files = [InputFile(name, each, "/etc/tm") for name, each in made.files.items() if name.endswith(ENDINGS[kind])]
    draft = Draft(kind, report)
    KINDS[kind]()(files, ImportSettings(base="/etc/tm", values=values), InputReader(), draft)
    assert report.wrong == []
    after = _decoded(text_of(draft))
    said = [problem.key for each in made.drafts for problem in each.problems]
    words = " ".join([*(note for each in made.drafts for note in each.notes), *report.notes()])
    said += [each.key or each.place.option for each in report.problems]
    if before.output.stderr == "stdout" and (before.output.stdout == "default" or "stdout" in said):
        said.append("stderr")  # one log for both, in either notation
    if "ready" in said:
        said.append("starttime")  # its default is another one with ready
    if not _limited(before) and not _limited(after):
        said += ["restart_burst", "restart_window"]
    return {
        key: (before.value(key), after.value(key))
        for key in KEYS
        if before.value(key) != after.value(key) and key not in said and key not in words
    }


def _limited(program: ProgramConfig) -> bool:
    """Return whether a limit of restarts can have an effect."""
    policy = program.policy
    return policy.autorestart != "never" and bool(policy.restart_burst and policy.restart_window)


def _decoded(text: str) -> ProgramConfig:
    (program,) = load(
        text, user=lambda name: User(0, 0, name, "/", "/bin/sh", (0,)), group=lambda _name: 7
    ).config.programs
    return program
