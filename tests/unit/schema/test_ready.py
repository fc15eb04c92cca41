"""`ready`: how each way is written, what is refused, and that the effective configuration says the same."""

from __future__ import annotations

import pytest

from taskmaster_common.config import Policy
from taskmaster_common.errors import ConfigError
from taskmaster_common.schema.effective import effective_text
from tests.support.host import SIGNALS, host, load, problems, program


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("notify", {"notify": True}),
        ("{fd: 3}", {"fd": 3}),
        ("{log: 'server is *'}", {"log": "server is *"}),
        ("{exec: pg_isready -q}", {"exec": ["pg_isready", "-q"]}),
        ("{exec: [test, -e, a b]}", {"exec": ["test", "-e", "a b"]}),
        ("{exec: {cmd: 'a | b', shell: true}}", {"exec": ["a | b"], "shell": True}),
        ("{http: 'http://127.0.0.1:80/', interval: 0.5}", {"http": "http://127.0.0.1:80/", "interval": 0.5}),
        (
            "{http: {url: 'http://localhost/', status: [204, 301], headers: {Host: x}}, timeout: 1m}",
            {"http": "http://localhost/", "status": [204, 301], "headers": {"Host": "x"}, "timeout": 60.0},
        ),
        ("{tcp: 5432}", {"tcp": "5432"}),
        ("{tcp: '[::1]:80'}", {"tcp": "[::1]:80"}),
        ("{exec: {cmd: a, timeout: 2}}", {"exec": ["a"], "timeout": 2.0}),
        ("{unix: /run/db.sock}", {"unix": "/run/db.sock"}),
        ("{unix: run/./db.sock}", {"unix": "/etc/tm/run/db.sock"}),
        ("{http: 'unix:web.sock:/ready/'}", {"http": "unix:/etc/tm/web.sock:/ready/"}),
        ("{http: 'unix:/run/web.sock'}", {"http": "unix:/run/web.sock"}),
    ],
)
def test_each_way_is_decoded_and_the_effective_configuration_decodes_to_the_same(
    written: str, value: dict[str, object]
) -> None:
    found = program(f"ready: {written}")
    assert found.ready == value
    assert found.policy.starttime == 0
    loaded = load(f"programs: {{web: {{cmd: run, ready: {written}}}}}")
    text = effective_text(loaded.config, SIGNALS, host({}).places)
    assert load(text).config.programs[0].ready == value, text


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("yes", "is neither notify nor health nor a map"),
        ("notfy", "did you mean notify?"),
        ("{}", "names no way"),
        ("{exec: {cmd: a, timeout: 2}, timeout: 3}", "timeout is written twice, below exec and beside it"),
        ("{exec: {cmd: a, timeout: 0}}", "is less than 0.1 s"),
        ("{unix: ''}", "a path has at least one character"),
        ("{http: 'unix::/ready'}", "names no absolute path"),
        ("{tcp: 80, unix: /x}", "names tcp and unix; write exactly one of"),
        ("{tpc: 80}", "did you mean tcp?"),
        ("{fd: 2}", '"2" is not between 3 and 255'),
        ("{fd: 256}", '"256" is not between 3 and 255'),
        ("{log: /x+/}", "exec: grep"),
        ("{log: ''}", "has 0 characters"),
        ("{exec: ''}", "has no value"),
        ("{exec: {shell: true}}", "cmd is missing"),
        ("{exec: {cmd: a, user: b}}", 'unknown key "user"'),
        ("{http: 'https://127.0.0.1/'}", "exec: curl"),
        ("{http: {status: 200}}", "url is missing"),
        ("{http: {url: 'http://127.0.0.1/', status: ok}}", '"ok" is no status'),
        ("{tcp: 'example.org:80'}", "exec: curl"),
        ("{tcp: 99999}", "is no port"),
        ("{tcp: 80, interval: 0.01}", "is less than 0.1 s"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_the_reason(written: str, said: str) -> None:
    with pytest.raises(ConfigError) as error:
        load(f"programs: {{web: {{cmd: run, ready: {written}}}}}")
    assert said in "\n".join(error.value.problems)


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ("ready: {tcp: '127.0.0.1:808${TASKMASTER_INSTANCE}'}", '"80810" is no port for instance 10'),
        ("ready: {http: 'http://127.0.0.1:808${TASKMASTER_INSTANCE}/'}", '"80810" is no port for instance 10'),
        ("health: {tcp: '127.0.0.1:808${TASKMASTER_INSTANCE}'}", '"80810" is no port for instance 10'),
        ("ready: {tcp: '${TASKMASTER_INSTANCE}'}", '"0" is no port for instance 0'),
        (
            "ready: {tcp: 'x${TASKMASTER_INSTANCE}:80'}",
            '"x0" is neither a numeric address nor localhost for instance 0; for a name use exec: curl ...',
        ),
        ("ready: {tcp: 80810}", '"80810" is no port'),
    ],
)
def test_the_address_of_the_lowest_and_of_the_highest_instance_has_to_be_one(keys: str, said: str) -> None:
    with pytest.raises(ConfigError) as error:
        load(f"programs: {{web: {{cmd: run, numprocs: 11, {keys}}}}}")
    found = [each.splitlines()[0] for each in error.value.problems]
    assert [each.partition(": error: programs.web.")[2].partition(": ")[2] for each in found] == [said]


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ("ready: {log: up}, stdout: null, stderr: stdout", "no log is written"),
        ("ready: {log: up}, stdout: null", "stdout: null is in no log"),
        ("ready: {log: up}, stdout: inherit", "stdout: inherit is in no log"),
        ("ready: {tcp: 80}, type: oneshot", "a oneshot is never ready but done"),
        ("ready: {tcp: 80}, start_timeout: 0.05", "is less than 0.1 s; write that or more, or 0"),
    ],
)
def test_keys_that_do_not_go_together_are_refused(keys: str, said: str) -> None:
    with pytest.raises(ConfigError) as error:
        load(f"programs: {{web: {{cmd: run, {keys}}}}}")
    assert said in "\n".join(error.value.problems)


def test_a_line_on_stderr_is_enough_where_its_log_is_written_down() -> None:
    assert load("{programs: {web: {cmd: run, ready: {log: up}, stdout: null, stderr: /web.err}}}")
    assert load(
        "{defaults: {stderr: '/${TASKMASTER_PROGRAM}.err'}, programs: {web: {cmd: run, ready: {log: up}, stdout: null}}}"
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{web: {cmd: run, ready: {fd: 3}, shell: true}}", "the shell has to hand the descriptor on"),
        ("{web: {cmd: run, ready: {tcp: 80}, start_timeout: 2}}", "one try may take 3s"),
        ("{web: {cmd: run, start_timeout: 5}}", "has no effect without ready"),
        (
            "{web: {cmd: run, depends_on: {db: started}}, db: {cmd: run, ready: notify}}",
            "db has ready, and this waits only until its program is executed",
        ),
    ],
)
def test_what_may_not_do_what_one_expects_is_a_warning(text: str, said: str) -> None:
    assert said in "\n".join(load(f"programs: {text}").warnings)


def test_the_number_of_the_instance_may_be_part_of_an_address() -> None:
    found = program("ready: {tcp: '127.0.0.1:800${TASKMASTER_INSTANCE}'}")
    assert "\0" in found.ready["tcp"]


def policies(text: str) -> dict[str, Policy]:
    """Return the policy of each program of a configuration that has no problem and no warning."""
    loaded = load(text)
    assert loaded.warnings == ()
    return {each.name: each.policy for each in loaded.config.programs}


JOB_AND_WEB = "programs: {job: {cmd: run, type: oneshot}, web: {cmd: run}, db: {cmd: run, ready: notify}}"


def test_defaults_about_starts_are_for_services_and_a_oneshot_keeps_its_own() -> None:
    found = policies(
        "defaults: {starttime: 2, startretries: 9, start_timeout: 30, autorestart: always}\n" + JOB_AND_WEB
    )
    job, web = found["job"], found["web"]
    assert (job.starttime, job.startretries, job.start_timeout, job.autorestart) == (0, 0, 0, "unexpected")
    assert (web.starttime, web.startretries, web.start_timeout, web.autorestart) == (2, 9, 30, "always")


def test_a_default_of_starttime_is_not_for_programs_with_ready_but_start_timeout_is() -> None:
    db = policies("defaults: {starttime: 2, start_timeout: 30}\n" + JOB_AND_WEB)["db"]
    assert (db.starttime, db.start_timeout) == (0, 30)


def test_a_default_of_ready_is_for_services_only() -> None:
    found = load("defaults: {ready: notify}\n" + JOB_AND_WEB).config.programs
    assert {each.name: each.ready for each in found} == {"job": {}, "web": {"notify": True}, "db": {"notify": True}}


def test_what_a_oneshot_writes_itself_counts_and_is_judged() -> None:
    text = "defaults: {startretries: 9}\nprograms: {job: {cmd: run, type: oneshot, starttime: 1, startretries: 2}}"
    assert (policies(text)["job"].starttime, policies(text)["job"].startretries) == (1, 2)
    (problem,) = problems("programs: {job: {cmd: run, type: oneshot, autorestart: always}}")
    assert "programs.job.autorestart: a oneshot runs once" in problem
