"""Files with two writers, or that are written and read: refused by text alone, whatever the file system says."""

from __future__ import annotations

import pytest

from taskmaster_common.errors import ConfigError
from tests.support.host import load, problems


@pytest.mark.parametrize(
    "text",
    [
        "programs: {a: {cmd: x, stdout: /l}, b: {cmd: x, stdout: /l}}",
        "programs: {a: {cmd: x, stderr: /l}, b: {cmd: x, stdout: /x/../l}}",
        "programs: {a: {cmd: x, stdout: '/l-${TASKMASTER_INSTANCE}', numprocs: 3}, b: {cmd: x, stdout: /l-2}}",
        "programs: {web: {cmd: x, numprocs: 2}, web-1: {cmd: x}}",
        "taskmasterd: {logfile: /l}\nprograms: {a: {cmd: x, stdout: /l}}",
        "taskmasterd: {socket: /s}\nprograms: {a: {cmd: x, stdout: /s.pid}}",
        "taskmasterd: {logfile: /l, pidfile: /l}\nprograms: {}",
        "programs: {a: {cmd: x, stdout: /var/log/taskmaster/taskmasterd.log}}",
    ],
)
def test_two_writers_of_one_file_are_refused(text: str) -> None:
    (found,) = problems(text)
    assert " too" in found


@pytest.mark.parametrize(
    "text",
    [
        "programs: {a: {cmd: x, stdout: /dev/tty}, b: {cmd: x, stdout: /dev/tty}}",
        "programs: {a: {cmd: x, stdout: /l, numprocs: 5}}",
        "programs: {a: {cmd: x, stdout: /l, stderr: /l}}",
        "programs: {a: {cmd: x, stdout: ~}, b: {cmd: x, stdout: ~}}",
        "programs: {web: {cmd: x}, web-1: {cmd: x}}",
    ],
)
def test_devices_instances_and_both_streams_may_share(text: str) -> None:
    assert load(text).config.programs


@pytest.mark.parametrize(
    "text",
    [
        "programs: {a: {cmd: x, stdout: /l}, b: {cmd: x, stdout: /l.1}}",
        "programs: {b: {cmd: x, stdout: /l.10}, a: {cmd: x, stdout: /l}}",
        "programs: {a: {cmd: x, stdout: /l, stderr: /l.1}}",
        "programs: {a: {cmd: x, stdout: /l}, b: {cmd: x, stdout: '/l.${TASKMASTER_INSTANCE}', numprocs: 2}}",
        "programs: {a: {cmd: x, stderr: /l, stdout: '/l.${TASKMASTER_INSTANCE}', numprocs: 2}}",
        "programs: {a: {cmd: x, stdout: /l, log_backups: 9999}, b: {cmd: x, stdout: /l.9999}}",
        "programs: {a: {cmd: x, stdout: /x/../l}, b: {cmd: x, stdout: /l.1}}",
        "taskmasterd: {logfile: /l}\nprograms: {a: {cmd: x, stdout: /l.3}}",
        "programs: {a: {cmd: x, stdout: /var/log/taskmaster/taskmasterd.log.10}}",
        "programs: {a: {cmd: x}, b: {cmd: x, stdout: /var/log/taskmaster/a.log.2}}",
        "taskmasterd: {pidfile: /l.2}\nprograms: {a: {cmd: x, stdout: /l}}",
    ],
)
def test_a_file_with_the_name_of_somebodys_rotated_file_is_refused(text: str) -> None:
    (found,) = problems(text)
    assert " is the name of " in found


@pytest.mark.parametrize(
    "text",
    [
        "programs: {a: {cmd: x, env_file: /v, stdout: /v}}",
        "programs: {a: {cmd: x, stdout: /x/../v}, b: {cmd: x, env_file: '?/v'}}",
        "programs: {a: {cmd: x, env_file: '/v-${TASKMASTER_INSTANCE}', numprocs: 2}, b: {cmd: x, stderr: /v-1}}",
        "programs: {a: {cmd: x, env: {T: {file: /v}}, stdout: /v}}",
        "taskmasterd: {logfile: /v}\nprograms: {a: {cmd: x, env_file: /v}}",
        "programs: {a: {cmd: x}, b: {cmd: x, env_file: /var/log/taskmaster/a.log}}",
    ],
)
def test_no_log_is_written_into_a_file_of_variables(text: str) -> None:
    (found,) = problems(text, lenient_users=True)
    assert "what is read needs a file of its own" in found


def test_no_rotated_log_takes_the_place_of_a_file_of_variables() -> None:
    (found,) = problems("programs: {a: {cmd: x, env_file: '?/v.2', stdout: /v}}")
    assert "/v.2 is the name of the log of programs.a after 2 rotations" in found


@pytest.mark.parametrize(
    "text",
    [
        "programs: {a: {cmd: x, env_file: /v}, b: {cmd: x, env_file: /v, env: {T: {file: /v}}}}",
        "taskmasterd: {pidfile: /run/p}\nprograms: {a: {cmd: x, env: {DAEMON: {file: /run/p}}}}",
        "programs: {a: {cmd: x, sockets: {s: /h.sock}}, b: {cmd: x, sockets: {s: /h.sock}}}",
    ],
)
def test_several_may_read_one_file_or_listen_on_one_socket(text: str) -> None:
    assert load(text, lenient_users=True).config.programs


@pytest.mark.parametrize(
    "text",
    [
        "programs: {a: {cmd: x, sockets: {s: /l}, stdout: /l}}",
        "programs: {a: {cmd: x, sockets: {s: '/l-${TASKMASTER_INSTANCE}'}, numprocs: 3}, b: {cmd: x, stdout: /l-2}}",
        "taskmasterd: {logfile: /l}\nprograms: {a: {cmd: x, sockets: {s: /l}}}",
        "taskmasterd: {pidfile: /l}\nprograms: {a: {cmd: x, sockets: {s: /l}}}",
        "programs: {a: {cmd: x, sockets: {s: /l.1}, stdout: /l}}",
        "programs: {a: {cmd: x, sockets: {s: /var/lib/taskmaster/web.state}}}",
    ],
)
def test_no_socket_of_a_program_has_the_place_of_another_file(text: str) -> None:
    (found,) = problems(text)
    assert " too" in found


@pytest.mark.parametrize(
    "path",
    [
        "/var/lib/taskmaster/history/x.jsonl",
        "/var/lib/taskmaster/overrides/x",
        "/var/lib/taskmaster/alerts/deep/x",
        "/run/taskmaster/taskmaster.sock.d/logs/x",
    ],
)
def test_no_log_is_in_a_directory_of_the_daemon_s_own(path: str) -> None:
    (found,) = problems(f"programs: {{a: {{cmd: x, stdout: {path}}}}}")
    assert "which is the daemon's own" in found


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("programs:\n  a: {cmd: x, stdout: /l}\n  b: {cmd: x, stdout: /l}", [2, 3]),
        ("programs:\n  a: {cmd: x, stdout: /l}\n  b: {cmd: x, stdout: /l.1}", [2, 3]),
        ("programs:\n  b: {cmd: x, stdout: /l.1}\n  a: {cmd: x, stdout: /l}", [3, 2]),
        ("taskmasterd:\n  logfile: /l\nprograms:\n  a: {cmd: x, stdout: /l.1}", [2, 4]),
        ("include: [d/*]\nprograms:\n  a: {cmd: x, stdout: d/log}", [1, 3]),
    ],
)
def test_both_places_are_shown(text: str, lines: list[int]) -> None:
    with pytest.raises(ConfigError) as caught:
        load(text)
    (found,) = caught.value.problems
    assert [int(line.split("|")[0]) for line in found.splitlines()[1:]] == lines


@pytest.mark.parametrize(
    "text",
    [
        "programs: {a: {cmd: x, stdout: /l}, b: {cmd: x, stdout: /l.11}}",
        "programs: {a: {cmd: x, stdout: /l}, b: {cmd: x, stdout: /l.01}}",
        "programs: {a: {cmd: x, stdout: /l}, b: {cmd: x, stdout: /l.0}}",
        "programs: {a: {cmd: x, stdout: /l, log_backups: 0}, b: {cmd: x, stdout: /l.1}}",
        "programs: {a: {cmd: x, stdout: /l, log_maxbytes: 0}, b: {cmd: x, stdout: /l.1}}",
        "programs: {a: {cmd: x, stdout: /l}, b: {cmd: x, stdout: /l.old}}",
        "programs: {a: {cmd: x, stdout: '/l.${TASKMASTER_INSTANCE}', numprocs: 30}}",
    ],
)
def test_other_names_beside_a_log_are_free(text: str) -> None:
    assert load(text).config.programs


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("programs: {a: {cmd: x, stdout: taskmaster.yaml}}", "/etc/tm/taskmaster.yaml is the configuration too"),
        ("programs: {a: {cmd: x, stdout: c.yaml}}\ninclude: [c.yaml]", "/etc/tm/c.yaml is the configuration too"),
        ("programs: {a: {cmd: x, stderr: d/a.yaml}}\ninclude: [d/*.yaml]", '"d/*.yaml" in include: matches it'),
        ("programs: {a: {cmd: x, stderr: d/a}}\ninclude: ['d/*.[0-9]']", '"d/*.[0-9]" in include: matches it'),
        ("taskmasterd: {logfile: taskmaster.yaml}\nprograms: {}", "is the configuration too"),
        ("taskmasterd: {pidfile: c.yaml}\nprograms: {}\ninclude: [c.yaml]", "is the configuration too"),
        ("taskmasterd: {socket: /s}\nprograms: {a: {cmd: x, stdout: /s}}", "/s is taskmasterd.socket too"),
        ("programs: {a: {cmd: x, stdout: /run/taskmaster/taskmaster.sock}}", "is taskmasterd.socket too"),
        ("programs: {a: {cmd: x, stdout: /run/taskmaster/taskmasterd.pid}}", "is taskmasterd.pidfile too"),
        ("programs: {a: {cmd: x, stdout: /var/lib/taskmaster/run-x.state}}", "is the name of a state file"),
        (
            "taskmasterd: {state_dir: /st}\nprograms: {a: {cmd: x, stdout: /st/x.state.new}}",
            "is the name of a state file",
        ),
        ("programs: {a: {cmd: x, stdout: /var/lib/taskmaster/run-x.state.key}}", "is the name of a state file"),
        (
            "programs: {a: {cmd: x, stdout: /var/log/taskmaster/.taskmasterd.lock}}",
            "is written by the daemon as a lock",
        ),
        (
            "taskmasterd: {logfile: /l/tm.log}\nprograms: {a: {cmd: x, stdout: /l/.tm.log.lock}}",
            "is written by the daemon as a lock",
        ),
    ],
)
def test_what_the_daemon_reads_or_keeps_is_nobodys_log(text: str, reason: str) -> None:
    (found,) = problems(
        text, {"/etc/tm/c.yaml": "programs: {z: {cmd: x}}", "/etc/tm/d/b.yaml": "programs: {y: {cmd: x}}"}
    )
    assert reason in found.replace(": c.yaml", ": /etc/tm/c.yaml").replace(
        ": taskmaster.yaml", ": /etc/tm/taskmaster.yaml"
    )


@pytest.mark.parametrize(
    "path",
    [
        "/dev/stdout",
        "/dev/fd/1",
        "/dev/pts/0",
        "/proc/1/fd/1",
        "/proc/self/fd/2",
        "/proc/thread-self/fd/1",
        "/proc/9/task/9/fd/2",
    ],
)
def test_names_of_the_system_are_shared_without_a_look_at_them(path: str) -> None:
    def look(path: str) -> str:
        raise AssertionError(path)

    text = f"programs: {{a: {{cmd: x, stdout: {path}}}, b: {{cmd: x, stdout: {path}}}}}"
    assert load(text, identity=lambda each: look(each) if each == path else each, shareable=look).warnings == ()


def test_a_fifo_that_only_root_can_replace_may_have_two_writers() -> None:
    text = "programs: {a: {cmd: x, stdout: /f}, b: {cmd: x, stdout: /f}}"
    assert load(text, shareable=lambda path: path == "/f").config.programs
    assert len(problems(text)) == 1


def test_where_links_lead_now_is_a_warning_and_never_an_error() -> None:
    text = "programs: {a: {cmd: x, stdout: /u/app.log}, b: {cmd: x, stdout: /var/db.log}}"
    loaded = load(text, identity=lambda path: "one" if path.endswith(".log") and "/taskmaster/" not in path else path)
    (found,) = loaded.warnings
    assert "programs.b.stdout: /var/db.log and /u/app.log, written by programs.a, are the same file at present" in found


def test_a_rotated_file_that_a_link_leads_to_now_is_a_warning() -> None:
    text = "programs: {a: {cmd: x, stdout: /u/app.log}, b: {cmd: x, stdout: /var/app.log.2}}"
    loaded = load(text, identity=lambda path: path.replace("/var/app", "/u/app"))
    (found,) = loaded.warnings
    assert "/var/app.log.2 is the file that /u/app.log, written by programs.a, becomes after 2 rotations" in found


@pytest.mark.parametrize(
    "rule",
    [
        "mail: {to: [a@b.c], from: d@b.c, server: localhost, auth: {user: u, password_file: /l}}",
        "mail: {to: [a@b.c], from: d@b.c, server: 'h:465', tls: on, ca: /l}",
        "http: {url_file: /l}",
        "http: {url: 'https://h/', ca: /l}",
        "http: {url: 'https://h/', header_files: {Authorization: /l}}",
    ],
)
@pytest.mark.parametrize("log", ["/l", "/x/../l"])
def test_what_an_alert_reads_is_nobodys_log(rule: str, log: str) -> None:
    (found,) = problems(f"programs: {{a: {{cmd: x, stdout: {log}}}}}\nalerts: {{r: {{{rule}}}}}")
    assert "/l is written by programs.a too; what is read needs a file of its own" in found
