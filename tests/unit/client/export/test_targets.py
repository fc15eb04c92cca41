"""What single keys become in each target, where it is more than a word for a word."""

from __future__ import annotations

from typing import Any

import yaml

from taskmasterctl.convert.export.targets.outcome import ExportFiles
from tests.support.exporting import export_text, said, settings


def systemd(text: str, **more: Any) -> ExportFiles:
    return export_text("systemd", f"programs:\n{text}", **more)


def compose(text: str, **more: Any) -> dict[str, Any]:
    data = yaml.safe_load(export_text("compose", f"programs:\n{text}", **more).files["compose.yaml"])
    return dict(data["services"])


def kubernetes(text: str) -> list[dict[str, Any]]:
    return [*yaml.safe_load_all(export_text("kubernetes", f"programs:\n{text}").files["kubernetes.yaml"])]


def procfile(text: str) -> dict[str, str]:
    return dict(export_text("procfile", f"programs:\n{text}").files)


# -- systemd


def test_a_command_is_searched_and_a_relative_one_joined() -> None:
    made = systemd("  a: {cmd: tool x}\n  b: {cmd: ./tool, workingdir: /srv}\n")
    assert settings(made.files["a.service"], "ExecStart") == ["/usr/bin/tool x"]
    assert settings(made.files["b.service"], "ExecStart") == ["/srv/tool"]
    assert [line for line in said(made) if "stays that file" in line] == [
        "changed: cmd=tool x: tool is /usr/bin/tool here, and stays that file"
    ]


def test_an_unfound_command_is_left_to_systemd() -> None:
    made = systemd("  a: {cmd: tool}\n", find=lambda _word, _path, _directory: "")
    assert settings(made.files["a.service"], "ExecStart") == ["tool"]
    assert any("is not found here" in line for line in said(made))


def test_a_first_word_that_a_unit_cannot_hold_goes_through_a_shell() -> None:
    made = systemd("  a: {cmd: ['/bin/$x', '-', 'b c']}\n")
    assert settings(made.files["a.service"], "ExecStart") == ["""/bin/sh -c 'exec "$$@"' sh "/bin/$$x" - "b c\""""]


def test_instances_are_a_template_and_a_target() -> None:
    made = systemd(
        "  web: {cmd: '/bin/a --port 80${TASKMASTER_INSTANCE}', numprocs: 2, env: {N: 'n${TASKMASTER_INSTANCE}'}}\n"
    )
    assert sorted(made.files) == ["web.target", "web@.service"]
    unit = made.files["web@.service"]
    assert settings(unit, "ExecStart") == ["/bin/a --port 80%i"]
    assert settings(unit, "Environment") == ["N=n%i"]
    assert (settings(unit, "PartOf"), settings(unit, "WantedBy")) == (["web.target"], [])
    assert settings(made.files["web.target"], "Wants") == ["web@0.service", "web@1.service"]
    assert settings(made.files["web.target"], "WantedBy") == ["multi-user.target"]


def test_a_variable_stays_one_in_a_command_and_is_set_in_the_unit() -> None:
    made = systemd("  a: {cmd: '/bin/a ${WORD} ${NOT_SET:-d}', env: {B: '${TOKEN_A}'}}\n")
    unit = made.files["a.service"]
    assert settings(unit, "ExecStart") == ["/bin/a ${WORD} d"]
    assert settings(unit, "Environment") == ["B=s3cret", '"WORD=two words $x"']
    assert made.secret == {"a.service"}
    assert any("${WORD} is set in the unit" in line for line in said(made))


def test_a_shell_keeps_its_own_variables() -> None:
    made = systemd("  a: {cmd: 'echo \"${HOME}\" $$', shell: true}\n")
    assert settings(made.files["a.service"], "ExecStart") == ['/bin/sh -c "echo \\"$${HOME}\\" $$$$"']


def test_restarts_follow_the_words_of_systemd() -> None:
    made = systemd(
        "  a: {cmd: /bin/a}\n  b: {cmd: /bin/a, exitcodes: [2, 3]}\n  c: {cmd: /bin/a, autorestart: never}\n"
    )
    assert settings(made.files["a.service"], "RestartForceExitStatus") == ["SIGHUP SIGINT SIGTERM SIGPIPE"]
    assert settings(made.files["b.service"], "SuccessExitStatus") == ["2 3"]
    assert settings(made.files["b.service"], "RestartForceExitStatus")[-1] == "0"
    assert settings(made.files["c.service"], "Restart") == ["no"]


def test_a_job_stays_done() -> None:
    made = systemd("  a: {cmd: /bin/a, type: oneshot, startretries: 2, start_timeout: 9}\n")
    unit = made.files["a.service"]
    names = ("Type", "RemainAfterExit", "Restart", "StartLimitBurst", "TimeoutStartSec")
    assert [settings(unit, name)[0] for name in names] == ["oneshot", "yes", "on-failure", "3", "9"]


def test_edges_are_dependencies() -> None:
    made = systemd(
        "  a: {cmd: /bin/a, depends_on: {b: {required: false}, c: {restart: true}, d: ended, e: healthy}}\n"
        + "".join(f"  {name}: {{cmd: /bin/a}}\n" for name in "bc")
        + "  d: {cmd: /bin/a, type: oneshot}\n  e: {cmd: /bin/a, numprocs: 2, health: {exec: 'true'}}\n"
    )
    unit = made.files["a.service"]
    assert settings(unit, "Wants") == ["b.service d.service"]
    assert settings(unit, "BindsTo") == ["c.service"]
    assert settings(unit, "Requires") == ["e@0.service e@1.service"]
    assert settings(unit, "After") == ["b.service c.service d.service e@0.service e@1.service"]
    assert any("does not wait until e is well" in line for line in said(made))


def test_output_goes_to_files_the_journal_or_nowhere() -> None:
    made = systemd(
        "  a: {cmd: /bin/a, stdout: '/tmp/a %b.log', stderr: stdout}\n  b: {cmd: /bin/a, stdout: 'null', stderr: inherit}\n"
        "  c: {cmd: /bin/a, stdout: {syslog: {tag: cc, facility: local3, severity: warning}}}\n"
    )
    streams = [
        [settings(made.files[f"{name}.service"], f"Standard{each}")[0] for each in ("Output", "Error")]
        for name in "abc"
    ]
    assert streams == [["append:/tmp/a %%b.log", "inherit"], ["null", "journal"], ["journal", "journal"]]
    c = made.files["c.service"]
    assert [settings(c, f"Syslog{each}")[0] for each in ("Identifier", "Level", "Facility")] == [
        "cc",
        "warning",
        "local3",
    ]


def test_hooks_are_commands_beside_the_program() -> None:
    made = systemd(
        "  a:\n    cmd: /bin/a\n    pre_start: {cmd: mk, user: root}\n    pre_stop: {cmd: 'kill -1 $TASKMASTER_PID', shell: true}\n"
        "    stop_cmd: /bin/stop\n    post_stop: /bin/gone\n"
    )
    unit = made.files["a.service"]
    assert settings(unit, "ExecStartPre") == ["+/usr/bin/mk"]
    assert settings(unit, "ExecStop") == ['/bin/sh -c "kill -1 $$MAINPID"', "/bin/stop"]
    assert settings(unit, "ExecStopPost") == ["/bin/gone"]
    assert any("gets the stop signal at once" in line for line in said(made))


def test_what_a_setting_cannot_hold_is_dropped_and_says_less_protected() -> None:
    made = systemd("  a: {cmd: /bin/a, user: 'x ', workingdir: '/a\\'}\n")
    assert settings(made.files["a.service"], "User") == settings(made.files["a.service"], "WorkingDirectory") == []
    lines = [line for line in said(made) if line.startswith("dropped")]
    assert any("less protected" in line for line in lines)
    assert any("ends with a backslash" in line for line in lines)


def test_a_stop_without_patience_is_not_for_ever() -> None:
    assert settings(systemd("  a: {cmd: /bin/a, stoptime: 0}\n").files["a.service"], "TimeoutStopSec") == ["1ms"]


def test_names_that_are_none_there_get_others() -> None:
    made = systemd("  a@b: {cmd: /bin/a}\n  a-b: {cmd: /bin/a, depends_on: [a@b]}\n")
    assert sorted(made.files) == ["a-b-2.service", "a-b.service"]
    assert settings(made.files["a-b-2.service"], "After") == ["a-b.service"]


def test_sockets_are_a_unit_beside_the_program() -> None:
    made = systemd(
        "  web: {cmd: '/bin/a --fd ${SOCKET_http}', sockets: {http: 'localhost:80', admin: {listen: /run/a.sock, backlog: 7}}}\n"
    )
    unit, sockets = made.files["web.service"], made.files["web.socket"]
    assert settings(unit, "ExecStart") == ["/bin/a --fd 3"]
    assert (settings(unit, "Requires"), settings(unit, "After")) == (["web.socket"], ["web.socket"])
    assert settings(sockets, "ListenStream") == ["127.0.0.1:80", "[::1]:80", "/run/a.sock"]
    assert (settings(sockets, "FileDescriptorName"), settings(sockets, "Backlog")) == (["http"], ["4096"])
    assert any("all of them are called http" in line for line in said(made))


def test_files_of_variables_stay_files_and_what_is_stronger_is_said() -> None:
    made = systemd("  a: {cmd: /bin/a, env_file: ['?/etc/a%.env', /b], env: {A: b, S: {file: /run/s}}}\n")
    assert settings(made.files["a.service"], "EnvironmentFile") == ["-/etc/a%%.env", "/b"]
    assert any("stronger than Environment=" in line for line in said(made))
    assert any(line.startswith("dropped: env: S has the value that /run/s holds") for line in said(made))
    assert compose("  a: {cmd: x, env_file: '?/b'}\n")["a"]["env_file"] == [{"path": "/b", "required": False}]
    assert 'a: exec env S="$(cat /run/s)" x\n' in procfile("  a: {cmd: x, env: {S: {file: /run/s}}}\n")["Procfile"]


LIMITED = "  a: {cmd: /bin/a, limits: {memory: 50MB, swap: 1MB, cpu: 1.5, cpu_weight: 50, tasks: 9, oom: group}}\n"


def test_limits_of_all_processes() -> None:
    unit = systemd(LIMITED).files["a.service"]
    names = ("MemoryMax", "MemorySwapMax", "CPUQuota", "CPUWeight", "TasksMax", "OOMPolicy")
    assert [settings(unit, name) for name in names] == [["50000000"], ["1000000"], ["150%"], ["50"], ["9"], ["kill"]]
    service = compose(LIMITED)["a"]
    assert [service[name] for name in ("mem_limit", "memswap_limit", "cpus", "pids_limit")] == [
        50_000_000,
        51_000_000,
        1.5,
        9,
    ]
    (found,) = kubernetes(LIMITED)
    limits = found["spec"]["template"]["spec"]["containers"][0]["resources"]["limits"]
    assert limits == {"memory": "50000000", "cpu": "1.5"}
    assert any(
        "cpu_weight, oom: a service has none" in line for line in said(export_text("compose", f"programs:\n{LIMITED}"))
    )


def test_input_of_a_unit() -> None:
    made = systemd("  a: {cmd: /bin/a, stdin: /in put}\n  b: {cmd: /bin/a, stdin: {socket: s}, sockets: {s: ':80'}}\n")
    assert settings(made.files["a.service"], "StandardInput") == ["file:/in put"]
    assert settings(made.files["b.service"], "StandardInput") == ["socket"]
    assert settings(made.files["b.socket"], "ListenStream") == ["80"]


# -- Compose


def test_variables_stay_variables_in_compose() -> None:
    made = export_text(
        "compose", "programs:\n  a: {cmd: 'x ${WORD}', env: {T: '${TOKEN_A}', D: '$x'}, workingdir: '${HOME}/d'}\n"
    )
    service = yaml.safe_load(made.files["compose.yaml"])["services"]["a"]
    assert service["command"] == ["x", "${WORD}"]
    assert service["environment"] == {"T": "${TOKEN_A}", "D": "$$x"}
    assert service["working_dir"] == "${HOME}/d"
    assert made.needs == ("WORD", "TOKEN_A", "HOME")
    assert "s3cret" not in made.files["compose.yaml"]


def test_conditions_follow_what_a_dependency_has_there() -> None:
    services = compose(
        "  a: {cmd: x, depends_on: {b: {restart: true}, c: {required: false}, d: {}}}\n  b: {cmd: x, health: {exec: 'true'}}\n"
        "  c: {cmd: x}\n  d: {cmd: x, type: oneshot}\n"
    )
    assert services["a"]["depends_on"] == {
        "b": {"condition": "service_healthy", "restart": True},
        "c": {"condition": "service_started", "required": False},
        "d": {"condition": "service_completed_successfully"},
    }


def test_instances_with_a_number_are_services_of_their_own() -> None:
    services = compose(
        "  a: {cmd: 'x ${TASKMASTER_INSTANCE}', numprocs: 2}\n  a-1: {cmd: y}\n  b: {cmd: x, numprocs: 3, depends_on: ['a:1']}\n"
    )
    assert [(name, each["command"][-1]) for name, each in services.items()] == [
        ("a-0", "0"),
        ("a-1", "1"),
        ("a-1-2", "y"),
        ("b", "x"),
    ]
    assert services["b"]["deploy"] == {"replicas": 3}
    assert [*services["b"]["depends_on"]] == ["a-1"]


def test_probes_are_commands_in_compose() -> None:
    services = compose(
        "  a: {cmd: x, health: {http: {url: 'http://127.0.0.1:1/x', headers: {H: v}}, interval: 0.5, action: none}}\n"
        "  b: {cmd: x, ready: {exec: {cmd: 'a | b', shell: true}}, start_timeout: 90}\n"
    )
    assert services["a"]["healthcheck"]["test"] == [
        "CMD",
        "curl",
        "-fsS",
        "-o",
        "/dev/null",
        "-H",
        "H: v",
        "http://127.0.0.1:1/x",
    ]
    assert services["a"]["healthcheck"]["interval"] == "500ms"
    assert services["b"]["healthcheck"]["test"] == ["CMD-SHELL", "a | b"]
    assert services["b"]["healthcheck"]["start_period"] == "90s"


def test_an_unknown_image_is_said_at_each_service() -> None:
    made = export_text("compose", "programs: {a: {cmd: x}}\n", settings={})
    assert yaml.safe_load(made.files["compose.yaml"])["services"]["a"]["image"] == "???"
    assert any("no image is known" in line for line in said(made))


# -- Kubernetes


def test_a_service_is_a_deployment_and_what_ends_a_job() -> None:
    found = kubernetes(
        "  a: {cmd: x, numprocs: 2}\n  b: {cmd: x, type: oneshot, startretries: 4, start_timeout: 9}\n  c: {cmd: x, autorestart: never}\n"
    )
    assert [each["kind"] for each in found] == ["Deployment", "Job", "Job"]
    assert found[0]["spec"]["replicas"] == 2
    assert (found[1]["spec"]["backoffLimit"], found[2]["spec"]["backoffLimit"]) == (4, 0)
    assert found[1]["spec"]["template"]["spec"]["activeDeadlineSeconds"] == 9


def test_probes_of_kubernetes() -> None:
    (found,) = kubernetes(
        "  a: {cmd: x, health: {http: 'http://127.0.0.1:8080/live?x', interval: 5, start_period: 12}, ready: {tcp: '127.0.0.1:8080'}}\n"
    )
    container = found["spec"]["template"]["spec"]["containers"][0]
    assert container["livenessProbe"]["httpGet"] == {"path": "/live?x", "port": 8080, "scheme": "HTTP"}
    assert container["startupProbe"]["failureThreshold"] == 3
    assert container["readinessProbe"]["tcpSocket"] == {"port": 8080}


def test_only_numbers_are_users_in_kubernetes() -> None:
    (found,) = kubernetes("  a: {cmd: x, user: '33', group: staff}\n")
    assert found["spec"]["template"]["spec"]["containers"][0]["securityContext"] == {"runAsUser": 33}
    made = export_text("kubernetes", "programs: {a: {cmd: x, user: root}}\n")
    assert any("only a number is a user there; less protected" in line for line in said(made))


def test_names_are_labels_in_kubernetes() -> None:
    assert [each["metadata"]["name"] for each in kubernetes("  Web_1.x: {cmd: x}\n  web-1-x: {cmd: x}\n")] == [
        "web-1-x",
        "web-1-x-2",
    ]


# -- Procfile


def test_what_all_programs_share_is_in_env_and_the_rest_before_the_command() -> None:
    files = procfile(
        "  a: {cmd: x, env: {S: same, PORT: '1', A: one}, umask: 027}\n  b: {cmd: y, env: {S: same, PORT: '1', N: null}, workingdir: /srv}\n"
    )
    assert files[".env"] == "S=same\n"
    lines = [line for line in files["Procfile"].splitlines() if not line.startswith("#")]
    assert lines == ["a: umask 0027 && exec env PORT=1 A=one x", "b: cd /srv && exec env -u N PORT=1 y"]


def test_a_text_for_a_shell_stays_as_it_is() -> None:
    assert "a: A=1 x | y\n" in procfile("  a: {cmd: 'A=1 x | y', shell: true}\n")["Procfile"]


def test_a_word_of_the_shell_is_executed_as_a_file() -> None:
    assert "a: exec time -p x\n" in procfile("  a: {cmd: time -p x}\n")["Procfile"]
