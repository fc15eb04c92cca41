"""The configuration's values: every key has its default and its reload class, and they are those of the reference."""

from __future__ import annotations

import json

import pytest

from taskmaster_common.config import (
    DAEMON_LIVE_KEYS,
    INSTANCE,
    KIND,
    LIVE,
    LIVE_OR_NEXT,
    NEXT,
    PROGRAM_KEYS,
    RELOAD_CLASS,
    RESTART,
    SCALE,
    Config,
    DaemonConfig,
    ProgramConfig,
    for_instance,
    mode_of_socket,
)
from tests.support.model import config, program

CLASSES = {
    RESTART: "cmd umask workingdir stdout stderr tty stdin env env_file clear_env sockets type user group shell refusal "
    "log_format log_prefix log_time log_levels cgroup",
    NEXT: "ready",
    LIVE_OR_NEXT: "rlimits nice cpu_affinity oom_score_adj limits",
    SCALE: "numprocs",
    LIVE: "autostart depends_on start_timeout health autorestart exitcodes startretries starttime stopsignal stoptime description stopasgroup "
    "restart_delay restart_max_delay restart_burst restart_window log_maxbytes log_backups log_events essential update enabled schedule "
    "pre_start post_start pre_restart pre_stop stop_cmd post_stop socket_options recycle watch",
}


@pytest.mark.parametrize("reload_class", CLASSES)
def test_the_reload_classes_are_those_of_the_specification(reload_class: str) -> None:
    assert {key for key, found in RELOAD_CLASS.items() if found == reload_class} == set(CLASSES[reload_class].split())


def test_every_field_but_the_name_has_a_reload_class() -> None:
    assert set(RELOAD_CLASS) == set(ProgramConfig.part_of_) - {"name"}
    assert set(KIND) == set(RELOAD_CLASS) - {"refusal", "socket_options"}
    assert set(PROGRAM_KEYS) - set(KIND) == {"extends"}


def test_the_defaults_are_those_of_the_specification() -> None:
    plain = program()
    assert {key: plain.value(key) for key in KIND if key != "cmd"} == {
        "numprocs": 1,
        "umask": None,
        "workingdir": "/",
        "autostart": True,
        "depends_on": (),
        "type": "service",
        "ready": {},
        "start_timeout": 60.0,
        "health": {},
        "autorestart": "unexpected",
        "exitcodes": (0,),
        "startretries": 3,
        "starttime": 1.0,
        "stopsignal": 15,
        "stoptime": 10.0,
        "stdout": "default",
        "stderr": "default",
        "tty": {},
        "stdin": "null",
        "clear_env": False,
        "sockets": (),
        "env_file": (),
        "env": {},
        "user": None,
        "group": None,
        "shell": False,
        "description": "",
        "stopasgroup": True,
        **dict.fromkeys(("pre_start", "post_start", "pre_restart", "pre_stop", "stop_cmd", "post_stop"), ()),
        "restart_delay": 0.5,
        "restart_max_delay": 30.0,
        "restart_burst": 10,
        "restart_window": 60.0,
        "log_maxbytes": 50_000_000,
        "log_backups": 10,
        "log_format": "raw",
        "log_prefix": "{time} ",
        "log_time": "local",
        "log_levels": None,
        "log_events": False,
        "essential": False,
        "update": {},
        "rlimits": (),
        "nice": None,
        "cpu_affinity": (),
        "oom_score_adj": None,
        "enabled": True,
        "limits": (),
        "cgroup": None,
        "recycle": {},
        "watch": {},
        "schedule": {},
    }


def test_the_daemons_defaults_and_live_keys_are_those_of_the_specification() -> None:
    daemon = DaemonConfig()
    assert (mode_of_socket(daemon), daemon.umask, daemon.loglevel, daemon.shutdown_timeout) == (
        0o600,
        0o022,
        "info",
        60.0,
    )
    assert daemon.exit_when == "never"
    assert daemon.history == {"size": 16_000_000, "age": 90 * 86_400}
    assert {"loglevel", "history", "shutdown_timeout", "exit_when", "roles"} == DAEMON_LIVE_KEYS
    assert mode_of_socket(daemon.replace(roles={"r": {}})) == 0o666
    assert mode_of_socket(daemon.replace(roles={"r": {}}, socket_mode=0o600)) == 0o600
    assert set(DaemonConfig.fields_) >= DAEMON_LIVE_KEYS


def test_the_order_of_env_makes_no_difference() -> None:
    assert program(env={"A": "1", "B": None}) == program(env={"B": None, "A": "1"})
    assert program(env={"A": None}) != program(env={})


def test_a_program_is_found_by_its_name() -> None:
    found = config(program("a"), program("b"))
    assert found.program("b") is found.programs[1]
    assert found.program("c") is None


def test_the_number_of_the_instance_is_put_in_everywhere() -> None:
    assert for_instance(f"/log/{INSTANCE}/web-{INSTANCE}", 12) == "/log/12/web-12"


def test_a_configuration_survives_as_plain_data() -> None:
    odd = program("odd", cmd=("a", "b\0"), env={"A": None, "B": "\udcff"}, exitcodes=(0, 3), umask=0, stoptime=0.5)
    whole = Config("/c.yaml", DaemonConfig(socket="/s", loglevel="debug"), (odd, program()), (("/c.yaml", 7, 9),))
    assert Config.from_data(json.loads(json.dumps(whole.to_data()))) == whole


def test_programs_with_equal_records_share_them_after_a_load() -> None:
    programs = (program("a", stoptime=5.0, user="ann"), program("b", stoptime=5.0, user="ann"), program("c"))
    whole = Config.from_data(Config("/c.yaml", DaemonConfig(), programs).to_data())
    a, b, c = whole.programs
    assert a.policy is b.policy
    assert a.run_as is b.run_as
    assert c.policy is ProgramConfig.policy
    assert whole.programs == programs


def test_a_key_is_found_and_changed_wherever_its_record_holds_it() -> None:
    before = program(stoptime=5.0, startretries=7)
    after = before.with_keys(stoptime=6.0, umask=0o77, user="ann")
    assert before.changed_keys(after) == ("umask", "stoptime", "user")
    assert [after.value(key) for key in ("stoptime", "startretries", "umask", "user")] == [6.0, 7, 0o77, "ann"]


def test_an_unknown_key_is_refused() -> None:
    with pytest.raises(TypeError, match="nosuch"):
        program(nosuch=1)
    with pytest.raises(TypeError, match="nosuch"):
        program().with_keys(nosuch=1)
