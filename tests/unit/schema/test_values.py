"""Each key's value: what is accepted, what it means, and how a mistake reads with its line and column."""

from __future__ import annotations

import pytest

from taskmaster_common.config import DEFAULT_LOG, INSTANCE, ProgramConfig
from taskmaster_common.config.keys import DAEMON, EXTRA, PROGRAM
from taskmaster_common.schema.values.kinds import DECODERS
from tests.support.host import load, problems, program, program_problems


def test_every_kind_of_a_key_has_a_decoder_and_every_decoder_a_key() -> None:
    merged = {"environment": "variable or file"}  # decoded name by name, as those of alert rules are
    assert {merged.get(key.kind, key.kind) for key in (*PROGRAM, *EXTRA, *DAEMON)} == set(DECODERS) - {"variable"}


def test_a_program_with_cmd_alone_has_the_defaults() -> None:
    assert program("") == ProgramConfig(name="web", cmd=("run",), workingdir="/etc/tm")


# -- the traps of YAML 1.1, row by row


@pytest.mark.parametrize("written", ["022", "22", "0o22", '"022"', "'22'"])
def test_a_umask_is_read_as_octal_however_written(written: str) -> None:
    assert program(f"umask: {written}").umask == 0o022


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("no", "never"),
        ("true", "always"),
        ("yes", "always"),
        ("on", "always"),
        ("off", "never"),
        ("False", "never"),
        ('"no"', "never"),
        ("always", "always"),
        ("never", "never"),
        ("unexpected", "unexpected"),
    ],
)
def test_autorestart_takes_its_words_and_booleans(written: str, value: str) -> None:
    assert program(f"autorestart: {written}").policy.autorestart == value


@pytest.mark.parametrize(
    ("written", "value"),
    [("on", True), ("yes", True), ('"yes"', True), ("True", True), ("off", False), ("NO", False), ("false", False)],
)
def test_a_boolean_takes_six_words(written: str, value: bool) -> None:
    assert program(f"autostart: {written}").autostart is value


@pytest.mark.parametrize(
    ("written", "value"),
    [("on", True), ("TRUE", True), ("no", False), ('"false"', False), ("leader", "leader"), ('"leader"', "leader")],
)
def test_stopasgroup_takes_booleans_and_the_word_leader(written: str, value: bool | str) -> None:
    assert program(f"stopasgroup: {written}").stopasgroup == value
    assert type(program(f"stopasgroup: {written}").stopasgroup) is type(value)


def test_env_keeps_texts_and_names_as_written() -> None:
    env = program("env: {PORT: 010, V: 1.10, T: 22:30, D: 2026-01-02, NO: yes, X: 1_000, Q: 'null', S: '', 1: 2}").env
    assert env == {
        "PORT": "010",
        "V": "1.10",
        "T": "22:30",
        "D": "2026-01-02",
        "NO": "yes",
        "X": "1_000",
        "Q": "null",
        "S": "",
        "1": "2",
    }


def test_null_in_env_removes_a_variable() -> None:
    assert program("env: {A: null, B: ~}").env == {"A": None, "B": None}


def test_names_that_yaml_takes_for_values_are_names() -> None:
    config = load("programs: {1: {cmd: a}, yes: {cmd: b}, 1.0: {cmd: c}, null: {cmd: d}}").config
    assert [entry.name for entry in config.programs] == ["1", "yes", "1.0", "null"]


@pytest.mark.parametrize(
    ("written", "codes"),
    [("0", (0,)), ("[0, 2]", (0, 2)), ("[2, 0, 2]", (0, 2)), ("[]", ()), ("\n- 255\n- 1", (1, 255))],
)
def test_exit_codes_are_one_or_a_list(written: str, codes: tuple[int, ...]) -> None:
    assert program(f"exitcodes: {written}").policy.exitcodes == codes


@pytest.mark.parametrize("written", ["~", "null", '"null"'])
def test_null_discards_a_stream(written: str) -> None:
    assert program(f"stdout: {written}").output.stdout == "null"


# -- the other values


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ("sleep 1", ("sleep", "1")),
        ("sh -c \"a  b\" 'c'd", ("sh", "-c", "a  b", "cd")),
        ("${HOME}$ a$", ("/root$", "a$")),
        ("[sh, -c, 010, 'a b', '']", ("sh", "-c", "010", "a b", "")),
        ("a\\ b c", ("a b", "c")),
        ("echo ${HOME}/x $HOME $5 $$ $${X} '${HOME}'", ("echo", "/root/x", "$HOME", "$5", "$$", "${X}", "/root")),
        ('echo ${UNSET:-d} ${EMPTY:-e} "${UNSET:-a b}" x${EMPTY}y', ("echo", "d", "e", "a b", "xy")),
        ("echo ${TASKMASTER_PROGRAM}:${TASKMASTER_INSTANCE} ${CONFIG_DIR}", ("echo", f"web:{INSTANCE}", "/etc/tm")),
        ("echo hi # note", ("echo", "hi")),
        (">-\n  folded\n  words", ("folded", "words")),
    ],
)
def test_a_command_is_split_first_and_expanded_then(written: str, words: tuple[str, ...]) -> None:
    found = load(f"programs:\n  web:\n    cmd: {written.replace(chr(10), chr(10) + '    ')}").config.program("web")
    assert found is not None
    assert found.cmd == words


def test_a_command_for_the_shell_is_left_as_it_is() -> None:
    found = load("programs: {web: {shell: true, cmd: 'echo ${X:-y} \"$HOME\" && ls'}}").config.program("web")
    assert found is not None
    assert found.cmd == ('echo ${X:-y} "$HOME" && ls',)


@pytest.mark.parametrize(
    ("written", "path"),
    [
        ("/var/log/a.log", "/var/log/a.log"),
        ("logs/a.log", "/etc/tm/logs/a.log"),
        ("./a//b/./c", "/etc/tm/a/b/c"),
        ("../a", "/etc/tm/../a"),
        ("./null", "/etc/tm/null"),
        ("a-${TASKMASTER_INSTANCE}.log", f"/etc/tm/a-{INSTANCE}.log"),
        ("inherit", "inherit"),
        ("/dev/stdout", "/dev/stdout"),
    ],
)
def test_a_stream_is_a_path_or_a_word(written: str, path: str) -> None:
    assert program(f"stdout: {written}").output.stdout == path


def test_stderr_may_follow_stdout() -> None:
    assert program("stderr: stdout").output.stderr == "stdout"


def test_times_sizes_signals_and_numbers_are_decoded() -> None:
    config = program(
        "stoptime: 1m30s\nstarttime: 0.5\nrestart_delay: 500ms\nlog_maxbytes: 1GiB\nstopsignal: SIGUSR1\n"
        "numprocs: 10000\nstartretries: 0\nlog_backups: 3\ndescription: |\n  two\n  lines"
    )
    assert (config.policy.stoptime, config.policy.starttime, config.policy.restart_delay) == (90, 0.5, 0.5)
    assert (config.output.log_maxbytes, config.stopsignal, config.numprocs) == (2**30, 10, 10_000)
    assert (config.policy.startretries, config.output.log_backups, config.description) == (0, 3, "two lines")


def test_a_variable_may_bring_a_number_even_in_quotes() -> None:
    assert program('numprocs: "${N}"\nuser: ${U:-www}', environment={"N": "3"}).numprocs == 3


def test_a_user_is_kept_as_written() -> None:
    config = program("user: 33\ngroup: www")
    assert (config.run_as.user, config.run_as.group) == ("33", "www")


def test_the_daemons_section_is_decoded() -> None:
    daemon = load(
        "taskmasterd: {socket: run/tm.sock, socket_mode: 660, socket_group: www, pidfile: /run/x.pid, logfile: d.log,"
        " loglevel: debug, log_dir: '${HOME}/log', state_dir: state, user: www, umask: 077, shutdown_timeout: 2m}\n"
        "programs: {}"
    ).config.daemon
    assert daemon.to_data() == {
        "socket": "/etc/tm/run/tm.sock",
        "socket_mode": 0o660,
        "socket_group": "www",
        "pidfile": "/run/x.pid",
        "logfile": "/etc/tm/d.log",
        "loglevel": "debug",
        "log_dir": "/root/log",
        "state_dir": "/etc/tm/state",
        "user": "www",
        "umask": 0o077,
        "shutdown_timeout": 120.0,
    }


# -- mistakes


@pytest.mark.parametrize(
    ("written", "problem"),
    [
        ("umask: 08", "4:12: error: programs.web.umask: 8 is not an octal digit; write a number such as 022"),
        ("umask: -1", "4:12: error: programs.web.umask: - is not an octal digit; write a number such as 022"),
        ("umask: 01777", '4:12: error: programs.web.umask: "01777" is more than 0777'),
        (
            "autorestart: sometimes",
            '4:18: error: programs.web.autorestart: "sometimes" is not one of always, never, unexpected',
        ),
        (
            "stopasgroup: leaders",
            '4:18: error: programs.web.stopasgroup: "leaders" is not one of true, false, leader; did you mean leader?',
        ),
        (
            "autorestart: unexpekted",
            (
                '4:18: error: programs.web.autorestart: "unexpekted" is not one of always, never, unexpected; '
                "did you mean unexpected?"
            ),
        ),
        ("autostart: y", '4:16: error: programs.web.autostart: "y" is not one of true, yes, on, false, no, off'),
        ("autostart: 1", '4:16: error: programs.web.autostart: "1" is not one of true, yes, on, false, no, off'),
        (
            "env:\n  N: null\n  E:",
            '6:9: error: programs.web.env.E: has no value; write "" for an empty one, or null to remove the variable',
        ),
        ("env: [A=b]", "4:10: error: programs.web.env: expected a mapping of names to texts, not a list"),
        ("env: {A: [b]}", "4:14: error: programs.web.env.A: expected a value, not a list"),
        ("env: {'A=B': c}", '4:11: error: programs.web.env: "A=B" cannot be the name of a variable'),
        (
            "env: {TASKMASTER_SOCKET: x}",
            "4:11: error: programs.web.env: TASKMASTER_SOCKET is set by taskmasterd itself",
        ),
        (
            "env: {TASKMASTER_ROLE: probe}",
            "4:11: error: programs.web.env: TASKMASTER_ROLE is set by taskmasterd itself",
        ),
        ("exitcodes: 0,2", '4:16: error: programs.web.exitcodes: "0,2" is not one code; write a list: [0, 2]'),
        ("exitcodes: 0 2", '4:16: error: programs.web.exitcodes: "0 2" is not one code; write a list: [0, 2]'),
        ("exitcodes: [0, 256]", '4:20: error: programs.web.exitcodes: "256" is not between 0 and 255'),
        ("exitcodes: [0, [1]]", "4:20: error: programs.web.exitcodes: expected a value, not a list"),
        ("exitcodes: -1", '4:16: error: programs.web.exitcodes: "-1" is not between 0 and 255'),
        ("numprocs: '3'", '4:15: error: programs.web.numprocs: "3" is text; write the number without quotes'),
        ("numprocs: 3.0", '4:15: error: programs.web.numprocs: "3.0" is not a whole number'),
        ("numprocs: 1e3", '4:15: error: programs.web.numprocs: "1e3" is not a whole number'),
        ("numprocs: 010", '4:15: error: programs.web.numprocs: "010" begins with 0; write the number without it'),
        ("numprocs: 1_000", '4:15: error: programs.web.numprocs: "1_000" is not a whole number'),
        ("numprocs: 0", '4:15: error: programs.web.numprocs: "0" is not between 1 and 10000'),
        ("numprocs: 10001", '4:15: error: programs.web.numprocs: "10001" is not between 1 and 10000'),
        ("startretries: 1000001", '4:19: error: programs.web.startretries: "1000001" is not between 0 and 1000000'),
        ("starttime: 1:30", '4:16: error: programs.web.starttime: "1:30" is not a duration; write 1m30s, not 1:30'),
        (
            "stoptime: .inf",
            '4:15: error: programs.web.stoptime: ".inf" is not a duration such as 5, 0.5, 500ms or 1m30s',
        ),
        ("stoptime: -1", '4:15: error: programs.web.stoptime: "-1" is negative'),
        ("stoptime: 11y", '4:15: error: programs.web.stoptime: "11y" is not a duration such as 5, 0.5, 500ms or 1m30s'),
        ("stopsignal: TREM", '4:17: error: programs.web.stopsignal: there is no signal "TREM"; did you mean TERM?'),
        ("stopsignal: 99", "4:17: error: programs.web.stopsignal: there is no signal 99"),
        (
            "log_maxbytes: 50M",
            '4:19: error: programs.web.log_maxbytes: "50M" could mean two sizes; write 50MB or 50MiB',
        ),
        (
            "stdout:",
            "4:12: error: programs.web.stdout: has no value; write null to discard the output, or remove the line",
        ),
        (
            "stdout: stderr",
            '4:13: error: programs.web.stdout: "stderr" cannot be used here; "stderr: stdout" sends both to one place',
        ),
        ("stdout: [a]", "4:13: error: programs.web.stdout: expected a value, not a list; write stdout: a"),
        ("workingdir: ''", "4:17: error: programs.web.workingdir: a path has at least one character"),
        ("workingdir: null", "4:17: error: programs.web.workingdir: has no value; write one, or remove the line"),
        ("user: nobody9", '4:11: error: programs.web.user: there is no user "nobody9"'),
        ("group: nogroup9", '4:12: error: programs.web.group: there is no group "nogroup9"'),
        (
            "user: u${TASKMASTER_INSTANCE}",
            (
                "4:11: error: programs.web.user: ${TASKMASTER_INSTANCE} cannot be used here: "
                "the value is the same for all instances"
            ),
        ),
        (
            f"description: {'word ' * 100}more",
            "4:18: error: programs.web.description: has 504 characters; at most 500 are allowed",
        ),
        (
            "description: ${NOPE}",
            (
                "4:18: error: programs.web.description: the variable NOPE is not set; "
                "give a default with ${NOPE:-...}, or write $${NOPE} for the text itself"
            ),
        ),
        (
            "description: ${A-b}",
            (
                '4:18: error: programs.web.description: "${A-b}" is not a variable; '
                "write ${NAME} or ${NAME:-default}, or $${ for a literal ${"
            ),
        ),
        (
            "description: a${HOME",
            (
                '4:18: error: programs.web.description: "${HOME" has no closing brace; '
                "quote the word where a default holds a blank, or write $${ for a literal ${"
            ),
        ),
        (
            "description: ${A:-${HOME}}",
            '4:18: error: programs.web.description: the default in "${A:-${HOME" holds another variable',
        ),
        ("startretires: 3", "4:5: error: programs.web.startretires: unknown key; did you mean startretries?"),
        ("command: x", "4:5: error: programs.web.command: unknown key; command is called cmd here"),
        ("stopwaitsecs: 1", "4:5: error: programs.web.stopwaitsecs: unknown key; stopwaitsecs is called stoptime here"),
        (
            "redirect_stderr: true",
            "4:5: error: programs.web.redirect_stderr: unknown key; redirect_stderr is written stderr: stdout here",
        ),
        ('description: "a\\0b"', "4:18: error: programs.web.description: a NUL character cannot be part of a value"),
        (
            "description: !!str x",
            (
                '4:18: error: programs.web.description: the tag "tag:yaml.org,2002:str": '
                "tags are not used here; quote the value where ! begins a text"
            ),
        ),
    ],
)
def test_a_mistake_is_told_with_line_and_column(written: str, problem: str) -> None:
    assert program_problems(written) == [problem]


@pytest.mark.parametrize(
    ("written", "problem"),
    [
        (
            "echo a: b",
            "3:16: error: not YAML: mapping values are not allowed",
        ),
        ("*x", "3:10: error: programs.web.cmd: there is no anchor &x before this alias; quote the value: cmd: '…'"),
        ("echo a: b", "; quote the value: cmd: '…'"),
        ("%d", "; quote the value: cmd: '…'"),
        ("@x", "; quote the value: cmd: '…'"),
        ("`date`", "; quote the value: cmd: '…'"),
        ('"a" b', "; quote the whole value: cmd: '…'"),
        ('"echo \\ud800"', "in double quotes a backslash begins an escape: use single quotes"),
        ('"echo \\q"', "in double quotes a backslash begins an escape: use single quotes"),
        ("{a", "; quote the value: cmd: '…'"),
        ("*.log", "; quote the value: cmd: '…'"),
        ("", "3:9: error: programs.web.cmd: has no value; write a command"),
        ("~", "3:10: error: programs.web.cmd: has no value; write a command"),
        ("' '", "3:10: error: programs.web.cmd: has no value; write a command"),
        ("[]", "3:10: error: programs.web.cmd: the command has no first word"),
        ("'\"\" a'", "3:10: error: programs.web.cmd: the command has no first word"),
        ("[a, null]", "3:14: error: programs.web.cmd: has no value; write one, or remove the line"),
        ("{a: b}", "3:10: error: programs.web.cmd: expected a value, not a mapping"),
        (
            'echo "hi # note"',
            (
                '3:10: error: programs.web.cmd: "echo "hi" cannot be split into words: no closing quotation; '
                "in YAML a # after a blank begins a comment: quote the whole value"
            ),
        ),
        ("'a \"b'", '3:10: error: programs.web.cmd: "a "b" cannot be split into words: no closing quotation'),
        ("echo ${A:-b c}", '"${A:-b" has no closing brace; quote the word where a default holds a blank'),
    ],
)
def test_a_command_that_cannot_be_read_says_how_to_write_it(written: str, problem: str) -> None:
    (found,) = problems(f"programs:\n  web:\n    cmd: {written}\n")
    assert problem in found


def test_a_tab_in_the_indentation_is_named() -> None:
    assert "indent with spaces" in problems("programs:\n  web:\n\tcmd: x\n")[0]


def test_a_list_is_no_command_for_the_shell() -> None:
    assert problems("programs: {web: {shell: yes, cmd: [a, b]}}") == [
        "taskmaster.yaml:1:35: error: programs.web.cmd: with shell: true the command is one text, not a list"
    ]


def test_a_socket_path_that_is_too_long_says_its_length() -> None:
    assert problems(f"taskmasterd: {{socket: /{'x' * 120}}}\nprograms: {{}}") == [
        (
            f'taskmaster.yaml:1:23: error: taskmasterd.socket: "/{"x" * 59}..." has 121 bytes; '
            "the path of a socket has at most 107"
        )
    ]


def test_a_streams_default_is_no_word_of_the_file() -> None:
    assert program("stdout: default").output.stdout == "/etc/tm/default"
    assert program("").output.stdout == DEFAULT_LOG


def test_every_wrong_element_of_a_list_is_told_where_it_stands() -> None:
    assert [line.partition(": error: ")[0] for line in program_problems("exitcodes: [0, -1, 256, '2', [3]]")] == [
        "4:20", "4:24", "4:29", "4:34"
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("programs:\n  a\n    cmd: sleep 1\n", '; there is no colon after "a" on line 2'),
        ("programs\n  a: {cmd: x}\n", '; there is no colon after "programs" on line 1'),
        ("programs:\n  a:\n    cmd: x\n\n   numprocs: 2\n", "; it is indented by 3, line 3 by 4"),
        ("programs:\n  a:\n    cmd: x\n      numprocs: 2\n", "; it is indented by 6, line 3 by 4"),
    ],
)
def test_a_line_that_is_fine_by_itself_is_not_to_be_quoted(text: str, hint: str) -> None:
    (found,) = problems(text)
    assert found.endswith(hint)
