"""Keys about a program's surroundings: what it inherits, and what it reads."""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping

import pytest

from taskmaster_common.schema import File, effective_text
from taskmaster_common.schema.values.env_files import EnvFiles
from taskmaster_common.text.envfile import REFUSED
from tests.support.host import ROOT, SIGNALS, WWW, host, load, problems, program, program_problems


@pytest.mark.parametrize(
    ("written", "value"),
    [("true", True), ("no", False), ("[A, B, A]", ("A", "B")), ("[]", True), ("['${NO:-A}']", ("A",))],
)
def test_clear_env_is_a_truth_or_names(written: str, value: object) -> None:
    assert program(f"clear_env: {written}").clear_env == value


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("LANG", "is true, false or a list of names; write [LANG]"),
        ("[LC_*]", '"LC_*" is not the name of one variable; write a list of whole names'),
        ("['LANG, TZ']", '"LANG, TZ" is not the name of one variable'),
        ("['A=b']", '"A=b" cannot be the name of a variable'),
        ("[TASKMASTER_MARK]", "TASKMASTER_MARK is set by taskmasterd itself"),
    ],
)
def test_clear_env_refuses_what_is_no_name(written: str, said: str) -> None:
    assert f"error: programs.web.clear_env: {said}" in program_problems(f"clear_env: {written}")[0]


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("null", "null"),
        ("'null'", "null"),
        ("pipe", "pipe"),
        ("/dev/tty1", "/dev/tty1"),
        ("./in", "/etc/tm/in"),
        ("a/${TASKMASTER_INSTANCE}", "/etc/tm/a/\0"),
    ],
)
def test_stdin_is_a_word_or_a_path(written: str, value: str) -> None:
    assert program(f"stdin: {written}").stdin == value


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("in.txt", '"in.txt" is not one of null, pipe; a path has a slash, such as ./FILE'),
        ("", "has no value; write null for an empty input, or remove the line"),
        ("{file: x}", "expected null, pipe, a path or {socket: NAME}, not another mapping"),
    ],
)
def test_stdin_refuses_what_is_neither(written: str, said: str) -> None:
    assert f"error: programs.web.stdin: {said}" in program_problems(f"stdin: {written}")[0]


def test_both_are_written_as_they_are_read() -> None:
    config = load("programs: {web: {cmd: x, clear_env: [A, B], stdin: './a b-${TASKMASTER_INSTANCE}'}}").config
    text = effective_text(config, SIGNALS, host({}).places)
    assert '    clear_env: ["A", "B"]\n' in text
    assert '    stdin: "/etc/tm/a b-${TASKMASTER_INSTANCE}"\n' in text
    assert load(text).config.programs == config.programs


@pytest.mark.parametrize(
    ("keys", "path"),
    [
        ("{}", "/usr/bin:/bin"),
        ("{clear_env: true}", "/usr/local/bin:/usr/bin:/bin"),
        ("{clear_env: [LANG]}", "/usr/local/bin:/usr/bin:/bin"),
        ("{clear_env: [PATH]}", "/usr/bin:/bin"),
        ("{clear_env: true, env: {PATH: /x}}", "/x"),
    ],
)
def test_the_check_looks_for_commands_where_the_program_will(keys: str, path: str) -> None:
    asked: list[str] = []

    def find(_word: str, where: str, _directory: str, _user: object) -> str:
        asked.append(where)
        return ""

    load(f"programs: {{web: {{<<: {keys}, cmd: x, pre_start: y}}}}", find_command=find)
    assert asked == [path, path]


# -- files of variables

SECRET = "hunter2"
FILE = "/etc/tm/web.env"


def warnings(text: str, others: Mapping[str, str | bytes | File] | None = None, **changes: object) -> list[str]:
    found = load(f"programs: {{web: {{cmd: x, {text}}}}}", others, **changes)
    assert not any(SECRET in line for line in found.public_warnings)
    return [line.splitlines()[0].partition(": warning: ")[2] for line in found.warnings]


def of_mode(text: str, mode: int) -> File:
    return File(text.encode(), mode)


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("web.env", (FILE,)),
        ("'?web.env'", (f"?{FILE}",)),
        ("[web.env, '?/a/b-${TASKMASTER_INSTANCE}']", (FILE, "?/a/b-\0")),
        ("[]", ()),
    ],
)
def test_env_file_is_a_path_or_several(written: str, value: tuple[str, ...]) -> None:
    files = {FILE: "A=b", "/a/b-0": "", "/a/b-1": ""}
    config = load(f"programs: {{web: {{cmd: x, numprocs: 2, env_file: {written}}}}}", files).config
    assert config.programs[0].env_file == value
    text = effective_text(config, SIGNALS, host({}).places)
    assert load(text, files).config.programs == config.programs


def test_a_value_may_stand_in_a_file() -> None:
    text = "programs: {web: {cmd: x, env: {A: {file: 'a-${TASKMASTER_INSTANCE}'}, B: b}}}"
    config = load(text, {"/etc/tm/a-0": f"{SECRET}\n"}).config
    assert config.programs[0].env == {"A": {"file": "/etc/tm/a-\0"}, "B": "b"}
    text = effective_text(config, SIGNALS, host({}).places, values=False)
    assert '      "A": {file: "/etc/tm/a-${TASKMASTER_INSTANCE}"}\n' in text
    text = effective_text(config, SIGNALS, host({}).places)
    assert load(text, {"/etc/tm/a-0": ""}).config.programs == config.programs


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("env_file: none.env", "programs.web.env_file: /etc/tm/none.env: no such file or directory"),
        ("env_file: [web.env, '?bad.env']", 'programs.web.env_file: /etc/tm/bad.env:2: no "="'),
        ("env_file: '?'", "programs.web.env_file: a path has at least one character"),
        ("env_file: [?web.env]", "programs.web.env_file: expected a path, not a mapping; quote one that begins with ?"),
        ("env: {A: {file: none}}", "programs.web.env.A: /etc/tm/none: no such file or directory"),
        ("env: {A: {file: nul}}", "programs.web.env.A: /etc/tm/nul: a NUL byte cannot be part of a value"),
        ("env: {A: {}}", "programs.web.env.A: expected {file: PATH}, not an empty mapping"),
        ("env: {A: {path: x}}", 'programs.web.env.A: unknown key "path"; it has file'),
    ],
)
def test_a_wrong_file_is_an_error_that_shows_nothing_of_it(written: str, said: str) -> None:
    text = f"programs: {{web: {{cmd: x, {written}}}}}"
    files = {FILE: "A=b", "/etc/tm/bad.env": f"A=b\n{SECRET}", "/etc/tm/nul": f"{SECRET}\0"}
    found = problems(text, files)
    said = said.replace("/etc/tm/", "")  # as `problems` does
    assert [line.partition(": error: ")[2][: len(said)] for line in found] == [said]
    assert SECRET not in found[0]


def test_a_file_that_another_user_can_make_wrong_never_makes_the_configuration_wrong() -> None:

    def others(path: str) -> bool:
        return path.startswith("/home/")

    assert warnings("env_file: /home/u/none.env", decided_by_others=others) == [
        "programs.web.env_file: /home/u/none.env: no such file or directory"
    ]
    assert warnings("env: {A: {file: /home/u/none}}", decided_by_others=others) == [
        "programs.web.env.A: /home/u/none: no such file or directory"
    ]


def test_at_the_start_of_a_daemon_a_wrong_file_is_its_programs_matter() -> None:
    assert warnings("env_file: none.env", lenient_users=True) == [
        "programs.web.env_file: /etc/tm/none.env: no such file or directory"
    ]


def test_what_may_be_missing_or_cannot_be_read_is_no_error() -> None:
    def read(path: str) -> File:
        if path == FILE:
            raise OSError(errno.EACCES, os.strerror(errno.EACCES))
        raise OSError(errno.EINVAL, "it is not a regular file") if path.endswith("fifo") else FileNotFoundError

    assert warnings("env_file: '?none.env'") == []
    files = host({}, read_variables=read)
    checked = [EnvFiles(files).look(path) for path in (FILE, "/fifo")]
    assert [(each.problem, each.unknown) for each in checked] == [
        (f"{FILE} cannot be checked: permission denied", True),
        ("/fifo cannot be checked: it is not a regular file", True),
    ]


@pytest.mark.parametrize(
    ("text", "files", "said"),
    [
        ("env_file: web.env", {FILE: of_mode("DB_PASSWORD=x\nA=b\n", 0o644)}, f"env_file: everybody can read {FILE}, which has DB_PASSWORD; "),
        ("env_file: web.env", {FILE: of_mode("DB_PASSWORD=x\n", 0o640)}, ""),
        ("env_file: web.env", {FILE: of_mode("DB_PASSWORD_FILE=x\nKEYBOARD=de\nPUBLIC_KEY=y\n", 0o644)}, ""),
        ("env_file: web.env", {FILE: of_mode("A_TOKEN=\nB_KEY=\nC_SECRET=\nD_PASSWD=\nE=", 0o604)}, "env_file: everybody can read"),
        ("env_file: web.env", {FILE: "TASKMASTER_MARK=x"}, f"env_file: {FILE}: TASKMASTER_MARK is set by taskmasterd itself"),
        ("env: {API_KEY: {file: web.env}}", {FILE: of_mode("x", 0o644)}, f"env.API_KEY: everybody can read {FILE}; chmod o-r"),
        ("env: {API_KEY: {file: web.env}}", {FILE: of_mode("x", 0o600)}, ""),
        ("env: {A: {file: web.env}}", {FILE: of_mode("x", 0o644)}, ""),
        ("env: {PGPASSWORD: hunter2}", {}, "env.PGPASSWORD: looks like a secret that stands in the configuration"),
        ("env: {API_KEY: '${HOME}', TOKEN: '', SECRET: null}", {}, ""),
    ],
)  # fmt: skip
def test_secrets_that_others_can_read_are_doubtful(text: str, files: dict[str, str | File], said: str) -> None:
    found = warnings(text, files)
    assert [line.removeprefix("programs.web.")[: len(said)] for line in found] == ([said] if said else [])


@pytest.mark.parametrize(("mode", "uid", "gid"), [(0o600, 0, 0), (0o040, 33, 33), (0o604, 7, 33)])
def test_a_file_that_the_daemons_user_may_not_read_is_doubtful(mode: int, uid: int, gid: int) -> None:
    text = "taskmasterd: {user: www}\nprograms: {web: {cmd: x, env_file: web.env}}"
    found = load(text, {FILE: File(b"A=b", mode, uid, gid)}).warnings
    assert any(f"www, as whom taskmasterd runs, cannot read {FILE}" in line for line in found)
    for well in (File(b"A=b", 0o400, 33, 0), File(b"A=b", 0o040, 0, 33), File(b"A=b", 0o004, 0, 0)):
        assert not any("cannot read" in line for line in load(text, {FILE: well}).warnings)


def test_a_daemon_that_becomes_another_user_does_not_read_by_the_rules_of_root() -> None:
    def refused(_path: str) -> File:
        raise OSError(REFUSED, "a link on its way was made by uid 33")

    files = host({FILE: "A=b"}, read_variables=refused)
    for user in (None, ROOT):
        assert EnvFiles(files, user).look(FILE).problem == f"{FILE}: a link on its way was made by uid 33"
    assert EnvFiles(files, WWW).look(FILE).names == ("A",)


def test_a_variable_of_an_env_file_is_none_of_the_configuration() -> None:
    files = {FILE: f"DB=db.internal\nPASSWORD={SECRET}"}
    text = "programs: {web: {cmd: 'run ${DB}', env_file: ['?no.env', web.env]}}"
    (found,) = problems(text, files)
    assert "the variable DB is not set: web.env sets it, but only for the program itself; give a default" in found
    (found,) = problems(text.replace("${DB}", "${OTHER}"), files)
    assert "the variable OTHER is not set; give a default" in found
    assert len(problems("programs: {web: {cmd: x, env_file: '${DB}'}}", files)) == 1


def test_start_timeout_has_an_effect_where_files_are_read() -> None:
    files = {FILE: "A=b"}
    assert warnings("start_timeout: 5, env_file: web.env", files) == []
    assert warnings("start_timeout: 5, env: {A: {file: web.env}}", files) == []
    assert warnings("start_timeout: 5, env: {A: b}") == [
        "programs.web.start_timeout: has no effect without ready or post_start"
    ]
