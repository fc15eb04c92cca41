"""Values of another shape or unit and words of other tools below a key: one check names all of them, and what to write."""

from __future__ import annotations

import pytest

from taskmaster_common.errors import ConfigError
from tests.support.host import load, problems, program_problems


def said(key: str) -> list[str]:
    """Return the reasons of the problems of a program with that key."""
    return [each.partition("error: programs.web.")[2].partition("\n")[0] for each in program_problems(key)]


def warned(keys: str) -> str:
    return "\n".join(load(f"programs: {{web: {{cmd: /bin/sleep 5, {keys}}}}}").warnings)


@pytest.mark.parametrize(
    ("key", "reasons"),
    [
        (
            "health: {http: 'http://127.0.0.1/', retry: 3, timeout: 0, action: reboot}",
            [
                'health: unknown key "retry"; did you mean retries?',
                "health: timeout: is less",
                'health: action: "reboot"',
            ],
        ),
        ("limits: {pids: 5, memory: 50%, cpu: x}", ['limits: unknown key "pids"', "limits: memory: ", "limits: cpu: "]),
        (
            "rlimits: {files: 5, core: x, nproc: y}",
            ['rlimits: unknown limit "files"', "rlimits: core: ", "rlimits: nproc: "],
        ),
        ("recycle: {age: 0, cron: '0 0'}", ["recycle: age: ", "recycle: cron: "]),
        (
            "depends_on: {web: {condition: completed, requird: maybe, restart: 3}}",
            [
                "depends_on: condition: completed is called ended here",
                'depends_on: unknown key "requird"',
                "depends_on: restart: ",
            ],
        ),
    ],
)
def test_all_that_is_wrong_in_a_map_is_said_at_once_with_its_name(key: str, reasons: list[str]) -> None:
    found = said(key)
    assert len(found) == len(reasons)
    for reason in reasons:
        assert any(each.startswith(reason) for each in found), (reason, found)


@pytest.mark.parametrize(
    ("key", "reason"),
    [
        ("stopsignal: [HUP, 10s]", "stopsignal: expected a value, not a list; write stopsignal: HUP"),
        ("stopsignal: {signal: HUP}", "stopsignal: expected a value, not a mapping; write stopsignal: TERM"),
        ("numprocs: {count: 3}", "numprocs: expected a value, not a mapping; write numprocs: 1"),
        ("stoptime: {seconds: 3}", "stoptime: expected a value, not a mapping; write stoptime: 10"),
        ("umask: {a: 3}", "umask: expected a value, not a mapping; write umask: 022"),
        ("autostart: {a: 3}", "autostart: expected a value, not a mapping; write autostart: true"),
        ("exitcodes: {ok: 0}", "exitcodes: expected a value, not a mapping; write exitcodes: 0"),
        ("ready: [notify]", "ready: expected a value, not a list"),
        ("limits: 512M", "limits: expected a mapping, not a value"),
        ("stdout: {path: /tmp/x}", "stdout: a path stands alone; write stdout: /tmp/x"),
        ("clear_env: PATH", "clear_env: is true, false or a list of names; write [PATH]"),
        ("umask: rwx", "umask: r is not an octal digit; write a number such as 022"),
        ("limits: {memory: 512Mi}", 'limits: memory: "512Mi" is not a size; write 512MiB'),
        ("user: '1000:100'", 'user: there is no user "1000:100"; write user: 1000 and group: 100'),
        ("type: forking", 'type: "forking" is not one of service, oneshot; did you mean service? What cmd starts has to stay in'),
        ("stopasgroup: mixed", 'stopasgroup: "mixed" is not one of true, false, leader; did you mean leader?'),
        ("stopasgroup: process", 'stopasgroup: "process" is not one of true, false, leader; did you mean false?'),
        ("post_stop: {command: x}", 'post_stop: unknown key "command"; did you mean cmd?'),
        ("health: {test: x}", 'health: unknown key "test"; did you mean exec?'),
        ("health: {http: 'http://127.0.0.1/', failure_threshold: 3}", 'health: unknown key "failure_threshold"; did you mean ret'),
        ("ready: {httpGet: {port: 3}}", 'ready: unknown key "httpGet"; did you mean http?'),
        ("ready: {tcp: 80, initialDelaySeconds: 3}", 'ready: unknown key "initialDelaySeconds"; the ways are'),
        ("ready_log_line: up", "ready_log_line: unknown key; it is written ready: {log: TEXT} here"),
        ("kill_timeout: 1600", "kill_timeout: unknown key; it is called stoptime here, and is in seconds"),
    ],
)  # fmt: skip
def test_a_value_of_another_shape_or_tool_says_what_to_write(key: str, reason: str) -> None:
    found = said(key)
    assert len(found) == 1
    assert found[0].startswith(reason)


def test_a_map_where_a_value_stands_is_shown_as_lines() -> None:
    with pytest.raises(ConfigError) as caught:
        load("programs: {web: {cmd: run, limits: 512M}}")
    assert str(caught.value).endswith("limits:\n          memory: 512MB\n          cpu: 1.5\n          tasks: 200")


@pytest.mark.parametrize(
    ("key", "reason"),
    [
        ("socket: 8080", 'socket: "8080" is not a path; there is no network listener'),
        ("pidfile: none", 'pidfile: "none" is not a path; remove the line for the default'),
        ("state_dir: yes", 'state_dir: "yes" is not a path'),
        ("logfile: NONE", "logfile: an event log cannot be discarded; remove the line"),
        ("statsd: true", "`taskmasterctl metrics` has them"),
    ],
)
def test_a_word_or_a_port_is_no_path_of_the_daemon(key: str, reason: str) -> None:
    found = problems(f"taskmasterd: {{{key}}}\nprograms: {{}}")
    assert len(found) == 1
    assert reason in found[0]


@pytest.mark.parametrize(
    ("keys", "warning"),
    [
        ("recycle: {memory: 200}", "recycle: memory: 200 is a number of bytes, and less than makes sense; write 200MB"),
        ("limits: {memory: 64}", "limits: memory: 64 is a number of bytes"),
        ("log_maxbytes: 10", "log_maxbytes: 10 is a number of bytes"),
        ("health: {exec: [CMD, curl, x]}", "CMD is Compose's word; leave it out"),
        ("health: {exec: [CMD-SHELL, curl x]}", "write exec: {cmd: ..., shell: true}"),
    ],
)
def test_a_size_without_its_unit_and_a_word_of_compose_are_warned_of(keys: str, warning: str) -> None:
    assert warning in warned(keys)


@pytest.mark.parametrize("keys", ["recycle: {memory: 200MB}", "log_maxbytes: 0", "limits: {memory: 64MB}"])
def test_a_size_that_makes_sense_is_not_warned_of(keys: str) -> None:
    assert "number of bytes" not in warned(keys)


def test_a_list_of_one_word_with_blanks_is_shown_as_words() -> None:
    (warning,) = load(
        "programs: {web: {cmd: [sleep 100]}}", find_command=lambda word, *_: f"{word} is not found in PATH"
    ).warnings
    assert "write [sleep, 100]" in warning


def test_a_comma_in_a_flow_mapping_is_recognised() -> None:
    (found,) = problems("programs: {web: {cmd: /bin/echo a, b}}")
    assert "programs.web.b: unknown key; inside { } a comma ends a value: quote one that has a comma" in found


def test_an_open_bracket_is_shown_where_it_stands() -> None:
    (found,) = problems("programs:\n  a: {cmd: /bin/sleep 1\n")
    assert "; on line 2 there is no } for the {" in found


@pytest.mark.parametrize("text", ["programs: {a: {cmd: run, env: {A: ${B}, C: d}}}", "programs:\n  a: {cmd: [}\n"])
def test_a_value_inside_brackets_is_quoted_and_not_the_whole(text: str) -> None:
    (found,) = problems(text)
    assert "; a value inside { } or [ ] that holds one of { } [ ] , is quoted" in found


def test_programs_below_a_program_are_no_command() -> None:
    found = problems("programs: {all-of-them: {programs: {web: {cmd: run}}}}")
    assert [
        "programs.all-of-them.programs: unknown key; programs: stands at the top level" in each for each in found
    ] == [False, True]
    assert "programs.all-of-them: cmd is missing" in found[0]


def test_an_object_of_kubernetes_is_one_problem() -> None:
    (found,) = problems(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec: {replicas: 3, template: {}}\n"
    )
    assert "1:1: error: this is an object of Kubernetes" in found


@pytest.mark.parametrize(
    "text", ["[program:web]\ncommand=x\n", "[Unit]\nDescription=x\n", "web: bundle exec x\n", "[circus]\nx=y\n"]
)
def test_the_files_that_can_be_imported_name_the_command(text: str) -> None:
    (found,) = problems(text)
    assert "`taskmasterctl import FILE`" in found
