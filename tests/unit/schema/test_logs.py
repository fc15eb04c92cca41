"""The keys of formatted logs: what is refused, and what has no effect."""

from __future__ import annotations

import pytest

from taskmaster_common.config.elsewhere import address_problem, addressed, elsewhere_of, shown, where
from taskmaster_common.errors import ConfigError
from tests.support.host import load, program, program_problems


def warnings(keys: str) -> list[str]:
    """Return the warnings about a program with these keys, in flow style."""
    return [str(each) for each in load(f"programs: {{web: {{cmd: run, {keys}}}}}\n").warnings]


def test_a_format_is_raw_prefix_or_json() -> None:
    assert program("log_format: prefix").output.log_format == "prefix"
    assert "raw" in program_problems("log_format: plain")[0]


def test_a_prefix_keeps_its_blanks_and_names_what_it_may_hold() -> None:
    assert program('log_prefix: "  {time}  "').output.log_prefix == "  {time}  "
    assert "{when} is unknown; use {time}, {name}, {stream}, {pid}" in program_problems('log_prefix: "{when} "')[0]
    assert "line break" in program_problems('log_prefix: "a\\nb"')[0]


@pytest.mark.parametrize(
    ("keys", "needed"),
    [
        ("log_prefix: '> '", "log_format: prefix"),
        ("log_prefix: '> ', log_format: json", "log_format: prefix"),
        ("log_time: utc", "log_format: prefix or json"),
        ("log_levels: true, log_format: prefix", "log_format: json"),
        ("log_events: true", "log_format: prefix or json"),
    ],
)
def test_a_key_without_its_format_has_no_effect(keys: str, needed: str) -> None:
    assert any(f"has no effect without {needed}" in each for each in warnings(keys))


@pytest.mark.parametrize(
    "keys", ["log_format: json, log_levels: true, log_events: true, log_time: utc", "log_events: false"]
)
def test_keys_with_their_format_are_fine(keys: str) -> None:
    assert not warnings(keys)


@pytest.mark.parametrize("streams", ["null", "journal", "syslog", "'| cat'"])
@pytest.mark.parametrize("key", ["log_format: json", "log_maxbytes: 1MB", "log_backups: 3"])
def test_what_has_no_log_has_no_keys_of_one(streams: str, key: str) -> None:
    name, written = key.partition(":")[0], f"stdout: {streams}\nstderr: stdout\n{key}"
    harmless = streams == "null" and name != "log_format"
    (said,) = warnings(written.replace("\n", ", ")) if harmless else program_problems(written)
    assert said.partition("\n")[0].endswith(f"remove {name}")
    assert not warnings(f"{key}, stdout: {streams}"), "stderr has one"


@pytest.mark.parametrize("streams", ["null", "journal", "syslog", "'| cat'"])
def test_what_defaults_say_of_logs_is_not_about_what_has_none(streams: str) -> None:
    text = f"""
        defaults: {{log_format: json, log_time: utc, log_maxbytes: 1MB, log_levels: true, log_backups: 1, log_events: true}}
        programs:
          web: {{cmd: x, stdout: {streams}, stderr: stdout}}
          db: {{cmd: x}}
        """
    found = load(text)
    web, db = (found.config.programs[at].output for at in (0, 1))
    assert (web.log_format, db.log_format, db.log_maxbytes) == ("raw", "json", 1_000_000)
    assert web.log_levels is (True if streams == "syslog" else None)
    assert not [each for each in found.warnings if "log_" in each and "on a disk" not in each]


@pytest.mark.parametrize(
    ("written", "text"),
    [
        ("syslog", "syslog"),
        ("journal", "journal"),
        ("{syslog: {}}", "syslog"),
        ("{syslog: {to: 'udp:127.0.0.1:514', severity: warning}}", "syslog severity=4 to=udp:127.0.0.1:514"),
        (
            "{syslog: {facility: local7, tag: a/b, to: 'unix:/dev/my log'}}",
            "syslog facility=local7 tag=a/b to=unix:/dev/my log",
        ),
        ("{journal: {severity: 3}}", "journal severity=3"),
        ("{syslog: {severity: {stderr: 4}, to: 'tcp:[::1]:514'}}", "syslog errors=4 to=tcp:[::1]:514"),
        ("{syslog: {severity: {stdout: notice, stderr: notice}}}", "syslog severity=5"),
        ("'| s6-log \"a b\" ${TASKMASTER_INSTANCE}'", "| to=s6-log\x1fa b\x1f\0"),
        ("{pipe: [cat, '>f']}", "| to=cat\x1f>f"),
        ("{pipe: 'cat >> f', shell: true}", "| shell=1 to=cat >> f"),
    ],
)
def test_a_stream_goes_to_syslog_the_journal_or_a_command(written: str, text: str) -> None:
    assert program(f"stdout: {written}").output.stdout == text
    assert elsewhere_of(text).text() == text


@pytest.mark.parametrize(
    ("written", "problem"),
    [
        ("{sylog: {}}", "did you mean syslog?"),
        ("{syslog: {}, journal: {}}", "is a map with one of syslog, journal, pipe"),
        ("{syslog: {port: 514}}", "unknown key; syslog has to, facility, tag, severity"),
        (
            "{syslog: {to: 'udp:loghost.example.org:514'}}",
            "the daemon looks up no names, which could block it; write udp:ADDRESS:514 with what `getent hosts loghost.example.org` prints",
        ),
        ("{syslog: {to: 'udp:127.0.0.1:0'}}", "numeric address"),
        ("{syslog: {to: 'udp:loghost'}}", "numeric address"),
        (
            "{syslog: {to: 'tcp:localhost:514'}}",
            "the daemon looks up no names, which could block it; write tcp:127.0.0.1:514",
        ),
        ("syslog://loghost:514", "is not a path; write {syslog: {to: 'udp:ADDRESS:PORT'}}, with a numeric address"),
        ("syslog:/dev/log", "is not a path; write {syslog: {to: 'unix:/dev/log'}}"),
        ("syslog:///run/log", "is not a path; write {syslog: {to: 'unix:/run/log'}}"),
        ("unix:log", "is not a path; write {syslog: {to: 'unix:/PATH'}}"),
        (
            "udp://127.0.0.1:514",
            "is not a path; write {syslog: {to: 'udp:127.0.0.1:514'}}; for a file of that name, write ./udp:",
        ),
        ("unix:/dev/log", "is not a path; write {syslog: {to: 'unix:/dev/log'}}"),
        ("TCP:loghost:514", "is not a path; write {syslog: {to: 'tcp:ADDRESS:PORT'}}, with a numeric address"),
        ("{syslog: {severity: {stdin: 4}}}", "severity has stdout and stderr"),
        ("'| '", "has no command behind the |"),
        ("{pipe: }", "has no command behind the |"),
        ("{pipe: cat, sell: true}", "a command has pipe and shell"),
        ("{pipe: cat, shell: maybe}", "neither true nor false"),
        ("'| cat', stderr: stdout, log_maxbytes: 1MB", "a command reads the output"),
        ("{syslog: {to: /dev/log}}", "write unix:/PATH"),
        ("{syslog: {facility: local8}}", "is unknown; write one of kern"),
        ("{syslog: {tag: 'a b'}}", "tag: "),
        ("{syslog: {severity: loud}}", "write one of emerg"),
        ("{journal: {facility: daemon}}", "journal has to, tag, severity"),
        ("{journal: {to: 'udp:127.0.0.1:514'}}", "stream socket"),
        ("{syslog: 'udp:127.0.0.1:514'}", "not a value; write {syslog: {to: 'udp:127.0.0.1:514'}}"),
        ("{syslog: 'tcp:loghost:514'}", "not a value; write {syslog: {to: 'tcp:ADDRESS:PORT'}}"),
        ("{syslog: /dev/log}", "not a value; write {syslog: {to: 'unix:/dev/log'}}"),
        ("{journal: unix:/x/y}", "not a value; write {journal: {to: 'unix:/x/y'}}"),
        ("{syslog: word}", "not a value; write {syslog: {to: 'unix:/dev/log'}}"),
        ("{syslog: local7}", "not a value; write {syslog: {facility: local7}}"),
        ("syslog, log_format: json, stderr: stdout", "have a form of their own"),
        ("syslog, stderr: stdout, ready: {log: up}", "no log is written"),
    ],
)
def test_what_cannot_be_a_target_is_refused(written: str, problem: str) -> None:
    assert (
        problem
        in program_problems(
            f"stdout: {written}"
            if "," not in written or written[0] == "{"
            else "stdout: " + written.replace(", ", "\n")
        )[0]
    )


@pytest.mark.parametrize("to", ["udp:127.0.0.1:514", "udp:[::1]:65535", "tcp:127.0.0.1:514", "unix:/dev/log"])
def test_addresses_are_numeric_or_paths(to: str) -> None:
    assert address_problem("syslog", to) == ""


def test_a_target_says_whose_stream_it_is() -> None:
    assert (
        addressed("syslog to=unix:/a b", "web", 2, "stderr")
        == "syslog tag=web program=web instance=2 stream=stderr to=unix:/a b"
    )
    assert addressed("journal tag=x", "web", 2, "stderr") == "journal tag=x"
    assert addressed("journal tag=x errors=3", "web", 2, "stderr") == "journal tag=x severity=3"
    assert addressed("journal tag=x errors=3", "web", 2, "stdout") == "journal tag=x"
    assert addressed("| to=cat\x1f\0", "web", 2, "stderr") == "| to=cat\x1f2"


def test_a_command_is_shown_in_one_line() -> None:
    assert elsewhere_of("| to=sh\x1f-c\x1fcat >> f\x1f\0").command_text == "sh -c 'cat >> f' %i"
    assert elsewhere_of("| shell=1 to=cat\n >> f").command_text == "cat >> f"
    assert len(elsewhere_of("| to=" + "x" * 999).command_text) == 200
    assert where("| to=s6-log\x1f/l") == "its logger: s6-log /l"
    assert where("journal", "taskmasterd") == "the journal: journalctl -t taskmasterd"
    assert where("syslog", "taskmasterd").endswith(", as taskmasterd")
    assert where("journal tag=tm", "taskmasterd") == "the journal: journalctl -t tm"


def test_the_event_log_is_read_by_no_command() -> None:
    with pytest.raises(ConfigError, match="no command reads the event log"):
        load("taskmasterd: {logfile: '| cat'}\nprograms: {}\n")


def test_severities_in_lines_are_for_syslog_too() -> None:
    assert not warnings("stdout: syslog, log_levels: false")
    assert not warnings("stdout: syslog, stderr: stdout, log_levels: true")


def test_spools_on_a_disk_are_worth_a_warning_and_only_one() -> None:
    text = "programs:\n  a: {cmd: run, log_format: json}\n  b: {cmd: run, log_format: prefix}\n"
    found = [
        str(each) for each in load(text, on_disk=lambda path: path == "/run/taskmaster/taskmaster.sock.d").warnings
    ]
    assert len(found) == 1
    assert "programs.a.log_format" in found[0]
    assert "which is on a disk" in found[0]
    environment = {"RUNTIME_DIRECTORY": "/run/here"}
    assert not load(text, on_disk=lambda path: path != "/run/here", environment=environment).warnings
    assert not load("programs: {a: {cmd: run}}\n", on_disk=lambda _path: True).warnings


def test_programs_with_one_tag_are_worth_a_warning_and_only_one() -> None:
    text = "programs:\n  a: {cmd: run, stdout: {syslog: {tag: x}}}\n  b: {cmd: run, stdout: journal, stderr: {journal: {tag: x}}}\n"
    found = [str(each) for each in load(text).warnings if "tag" in str(each)]
    assert len(found) == 1
    assert "programs.a.stdout: the tag x is also that of b" in found[0]
    assert not load("programs: {a: {cmd: run, stdout: syslog}, b: {cmd: run, stdout: '| cat'}}\n").warnings


def test_a_small_log_of_a_terminal_is_doubtful() -> None:
    assert "holds each repaint of its screen; 64KB" in warnings("tty: true, log_maxbytes: 64KB")[0]
    assert not warnings("tty: true, log_maxbytes: 1MB")
    assert not warnings("log_maxbytes: 64KB")


def test_a_logger_that_cannot_be_executed_is_worth_a_warning_as_the_program_itself_is() -> None:
    asked: list[tuple[str, str, str]] = []

    def find(word: str, path: str, workingdir: str, _user: object) -> str:
        asked.append((word, path, workingdir))
        return f"{word} is not found in PATH" if word == "loger" else ""

    def found(keys: str) -> list[str]:
        asked.clear()
        text = f"programs: {{web: {{cmd: run, workingdir: /w, env: {{PATH: /opt}}, {keys}}}}}\n"
        return [str(each).splitlines()[0] for each in load(text, find_command=find).warnings]

    for keys, key in (
        ("stdout: '| loger -t x'", "stdout"),
        ("stderr: '| loger'", "stderr"),
        ("stdout: {pipe: loger}", "stdout"),
    ):
        (line,) = found(keys)
        assert line.endswith(f": warning: programs.web.{key}: loger is not found in PATH"), line
        assert ("loger", "/opt", "/w") in asked
    assert found("stdout: '| ./log-%i'".replace("%i", "${TASKMASTER_INSTANCE}")) == []
    assert ("./log-0", "/opt", "/w") in asked
    assert len(found("stdout: '| loger', stderr: stdout")) == 1
    assert found("stdout: '| logger'") == []
    assert found("stdout: {pipe: loger -t x, shell: true}") == []


@pytest.mark.parametrize(
    ("written", "shown_as"),
    [
        ("syslog", "syslog"),
        ("journal", "journal"),
        ("'| s6-log .'", "| s6-log ."),
        ("{syslog: {facility: local3, severity: notice}}", "{syslog: {facility: local3, severity: 5}}"),
        ("{journal: {tag: a-b, severity: {stderr: err}}}", '{journal: {tag: "a-b", severity: {stdout: 6, stderr: 3}}}'),
        ("{syslog: {to: 'udp:127.0.0.1:514'}}", '{syslog: {to: "udp:127.0.0.1:514"}}'),
    ],
)
def test_where_a_stream_goes_is_shown_as_it_is_written(written: str, shown_as: str) -> None:
    target = program(f"stdout: {written}").output.stdout
    assert shown(target) == shown_as
    assert program(f"stdout: {written if shown_as.startswith('|') else shown_as}").output.stdout == target


def test_a_log_daemon_to_which_programs_write_is_looked_for_once() -> None:
    asked: list[object] = []

    def doubts(destination: object, _user: object) -> tuple[tuple[str, bool], ...]:
        asked.append(destination)
        return (("nobody is there", False),)

    text = "programs: {a: {cmd: x, stdout: syslog}, b: {cmd: x, stderr: syslog}, c: {cmd: x, stdout: {syslog: {to: 'udp:127.0.0.1:5'}}}}"
    (said,) = load(text, destination_doubts=doubts).warnings
    assert "programs.a.stdout: nobody is there" in said
    assert asked == [{"to": "unix:/dev/log"}]


def test_so_is_the_log_daemon_that_gets_the_event_log() -> None:
    text = "{taskmasterd: {logfile: syslog}, programs: {a: {cmd: x, stdout: syslog}}}"
    (said,) = load(text, destination_doubts=lambda *_asked: (("nobody is there", False),)).warnings
    assert "taskmasterd.logfile: nobody is there" in said
