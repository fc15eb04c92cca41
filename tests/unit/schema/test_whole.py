"""Files, sections, layers: what a whole configuration may look like, and how its mistakes read."""

from __future__ import annotations

import pytest

from taskmaster_common.config import DaemonConfig
from taskmaster_common.errors import ConfigError
from taskmaster_common.schema import File, daemon_section, decode
from tests.support.host import MAIN, host, load, problems

CMD = "cmd: run"


def names(text: str, others: dict[str, str | bytes | File] | None = None) -> list[str]:
    return [program.name for program in load(text, others).config.programs]


# -- how problems read


def test_all_problems_are_told_at_once_with_their_source_lines() -> None:
    text = "programs:\n  web:\n    cmd: run\n    autorestart: sometimes\n    startretires: 3\n"
    with pytest.raises(ConfigError) as error:
        load(text)
    assert error.value.problems == (
        (
            f'{MAIN}:4:18: error: programs.web.autorestart: "sometimes" is not one of always, never, unexpected\n'
            "    4 |     autorestart: sometimes"
        ),
        (
            f"{MAIN}:5:5: error: programs.web.startretires: unknown key; did you mean startretries?\n"
            "    5 |     startretires: 3"
        ),
    )


def test_a_relative_path_is_shown_as_it_was_given() -> None:
    surroundings = host({"conf/t.yaml": "programs: {web: {cmd: run, numprocs: 0}}"}, cwd="/home/me")
    with pytest.raises(ConfigError) as error:
        decode("conf/t.yaml", surroundings)
    assert error.value.problems[0].startswith("conf/t.yaml:1:38: error: programs.web.numprocs: ")


def test_a_relative_path_is_absolute_in_the_configuration() -> None:
    config = decode("conf/t.yaml", host({"conf/t.yaml": "programs: {web: {cmd: run}}"}, cwd="/home/me")).config
    assert config.path == "/home/me/conf/t.yaml"
    assert config.files == (("/home/me/conf/t.yaml", 7, 27),)
    assert config.programs[0].workingdir == "/home/me/conf"


def test_what_a_terminal_could_obey_is_made_visible() -> None:
    with pytest.raises(ConfigError) as error:
        load('programs: {web: {cmd: run, stopsignal: "\\e[31m\u202e"}}')
    assert "\x1b" not in str(error.value)
    assert "\u202e" not in str(error.value)
    assert "\\x1b[31m\\u202e" in str(error.value)


def test_a_duplicate_key_shows_both_lines() -> None:
    with pytest.raises(ConfigError) as error:
        load("programs:\n  web:\n    cmd: one\n    cmd: two\n")
    assert error.value.problems == (
        (
            f"{MAIN}:4:5: error: programs.web.cmd: written twice; the first is on line 3\n"
            "    3 |     cmd: one\n    4 |     cmd: two"
        ),
    )


def test_a_duplicate_program_is_a_duplicate_key_even_in_other_quotes() -> None:
    assert problems(f"programs:\n  web: {{{CMD}}}\n  'web': {{{CMD}}}\n") == [
        "taskmaster.yaml:3:3: error: programs.web: written twice; the first is on line 2"
    ]


def test_a_mistake_in_defaults_is_told_once_for_all_programs() -> None:
    text = f"defaults: {{umask: 9}}\nprograms: {{a: {{{CMD}}}, b: {{{CMD}}}, c: {{{CMD}}}}}"
    assert problems(text) == [
        "taskmaster.yaml:1:19: error: defaults.umask: 9 is not an octal digit; write a number such as 022"
    ]


def test_a_mistake_in_defaults_is_told_even_where_no_program_uses_it() -> None:
    text = f"defaults: {{umask: 9, nope: 1}}\nprograms: {{a: {{{CMD}, umask: 022}}}}"
    assert len(problems(text)) == 2


def test_a_thousand_problems_are_enough() -> None:
    found = problems("programs:\n" + "".join(f"  p{number}: {{cmd: a, x: 1}}\n" for number in range(3000)))
    assert len(found) == 1001
    assert found[-1] == "taskmaster.yaml: error: too many problems; the rest is not listed"


# -- sections


@pytest.mark.parametrize("text", ["", "# nothing\n", "---\n", "~", "null"])
def test_an_empty_file_never_means_stop_everything(text: str) -> None:
    (found,) = problems(text)
    assert found.startswith("taskmaster.yaml: error: the file is empty: no program at all")


@pytest.mark.parametrize(
    ("text", "where"), [("programs:", "1:1"), ("taskmasterd: {}", "1:1"), ("x-a: 1\nprograms: ~", "2:1"), ("{}", "1:1")]
)
def test_no_program_at_all_is_an_error(text: str, where: str) -> None:
    assert problems(text) == [
        f"taskmaster.yaml:{where}: error: no program at all; write `programs: {{}}` if that is what is meant"
    ]


def test_an_include_that_brings_nothing_never_means_stop_everything() -> None:
    assert "no program at all" in problems("include: [c/*.yaml]\nprograms:")[0]
    assert "no program at all" in problems("include: [c.yaml]\n", {"/etc/tm/c.yaml": "programs: {}"})[0]


def test_no_program_may_be_said_on_purpose() -> None:
    assert load("programs: {}").config.programs == ()


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[a]", "1:1: error: expected a mapping with programs:, not a list"),
        ("just text", "1:1: error: expected a mapping with programs:, not a value"),
        ("programs: [web]", "1:11: error: programs: expected a mapping of names to programs, not a list"),
        ("programs: {web: sleep 5}", "1:17: error: programs.web: expected a mapping with cmd:, not a value"),
        ("programs: {web: }", "1:12: error: programs.web: cmd is missing: the command line to run"),
        ("programs: {web: {}}", "1:12: error: programs.web: cmd is missing: the command line to run"),
        (
            "programs: {all: {cmd: x}}",
            '1:12: error: programs: "all" cannot be a name: it means every program',
        ),
        ("programs: {? [a] : {cmd: x}}", "1:14: error: programs: a key is a word, not a list"),
        ("program: {}\nprograms: {}", "1:1: error: program: unknown key; the section is called programs here"),
        ("programms: {}\nprograms: {}", "1:1: error: programms: unknown key; did you mean programs?"),
        ("defaults: [a]\nprograms: {}", "1:11: error: defaults: expected a mapping of program keys, not a list"),
        (
            "taskmasterd: yes\nprograms: {}",
            "1:14: error: taskmasterd: expected a mapping such as {loglevel: debug}, not a value",
        ),
        ("taskmasterd: {sockt: x}\nprograms: {}", "1:15: error: taskmasterd.sockt: unknown key; did you mean socket?"),
        (
            "taskmasterd: {loglevel: trace}\nprograms: {}",
            '1:25: error: taskmasterd.loglevel: "trace" is not one of debug, info, warning, error',
        ),
        ("taskmasterd: {user: nobody9}\nprograms: {}", '1:21: error: taskmasterd.user: there is no user "nobody9"'),
        (
            "taskmasterd: {socket_group: nobody9}\nprograms: {}",
            '1:29: error: taskmasterd.socket_group: there is no group "nobody9"',
        ),
        (
            "programs: {}\n---\na: 1",
            "2:1: error: a second document; a configuration file is one: remove the ---, or put the rest into a file of include:",
        ),
        (
            "include: {a: b}\nprograms: {}",
            "1:10: error: include: expected a list of paths or patterns such as [conf.d/*.yaml]",
        ),
        (
            "include: [c.yaml]\nprograms: {}",
            "1:11: error: include: cannot read /etc/tm/c.yaml: no such file or directory",
        ),
    ],
)
def test_a_wrong_shape_is_told_with_line_and_column(text: str, problem: str) -> None:
    assert problems(text) == [f"taskmaster.yaml:{problem}".replace("/etc/tm/", "")]


def test_extensions_are_ignored_and_may_hold_anchors() -> None:
    config = load(
        "x-base: &base {umask: 077, numprocs: 2}\nx-y: [1]\nprograms: {web: {<<: *base, cmd: run, numprocs: 3}}"
    ).config
    assert (config.programs[0].umask, config.programs[0].numprocs) == (0o077, 3)


def test_the_earlier_of_several_merged_mappings_wins() -> None:
    text = "x-a: &a {umask: 077}\nx-b: &b {umask: 022, numprocs: 2}\nprograms: {web: {<<: [*a, *b], cmd: run}}"
    program = load(text).config.programs[0]
    assert (program.umask, program.numprocs) == (0o077, 2)


@pytest.mark.parametrize("merge", ["<<: text", "<<: [a]", "<<: [*a, {b: [c]}, d]"])
def test_only_mappings_can_be_merged(merge: str) -> None:
    assert any("<< takes a mapping or a list of mappings" in line for line in problems(f"x: &a {{}}\ny: {{{merge}}}"))


def test_sections_may_be_empty() -> None:
    assert names(f"taskmasterd:\ndefaults:\ninclude:\nprograms: {{web: {{{CMD}, env: }}}}") == ["web"]


# -- files


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"programs:\n  w\xe9b: 1\n", "taskmaster.yaml:2:4: error: not UTF-8 text: it holds the byte 0xe9"),
        (b"\x7fELF\x02\x01\x00", "taskmaster.yaml:1:1: error: not a text file: it holds the character U+007F"),
        (b"programs: {}\n\0", "taskmaster.yaml:2:1: error: not a text file: it holds the character U+0000"),
        ("programs: {}".encode("utf-16"), "taskmaster.yaml:1:1: error: not UTF-8 text: it holds the byte 0xff"),
    ],
)
def test_a_file_that_is_no_text_is_refused(content: bytes, problem: str) -> None:
    assert problems(content) == [problem]


def test_a_byte_order_mark_and_dos_lines_are_no_obstacle() -> None:
    assert names("\ufeffprograms:\r\n  web:\r\n    cmd: run\r\n") == ["web"]


def test_a_file_that_cannot_be_read_is_told_with_the_reason() -> None:
    with pytest.raises(ConfigError) as error:
        decode("/nowhere.yaml", host({}))
    assert error.value.problems == ("/nowhere.yaml: error: cannot read it: no such file or directory",)


def test_included_programs_follow_the_main_files_in_sorted_order() -> None:
    others: dict[str, str | bytes | File] = {
        "/etc/tm/c/b.yaml": "programs: {b: {cmd: x}}",
        "/etc/tm/c/a.yaml": "programs: {a2: {cmd: x}, a1: {cmd: x}}",
        "/etc/tm/z.yaml": "programs: {z: {cmd: x}}",
    }
    text = "include: [c/*.yaml, z.yaml, c/a.yaml]\nprograms: {main: {cmd: x}}"
    assert names(text, others) == ["main", "a2", "a1", "b", "z"]
    assert [entry[0] for entry in load(text, others).config.files] == [
        MAIN,
        "/etc/tm/c/a.yaml",
        "/etc/tm/c/b.yaml",
        "/etc/tm/z.yaml",
    ]


def test_a_pattern_that_matches_the_main_file_does_not_read_it_again() -> None:
    assert names("include: ['*.yaml']\nprograms: {main: {cmd: x}}") == ["main"]


def test_an_include_may_be_one_path_with_a_variable_and_an_empty_file() -> None:
    assert names(f"include: ${{CONFIG_DIR}}/c.yaml\nprograms: {{web: {{{CMD}}}}}", {"/etc/tm/c.yaml": "# none"}) == [
        "web"
    ]


def test_an_included_file_may_not_include_nor_configure_the_daemon() -> None:
    others: dict[str, str | bytes | File] = {"/etc/tm/c.yaml": "include: [d]\ntaskmasterd: {}\nprograms: {a: {cmd: x}}"}
    assert problems("include: [c.yaml]", others) == [
        "c.yaml:1:1: error: include: only the main file may have this section",
        "c.yaml:2:1: error: taskmasterd: only the main file may have this section",
    ]


def test_a_program_in_two_files_shows_both_places() -> None:
    with pytest.raises(ConfigError) as error:
        load("include: [c.yaml]\nprograms:\n  web: {cmd: x}", {"/etc/tm/c.yaml": "\nprograms: {web: {cmd: y}}"})
    assert error.value.problems == (
        (
            f"/etc/tm/c.yaml:2:12: error: programs.web: a program of that name is in {MAIN}, line 3\n"
            f"{MAIN}:    3 |   web: {{cmd: x}}\n"
            "    2 | programs: {web: {cmd: y}}"
        ),
    )


def test_problems_of_all_files_are_told_in_the_order_of_the_files() -> None:
    others: dict[str, str | bytes | File] = {
        "/etc/tm/b.yaml": "programs: {b: {cmd: x, umask: 8}}",
        "/etc/tm/a.yaml": "a: b: c",
    }
    found = problems("include: [b.yaml, a.yaml]\nprograms: {m: {cmd: x, umask: 9}}", others)
    assert [line.split(":")[0] for line in found] == ["taskmaster.yaml", "b.yaml", "a.yaml"]


# -- layers


def test_the_program_is_stronger_than_its_files_defaults_and_those_than_the_main_files() -> None:
    others: dict[str, str | bytes | File] = {
        "/etc/tm/c.yaml": "defaults: {numprocs: 2, umask: 022}\nprograms: {inc: {cmd: x, umask: 077}, inc2: {cmd: x}}"
    }
    text = "include: [c.yaml]\ndefaults: {numprocs: 3, stoptime: 7}\nprograms: {main: {cmd: x}}"
    found = [
        (each.name, each.numprocs, each.policy.stoptime, each.umask) for each in load(text, others).config.programs
    ]
    assert found == [("main", 3, 7, None), ("inc", 2, 7, 0o077), ("inc2", 2, 7, 0o022)]


def test_env_is_merged_name_by_name() -> None:
    text = "defaults: {env: {A: 1, B: 1, N: 1}}\nprograms: {web: {cmd: x, env: {B: 2, C: 2, N: null}}}"
    assert load(text).config.programs[0].env == {"A": "1", "B": "2", "C": "2", "N": None}


def test_variables_in_defaults_mean_each_program() -> None:
    text = "defaults: {stdout: '/var/${TASKMASTER_PROGRAM}.log'}\nprograms: {a: {cmd: x}, b: {cmd: x}}"
    assert [each.output.stdout for each in load(text).config.programs] == ["/var/a.log", "/var/b.log"]


def test_shell_in_defaults_decides_how_cmd_is_read() -> None:
    assert load("defaults: {shell: true}\nprograms: {a: {cmd: 'x && y'}}").config.programs[0].cmd == ("x && y",)


def test_relative_paths_in_an_included_file_mean_the_main_files_directory() -> None:
    others: dict[str, str | bytes | File] = {"/etc/tm/conf.d/c.yaml": "programs: {web: {cmd: x, stdout: a.log}}"}
    program = load("include: [conf.d/c.yaml]", others).config.programs[0]
    assert (program.output.stdout, program.workingdir) == ("/etc/tm/a.log", "/etc/tm")


# -- the client's look at one section


def section(text: str | bytes) -> DaemonConfig:
    content = text.encode() if isinstance(text, str) else text
    return daemon_section("t.yaml", content, {"HOME": "/root"}, "/etc/tm")


@pytest.mark.parametrize(
    "rest",
    [
        "programs: [",
        "programs: {a: b: c}",
        "\tx",
        "programs:\n  a: *nope",
        "a: 'open",
        "programs: {a: {cmd: !x y}}",
        "@",
    ],
)
def test_a_mistake_further_down_locks_nobody_out(rest: str) -> None:
    assert section(f"taskmasterd:\n  socket: run/x.sock\n{rest}\n").socket == "/etc/tm/run/x.sock"


@pytest.mark.parametrize("before", ["programs: {a: b: c}", "programs:\n\ta: 'b'", "a: @b"])
def test_a_mistake_further_up_locks_nobody_out_either(before: str) -> None:
    assert section(f"{before}\ntaskmasterd:\n  # here\n\n  socket: ${{HOME}}/x\nprograms: {{}}\n").socket == "/root/x"


def test_bytes_that_are_no_text_lock_nobody_out() -> None:
    assert section(b"taskmasterd: {socket: /x}\nprograms: \xff\x00").socket == "/x"


def test_another_wrong_key_of_the_section_locks_nobody_out() -> None:
    found = section("taskmasterd: {socket: /x, loglevel: loud, sock: 1, umask: 9}")
    assert found == DaemonConfig(socket="/x")


def test_anchors_above_the_section_are_known() -> None:
    assert section("x-p: &p {socket: /x}\ntaskmasterd: {<<: *p}\n").socket == "/x"


@pytest.mark.parametrize("text", ["", "programs: {}", "- a", "a: b: c", "[", "taskmasterd:\n", "taskmasterd: {}"])
def test_a_file_that_names_nothing_means_the_defaults(text: str) -> None:
    assert section(text) == DaemonConfig()


@pytest.mark.parametrize(
    "text", [f"taskmasterd: {{socket: /{'x' * 200}}}", "taskmasterd: {socket: '${NOPE}'}", "taskmasterd: {socket: [a"]
)
def test_a_wrong_socket_is_told(text: str) -> None:
    with pytest.raises(ConfigError, match=r"t\.yaml:1:"):
        section(text)
