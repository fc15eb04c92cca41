"""Units of systemd."""

from __future__ import annotations

import pytest

from taskmasterctl.convert.kinds.systemd.rows import INSTALL, LIMITS, PROTECTIONS, SERVICE, UNIT
from taskmasterctl.convert.kinds.systemd.syntax import INFINITY, seconds, words
from tests.support.converting import Imported, Importer

KEEPER = """\
[Unit]
Description=Keeper number %i
After=network-online.target cache.service
Requires=cache.service
ConditionPathExists=/tmp

[Service]
Type=simple
User=nobody
WorkingDirectory=/tmp
Environment=MODE=live "NOTE=two words" PERCENT=100%%
ExecStartPre=/bin/true
ExecStart=/bin/sleep 100%i
ExecReload=/bin/kill -HUP $MAINPID
Restart=on-failure
RestartSec=3
SuccessExitStatus=3 SIGUSR1
KillSignal=SIGINT
KillMode=mixed
TimeoutStopSec=1min 30s
UMask=0027
LimitNOFILE=65536
PrivateTmp=true
StandardOutput=append:/tmp/logs/keeper.log
StandardError=inherit

[Install]
WantedBy=multi-user.target
"""


def service(importer: Importer, lines: str, *words: str, unit: str = "", name: str = "web.service") -> Imported:
    return importer({name: f"[Unit]\n{unit}\n[Service]\n{lines}\n[Install]\nWantedBy=multi-user.target\n"}, *words)


def test_a_template_needs_its_instances_and_counts_them_from_nought(importer: Importer) -> None:
    assert importer({"keeper@.service": KEEPER}).code == 2
    done = importer({"keeper@.service": KEEPER}, "--set", "instances=0,1")
    assert done.code == 3
    keeper = done.program("keeper")
    assert keeper.numprocs == 2
    assert "cmd: /bin/sleep 100${TASKMASTER_INSTANCE}" in done.text
    assert dict(keeper.env) == {"MODE": "live", "NOTE": "two words", "PERCENT": "100%"}
    assert (keeper.stopasgroup, keeper.policy.stoptime, keeper.stopsignal, keeper.umask) == ("leader", 90, 2, 0o027)
    assert (keeper.output.stdout, keeper.output.stderr, keeper.workingdir) == ("/tmp/logs/keeper.log", "stdout", "/tmp")
    assert keeper.policy.exitcodes == (0, 3)
    assert "less protected" in done.report[0]
    assert "cache.service is not among the imported units" in done.line("Requires=cache.service")
    assert "taskmasterctl signal HUP keeper" in done.line("ExecReload")
    named = importer({"keeper@.service": KEEPER}, "--set", "instances=a,b")
    assert [(each.name, each.cmd[1]) for each in named.config.programs] == [("keeper@a", "100a"), ("keeper@b", "100b")]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/bin/run a  'b c' \"d\\x41\"", ("/bin/run", "a", "b c", "dA")),
        ("/bin/run ${A} $A x$A $$HOME", ("/bin/run", "1 2", "1", "2", "x$A", "$HOME")),
        ("/bin/run %n %N %p %t %%", ("/bin/run", "web.service", "web", "web", "/run", "%")),
        ("/bin/sh -c 'echo ${A}'", ("/bin/sh", "-c", "echo 1 2")),
        ("/bin/run a\\sb", ("/bin/run", "a b")),
    ],
)
def test_a_command_has_the_words_that_systemd_gives_it(
    importer: Importer, text: str, expected: tuple[str, ...]
) -> None:
    done = service(importer, f'ExecStart={text}\nEnvironment="A=1 2"')
    assert done.program("web").cmd == expected


def test_a_variable_without_a_value_is_put_in_by_a_shell(importer: Importer) -> None:
    done = service(importer, "ExecStart=/bin/run $A ${B} 'c d'")
    assert done.program("web").cmd == ("exec /bin/run $A \"${B}\" 'c d'",)
    assert "/bin/sh puts A, B in" in done.line("ExecStart")


def test_the_prefixes_of_a_command(importer: Importer) -> None:
    wide = service(importer, "ExecStart=-/bin/run")
    assert len(wide.program("web").policy.exitcodes) == 256
    assert "every exit code" in wide.line("changed", "ExecStart")
    other = service(importer, "ExecStart=@/bin/run name arg")
    assert other.program("web").cmd == ("/bin/run", "arg")
    assert "argv[0]" in other.line("dropped", "ExecStart")


def test_a_job_runs_its_commands_one_after_the_other(importer: Importer) -> None:
    done = service(importer, "Type=oneshot\nExecStart=/bin/a 'x y'\nExecStart=-/bin/b\nExecStart=/bin/c")
    job = done.program("web")
    assert job.cmd == ("/bin/a 'x y' && { /bin/b || true; } && /bin/c",)
    assert (job.shell, job.policy.type) == (True, "oneshot")
    assert done.line("changed", "ExecStart")
    assert service(importer, "ExecStart=/bin/a\nExecStart=/bin/b").code == 6


def test_an_empty_assignment_takes_back_those_before_it(importer: Importer) -> None:
    done = service(importer, "ExecStart=/bin/a\nExecStart=\nExecStart=/bin/b \\\n# between\n  --long")
    assert done.program("web").cmd == ("/bin/b", "--long")


@pytest.mark.parametrize(
    ("mode", "expected"), [("control-group", True), ("mixed", "leader"), ("process", False), ("none", False)]
)
def test_a_stop_reaches_what_systemd_reaches(importer: Importer, mode: str, expected: object) -> None:
    done = service(importer, f"ExecStart=/bin/run\nKillMode={mode}")
    assert done.program("web").stopasgroup == expected
    assert bool(done.lines("dropped")) == (mode == "none")


@pytest.mark.parametrize(
    ("word", "expected", "changed"),
    [
        ("no", "never", False),
        ("always", "always", False),
        ("on-failure", "unexpected", True),
        ("on-watchdog", "never", True),
    ],
)
def test_restarts_are_those_of_systemd_or_the_report_says_so(
    importer: Importer, word: str, expected: str, *, changed: bool
) -> None:
    done = service(importer, f"ExecStart=/bin/run\nRestart={word}")
    assert done.program("web").policy.autorestart == expected
    assert bool(done.lines("changed")) == changed
    assert done.program("web").policy.starttime == 0


def test_what_forks_into_the_background_is_a_comment(importer: Importer) -> None:
    done = service(importer, "Type=forking\nPIDFile=/run/x.pid\nExecStart=/bin/run")
    assert not done.config.programs
    assert "  #   cmd: /bin/run" in done.text
    assert "keep it in the foreground" in done.line("Type=forking")


def test_notify_hooks_and_stop_commands(importer: Importer) -> None:
    lines = (
        "Type=notify\nExecStart=/bin/run\nExecStartPre=-/bin/pre a\nExecStartPost=/bin/post\nExecStop=/bin/stop $MAINPID\n"
        "ExecStopPost=/bin/after\nTimeoutStartSec=20\nWatchdogSec=30"
    )
    done = service(importer, lines)
    assert """stop_cmd: {cmd: 'exec /bin/stop "${TASKMASTER_PID}"', shell: true}""" in done.text
    assert "pre_start: {cmd: /bin/pre a || true, shell: true}" in done.text
    assert "post_stop: /bin/after" in done.text
    assert "ready: notify" in done.text
    assert "start_timeout: 20" in done.text
    assert "watchdog: 30" in done.text
    assert done.config.programs
    assert "stopsignal: USR1" in service(importer, "ExecStart=/bin/run\nExecStop=/bin/kill -s USR1 $MAINPID").text


def test_units_that_need_each_other_keep_their_order(importer: Importer) -> None:
    def unit(more: str) -> str:
        return f"[Unit]\n{more}\n[Service]\nExecStart=/bin/run\n[Install]\nWantedBy=x.target\n"

    files = {
        "db.service": unit("Before=late.service"),
        "web.service": unit("After=db.service\nRequires=db.service"),
        "late.service": unit("PartOf=web.service\nAfter=network.target"),
    }
    done = importer(files, "db.service", "web.service", "late.service")
    assert done.code == 0, done.report
    assert "depends_on: {db: {condition: started}}" in done.text
    assert "web: {condition: started, restart: true}" in done.text
    assert "db: {condition: started, required: false}" in done.text
    assert [each.name for each in done.config.programs] == ["db", "web", "late"]


def test_a_unit_that_nothing_wants_does_not_start_by_itself(importer: Importer) -> None:
    done = importer({"web.service": "[Service]\nExecStart=/bin/run\n"})
    assert not done.program("web").autostart
    assert "nothing wants it" in done.line("changed", "Install")


@pytest.mark.parametrize("protections", [3, pytest.param(len(PROTECTIONS), marks=pytest.mark.sweep)])
def test_every_directive_is_carried_or_has_a_line(importer: Importer, protections: int) -> None:
    special = {
        "Type": "simple", "ExecStart": "/bin/run", "Restart": "always", "RestartSec": "1", "SuccessExitStatus": "3",
        "KillSignal": "SIGINT", "KillMode": "mixed", "TimeoutStopSec": "5", "TimeoutStartSec": "5", "TimeoutSec": "6", "WatchdogSec": "5",
        "UMask": "027", "Environment": "A=1", "UnsetEnvironment": "B", "StandardOutput": "append:/l/o", "StandardError": "append:/l/e",
        "StandardInput": "tty", "Nice": "5", "OOMScoreAdjust": "5", "CPUAffinity": "0 1", "MemoryMax": "1G", "MemoryHigh": "1G",
        "MemorySwapMax": "1G", "CPUQuota": "50%", "CPUWeight": "50", "TasksMax": "50", "User": "www", "Group": "www",
        "WorkingDirectory": "/srv", "DynamicUser": "yes", "StartLimitBurst": "4", "StartLimitIntervalSec": "4", "EnvironmentFile": "-/no/such",
        "SendSIGKILL": "no", "ExecReload": "/bin/x", "WantedBy": "a.target", "RequiredBy": "b.target", "LimitNICE": "5", "RuntimeMaxSec": "1h",
    }  # fmt: skip
    sections = {
        "Unit": UNIT,
        "Service": {**SERVICE, **LIMITS, **dict.fromkeys(PROTECTIONS[:protections], "")},
        "Install": INSTALL,
    }
    names = [(section, name) for section, rows in sections.items() for name in rows]

    def result(without: str = "") -> tuple[str, tuple[str, ...]]:
        lines: list[str] = []
        for section in sections:
            lines.append(f"[{section}]")
            for own, name in names:
                if own == section and name != without:
                    value = special.get(
                        name, "other.service" if section == "Unit" else "1" if name.startswith("Limit") else "yes"
                    )
                    lines.append(f"{name}={value if not name.startswith('Exec') else '/bin/run'}")
        done = importer({"web.service": "\n".join(lines)})
        assert done.code == 3, done.report
        return done.text, done.report

    whole = result()
    for _, name in names:
        if name not in ("ExecStart", "TimeoutSec"):
            assert result(name) != whole, name


@pytest.mark.parametrize(
    ("value", "stdin", "instead"),
    [("file:/in put", "/in put", ""), ("null", "null", ""), ("tty-force", "null", "tty: true"), ("socket", "null", "stdin: a path")],
)  # fmt: skip
def test_a_unit_that_reads_a_file_does_so_here(importer: Importer, value: str, stdin: str, instead: str) -> None:
    done = service(importer, f"ExecStart=/bin/run\nStandardInput={value}")
    assert done.program("web").stdin == stdin
    assert bool(done.lines("dropped")) is bool(instead)
    assert instead in "".join(done.lines("dropped"))


def test_limits_are_carried(importer: Importer) -> None:
    done = service(
        importer, "ExecStart=/bin/run\nLimitNOFILE=1024:infinity\nLimitCORE=1M\nNice=-5\nMemoryMax=512M\nCPUQuota=150%"
    )
    assert not done.lines("dropped")
    assert "rlimits: {core: 1048576, nofile: [1024, null]}" in done.text
    assert "nice: -5" in done.text
    assert "limits: {memory: 536870912, cpu: 150%}" in done.text
    assert len(done.config.programs[0].may_use.limits) == 2


@pytest.mark.parametrize(
    ("lines", "age", "word"),
    [("Restart=always\nRuntimeMaxSec=2h", 7200, "changed"), ("RuntimeMaxSec=2h", 0, "dropped"), ("Restart=always\nRuntimeMaxSec=infinity", 0, ""),
     ("Type=oneshot\nRuntimeMaxSec=2h", 0, "")],
)  # fmt: skip
def test_the_longest_time_to_run_is_a_planned_restart(importer: Importer, lines: str, age: float, word: str) -> None:
    done = service(importer, f"ExecStart=/bin/run\n{lines}")
    assert done.config.programs[0].recycle.get("age", 0) == age
    found = [line for line in done.report[:-1] if "RuntimeMaxSec=" in line]
    assert ([line.split(": ")[1] for line in found] or [""]) == [word]


def test_a_limit_that_nobody_should_have_is_dropped(importer: Importer) -> None:
    done = service(importer, "ExecStart=/bin/run\nLimitNOFILE=infinity")
    assert done.code == 3
    assert done.line("dropped", "LimitNOFILE=infinity")
    assert "rlimits" not in done.text


@pytest.mark.parametrize(
    ("text", "expected"),
    [("5", 5), ("1min 30s", 90), ("500ms", 0.5), ("2h", 7200), ("1d 1s", 86401), ("infinity", INFINITY)],
)
def test_time_spans(text: str, expected: float) -> None:
    assert seconds(text) == expected


@pytest.mark.parametrize("text", ["", "x", "5 apples", "-5"])
def test_what_is_no_time_span_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no time span"):
        seconds(text)


def test_an_open_quote_and_an_unknown_specifier_are_refused(importer: Importer) -> None:
    with pytest.raises(ValueError, match="open"):
        words("a 'b")
    assert service(importer, "ExecStart=/bin/run 'a").code == 6
    assert service(importer, "ExecStart=/bin/run %H").code == 6
    assert service(importer, "ExecStart=/bin/run %H", "--set", "H=host").program("web").cmd == ("/bin/run", "host")
    assert service(importer, "Type=simple").code == 6
