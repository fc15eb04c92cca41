"""The rows of Compose: what becomes of each key in a service. Pure. Source: the Compose specification, 05-services."""

from __future__ import annotations

from taskmaster_common.text.formats import signal_name
from taskmasterctl.convert.export.targets.compose.draft import ServiceDraft, duration
from taskmasterctl.convert.export.targets.compose.health import health, ready, start_timeout
from taskmasterctl.convert.export.targets.compose.limits import LIMITS
from taskmasterctl.convert.export.targets.compose.order import depends_on
from taskmasterctl.convert.export.targets.containers import (
    COUNTED,
    IN_THE_IMAGE,
    NO_IMAGE,
    of_files,
    stream,
    umask,
)
from taskmasterctl.convert.export.targets.draft import KeyRow, KeyRows, lost, silent, wanted

TYPE_CHECKING = False
if TYPE_CHECKING:
    pass


ENTRYPOINT = "an image with an ENTRYPOINT gets its command as arguments of that"
WHOLE_END = "the stop signal goes to the program alone, and all of it ends with the container"


def _cmd(draft: ServiceDraft) -> None:
    image = draft.image()
    draft.data["image"] = image
    if image == NO_IMAGE:
        draft.dropped("cmd", "no image is known that has it", "--set image=NAME, or write it")
    draft.data["command"] = draft.words(draft.value("cmd"), shell=draft.source.config.shell)
    draft.data["init"] = True
    draft.note(ENTRYPOINT)
    draft.say_variables()


def _numprocs(draft: ServiceDraft) -> None:
    if draft.source.config.numprocs > 1:
        draft.data["deploy"] = {"replicas": draft.source.config.numprocs}


def _env(draft: ServiceDraft) -> None:
    found = draft.variables(draft.of_file)
    draft.data["environment"] = {name: draft.text(value) for name, value in found if value is not None}


def _workingdir(draft: ServiceDraft) -> None:
    if "workingdir" in draft.source.written:
        draft.data["working_dir"] = draft.text(draft.value("workingdir"))
    else:
        draft.note(IN_THE_IMAGE)


def _user(draft: ServiceDraft) -> None:
    user, group = draft.value("user") or draft.context.daemon.user, draft.value("group")
    if user:
        draft.data["user"] = draft.text(f"{user}:{group}" if group else user)


def _group(draft: ServiceDraft) -> None:
    if draft.source.config.run_as.group and not (draft.source.config.run_as.user or draft.context.daemon.user):
        draft.dropped("group", "a group needs a user there", "write user: too")


def _autostart(draft: ServiceDraft) -> None:
    if not wanted(draft.source) or draft.source.optional("schedule", {}):  # `up` would run it at once
        draft.data["profiles"] = ["manual"]


def _autorestart(draft: ServiceDraft) -> None:
    policy = draft.source.config.policy
    if policy.type == "oneshot":
        draft.data["restart"] = f"on-failure:{policy.startretries}" if policy.startretries else "no"
        return
    if policy.autorestart == "unexpected":
        draft.data["restart"] = f"on-failure:{max(1, policy.startretries)}"
    else:
        draft.data["restart"] = "always" if policy.autorestart == "always" else "no"
    draft.note(COUNTED)


def _exitcodes(draft: ServiceDraft) -> None:
    policy = draft.source.config.policy
    if policy.exitcodes != (0,) and (policy.autorestart == "unexpected" or policy.type == "oneshot"):
        draft.dropped("exitcodes", "only 0 is a success there")


def _startretries(draft: ServiceDraft) -> None:
    policy = draft.source.config.policy
    if draft.source.differs("startretries") and policy.type != "oneshot":
        if policy.autorestart == "unexpected":
            least = "" if policy.startretries else ", and one is the least"
            draft.changed("startretries", f"counts every restart after a run of less than 10 s{least}")
        else:
            draft.dropped("startretries", "restarts have no end, or there are none")


def _stopsignal(draft: ServiceDraft) -> None:
    name = signal_name(draft.source.config.stopsignal, draft.context.signals)
    draft.data["stop_signal"] = name if name.isdecimal() else f"SIG{name}"


def _stoptime(draft: ServiceDraft) -> None:
    draft.data["stop_grace_period"] = duration(draft.source.config.policy.stoptime)


def _stopasgroup(draft: ServiceDraft) -> None:
    value = draft.source.config.stopasgroup
    if value is False:
        draft.changed("stopasgroup", "what the program leaves behind ends with the container")
    elif value is True:
        draft.note(WHOLE_END)


def _after_hook(key: str, name: str) -> KeyRow:
    def say(draft: ServiceDraft) -> None:
        command = draft.hook(key)
        if command:
            user = draft.source.value(key)[1]
            draft.data.setdefault(name, []).append({"command": command, **({"user": user} if user else {})})
            if key == "stop_cmd":
                draft.changed(key, "the stop signal follows when it has ended")

    return KeyRow(f"`{name}`" + ", changed" * (key == "stop_cmd"), say)


def _update(draft: ServiceDraft) -> None:
    update = draft.source.config.update
    if update:
        rules = {
            "parallelism": update["max_unavailable"],
            "delay": duration(update["pause"]),
            "monitor": duration(update["monitor"]),
            "failure_action": "rollback" if update["on_failure"] == "rollback" else "pause",
        }
        draft.data.setdefault("deploy", {})["update_config"] = rules
        draft.changed("update", "only `docker stack deploy` goes by it; `docker compose up` replaces all at once")


def _tty(draft: ServiceDraft) -> None:
    if draft.source.config.tty:
        draft.data["tty"] = True
        draft.data["stdin_open"] = True


def _stdin(draft: ServiceDraft) -> None:
    if draft.source.config.stdin == "pipe":
        draft.data["stdin_open"] = True
        draft.changed("stdin", "`docker attach` writes into it")
    elif draft.source.differs("stdin"):
        draft.dropped("stdin", "its input is empty there")


def _restart(key: str) -> KeyRow:
    return lost(key, "the container runtime has pauses of its own between restarts")


ROWS: KeyRows = {
    "cmd": KeyRow(
        "`command`; `shell`: `/bin/sh -c`. The image is that of `--set image=NAME` or `--set PROGRAM.image=NAME`", _cmd
    ),
    "shell": silent("`/bin/sh -c` in `command`"),
    "numprocs": KeyRow("`deploy.replicas`; a service for each instance where its number stands in a text", _numprocs),
    "umask": umask(),
    "workingdir": KeyRow("`working_dir`", _workingdir),
    "autostart": KeyRow("false: `profiles: [manual]`", _autostart),
    "depends_on": KeyRow("`depends_on` with `condition`, `required`, `restart`", depends_on),
    "type": silent("`restart: no` or `on-failure:N`; what depends on it waits for `service_completed_successfully`"),
    "ready": KeyRow("`exec`, `http`, `tcp`: `healthcheck`; else dropped", ready),
    "start_timeout": KeyRow("`start_period` of the healthcheck of `ready`; else dropped", start_timeout),
    "health": KeyRow("`exec`, `http`, `tcp`: `healthcheck`, changed; else dropped", health),
    "autorestart": KeyRow("`restart`: `always`, `no` or `on-failure:N`", _autorestart),
    "exitcodes": KeyRow("dropped", _exitcodes),
    "startretries": KeyRow("`on-failure:N`, changed", _startretries),
    "starttime": _restart("starttime"),
    "stopsignal": KeyRow("`stop_signal`", _stopsignal),
    "stoptime": KeyRow("`stop_grace_period`", _stoptime),
    "stdout": stream("stdout"),
    "stderr": stream("stderr"),
    "tty": KeyRow("`tty`, `stdin_open`", _tty),
    "stdin": KeyRow("`pipe`: `stdin_open`, changed", _stdin),
    "env": KeyRow("`environment`; null: nothing is inherited there", _env),
    "user": KeyRow("`user`", _user),
    "group": KeyRow("`user`, behind the colon", _group),
    "description": silent("a comment"),
    "stopasgroup": KeyRow("`init: true`; all of it ends with the container", _stopasgroup),
    "pre_start": lost(
        "pre_start", "nothing runs before a service there", "a service that ends, and service_completed_successfully"
    ),
    "post_start": _after_hook("post_start", "post_start"),
    "pre_restart": lost("pre_restart", "nothing is asked before a restart"),
    "pre_stop": _after_hook("pre_stop", "pre_stop"),
    "stop_cmd": _after_hook("stop_cmd", "pre_stop"),
    "post_stop": lost("post_stop", "nothing runs after a service there"),
    **{key: _restart(key) for key in ("restart_delay", "restart_max_delay", "restart_burst", "restart_window")},
    **{
        key: of_files(key)
        for key in ("log_maxbytes", "log_backups", "log_format", "log_prefix", "log_time", "log_levels", "log_events")
    },
    "essential": lost(
        "essential", "a service that ends leaves the others", "docker compose up --abort-on-container-exit"
    ),
    "update": KeyRow("`deploy.update_config`, changed", _update),
    **LIMITS,
}
"""One row for each key of a program."""
