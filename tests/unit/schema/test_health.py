"""`health`: how it is written, what is refused, what is doubtful, and that the effective configuration says the same."""

from __future__ import annotations

import pytest

from taskmaster_common.errors import ConfigError
from taskmaster_common.schema.effective import effective_text
from tests.support.host import SIGNALS, host, load, program, program_problems


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("{exec: pg_isready -q, interval: 20}", {"exec": ["pg_isready", "-q"], "interval": 20.0}),
        ("{exec: {cmd: 'a | b', shell: true}}", {"exec": ["a | b"], "shell": True}),
        (
            "{http: {url: 'http://localhost/', status: 204}, retries: 2, successes: 1, start_period: 0}",
            {"http": "http://localhost/", "status": [204], "retries": 2, "successes": 1, "start_period": 0.0},
        ),
        ("{tcp: 5432, action: none}", {"tcp": "5432", "action": "none"}),
        ("{unix: /run/db.sock, action: signal SIGHUP}", {"unix": "/run/db.sock", "action": "signal HUP"}),
        ("{watchdog: 1m, action: stop}", {"watchdog": 60.0, "action": "stop"}),
    ],
)
def test_each_way_is_decoded_and_the_effective_configuration_decodes_to_the_same(
    written: str, value: dict[str, object]
) -> None:
    assert program(f"health: {written}").health == value
    loaded = load(f"programs: {{web: {{cmd: run, health: {written}}}}}")
    text = effective_text(loaded.config, SIGNALS, host({}).places)
    assert load(text).config.programs[0].health == value, text


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("notify", "expected a mapping"),
        ("{}", "names no way"),
        ("{tcp: 80, watchdog: 3}", "names tcp and watchdog; write exactly one of"),
        ("{tpc: 80}", "did you mean tcp?"),
        ("{log: up}", "unknown key"),
        ("{tcp: 80, retries: 0}", '"0" is not between 1 and 100'),
        ("{tcp: 80, interval: 0}", "is less than 0.1 s"),
        ("{tcp: 80, action: reboot}", '"reboot" is not one of restart, stop, none, signal NAME'),
        ("{tcp: 80, action: signal HUPP}", "did you mean HUP?"),
        ("{watchdog: 30, interval: 3}", "remove interval"),
        ("{http: 'https://127.0.0.1/'}", "exec: curl"),
        ("{tcp: 'example.org:80'}", "exec: curl"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_the_reason(written: str, said: str) -> None:
    with pytest.raises(ConfigError) as error:
        load(f"programs: {{web: {{cmd: run, health: {written}}}}}")
    assert said in "\n".join(error.value.problems)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{web: {cmd: run, health: {tcp: 80}, type: oneshot}}", "a oneshot is never healthy but done"),
        ("{web: {cmd: run, ready: health}}", "there is no health to be ready by"),
        ("{web: {cmd: run, ready: health, health: {watchdog: 3}}}", "write ready: notify"),
        ("{web: {cmd: run, depends_on: {db: healthy}}, db: {cmd: run}}", "db has no health and is never healthy"),
    ],
)
def test_keys_that_do_not_go_together_are_refused(text: str, said: str) -> None:
    with pytest.raises(ConfigError) as error:
        load(f"programs: {text}")
    assert said in "\n".join(error.value.problems)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{web: {cmd: run, health: {tcp: 80, start_period: 5}}}", "start_period (5s) ends before the second probe"),
        ("{web: {cmd: run, health: {exec: run, interval: 1}}}", "a process every 1s costs much"),
        ("{web: {cmd: run, health: {tcp: '10.0.0.5:80'}}}", "10.0.0.5 may be another host"),
        ("{web: {cmd: run, health: {http: 'http://10.0.0.5:80/x'}}}", "10.0.0.5:80 may be another host"),
        ("{web: {cmd: run, health: {exec: run, interval: 10}, numprocs: 600}}", "start 60 processes a second"),
        (
            "{web: {cmd: run, depends_on: db, health: {tcp: 80}}, db: {cmd: run, ready: {tcp: 80}}}",
            "tests the same address as ready of db",
        ),
    ],
)
def test_what_may_do_harm_is_a_warning(text: str, said: str) -> None:
    assert said in "\n".join(load(f"programs: {text}").warnings)


@pytest.mark.parametrize("key", ["ready", "health"])
def test_the_command_of_a_probe_that_is_not_there_is_a_warning(key: str) -> None:
    def find(word: str, *_where: object) -> str:
        return f"{word}: there is no such command" if word == "pg_isready" else ""

    loaded = load(f"programs: {{web: {{cmd: run, {key}: {{exec: pg_isready -q}}}}}}", find_command=find)
    assert "pg_isready: there is no such command" in "\n".join(loaded.warnings)


def test_health_on_this_host_is_no_reason_for_a_warning() -> None:
    for written in ("{tcp: 80}", "{tcp: 'localhost:80'}", "{http: 'http://[::1]:80/'}", "{watchdog: 1}", "{unix: /x}"):
        assert load(f"programs: {{web: {{cmd: run, health: {written}}}}}").warnings == (), written


def test_ready_may_be_what_health_says() -> None:
    text = "programs: {web: {cmd: run, ready: health, health: {tcp: 80}}}"
    loaded = load(text)
    assert loaded.config.programs[0].ready == {"health": True}
    assert 'ready: "health"\n' in effective_text(loaded.config, SIGNALS, host({}).places)


@pytest.mark.parametrize(
    ("written", "way"), [("'http://127.0.0.1/'", "http"), ("'127.0.0.1:80'", "tcp"), ("80", "tcp"), ("curl x", "exec")]
)
def test_a_way_alone_is_led_to_the_map(written: str, way: str) -> None:
    (found,) = program_problems(f"health: {written}")
    assert found.endswith(f"health: expected a mapping, not a value; write health: {{{way}: …}}")


def test_the_word_of_another_tool_with_a_value_that_is_no_map_is_one_mistake() -> None:
    (found,) = program_problems("healthcheck: 3")
    assert found.endswith("web.healthcheck: unknown key; healthcheck is called health here")
