"""The effective configuration as text decodes to the same configuration."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskmaster_common.config import INSTANCE, KIND, Config, DaemonConfig, ProgramConfig
from taskmaster_common.paths import default_places
from taskmaster_common.schema import decode, effective_text
from taskmaster_common.schema.effective import plain_number
from taskmaster_common.text.units import parse_seconds
from tests.support.daemon import ROOT
from tests.support.host import MAIN, SIGNALS, host, load

EXAMPLES = ROOT / "config"
PLACES = default_places(0, {})


def again(config: Config, **changes: Any) -> Config:
    text = effective_text(config, SIGNALS, PLACES)
    return decode(MAIN, host({MAIN: text}, **changes)).config


def said(config: Config) -> tuple[object, ...]:
    """Return what a configuration says, without the files that it was read from."""
    return config.daemon, config.programs


@pytest.mark.parametrize("name", ["taskmaster.yaml", "42.yaml", "reference.yaml"])
def test_the_examples_survive(name: str) -> None:
    config = load((EXAMPLES / name).read_text()).config
    assert config.programs
    assert said(again(config)) == said(config)


def test_every_key_is_shown() -> None:
    text = effective_text(load("programs: {web: {cmd: run, env: {A: null}}}").config, SIGNALS, PLACES)
    shown = [
        line.strip("# ").split(":")[0] for line in text.splitlines() if line.startswith("    ") and line[4] not in " -"
    ]
    assert tuple(shown) == tuple(KIND)
    assert "    # stdout: /var/log/taskmaster/web.log" in text.splitlines()
    assert "    stopsignal: TERM" in text.splitlines()


def test_a_refusal_and_no_program_are_shown() -> None:
    refused = load("programs: {web: {cmd: run, user: nobody9}}", lenient_users=True).config
    assert '# cannot be started: there is no user "nobody9"' in effective_text(refused, SIGNALS, PLACES)
    assert said(again(refused, lenient_users=True)) == said(refused)
    assert said(again(load("programs: {}").config)) == said(load("programs: {}").config)


def test_a_dollar_before_the_number_of_the_instance_stays() -> None:
    config = load("programs: {web: {cmd: 'x ${TAIL}${TASKMASTER_INSTANCE} $${A} $$${A}'}}").config
    assert config.programs[0].cmd == ("x", f"x${INSTANCE}", "${A}", "$${A}")
    assert said(again(config)) == said(config)


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
LINE = TEXT.map(lambda text: " ".join(text.replace(INSTANCE, "").split()))
PIECES = st.lists(
    st.sampled_from(["${", "$", "}", "\\", '"', "'", "\n", " ", INSTANCE, "a", "\x85", "\ufeff", "\U0001f600"])
).map("".join)
ANY = st.one_of(TEXT, PIECES)
PATH = ANY.map(lambda text: "/" + "/".join(part for part in text.split("/") if part not in ("", "."))).filter(
    lambda path: path != "/"
)
SECONDS = st.floats(0, 1e6).map(lambda value: round(value, 6))
NAME = st.text("abc_-.@+1", min_size=1, max_size=8).filter(lambda name: name[0] not in "-.")
COMMAND = st.lists(ANY, max_size=3).map(lambda rest: ("run", *rest))


@st.composite
def programs(draw: st.DrawFn, name: str) -> ProgramConfig:
    shell = draw(st.booleans())
    stdout = draw(st.sampled_from(["default", "null", "inherit"]))
    stderr = draw(st.sampled_from(["default", "null", "inherit", "stdout"]))
    logs: dict[str, Any] = {}
    if stdout != "null" or stderr not in ("null", "stdout"):  # else there is no log
        logs = {"log_maxbytes": draw(st.integers(0, 2**63 - 1)), "log_backups": draw(st.integers(0, 10_000))}
    return ProgramConfig.of(
        name=name,
        shell=shell,
        cmd=(draw(ANY).replace(INSTANCE, "") + "x",) if shell else draw(COMMAND),
        numprocs=draw(st.integers(1, 6_000)),  # of three programs together not more than the most
        umask=draw(st.none() | st.integers(0, 0o777)),
        workingdir=draw(PATH),
        autostart=draw(st.booleans()),
        autorestart=draw(st.sampled_from(["always", "never", "unexpected"])),
        exitcodes=tuple(sorted(draw(st.sets(st.integers(0, 255))))),
        startretries=draw(st.integers(0, 1_000_000)),
        starttime=draw(SECONDS),
        stopsignal=draw(st.sampled_from(sorted({*SIGNALS.values(), 40}))),
        stoptime=draw(SECONDS),
        stdout=stdout,
        stderr=stderr,
        env=draw(st.dictionaries(LINE.filter(lambda text: text and "=" not in text), st.none() | ANY, max_size=3)),
        user=draw(st.sampled_from([None, "www", "33"])),
        group=draw(st.sampled_from([None, "www", "33"])),
        description=draw(LINE),
        stopasgroup=draw(st.booleans() | st.just("leader")),
        restart_delay=draw(SECONDS),
        **logs,
    )


@given(st.data())
def test_any_configuration_survives(data: st.DataObject) -> None:
    names = data.draw(st.lists(NAME, max_size=3, unique=True))
    daemon = DaemonConfig(
        socket="/run/x.sock",
        logfile=data.draw(st.none() | PATH.map(lambda path: path.replace(INSTANCE, "") + "x")),
        umask=0o077,
    )
    config = Config(MAIN, daemon, tuple(data.draw(programs(name)) for name in names))
    assert said(again(config, identity=lambda _path: "")) == said(config)


@pytest.mark.parametrize("stdout", ["null", "journal", "syslog", "'| cat'"])
def test_keys_of_logs_are_left_out_where_there_is_none(stdout: str) -> None:
    config = load(
        "defaults: {log_maxbytes: 1MB, log_format: json, log_levels: true}\n"
        f"programs: {{web: {{cmd: run, stdout: {stdout}, stderr: stdout}}, db: {{cmd: run}}}}"
    ).config
    assert "    # log_maxbytes: without effect" in effective_text(config, SIGNALS, PLACES, values=False).splitlines()
    assert said(again(config)) == said(config)


@given(SECONDS)
def test_a_number_of_seconds_is_written_without_exponent(seconds: float) -> None:
    assert parse_seconds(plain_number(seconds)) == seconds


def test_values_of_env_are_shown_to_those_who_ask_for_them_only() -> None:
    config = load(
        "programs: {web: {cmd: run, env: {SECRET: hunter2, GONE: null}}, idle: {cmd: run, env: {A: b}}}"
    ).config
    hidden = effective_text(config, SIGNALS, PLACES, values=False)
    assert "hunter2" not in hidden
    assert '      # "SECRET": hidden; -T --env prints it' in hidden.splitlines()
    assert decode(MAIN, host({MAIN: hidden})).config.programs[0].env == {"GONE": None}
    assert '"hunter2"' in effective_text(config, SIGNALS, PLACES, values=True)
