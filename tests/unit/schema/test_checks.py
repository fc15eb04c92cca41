"""What is checked between keys, programs, files and the host: writers, accounts, modes, doubts."""

from __future__ import annotations

import pytest

from taskmaster_common.schema import File, User
from tests.support.host import MAIN, WWW, load, problems

# -- accounts


def test_an_unknown_user_harms_only_its_program_when_the_daemon_starts() -> None:
    text = "programs: {a: {cmd: x, user: nobody9}, b: {cmd: x, group: nogroup9}, c: {cmd: x, user: www}}"
    loaded = load(text, lenient_users=True)
    refusals = ['there is no user "nobody9"', 'there is no group "nogroup9"']
    assert [each.refusal for each in loaded.config.programs] == [*refusals, ""]
    assert [warning.partition("\n")[0].partition("programs.")[2] for warning in loaded.warnings] == [
        f"a.user: {refusals[0]}",
        f"b.group: {refusals[1]}",
    ], "the terminal of the start says it"
    assert len(problems(text)) == 2


def test_only_root_can_run_a_program_as_somebody_else() -> None:
    text = (
        "programs: {a: {cmd: x, user: root}, b: {cmd: x, user: www}, c: {cmd: x, group: www}, d: {cmd: x, group: root}}"
    )
    assert [line.partition(": error: ")[2].partition(": only")[0] for line in problems(text, uid=33, gid=33)] == [
        "programs.a.user",
        "programs.d.group",
    ]


def test_programs_of_a_daemon_that_becomes_a_user_cannot_have_another_one() -> None:
    text = "taskmasterd: {user: www}\nprograms: {a: {cmd: x, user: www}, b: {cmd: x, user: root}, c: {cmd: x}}"
    (found,) = problems(text)
    assert "programs.b.user: only root can run a program as another user" in found
    refusals = [each.refusal for each in load(text, lenient_users=True).config.programs]
    assert [bool(refusal) for refusal in refusals] == [False, True, False]


def test_a_program_runs_in_the_root_where_its_user_may_not_enter_the_configurations_directory() -> None:
    asked: list[User | None] = []

    def may_enter(directory: str, user: User | None) -> bool:
        asked.append(user)
        return user is None or directory == "/"

    loaded = load("programs: {a: {cmd: x}, b: {cmd: x, user: www}}", may_enter=may_enter)
    assert [each.workingdir for each in loaded.config.programs] == ["/etc/tm", "/"]
    assert asked[:2] == [None, WWW]
    assert "programs.b.workingdir: it runs in /, because www may not enter /etc/tm" in loaded.warnings[0]


def test_directories_because_of_which_a_start_would_fail_are_doubtful() -> None:
    text = (
        "taskmasterd: {log_dir: /no}\nprograms: {a: {cmd: x, workingdir: /no}, b: {cmd: x, user: www, workingdir: /no}}"
    )
    found = load(text, may_enter=lambda directory, _user: directory != "/no").warnings
    assert all(
        where in line for where, line in zip(("log_dir: /no", "a.workingdir", "b.workingdir"), found, strict=True)
    )
    assert "the daemon will not start" in found[0]
    assert "/no does not exist, or www may not enter it" in found[2]


# -- what root obeys


def test_root_refuses_a_file_that_everybody_may_write() -> None:
    file = File(b"programs: {}", mode=0o666)
    assert problems(b"", {MAIN: file}) == ["taskmaster.yaml: error: everybody may write to it (mode 0666); chmod o-w"]
    assert load(b"", {MAIN: file}, uid=33, gid=33).warnings == ()


def test_root_refuses_an_included_file_that_everybody_may_write() -> None:
    found = problems("include: [c.yaml]\nprograms: {}", {"/etc/tm/c.yaml": File(b"programs: {}", mode=0o646)})
    assert found == ["c.yaml: error: everybody may write to it (mode 0646); chmod o-w"]


@pytest.mark.parametrize(
    ("file", "count"),
    [
        (File(b"programs: {}", mode=0o664, gid=5), 1),
        (File(b"programs: {}", mode=0o664, gid=0), 0),
        (File(b"programs: {}", mode=0o600, uid=1000), 1),
        (File(b"programs: {}", mode=0o664, uid=1000, gid=5), 2),
    ],
)
def test_root_is_warned_of_other_owners_and_groups(file: File, count: int) -> None:
    assert len(load(b"", {MAIN: file}).warnings) == count


# -- as PID 1


def test_as_pid_1_omitted_streams_are_the_containers_own() -> None:
    streams = [
        (each.output.stdout, each.output.stderr)
        for each in load("programs: {a: {cmd: x}, b: {cmd: x, stdout: /l}}", pid1=True).config.programs
    ]
    assert streams == [("inherit", "inherit"), ("/l", "inherit")]
    with_dir = load("taskmasterd: {log_dir: /l}\nprograms: {a: {cmd: x}}", pid1=True).config.programs[0]
    assert with_dir.output.stdout == "default"


# -- warnings


@pytest.mark.parametrize(
    ("text", "warning"),
    [
        ("programs: {a: {cmd: x && y}}", '1:21: warning: programs.a.cmd: without a shell "&&" is an ordinary word'),
        ("programs: {a: {cmd: x >/dev/null}}", 'without a shell ">/dev/null" is an ordinary word; set shell: true'),
        ("programs: {a: {cmd: x 2>&1}}", 'without a shell "2>&1" is an ordinary word'),
        ("programs: {a: {cmd: A=b x}}", 'without a shell "A=b" is taken as the command; put A under env:'),
        ("programs: {a: {cmd: ls ~/x}}", "without a shell ~ is an ordinary character; write ${HOME}"),
        ("programs: {a: {cmd: x, workingdir: ~/a}}", "programs.a.workingdir: ~ is not expanded here; write ${HOME}"),
        (
            "programs: {a: {cmd: x, stoptime: 90}}",
            "1:34: warning: programs.a.stoptime: a stop may take 90s, but at shutdown everything is killed after 60s",
        ),
        ("include: [c/*.yaml]\nprograms: {}", '1:11: warning: include: "c/*.yaml" matches no file'),
        ("taskmasterd: {user: www}\nprograms: {}", "taskmasterd.user: only root can become another user"),
    ],
)
def test_what_is_doubtful_is_a_warning(text: str, warning: str) -> None:
    uid = 1000 if "only root" in warning else 0
    (found,) = load(text, uid=uid).warnings
    assert warning in found


@pytest.mark.parametrize(
    "cmd",
    [
        "sh -c 'a && b > c'",
        '"sh -c \\"a && b\\""',
        "curl http://h/?a=1&b=2",
        "a\\ \\>",
        "x A=b",
        "x a~b",
        "[a, '&&', '>']",
        "x \\~/y",
    ],
)
def test_what_is_quoted_or_no_operator_is_not_doubtful(cmd: str) -> None:
    assert load(f"programs:\n  a:\n    cmd: {cmd}\n").warnings == ()


def test_inherit_is_doubtful_only_in_the_background() -> None:
    text = "programs: {a: {cmd: x, stdout: inherit}}"
    assert load(text).warnings == ()
    assert "inherit is /dev/null" in load(text, daemonized=True).warnings[0]


def test_a_command_is_looked_for_with_the_path_directory_and_user_of_the_child() -> None:
    asked: list[tuple[str, str, str, User | None]] = []

    def find(word: str, path: str, workingdir: str, user: User | None) -> str:
        asked.append((word, path, workingdir, user))
        return "it is not there"

    text = (
        "programs: {a: {cmd: x y}, b: {cmd: ./z, workingdir: /w, user: www, env: {PATH: /p}}, "
        "c: {cmd: nope, shell: true}, d: {cmd: 'q${TASKMASTER_INSTANCE}', env: {PATH: null}}}"
    )
    loaded = load(text, find_command=find)
    assert asked == [
        ("x", "/usr/bin:/bin", "/etc/tm", None),
        ("./z", "/p", "/w", WWW),
        ("q0", "/usr/local/bin:/usr/bin:/bin", "/etc/tm", None),
    ]
    assert loaded.warnings[0].startswith(f"{MAIN}:1:21: warning: programs.a.cmd: it is not there\n")
