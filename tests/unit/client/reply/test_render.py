"""What people see: tables, results, plans, errors, and that nothing from a daemon can move a terminal's cursor."""

from __future__ import annotations

import json
import shutil
import subprocess

import pytest

from taskmaster_common import __version__
from taskmaster_common.commands.table import parse
from taskmasterctl.output import ERR, OUT
from taskmasterctl.reply.plans import plan_text
from taskmasterctl.reply.render import Look, error_text, status_table
from taskmasterctl.reply.replies import reply_for
from taskmasterctl.reply.results import failed_text, success_text
from taskmasterctl.reply.show import setting_text, show_text
from taskmasterctl.usernames import with_names
from taskmasterctl.visible import clean
from tests.support.fakedaemon import end, process, result

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

PLAIN = Look()


def shown(line: str, *messages: dict[str, Any], look: Look = PLAIN, as_json: bool = False) -> tuple[str, str]:
    """Return what reaches stdout and stderr when these objects answer that command line."""
    reply = reply_for(parse(line.split()), look, as_json=as_json)
    chunks = [chunk for message in messages for chunk in reply.take(message)]
    return tuple("".join(text for stream, text in chunks if stream == wanted) for wanted in (OUT, ERR))  # type: ignore[return-value]


def test_status_is_aligned_with_numbers_on_the_right_and_no_blank_cell() -> None:
    processes = [
        process("nginx", pid=1042, uptime_s=273_600.0, detail="healthy"),
        process("web:0"),
        process("web:1", "BACKOFF", restarts=3, detail="exit 1; retry 2 of 3 in 4s"),
        process("cron", "STOPPED", description="nightly"),
    ]
    assert status_table(processes, PLAIN) == (
        "NAME   STATE      PID  UPTIME  RESTARTS  DETAIL\n"
        "nginx  RUNNING   1042  3d4h           0  healthy\n"
        "web:0  RUNNING   2001  12m            0  -\n"
        "web:1  BACKOFF      -  -              3  exit 1; retry 2 of 3 in 4s\n"
        "cron   STOPPED      -  -              0  nightly\n"
    )


def test_which_programs_are_scaled_is_said_of_those_that_were_asked_for() -> None:
    daemon = {
        "type": "daemon",
        "scaled": ["api: scaled to 2 by uid 1 (file: 1)", "web: scaled to 0 by uid 1 (file: 3)"],
    }
    for line, lines in (
        ("status", "api web"),
        ("status api", "api"),
        ("status web", "web"),
        ("status a*", "api"),
        ("status db", ""),
    ):
        out, _ = shown(
            line, daemon, *([{"type": "processes", "processes": [process("api:0")]}] if "a" in line[6:] else []), end()
        )
        assert [each.split(":")[0] for each in out.splitlines() if "scaled to" in each] == lines.split()


def test_the_last_words_stand_before_what_matters_less() -> None:
    failed = process("web", "FATAL", detail="exit 1 after 0.2s (try 4 of 4)", stderr="no such table")
    again = process("web", "BACKOFF", detail="retry 1 of 3 in 0.5s; exit 1 after 0.2s", stderr="no such table")
    assert status_table([failed], PLAIN).endswith('exit 1 after 0.2s: "no such table" (try 4 of 4)\n')
    assert status_table([again], PLAIN).endswith('retry 1 of 3 in 0.5s; exit 1 after 0.2s: "no such table"\n')


def test_what_waits_for_another_program_shows_none_of_its_own_last_words() -> None:
    detail = "blocked: needs db, which is FATAL: exit 1 after 0.2s (try 4 of 4)"
    blocked = process("web", "BACKOFF", phase="blocked", detail=detail, stderr="no such table")
    assert status_table([blocked], PLAIN).endswith(f"{detail}\n")


def test_status_of_nothing_is_its_head_alone() -> None:
    assert shown("status", {"type": "processes", "processes": []}, end()) == (
        "NAME  STATE     PID  UPTIME  RESTARTS  DETAIL\n",
        "",
    )


def test_colour_is_on_the_state_alone_and_keeps_the_columns() -> None:
    processes = [process("web"), process("db", "EXITED", wanted=False), process("cron", "EXITED")]
    coloured = status_table(processes, Look(colour=True)).splitlines()
    plain = status_table(processes, PLAIN).splitlines()
    assert coloured[1] == plain[1].replace("RUNNING", "\x1b[32mRUNNING\x1b[0m")
    assert coloured[2] == plain[2].replace("EXITED", "\x1b[31mEXITED\x1b[0m")
    assert coloured[3] == plain[3].replace("EXITED", "\x1b[2mEXITED\x1b[0m")
    assert coloured[0] == plain[0]


def test_detail_is_cut_to_the_terminal_and_whole_in_a_pipe() -> None:
    processes = [process("web", detail="x" * 200)]
    assert "x" * 200 in status_table(processes, PLAIN)
    cut = status_table(processes, Look(width=80)).splitlines()[1]
    assert len(cut) == 80
    assert cut.endswith("xxx...")


def test_a_detail_that_just_fits_is_not_cut() -> None:
    processes = [process("web", detail="y" * 30)]
    width = len(status_table(processes, PLAIN).splitlines()[1])
    assert status_table(processes, Look(width=width)) == status_table(processes, PLAIN)


def test_wide_characters_count_as_two_columns() -> None:
    cut = status_table([process("web", detail="語" * 60)], Look(width=80)).splitlines()[1]
    assert sum(2 if character == "語" else 1 for character in cut) in (79, 80)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain text", "plain text"),
        ("\x1b[31mred", "\\x1b[31mred"),
        ("a\nb\rc", "a\\nb\\rc"),
        ("\x9b2J", "\\x9b2J"),
        ("tab\there", "tab here"),
        ("\udcff\udc80", "\\xff\\x80"),
        ("caf\u00e9 \u8a9e", "caf\u00e9 \u8a9e"),
        ("\u202eevil", "\\u202eevil"),
        ("\ud800", "\\ud800"),
        ("\u2028", "\\u2028"),
    ],
)
def test_what_a_terminal_might_obey_is_written_out(text: str, expected: str) -> None:
    assert clean(text) == expected


ESCAPE = "\x1b]0;owned\x07\x9b31m"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("status", {"type": "processes", "processes": [process("web", detail=ESCAPE)]}),
        ("start web", result("web", "failed", ok=False, reason=ESCAPE, stderr=[ESCAPE], log="/" + ESCAPE)),
        ("start web", result(ESCAPE, "started", reason=ESCAPE)),
        ("start web", {"type": "progress", "name": ESCAPE, "text": ESCAPE}),
        ("reload", {"type": "problem", "text": f"a.yaml:1:1: {ESCAPE}\n  {ESCAPE}"}),
        ("reload", {"type": "warning", "text": ESCAPE}),
        (
            "reload",
            {"type": "plan", "programs": [{"name": ESCAPE, "change": "added", "keys": [ESCAPE], "why": ESCAPE}]},
        ),
        (
            "show web",
            {"type": "program", "name": ESCAPE, "settings": {"cmd": ESCAPE}, "logs": {"web": {"stdout": ESCAPE}}},
        ),
        ("version", {"type": "daemon", "version": ESCAPE, "config": ESCAPE, "socket": ESCAPE}),
        ("help", {"type": "text", "text": ESCAPE}),
        ("pid web", {"type": "pid", "name": "web", "pid": ESCAPE}),
        ("pid", {"type": "daemon", "pid": ESCAPE}),
        ("upgrade", {"type": "upgraded", "before": ESCAPE, "version": ESCAPE, "pid": ESCAPE, "seconds": 0.1}),
        ("status", {"type": "client", "version": ESCAPE, "protocol": ESCAPE}),
        ("status", {"type": "help", "text": ESCAPE}),
        ("status", {"type": "signal", "name": ESCAPE, "number": ESCAPE}),
        ("status", {"type": "processes", "processes": [process("web", pid=ESCAPE, restarts=ESCAPE, state=ESCAPE)]}),
        ("show web", {"type": "program", "name": "web", "settings": {ESCAPE: ""}, "logs": {"web": {ESCAPE: ""}}}),
        ("logs a b", {"type": "output", "name": ESCAPE, "stream": "stdout", "text": "line\n"}),
        ("logs a b", {"type": "missed", "name": ESCAPE, "stream": "stdout", "bytes": 3}),
    ],
)
def test_no_control_character_of_the_daemon_reaches_the_terminal(line: str, message: dict[str, Any]) -> None:
    for as_json in (False, True):
        text = "".join(shown(line, message, end(1, "failed", ESCAPE, (ESCAPE,)), as_json=as_json))
        assert text
        assert not {character for character in text if ord(character) < 32 and character != "\n"}
        assert "\x9b" not in text


@pytest.mark.parametrize(
    ("line", "fields", "expected"),
    [
        ("start web", {"outcome": "started", "pid": 2001, "seconds": 1.23}, "web started (pid 2001, ready in 1.2s)"),
        ("start web", {"outcome": "already-started", "pid": 2001, "seconds": 0.0}, "web already started (pid 2001)"),
        ("stop web", {"outcome": "stopped", "pid": None, "seconds": 0.31}, "web stopped (in 0.3s)"),
        ("stop web", {"outcome": "stopped", "seconds": 10.0, "killed": True}, "web stopped (killed after 10s)"),
        ("stop web", {"outcome": "already-stopped", "pid": None}, "web already stopped"),
        ("restart web", {"outcome": "restarted", "pid": 7, "seconds": 61.0}, "web restarted (pid 7, ready in 1m1s)"),
        ("restart web", {"outcome": "skipped", "reason": "not running"}, "web skipped (not running)"),
        ("signal HUP web", {"outcome": "signalled", "pid": 7}, "web signalled (pid 7)"),
        ("start --no-wait web", {"outcome": "requested"}, "web start requested"),
        ("start web", {"outcome": "some-new-word"}, "web some new word"),
    ],
)
def test_a_success_is_one_short_line(line: str, fields: dict[str, Any], expected: str) -> None:
    message = {"type": "result", "name": "web", "ok": True, **fields}
    assert shown(line, message, end()) == (expected + "\n", "")
    assert shown(line, message, end(), look=Look(quiet=True)) == ("", "")


def test_a_failed_start_tells_why_and_where_to_read_more() -> None:
    message = result(
        "web:1", "failed", ok=False, state="FATAL", reason="exit 1 after 0.2s (try 4 of 4)",
        stderr=["bind: address already in use", "bye"], log="/var/log/web-1.log",
    )  # fmt: skip
    assert shown("start web", message, end(1), look=Look(quiet=True, command="taskmasterctl -s /x")) == (
        "",
        (
            "taskmasterctl: web:1 did not start: exit 1 after 0.2s (try 4 of 4), now FATAL\n"
            "  stderr: bind: address already in use\n"
            "  stderr: bye\n"
            "  Log:    /var/log/web-1.log\n"
            "  More:   taskmasterctl -s /x logs --stderr web:1      taskmasterctl -s /x show web:1\n"
        ),
    )


def test_what_failed_is_named_by_the_verb() -> None:
    stuck = result("web", "stuck", ok=False, reason="still there", state="STOPPING")
    assert failed_text(stuck, "reload", PLAIN).startswith("taskmasterctl: web did not stop: still there\n")
    unsent = result("web", "failed", ok=False, reason="nothing runs there")
    assert failed_text(unsent, "signal", PLAIN) == "taskmasterctl: web was not signalled: nothing runs there\n"
    assert "web did not start: stopped by uid 0 while starting" in failed_text(
        result("web", "overtaken", ok=False, reason="stopped by uid 0 while starting"), "restart", PLAIN
    )
    spared = result("web", "overtaken", ok=False, reason="the update was overtaken", state="RUNNING")
    assert "web was not restarted: the update was overtaken" in failed_text(spared, "restart", PLAIN)


PLAN = [
    {"name": "web", "change": "restarted", "keys": ["cmd", "env"], "why": "cmd, env cannot change", "restart": ["web"]},
    {
        "name": "api",
        "change": "scaled",
        "keys": ["numprocs"],
        "why": "numprocs changed",
        "stop": [f"api:{n}" for n in range(9)],
    },
    {"name": "new", "change": "added", "keys": [], "why": "new", "start": ["new"]},
    {"name": "db", "change": "kept", "keys": [], "why": "unchanged"},
    {
        "name": "old",
        "change": "removed",
        "keys": [],
        "why": "no longer in the configuration",
        "stop": ["old:0", "old:1"],
    },
]


def test_a_plan_shows_every_program_that_changes_its_keys_and_why_and_the_sum() -> None:
    assert plan_text([{"programs": PLAN, "daemon_keys": ["socket"]}], Look()) == (
        "PROGRAM  CHANGE     KEYS      WHY\n"
        "web      restarted  cmd,env   cmd, env cannot change; restarts web\n"
        "api      scaled     numprocs  numprocs changed; stops 9 processes\n"
        "new      added      -         new; starts new\n"
        "old      removed    -         no longer in the configuration; stops old:0, old:1\n"
        "taskmasterd.socket waits for the next start of the daemon\n"
        "1 unchanged; 1 restart, 1 scaled, 1 new, 1 removed\n"
    )
    more = {"programs": PLAN[:1], "groups_changed": True, "live_keys": ["roles"]}
    assert plan_text([more], Look()).splitlines()[-3:-1] == [
        "groups changed", "taskmasterd.roles applied without a restart"
    ]  # fmt: skip


VALUES = {
    "name": "web",
    "change": "restarted",
    "keys": ["cmd", "stoptime", "env"],
    "why": "cmd cannot change",
    "restart": ["web"],
    "values": {
        "cmd": {"old": ["app", "-w", "2"], "new": ["app", "-w", "4"]},
        "stoptime": {"old": 2, "new": 90},
        "env": {"old": ["GONE", "TOKEN"], "new": ["NEW", "TOKEN"]},
    },
}


def test_a_plan_shows_the_old_and_the_new_value_of_each_key() -> None:
    daemon = {"daemon_keys": ["umask"], "daemon_values": {"umask": {"old": "022", "new": "\x1b[2J"}}}
    lines = plan_text([{"programs": [VALUES], **daemon}], Look()).splitlines()
    assert lines[2:-1] == [
        "    cmd       app -w 2 -> app -w 4",
        "    stoptime  2s -> 1m30s",
        "    env       +NEW, -GONE, TOKEN has another value",
        "taskmasterd.umask waits for the next start of the daemon",
        "    umask  022 -> \\x1b[2J",
    ]


def test_values_that_do_not_fit_into_a_line_have_two() -> None:
    lines = plan_text([{"programs": [VALUES]}], Look(width=25)).splitlines()
    assert lines[2:4] == ["    cmd       app -w 2", "           -> app -w 4"]
    assert lines[4] == "    stoptime  2s -> 1m30s"


def test_values_of_variables_are_shown_where_the_daemon_sends_them() -> None:
    env = {"old": {"TOKEN": "a"}, "new": {"TOKEN": "b", "NEW": "c"}}
    lines = plan_text([{"programs": [{**VALUES, "values": {"env": env}}]}], Look()).splitlines()
    assert lines[2] == "    env  TOKEN=a -> TOKEN=b NEW=c"


@pytest.mark.parametrize("line", ["reload", "reload --dry-run"])
def test_a_plan_leaves_out_what_is_kept(line: str) -> None:
    out, _ = shown(line, {"type": "plan", "programs": PLAN, "daemon_keys": []}, end())
    assert "kept" not in out
    assert out.endswith("1 unchanged; 1 restart, 1 scaled, 1 new, 1 removed\n")


def test_a_plan_in_several_objects_is_one_table() -> None:
    parts = [{"type": "plan", "programs": [each], "daemon_keys": []} for each in PLAN]
    out, _ = shown("reload --dry-run", *parts, end())
    assert out == plan_text([{"programs": PLAN}], Look())


def test_a_plan_comes_before_the_results_that_follow_from_it() -> None:
    plan = {"type": "plan", "programs": PLAN, "daemon_keys": []}
    out, _ = shown("reload", plan, result("web", "restarted", pid=5), end())
    assert out.index("unchanged") < out.index("web restarted")


def test_show_tells_settings_last_exits_and_log_files() -> None:
    last = {"code": 3, "after_s": 0.21, "expected": False, "core": False}
    killed = {"signal": "SEGV", "after_s": 90.0, "expected": False, "core": True}
    program = {
        "name": "web",
        "settings": {"cmd": "sleep 1", "description": ""},
        "processes": [process("web:0", description="front door", exit=last), process("web:1", "EXITED", exit=killed)],
        "logs": {"web:0": {"stdout": "/l/web.log", "stderr": "stdout"}},
    }
    assert show_text(program, PLAIN) == (
        "web: front door\n"
        "  NAME   STATE      PID  UPTIME  RESTARTS  DETAIL\n"
        "  web:0  RUNNING   2001  12m            0  front door\n"
        "  web:1  EXITED       -  -              0  -\n"
        "  settings:\n"
        "    cmd          sleep 1\n"
        "    description  -\n"
        "  last exits:\n"
        "    web:0  exit code 3 after 0.2s, unexpected\n"
        "    web:1  killed by SEGV (core dumped) after 1m30s, unexpected\n"
        "  log files:\n"
        "    web:0  stdout  /l/web.log\n"
        "    web:0  stderr  stdout\n"
    )


def test_show_tells_what_is_written_apart_from_what_is_so_by_default() -> None:
    settings = {"cmd": ["sleep", "1"], "numprocs": 1, "stdout": "default", "stoptime": 2}
    program = {
        "name": "web",
        "settings": settings,
        "defaults": ["numprocs", "stdout"],
        "logs": {"web": {"stdout": "/l/web.log"}},
    }
    assert show_text(program, PLAIN) == (
        "web\n"
        "  NAME  STATE     PID  UPTIME  RESTARTS  DETAIL\n"
        "  settings:\n"
        "    cmd       sleep 1\n"
        "    stoptime  2s\n"
        "  by default:\n"
        "    numprocs  1\n"
        "    stdout    default: /l/web.log\n"
        "  log files:\n"
        "    web  stdout  /l/web.log\n"
    )


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        (["sh", "-c", "echo x; exec sleep 1000"], "sh -c 'echo x; exec sleep 1000'"),
        (["a", "", "b c", "it's", "$HOME", "*", "a=b", "--x=/y"], "a '' 'b c' 'it'\\''s' '$HOME' '*' a=b --x=/y"),
        (["two\nlines", "tab\there", "\x1b[2J", "back\\slash'\n"], "$'two\\nlines' $'tab\\there' $'\\x1b[2J' $'back\\\\slash\\'\\n'"),
    ],
)  # fmt: skip
def test_a_command_is_shown_so_that_a_shell_reads_the_same_words(words: list[str], shown: str) -> None:
    assert setting_text("cmd", words) == shown
    if shutil.which("bash") is None:
        pytest.skip("needs bash")
    command = ["bash", "-c", f"printf '%s\\0' {shown}"]
    assert subprocess.run(command, capture_output=True, check=True, text=True).stdout.split("\0")[:-1] == words


@pytest.mark.parametrize(
    ("key", "value", "shown"),
    [
        ("numprocs", 2, "2"),
        ("autostart", True, "true"),
        ("shell", False, "false"),
        ("starttime", 0.5, "0.5s"),
        ("stoptime", 10, "10s"),
        ("restart_window", 90, "1m30s"),
        ("log_maxbytes", 50_000_000, "50MB"),
        ("exitcodes", [0, 2], "0 2"),
        ("umask", None, "the daemon's"),
        ("umask", "022", "022"),
        ("env", ["A", "B"], "A B"),
        ("env", {"A": "b c", "B": None}, "'A=b c' B=null"),
        ("cmd", "a | b", "a | b"),
        ("description", "", ""),
        ("starttime", "1s", "1s"),
        ("pre_start", None, ""),
        ("pre_stop", ["./drain", "a b"], "./drain 'a b'"),
        ("post_stop", {"cmd": "a | b", "shell": True, "timeout": 5}, "{cmd: a | b, shell: true, timeout: 5}"),
        ("depends_on", [], ""),
        ("depends_on", ["db", "web:1", "null", "1st"], '[db, "web:1", "null", "1st"]'),
        (
            "depends_on",
            {"db": "started", "x-1": {"required": False}, "w": {}},
            "{db: started, x-1: {required: false}, w: {}}",
        ),
    ],
)
def test_a_setting_is_shown_as_it_is_written(key: str, value: object, shown: str) -> None:
    assert setting_text(key, value) == shown


def test_an_error_says_what_and_why_and_indents_how() -> None:
    assert error_text("no program ngnix; did you mean nginx?", ("type status",)) == (
        "taskmasterctl: no program ngnix; did you mean nginx?\n  type status\n"
    )


def test_failed_shows_only_what_is_not_as_wanted() -> None:
    processes = {"type": "processes", "processes": [process("web"), process("db", "FATAL")]}
    out, _ = shown("status --failed", processes, end(3))
    assert [line.split()[0] for line in out.splitlines()] == ["NAME", "db"]
    document = json.loads(shown("status --failed", processes, end(3), as_json=True)[0])
    assert [each["name"] for each in document["processes"]] == ["db"]


def test_status_mentions_a_refused_reload_and_a_shutdown_on_stderr() -> None:
    daemon = {"type": "daemon", "pid": 1, "stopping": True, "reload_problems": ["a.yaml:1:1: error: x"]}
    daemon["warnings"] = ["cannot write a.state: read-only file system"]
    out, err = shown("status", daemon, end())
    assert out.startswith("NAME")
    assert "being shut down" in err
    assert "the last reload was refused" in err
    assert "taskmasterctl: warning: cannot write a.state" in err
    assert "  a.yaml:1:1: error: x\n  Check it again:  taskmasterctl reload --dry-run\n" in err
    assert shown("status", daemon, end(), look=Look(quiet=True)) == ("", "")


def test_a_refused_reload_tells_its_first_problem_and_whether_the_file_has_changed_since() -> None:
    daemon = {"type": "daemon", "reload_problems": ["a.yaml:1:1: error: x\n   1 | y", "b", "c"], "config_changed": True}
    assert shown("status", daemon, end())[1] == (
        "taskmasterctl: the last reload was refused; the configuration before it is in use:\n"
        "  a.yaml:1:1: error: x and 2 more\n"
        "  The file has changed since:  taskmasterctl reload --dry-run, then taskmasterctl reload\n"
    )


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"version": __version__}, ""),
        ({"version": "99.0.0"}, ""),
        ({"version": "0.0.9"}, f"the daemon (0.0.9) is older than this client ({__version__}); bring it up to date"),
        ({"version": __version__, "installed_changed": True, "installed_version": "0.2.0"},
         f"taskmasterd 0.2.0 is installed, and the daemon still runs {__version__}"),
        ({"version": __version__, "installed_changed": True, "installed_version": __version__},
         f"other code is installed, and the daemon still runs {__version__} as it was at its start"),
        ({"version": "odd"}, ""),
    ],
)  # fmt: skip
def test_a_daemon_that_is_older_than_what_is_installed_is_told(fields: dict[str, Any], said: str) -> None:
    for line in ("status", "version"):
        err = shown(line, {"type": "daemon", "protocol": 1, "pid": 1, **fields}, end())[1]
        assert err == "" if not said else err.startswith(f"taskmasterctl: warning: {said}")
        assert bool(said) == ("taskmasterctl upgrade" in err)


def test_a_warning_with_its_place_in_a_file_is_called_a_warning_once() -> None:
    placed = {"type": "warning", "text": "a.yaml:10:14: warning: programs.web.cmd: x\n   10 | cmd"}
    assert shown("reload", placed, end())[1] == "a.yaml:10:14: warning: programs.web.cmd: x\n   10 | cmd\n"
    assert shown("reload", {"type": "warning", "text": "x"}, end())[1] == "taskmasterctl: warning: x\n"


@pytest.mark.parametrize("line", ["restart web", "status --watch"])
def test_a_refusal_names_the_user_in_its_message_and_in_the_line_that_would_allow_it(line: str) -> None:
    look = Look(user_name=lambda uid: "deploy" if uid == 1001 else "")
    message = end(4, "permission", "restart web: needs operate; uid 1001 has look (role mon)")
    message["error"]["hints"] = ["a line for `roles`: {users: [1001], level: operate, programs: [web]}"]
    assert shown(line, message, look=look)[1] == (
        "taskmasterctl: restart web: needs operate; deploy (uid 1001) has look (role mon)\n"
        "  a line for `roles`: {users: [deploy], level: operate, programs: [web]}\n"
    )


@pytest.mark.parametrize(
    ("text", "long", "short"),
    [
        ("stopped by uid 1001", "stopped by deploy (uid 1001)", "stopped by deploy"),
        ("for uid 1001, SIGKILL in 2s", "for deploy (uid 1001), SIGKILL in 2s", "for deploy, SIGKILL in 2s"),
        ("(by uid 1001)", "(by deploy (uid 1001))", "(by deploy)"),
        ("uid 1001 and uid 0", "deploy (uid 1001) and uid 0", "deploy and uid 0"),
        ("by uid 7", "by uid 7", "by uid 7"),
        ("by deploy (uid 1001)", "by deploy (uid 1001)", "by deploy (uid 1001)"),
        ("fluid 1001 uid", "fluid 1001 uid", "fluid 1001 uid"),
        ("uid 99999999999999", "uid 99999999999999", "uid 99999999999999"),
        ("{users: [1001], level: look}", "{users: [deploy], level: look}", "{users: [deploy], level: look}"),
        ("{users: [7], level: look}", "{users: [7], level: look}", "{users: [7], level: look}"),
    ],
)
def test_users_have_names_where_they_have_one(text: str, long: str, short: str) -> None:
    names = {1001: "deploy"}
    look = Look(user_name=lambda uid: names.get(uid, ""))
    assert with_names(text, look.user_name) == long
    row = status_table([process("web", detail=text)], look).splitlines()[1]
    assert row.endswith(f"  {short}")
    assert failed_text(result("web", "failed", ok=False, reason=text), "start", look).splitlines()[0].endswith(long)
    assert with_names(text, None) == text


@pytest.mark.parametrize(
    ("pids", "expected"),
    [
        ([("web", 12)], ("12\n", "")),
        ([("web", None)], ("", "taskmasterctl: web is not running\n")),
        ([("web:0", 12), ("web:1", None)], ("web:0 12\nweb:1 -\n", "")),
    ],
)
def test_a_single_pid_is_a_number_alone(pids: list[tuple[str, int | None]], expected: tuple[str, str]) -> None:
    assert shown("pid web", *({"type": "pid", "name": name, "pid": pid} for name, pid in pids), end()) == expected


def test_a_heartbeat_is_shown_only_where_somebody_watches() -> None:
    beat = {"type": "progress", "name": "web", "text": "STOPPING", "heartbeat": True}
    tried = {"type": "progress", "name": "web", "text": "exit 1; retry 1 of 3 in 0.5s"}
    assert shown("stop web", beat, tried, tried, end())[1] == "web: exit 1; retry 1 of 3 in 0.5s\n"
    assert shown("stop web", beat, end(), look=Look(watched=True))[1] == "web: STOPPING\n"
    assert shown("stop web", tried, end(), look=Look(quiet=True)) == ("", "")


def output(name: str, text: str) -> dict[str, Any]:
    return {"type": "output", "name": name, "stream": "stdout", "text": text}


@pytest.mark.parametrize(
    ("line", "name"),
    [("logs web", "web"), ("logs web:1", "web:1"), ("logs web:0", "web"), ("logs --daemon", "taskmasterd")],
)
def test_the_log_of_one_process_is_raw(line: str, name: str) -> None:
    assert shown(line, output(name, "\x1b[1mno en"), output(name, "d"), end()) == ("\x1b[1mno end", "")


@pytest.mark.parametrize("line", ["logs web", "logs web:0 web:1", "logs w*"])
def test_several_logs_have_whole_lines_after_each_name(line: str) -> None:
    pieces = [output("web:0", "one\ntw"), output("web:1", "x\n"), output("web:0", "o\n\nlast")]
    expected = "web:0 | one\nweb:1 | x\nweb:0 | two\nweb:0 | \nweb:0 | last\n"
    assert shown(line, *pieces, end()) == (expected, "")


def test_a_line_that_never_ends_is_not_held_for_ever() -> None:
    reply = reply_for(parse(["logs", "a", "b"]), PLAIN, as_json=False)
    assert reply.take(output("a", "z" * 1_000_000)) == []
    assert len(reply.take(output("a", "z" * 100_000))[0][1]) > 1_000_000


def test_missed_bytes_are_told_on_stderr() -> None:
    missed = {"type": "missed", "name": "web", "stream": "stdout", "bytes": 4096}
    out, err = shown("logs -f web", output("web", "a\n"), missed, end())
    assert out == "a\n"
    assert err == "taskmasterctl: web: 4096 bytes were not shown: they came faster than they were read\n"


def test_json_of_an_action_is_one_document_with_a_result_for_each_target() -> None:
    out, err = shown(
        "start web db",
        result("web", "started", pid=3),
        result("db", "failed", ok=False, reason="exit 1"),
        end(1),
        as_json=True,
    )
    assert out.count("\n") == 1
    document = json.loads(out)
    assert (document["schema"], document["verb"], document["exit"]) == (1, "start", 1)
    assert [(each["name"], each["ok"]) for each in document["results"]] == [("web", True), ("db", False)]
    assert err.startswith("taskmasterctl: db did not start")


def test_json_of_a_reload_holds_plan_warnings_and_problems() -> None:
    plan = {"type": "plan", "programs": PLAN, "daemon_keys": ["socket"], "changes": True}
    document = json.loads(shown("reload", {"type": "warning", "text": "w"}, plan, end(), as_json=True)[0])
    assert document["plan"] == {"programs": PLAN, "daemon_keys": ["socket"], "changes": True}
    assert (document["warnings"], document["problems"], document["results"]) == (["w"], [], [])
    refused = shown("reload", {"type": "problem", "text": "p"}, end(6, "config", "nothing was changed"), as_json=True)
    assert json.loads(refused[0])["problems"] == ["p"]
    assert json.loads(refused[0])["error"]["code"] == "config"


def test_json_of_logs_is_a_line_for_each_piece_and_keeps_every_byte() -> None:
    out, _ = shown("logs web", output("web", "\udcff\n"), end(), as_json=True)
    first, last = map(json.loads, out.splitlines())
    assert first["text"].encode("utf-8", "surrogateescape") == b"\xff\n"
    assert (first["schema"], last["type"], last["exit"]) == (1, "end", 0)


def test_types_and_fields_of_a_newer_daemon_are_ignored() -> None:
    news = {"type": "weather", "text": "rain"}
    assert shown("start web", news, result("web", "started", mood="good"), end()) == ("web started\n", "")
    assert success_text(result("web", "started", mood="good"), "start") == "web started\n"


def test_show_says_where_the_default_log_is_unless_instances_differ() -> None:
    def shown_with(*paths: str) -> str:
        logs = {f"web:{at}": {"stdout": path, "stderr": path} for at, path in enumerate(paths)}
        return show_text({"name": "web", "settings": {"stdout": "default", "stderr": "/x"}, "logs": logs}, PLAIN)

    assert "    stdout  default: /l/web.log\n    stderr  /x\n" in shown_with("/l/web.log", "/l/web.log")
    assert "    stdout  default\n" in shown_with("/l/a", "/l/b")
    assert "    stdout  default\n" in shown_with()


def test_show_lists_all_that_a_process_waits_for() -> None:
    waits = [
        {"name": "db", "condition": "ready", "because": "STARTING", "blocked": False},
        {"name": "vpn:1", "condition": "started", "because": "FATAL; exit 1", "blocked": True},
    ]
    text = show_text({"name": "web", "processes": [process("web", "BACKOFF", waiting=waits)]}, PLAIN)
    assert text.partition("  waits for:\n")[2] == (
        "    web  db     ready    STARTING\n    web  vpn:1  started  FATAL; exit 1\n"
    )


def test_show_says_how_many_others_a_process_waits_for() -> None:
    waits = [{"name": "db:0", "condition": "ready", "because": "STARTING", "blocked": False}]
    held = process("web", "STARTING", waiting=waits, waiting_more=30)
    text = show_text({"name": "web", "processes": [held]}, PLAIN)
    assert text.endswith("  waits for:\n    web  db:0         ready  STARTING\n    web  and 30 more\n")


@pytest.mark.parametrize(
    ("line", "fields", "said"),
    [
        ("wait web", {"outcome": "failed", "reason": "stopped by uid 0"}, "web is not up: stopped by uid 0"),
        ("wait --for stopped web", {"outcome": "stuck", "reason": "pid 7 still there"}, "web is not stopped: pid 7 still there"),
        ("wait --for settled web", {"outcome": "blocked", "reason": "needs db"}, "web is not as wanted: needs db"),
        ("start web", {"outcome": "blocked", "reason": "needs db; it starts when db is ready"},
         "web did not start: needs db; it starts when db is ready"),
        ("stop web", {"outcome": "taken-back", "reason": "taken back by uid 0"}, "web: taken back by uid 0"),
    ],
)  # fmt: skip
def test_what_was_waited_for_and_why_it_was_not_reached_are_named(line: str, fields: dict[str, Any], said: str) -> None:
    out, err = shown(line, result("web", ok=False, state="BACKOFF", **fields), end(1))
    assert (out, err.splitlines()[0]) == ("", f"taskmasterctl: {said}")


def test_a_wait_that_was_reached_names_the_goal() -> None:
    messages = [result("web", "up", pid=2001, seconds=0.2), result("off", "skipped"), result("db", "settled"), end()]
    assert shown("wait all", *messages) == ("web up (pid 2001)\noff skipped\ndb settled\n", "")
    assert shown("wait all", *messages, look=Look(quiet=True)) == ("", "")


def test_the_table_of_alerts_is_in_line_with_each_destination() -> None:
    place = "mail a.rather.long.name@example.org, another@example.org by mail.example.org:587"
    rule = {"type": "alert", "waiting": 0, "last": None, "last_ago_s": None, "error": None}
    page, ops = (
        {**rule, "rule": name, "destination": each} for name, each in (("page", "http https://x"), ("ops", place))
    )
    head, *lines = shown("alert list", page, ops, end(0))[0].splitlines()
    assert [head.index("WAITING") + len("WAITING") - 1] * 2 == [line.rindex("0") for line in lines]
    assert [each.split()[0] for each in lines] == ["page", "ops"]
