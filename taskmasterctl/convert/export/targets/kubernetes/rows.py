"""The rows of Kubernetes: what becomes of each key in an object. Pure. Source: its API reference, apps/v1, batch/v1, core/v1."""

from __future__ import annotations

from taskmaster_common.text.formats import signal_name
from taskmasterctl.convert.export.targets.containers import (
    COUNTED,
    IN_THE_IMAGE,
    NO_IMAGE,
    limits_start,
    of_files,
    stream,
    umask,
    whole,
)
from taskmasterctl.convert.export.targets.draft import KeyRow, KeyRows, lost, silent, wanted
from taskmasterctl.convert.export.targets.kubernetes.draft import PodDraft
from taskmasterctl.convert.export.targets.kubernetes.limits import LIMITS
from taskmasterctl.convert.export.targets.kubernetes.probes import health, ready
from taskmasterctl.convert.report import LESS_PROTECTED

TYPE_CHECKING = False
if TYPE_CHECKING:
    pass


USUAL_STOP = 15
WHOLE_END = (
    "the stop signal goes to the program alone, as process 1 of its container, and all of it ends with the container"
)
ALWAYS_THERE = "starts again whatever its end was"


def _cmd(draft: PodDraft) -> None:
    image = draft.image()
    if image == NO_IMAGE:
        draft.dropped("cmd", "no image is known that has it", "--set image=NAME, or write it")
    command = draft.words(draft.value("cmd"), shell=draft.source.config.shell)
    draft.data.update({"name": draft.name, "image": image, "command": command})
    draft.say_variables()


def _numprocs(draft: PodDraft) -> None:
    number = draft.source.config.numprocs
    if draft.job:
        draft.spec.update({"completions": number, "parallelism": number} if number > 1 else {})
    elif wanted(draft.source):
        draft.spec["replicas"] = number


def _autostart(draft: PodDraft) -> None:
    if wanted(draft.source):
        return
    scheduled = bool(draft.source.optional("schedule", {}))
    (draft.cron if scheduled else draft.spec).update({"suspend": True} if draft.job else {"replicas": 0})
    if draft.source.config.numprocs > 1 and not draft.job:
        draft.changed(
            "numprocs", "nothing runs before you scale it", f"kubectl scale --replicas={draft.source.config.numprocs}"
        )


def _env(draft: PodDraft) -> None:
    found = draft.variables(draft.of_file)
    draft.data["env"] = [{"name": name, "value": draft.text(value)} for name, value in found if value is not None]


def _workingdir(draft: PodDraft) -> None:
    if "workingdir" in draft.source.written:
        draft.data["workingDir"] = draft.value("workingdir")
    else:
        draft.note(IN_THE_IMAGE)


def _account(key: str, name: str) -> KeyRow:
    def say(draft: PodDraft) -> None:
        value = getattr(draft.source.config.run_as, key) or (draft.context.daemon.user if key == "user" else None)
        if value is None:
            return
        if value.isdecimal():
            draft.data.setdefault("securityContext", {})[name] = int(value)
        else:
            draft.dropped(
                key, f"only a number is a {key} there; {LESS_PROTECTED}", f"write securityContext: {{{name}: N}}"
            )

    return KeyRow(f"`securityContext.{name}`; a name: dropped", say)


def _start_timeout(draft: PodDraft) -> None:
    config = draft.source.config
    if config.policy.type == "oneshot":
        if config.policy.start_timeout:
            draft.pod["activeDeadlineSeconds"] = whole(config.policy.start_timeout)
    elif limits_start(config) and "start_timeout" in draft.source.written:
        draft.dropped(
            "start_timeout", "a pod may take as long as it likes", "write progressDeadlineSeconds, which only warns"
        )


def _autorestart(draft: PodDraft) -> None:
    policy = draft.source.config.policy
    if draft.job:
        draft.pod["restartPolicy"] = "Never"
        draft.spec["backoffLimit"] = policy.startretries if policy.type == "oneshot" else 0
        return
    draft.note(COUNTED)
    if policy.autorestart == "unexpected" and "autorestart" in draft.source.written:
        draft.changed("autorestart", ALWAYS_THERE)
    elif policy.autorestart == "unexpected":
        draft.note(ALWAYS_THERE)


def _exitcodes(draft: PodDraft) -> None:
    policy = draft.source.config.policy
    good = [code for code in policy.exitcodes if code]
    if draft.job and good and policy.type == "oneshot":
        rule = {"action": "FailJob", "onExitCodes": {"operator": "In", "values": good}}
        draft.spec["podFailurePolicy"] = {"rules": [rule]}
        draft.changed("exitcodes", "ends the Job without another try, and counts as failed; only 0 is a success")
    elif policy.exitcodes != (0,) and policy.autorestart != "always":
        draft.dropped("exitcodes", "only 0 is a success there")


def _retries(key: str) -> KeyRow:
    def say(draft: PodDraft) -> None:
        if draft.source.differs(key) and not (draft.job and key == "startretries"):
            draft.dropped(key, "the kubelet has pauses of its own between restarts")

    return KeyRow("`backoffLimit` of a Job; else dropped" if key == "startretries" else "dropped", say)


def _stopsignal(draft: PodDraft) -> None:
    number = draft.source.config.stopsignal
    if number != USUAL_STOP:
        name = signal_name(number, draft.context.signals)
        if name.isdecimal() or name.startswith("RT"):
            draft.dropped("stopsignal", "is no name that it has there")
            return
        draft.data.setdefault("lifecycle", {})["stopSignal"] = f"SIG{name}"
        draft.pod["os"] = {"name": "linux"}


def _stoptime(draft: PodDraft) -> None:
    value = draft.source.config.policy.stoptime
    draft.pod["terminationGracePeriodSeconds"] = whole(value)
    if whole(value) != value:
        draft.changed("stoptime", "whole seconds")


def _stopasgroup(draft: PodDraft) -> None:
    value = draft.source.config.stopasgroup
    if value is False:
        draft.changed("stopasgroup", "what the program leaves behind ends with the container")
    elif value is True:
        draft.note(WHOLE_END)


def _pre_start(draft: PodDraft) -> None:
    command = draft.hook("pre_start")
    if command:
        draft.pod["initContainers"] = [{"name": "pre-start", "image": draft.image(), "command": command}]
        draft.changed("pre_start", "runs before each pod, not before each start in it, and without its env")


def _hook(key: str, name: str) -> KeyRow:
    def say(draft: PodDraft) -> None:
        command = draft.hook(key)
        if not command:
            return
        lifecycle = draft.data.setdefault("lifecycle", {})
        if name in lifecycle:
            draft.dropped(key, "there is one preStop, and pre_stop is that", "do both in one command")
            return
        lifecycle[name] = {"exec": {"command": command}}
        if draft.source.value(key)[1]:
            draft.changed(key, "runs as the user of the container")
        if key == "stop_cmd":
            draft.changed(key, "the stop signal follows when it has ended")
        if key == "post_start":
            draft.changed(key, "runs at the start, beside the program")

    return KeyRow(f"`lifecycle.{name}`" + ", changed" * (key != "pre_stop"), say)


def _update(draft: PodDraft) -> None:
    update = draft.source.config.update
    if draft.job:
        return
    if not update:
        draft.spec["strategy"] = {"type": "Recreate"}
        return
    rolling = {"maxUnavailable": update["max_unavailable"], "maxSurge": 0}
    draft.spec["strategy"] = {"type": "RollingUpdate", "rollingUpdate": rolling}
    draft.spec["minReadySeconds"] = whole(update["monitor"])
    if update["on_failure"] == "rollback":
        draft.changed("update", "stops at a failure", "kubectl rollout undo takes it back")
    if update["pause"]:
        draft.changed("update", "minReadySeconds is the only pause")


def _description(draft: PodDraft) -> None:
    if draft.source.config.description:
        draft.notes_of_object["kubernetes.io/description"] = draft.value("description")


def _tty(draft: PodDraft) -> None:
    if draft.source.config.tty:
        draft.data.update({"tty": True, "stdin": True})


def _stdin(draft: PodDraft) -> None:
    if draft.source.config.stdin == "pipe":
        draft.data["stdin"] = True
        draft.changed("stdin", "`kubectl attach -i` writes into it")
    elif draft.source.differs("stdin"):
        draft.dropped("stdin", "its input is empty there")


ROWS: KeyRows = {
    "cmd": KeyRow(
        "`command`; `shell`: `/bin/sh -c`. The image is that of `--set image=NAME` or `--set PROGRAM.image=NAME`", _cmd
    ),
    "shell": silent("`/bin/sh -c` in `command`"),
    "numprocs": KeyRow("`replicas`; an object for each instance where its number stands in a text", _numprocs),
    "umask": umask(),
    "workingdir": KeyRow("`workingDir`", _workingdir),
    "autostart": KeyRow("false: `replicas: 0`, of a Job `suspend: true`", _autostart),
    "depends_on": lost(
        "depends_on", "nothing has an order there", "let it wait in an init container, or try again by itself"
    ),
    "type": silent("`oneshot`: a Job"),
    "health": KeyRow("`livenessProbe` with `startupProbe`; with `action: none` `readinessProbe`", health),
    "ready": KeyRow("`readinessProbe`, changed", ready),
    "start_timeout": KeyRow("of a `oneshot`: `activeDeadlineSeconds`; else dropped", _start_timeout),
    "autorestart": KeyRow("`always`: a Deployment; `unexpected`: the same, changed; `never`: a Job", _autorestart),
    "exitcodes": KeyRow("of a Job: `podFailurePolicy`, changed; else dropped", _exitcodes),
    **{
        key: _retries(key)
        for key in (
            "startretries",
            "starttime",
            "restart_delay",
            "restart_max_delay",
            "restart_burst",
            "restart_window",
        )
    },
    "stopsignal": KeyRow("`lifecycle.stopSignal`", _stopsignal),
    "stoptime": KeyRow("`terminationGracePeriodSeconds`", _stoptime),
    "stdout": stream("stdout"),
    "stderr": stream("stderr"),
    "tty": KeyRow("`tty`, `stdin`", _tty),
    "stdin": KeyRow("`pipe`: `stdin`, changed", _stdin),
    "env": KeyRow("`env`; null: nothing is inherited there", _env),
    "user": _account("user", "runAsUser"),
    "group": _account("group", "runAsGroup"),
    "description": KeyRow("an annotation", _description),
    "stopasgroup": KeyRow("all of it ends with the container", _stopasgroup),
    "pre_start": KeyRow("`initContainers`, changed", _pre_start),
    "post_start": _hook("post_start", "postStart"),
    "pre_restart": lost("pre_restart", "nothing is asked before a restart"),
    "pre_stop": _hook("pre_stop", "preStop"),
    "stop_cmd": _hook("stop_cmd", "preStop"),
    "post_stop": lost("post_stop", "nothing runs after a pod there"),
    **{
        key: of_files(key)
        for key in ("log_maxbytes", "log_backups", "log_format", "log_prefix", "log_time", "log_levels", "log_events")
    },
    "essential": lost("essential", "a pod that ends leaves the others"),
    "update": KeyRow("`strategy`: `RollingUpdate`, without it `Recreate`", _update),
    **LIMITS,
}
"""One row for each key of a program."""
