"""Words of other tools, and programs that stand where another tool would have them: one sentence each, in one round."""

from __future__ import annotations

import pytest

from taskmaster_common.config import DAEMON_KEYS, PROGRAM_KEYS
from taskmaster_common.errors import ConfigError
from taskmaster_common.schema.advice import foreign, sections
from tests.support.host import load, problems, program, program_problems


def whole(text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        load(text)
    return str(caught.value)


# -- the catalogue


@pytest.mark.parametrize("table", [foreign.PROGRAM_WORDS, foreign.DAEMON_WORDS, sections.SECTION_WORDS])
def test_every_word_of_the_catalogue_leads_to_a_key_that_exists_or_says_a_sentence(table: dict[str, str]) -> None:
    for word, meaning in table.items():
        assert word == foreign.squash(word)
        if meaning.startswith("="):
            assert meaning[1:] in (*PROGRAM_KEYS, *DAEMON_KEYS)
        else:
            assert len(meaning) > 20
            assert meaning[-1] != "."
    assert set(foreign.PROGRAM_WORDS).isdisjoint(map(foreign.squash, PROGRAM_KEYS))


@pytest.mark.parametrize(
    ("key", "sentence"),
    [
        ("requires: []", "requires is called depends_on here"),
        ("depends: []", "depends is called depends_on here"),
        ("ProtectSystem: full", "programs have the rights of their user here"),
        ("RuntimeDirectory: x", "pre_start: mkdir -p PATH"),
        ("RuntimeMaxSec: 1h", "recycle: {age: TIME}"),
        ("SyslogIdentifier: x", "stdout: {syslog: {tag: NAME}}"),
        ("Service: {ExecStart: x}", "`taskmasterctl import FILE` makes a program out of a unit"),
        ("network_mode: host", "containers are not run here"),
        ("secrets: [a]", "env: {NAME: {file: PATH}}"),
        ("timeout: 5", "start_timeout is the longest start, stoptime the longest stop"),
        ("memory: 1GB", "write limits: {memory: SIZE} here"),
        ("nofile: 5", "write rlimits: {nofile: VALUE} here"),
        ("needs: []", "needs is called depends_on here"),
        ("after: [a]", "depends_on: {NAME: {required: false}} here"),
        ("PartOf: a", "depends_on: {NAME: {restart: true}} here"),
        ("before: [a]", "depends_on of the other program"),
        ("EnvironmentFile: []", "EnvironmentFile is called env_file here"),
        ("WatchdogSec: 30", "health: {watchdog: SECONDS}"),
        ("memory_max: 1G", "write limits: {memory: SIZE} here"),
        ("crontab: '@daily'", "crontab is called schedule here"),
        ("stdin_open: true", "write stdin: pipe, and"),
        ("ulimits: {nofile: 1}", "ulimits is called rlimits here"),
        ("OOMScoreAdjust: 5", "OOMScoreAdjust is called oom_score_adj here"),
        ("priority: 5", "depends_on says what has to be up before a program starts"),
        ("startsecs: 5", "startsecs is called starttime here"),
        ("serverurl: AUTO", "TASKMASTER_SOCKET"),
        ("redirect_stderr: true", "stderr: stdout"),
        ("stdout_events_enabled: true", "there are no event listeners here"),
        ("LimitNOFILE: 5", "write rlimits: {nofile: VALUE} here"),
        ("ExecStartPre: x", "ExecStartPre is called pre_start here"),
        ("nb_restart: 3", "nb_restart is called startretries here"),
        ("autorestarttries: 2", "autorestarttries is called startretries here"),
        ("autostarttime: 2", "autostarttime is called starttime here"),
        ("start_time: 2", "did you mean starttime?"),
        ("num-procs: 2", "did you mean numprocs?"),
    ],
)
def test_a_key_of_another_tool_gets_its_sentence(key: str, sentence: str) -> None:
    (found,) = program_problems(key)
    assert "unknown key; " in found
    assert sentence in found


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("taskmasterd: {minfds: 5}", "taskmasterd.minfds: unknown key; the daemon takes all open files"),
        ("taskmasterd: {childlogdir: /x}", "childlogdir is called log_dir here"),
        ("supervisord: {}", "supervisord: unknown key; the section is called taskmasterd here"),
        ("inet_http_server: {port: 9001}", "there is no network listener; use ssh"),
        ("version: '3'", "there is no version: key here"),
        ("taskmasterd: {socket: 'unix:///run/x'}", "is not a path; write the path alone: /run/x"),
        ("taskmasterd: {socket: '127.0.0.1:9001'}", "there is no network listener; use ssh"),
    ],
)
def test_words_of_the_daemons_sections_get_a_sentence(text: str, sentence: str) -> None:
    (found,) = problems(f"{text}\nprograms: {{}}")
    assert sentence in found


def test_the_list_of_all_keys_is_said_once_and_is_short() -> None:
    text = whole("programs: {a: {cmd: x, frobnicate: 1, quux: 2}, b: {cmd: x, xyzzyx: 3}}")
    assert text.count("the keys are") == 1
    assert text.count("unknown key") == 3
    line = next(line for line in text.splitlines() if "the keys are" in line)
    assert len(line) < 330
    assert "taskmaster.yaml(5) has all of them" in line


# -- values


@pytest.mark.parametrize("word", ["NONE", "none", "AUTO", "kmsg", "journald", "false", "off", "journal+console", "-"])
@pytest.mark.parametrize("key", ["stdout", "stderr"])
def test_another_tools_word_for_a_target_makes_no_file(key: str, word: str) -> None:
    (found,) = program_problems(f"{key}: '{word}'")
    assert f'"{word}" is another tool\'s word; ' in found
    assert found.endswith(f"for a file of that name, write ./{word}")
    assert program(f"{key}: './{word}'").output.stdout.endswith(f"/{word}") or key == "stderr"


@pytest.mark.parametrize(
    ("value", "hint"),
    [
        ("stdout: append:/var/log/x", "write the path alone, without append:"),
        ("stderr: '2>&1'", "stderr: stdout sends both to one place"),
        ("autorestart: on-failure", "did you mean unexpected?"),
        ("autorestart: unless-stopped", "did you mean always?"),
        ("shell: /bin/bash", "shell is true or false; for another shell than /bin/sh write cmd: /bin/bash -c"),
    ],
)
def test_values_of_other_tools_are_known(value: str, hint: str) -> None:
    (found,) = program_problems(value)
    assert hint in found


def test_a_value_under_another_tools_key_is_checked_in_the_same_round() -> None:
    found = program_problems("startsecs: soon\nenvironment: A=b\nstdout_logfile: NONE")
    assert len(found) == 6
    assert any('web.startsecs: "soon" is not a duration' in each for each in found)
    assert any("web.env: expected a mapping" in each for each in found)
    assert any('web.stdout_logfile: "NONE" is another' in each for each in found)


def test_a_command_under_another_name_is_not_missing() -> None:
    assert problems("programs: {web: {command: x}}") == [
        "taskmaster.yaml:1:18: error: programs.web.command: unknown key; command is called cmd here"
    ]


# -- programs elsewhere


def test_programs_at_the_top_level_are_recognised_and_decoded_at_once() -> None:
    text = "web:\n  cmd: x\n  stoptime: soon\nworker:\n  command: y\n  numprocs: 2\n"
    first, *others = problems(text)
    assert first == 'taskmaster.yaml:1:1: error: web: "web", "worker" look like programs; they belong below programs:'
    assert [other.partition(": error: ")[2].partition(":")[0] for other in others] == ["web.stoptime", "worker.command"]
    assert "        programs:\n          web:\n            cmd: ..." in whole(text)


@pytest.mark.parametrize(
    "section",
    [
        *("process", "processes", "tasks", "apps", "services", "watcher", "job", "supervisor-processes", "program"),
        *("things", "my_stuff"),
    ],
)
def test_programs_under_another_sections_name_are_recognised_and_decoded_at_once(section: str) -> None:
    first, second = problems(f"{section}:\n  web:\n    cmd: x\n    stoptime: soon\n")
    assert first.endswith(f"error: {section}: unknown key; the section is called programs here")
    assert f'{section}.web.stoptime: "soon" is not a duration' in second


@pytest.mark.parametrize("section", ["programs", "processes", "apps", "things"])
@pytest.mark.parametrize(
    "items",
    ["[{name: web, cmd: x, stoptime: soon}]", "[{web: {cmd: x, stoptime: soon}}]", "[{process_name: web, cmd: x, stoptime: soon}]"],
)  # fmt: skip
def test_a_list_of_programs_is_recognised_and_decoded_at_once(section: str, items: str) -> None:
    first, second = problems(f"{section}: {items}")
    assert "a mapping of names to programs, not a list" in first
    assert '.web.stoptime: "soon" is not a duration' in second
    assert "        programs:\n          web:\n            cmd: ..." in whole(f"{section}: {items}")


def test_a_program_of_a_list_without_a_name_is_told_so() -> None:
    assert any("a program has a name" in each for each in problems("programs: [{cmd: x, numprocs: 2}]"))


def test_loose_keys_at_the_top_level_are_led_to_their_section() -> None:
    found = problems("cmd: x\nnumprocs: 2\nsocket: /x")
    assert found == [
        'taskmaster.yaml:1:1: error: cmd: "cmd", "numprocs" belong to a program, below programs: and its name',
        'taskmaster.yaml:3:1: error: socket: "socket" belongs to taskmasterd:',
    ]


def test_a_procfile_and_the_files_of_other_tools_are_recognised() -> None:
    (found,) = problems("web: bundle exec puma\nworker: sidekiq\n")
    assert "look like a Procfile" in found
    for text in ("[program:web]\ncommand=x\n", "; my file\n[supervisord]\nnodaemon=true\n", "[Unit]\nDescription=x\n"):
        (found,) = problems(text)
        assert "a configuration here is YAML: programs: {NAME: {cmd: ...}}" in found


def test_a_file_that_only_includes_is_no_procfile() -> None:
    (found,) = problems("include: my conf/*.yaml")
    assert "no program at all" in found


@pytest.mark.parametrize(
    "text",
    [
        "programs:\n  web:\n    cmd: x\n    env:\n    STARTED_BY: a\n    ANSWER: 42\n",
        "defaults:\n  env:\n  STARTED_BY: a\n  ANSWER: 42\nprograms: {}\n",
    ],
)
def test_variables_beside_an_empty_env_are_led_below_it(text: str) -> None:
    (found,) = problems(text)
    assert 'env: "STARTED_BY", "ANSWER" stand beside env: instead of below it; indent them' in found


def test_keys_beside_an_empty_program_are_led_below_it() -> None:
    (found,) = problems("programs:\n  web:\n  cmd: x\n  numprocs: 2\n")
    assert found.endswith(
        'programs: "cmd", "numprocs" stand beside "web" instead of below it; indent them by two more blanks'
    )


def test_keys_beside_each_other_are_led_below_a_name_and_their_own_name_is_no_key() -> None:
    (found,) = problems("name: web\ncmd: x\nnumprocs: 2")
    assert '"cmd", "numprocs" belong to a program' in found


def test_a_file_that_is_a_list_of_programs_is_shown_how_to_write_it_and_decoded_at_once() -> None:
    text = whole("- name: web\n  command: x\n- {cron: {cmd: y, killtime: 3}}")
    assert "expected a mapping with programs:, not a list" in text
    assert "        programs:\n          web:\n            cmd: ...\n" in text
    assert "error: web.command: unknown key; command is called cmd here" in text
    assert "error: cron.killtime: unknown key; did you mean stoptime?" in text
    assert text.count("error: ") == 3


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("taskmaster: {programs: %s}", "the section is called taskmasterd here; "),
        ("config: {jobs: %s}", ""),
        ("app: {version: 1, settings: {programs: %s}}", ""),
        ("group: {one: {programs: %s}}", "a group is written groups: {NAME: [PROGRAM, ...]} here; "),
    ],
)
def test_programs_in_a_section_of_a_section_are_found_and_decoded_at_once(text: str, said: str) -> None:
    first, second = problems(text % "{web: {cmd: x, startsecs: 1}}")
    assert said in first
    assert '"web" belongs below programs:' in first
    assert "web.startsecs: unknown key; startsecs is called starttime here" in second


def test_groups_of_programs_are_led_directly_below_programs() -> None:
    first, second = problems("programs: {all-web: {a: {cmd: x}, b: {cmd: y, startsecs: 1}}, c: {cmd: z}}")
    assert 'programs.all-web: "a", "b" belong directly below programs:; groups: lists them by name' in first
    assert "programs.all-web.b.startsecs: unknown key" in second


def test_beside_a_program_at_the_top_level_one_key_makes_another() -> None:
    found = problems("a: {cmd: x}\nb: {numprocs: 1}")
    assert '"a", "b" look like programs' in found[0]
    assert found[1:] == ["taskmaster.yaml:2:1: error: programs.b: cmd is missing: the command line to run"]


def test_another_tools_section_is_no_program_because_of_its_keys() -> None:
    (found,) = problems("logging: {stdout: a, stderr: b}\nprograms: {}")
    assert "logging: unknown key; logs are set by each program" in found


@pytest.mark.parametrize(
    ("invented", "meant"),
    [
        *(("killtime", "stoptime"), ("graceful_stop_delay", "stoptime"), ("time_before_kill", "stoptime")),
        *(("success_time", "starttime"), ("start_duration", "starttime"), ("success_after", "starttime")),
        *(("startAtLaunch", "autostart"), ("launch_on_boot", "autostart"), ("start-with-daemon", "autostart")),
        *(("expected_codes", "exitcodes"), ("exit_status_ok", "exitcodes"), ("return_code", "exitcodes")),
        *(("number_of_restarts", "startretries"), ("restart_attempt", "startretries")),
        *(("restart_when", "autorestart"), ("relaunch", "autorestart")),
        *(("number_of_processes", "numprocs"), ("copies", "numprocs"), ("count", "numprocs")),
        *(("redirect_stdout", "stdout"), ("output_file", "stdout"), ("log", "stdout"), ("log_err", "stderr")),
        *(("environment_variables", "env"), ("variables", "env"), ("dir", "workingdir"), ("run_folder", "workingdir")),
        *(("graceful_stop_signal", "stopsignal"), ("quit_sig", "stopsignal"), ("file_mask", "umask")),
        *(("log_file_size", "log_maxbytes"), ("keep_backups", "log_backups"), ("retry_interval", "startretries")),
    ],
)
def test_a_key_of_ones_own_invention_is_understood_by_its_parts(invented: str, meant: str) -> None:
    (found,) = program_problems(f"{invented}: 1")
    assert found.endswith(f"unknown key; did you mean {meant}?")


def test_what_is_written_already_is_not_what_was_meant() -> None:
    found = program_problems("stoptime: 1\nkilltime: 2")
    assert "did you mean" not in found[0]


def test_a_command_under_an_invented_name_is_not_missing() -> None:
    for key in ("comand", "launch_command", "binary_path"):
        assert problems(f"programs: {{web: {{{key}: x}}}}") == [
            f"taskmaster.yaml:1:18: error: programs.web.{key}: unknown key; did you mean cmd?"
        ]


@pytest.mark.parametrize("value", ["[A=b, C=d]", "A=b"])
def test_variables_in_another_form_are_shown_as_a_mapping_without_their_values(value: str) -> None:
    text = whole(f"programs: {{web: {{cmd: x, env: {value}}}}}")
    assert "        env:\n          A: ..." in text


@pytest.mark.parametrize(("key", "word"), [("stdout", "Inherit"), ("stderr", "STDOUT"), ("stdout", "'NULL'")])
def test_a_word_in_capitals_makes_no_file(key: str, word: str) -> None:
    (found,) = program_problems(f"{key}: {word}")
    bare = word.strip("'")
    assert f"did you mean {bare.lower()}? For a file of that name, write ./{bare}" in found


@pytest.mark.parametrize("key", ["name", "program", "program_name", "title", "id"])
def test_a_program_of_a_list_has_its_name_in_any_of_these_keys(key: str) -> None:
    text = whole(f"programs: [{{{key}: web, cmd: x, startsecs: 1}}]")
    assert "programs.web.startsecs: unknown key" in text
    assert text.count("error: ") == 2


def test_a_single_program_below_program_has_the_name_that_stands_inside() -> None:
    text = whole("program: {name: web, cmd: x}")
    assert text.startswith(
        '/etc/tm/taskmaster.yaml:1:1: error: program: "web" looks like a program; it belongs below programs:'
    )
    assert text.count("error: ") == 1


def test_a_section_of_general_settings_is_no_program() -> None:
    second, first = problems("global: {umask: 022, log_level: debug}\nweb: {cmd: x}")
    assert '"web" looks like a program' in first
    assert "global: unknown key; keys of the daemon belong below taskmasterd:, keys for all programs below" in second


def test_keys_of_a_program_that_stand_too_deep_are_led_up() -> None:
    found = program_problems("process: {numprocs: 2, umask: 022}\nlogs: {stdout: x}")
    assert found[0].endswith('web.process: unknown key; "numprocs", "umask" belong directly below the program')
    assert found[1].endswith('web.logs: unknown key; "stdout" belongs directly below the program')


def test_a_file_of_sections_in_brackets_is_not_yaml() -> None:
    for text in ("[programs.a]\ncmd = 'x'", "# c\n[daemon]\nport = 1\n"):
        (found,) = problems(text)
        assert "this is a file in INI or TOML format; a configuration here is YAML" in found


def test_a_list_whose_items_say_what_they_are_has_the_names_inside() -> None:
    (found,) = problems("jobs: [{job: {name: a, cmd: x}}, {job: {name: b, cmd: y}}]")
    assert "jobs: unknown key; the section is called programs here" in found


def test_a_key_of_the_daemon_at_the_top_level_is_known_in_another_spelling_too() -> None:
    text = whole("log_file: /x\nprograms: {}")
    assert '"log_file" belongs to taskmasterd:' in text
    assert text.endswith("        taskmasterd:\n          logfile: ...")
