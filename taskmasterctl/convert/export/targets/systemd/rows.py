"""The rows of systemd: what becomes of each key in a unit. Pure. Source: systemd.service(5), systemd.exec(5), systemd.kill(5)."""

from __future__ import annotations

from taskmaster_common.config.health import WATCHDOG
from taskmaster_common.config.words import DISCARD, FROM_SOCKET, INSTANCE
from taskmaster_common.text.formats import signal_name
from taskmasterctl.convert.export.targets.draft import KeyRow, KeyRows, lost, silent, wanted
from taskmasterctl.convert.export.targets.systemd.hooks import HOOKS
from taskmasterctl.convert.export.targets.systemd.limits import LIMITS
from taskmasterctl.convert.export.targets.systemd.order import depends_on
from taskmasterctl.convert.export.targets.systemd.output import OUTPUT
from taskmasterctl.convert.export.targets.systemd.units import assignment, seconds, variable_problem

TYPE_CHECKING = False
if TYPE_CHECKING:
    from taskmasterctl.convert.export.targets.systemd.draft import UnitDraft

USUAL_UMASK = 0o022
USUAL_STOP = 15
CLEAN_THERE = "SIGHUP SIGINT SIGTERM SIGPIPE"
"""Signals by which an end counts as clean with systemd. Source: systemd.service(5), Restart=."""
COUNTED = (
    "systemd gives up after restart_burst starts within restart_window, where restarts only wait here; it does not double "
    "the pause before a failed start, and knows no starttime and no startretries"
)
STARTED = "counts as started once its program was executed: there is no starttime"
AS_ROOT = "names no user: a system unit runs it as root, a user unit (`systemctl --user`) as you"


def _type(unit: UnitDraft) -> None:
    if unit.job:
        unit.set("Type", "oneshot")
        if not unit.source.optional("schedule", {}):
            unit.set("RemainAfterExit", "yes")
    elif unit.source.config.ready.get("notify"):
        unit.set("Type", "notify")
        unit.set("NotifyAccess", "all")
    else:
        unit.set("Type", "exec")


def _cmd(unit: UnitDraft) -> None:
    config = unit.source.config
    unit.set("ExecStart", unit.command("cmd", unit.source.opened("cmd"), shell=config.shell))


def _start_timeout(unit: UnitDraft) -> None:
    limit, config = unit.source.config.policy.start_timeout, unit.source.config
    if unit.job or config.ready.get("notify") or config.policy.post_start:
        if limit or not unit.job:
            unit.set("TimeoutStartSec", seconds(limit) if limit else "infinity")
    elif unit.source.differs("start_timeout") and config.ready:
        unit.dropped("start_timeout", "only what says READY=1 has a time for it there")


def _ready(unit: UnitDraft) -> None:
    if unit.source.config.ready and not unit.source.config.ready.get("notify"):
        unit.dropped(
            "ready", "a unit is up when its program was executed", "let the program say READY=1: ready: notify"
        )


def _health(unit: UnitDraft) -> None:
    health = unit.source.config.health
    if WATCHDOG in health:
        unit.set("WatchdogSec", seconds(health[WATCHDOG]))
        if health.get("action", "restart") != "restart" or unit.source.config.policy.autorestart == "never":
            unit.changed("health", "what is silent is killed, and restarted as Restart= says")
    elif health:
        unit.dropped("health", "systemd asks nobody", "let the program send WATCHDOG=1, or a timer ask it")


def _autorestart(unit: UnitDraft) -> None:
    policy = unit.source.config.policy
    if unit.job:
        if policy.startretries:
            unit.set("Restart", "on-failure")
    elif policy.autorestart == "unexpected":
        unit.set("Restart", "on-failure")
        unit.set("RestartForceExitStatus", CLEAN_THERE)
    else:
        unit.set("Restart", "always" if policy.autorestart == "always" else "no")


def _exitcodes(unit: UnitDraft) -> None:
    codes = unit.source.config.policy.exitcodes
    if success := [str(code) for code in codes if code]:
        unit.set("SuccessExitStatus", " ".join(success))
    if 0 in codes:
        return
    if not unit.job and unit.source.config.policy.autorestart == "unexpected":
        unit.set("RestartForceExitStatus", "0")
        unit.changed("exitcodes", "0 is a success there, after which it is started again all the same")
    else:
        unit.changed("exitcodes", "0 is always a success there")


def _restarts(unit: UnitDraft) -> bool:
    policy = unit.source.config.policy
    return bool(policy.startretries if unit.job else policy.autorestart != "never")


def _startretries(unit: UnitDraft) -> None:
    retries = unit.source.config.policy.startretries
    if unit.job and retries:
        unit.set("StartLimitIntervalSec", "infinity", "Unit")
        unit.set("StartLimitBurst", str(retries + 1), "Unit")
    elif not unit.job:
        _counted(unit, "startretries")


def _starttime(unit: UnitDraft) -> None:
    config = unit.source.config
    if config.policy.starttime or not (unit.job or config.ready):  # 0 is usual for these
        _counted(unit, "starttime")


def _restart_delay(unit: UnitDraft) -> None:
    if _restarts(unit):
        unit.set("RestartSec", seconds(unit.source.config.policy.restart_delay))
        if not unit.job:
            unit.note(COUNTED)
    elif not unit.job:
        unit.note(STARTED)
    if unit.source.differs("restart_delay"):
        unit.changed("restart_delay", "the pause before every restart, and it does not double")


def _restart_max_delay(unit: UnitDraft) -> None:
    if unit.source.differs("restart_max_delay"):
        unit.dropped("restart_max_delay", "the pause does not double there, so it has no end")


def _restart_burst(unit: UnitDraft) -> None:
    policy = unit.source.config.policy
    if _restarts(unit) and not unit.job and policy.restart_burst and policy.restart_window:
        unit.set("StartLimitBurst", str(policy.restart_burst), "Unit")
    if unit.source.differs("restart_burst") and policy.restart_burst:
        unit.changed("restart_burst", "after this many starts systemd gives up")


def _restart_window(unit: UnitDraft) -> None:
    policy = unit.source.config.policy
    if _restarts(unit) and not unit.job:
        limited = policy.restart_burst and policy.restart_window
        unit.set("StartLimitIntervalSec", seconds(policy.restart_window) if limited else "0", "Unit")
    if unit.source.differs("restart_window") and policy.restart_window:
        unit.changed("restart_window", "after restart_burst starts within it systemd gives up")


def _counted(unit: UnitDraft, key: str) -> None:
    if unit.source.differs(key):
        unit.dropped(key, "systemd counts starts within restart_window only")


def _stopsignal(unit: UnitDraft) -> None:
    number = unit.source.config.stopsignal
    if number != USUAL_STOP:
        name = signal_name(number, unit.context.signals)
        unit.set("KillSignal", name if name.isdecimal() else f"SIG{name}")


def _stoptime(unit: UnitDraft) -> None:
    value = unit.source.config.policy.stoptime
    unit.set("TimeoutStopSec", seconds(value))
    if not value:
        unit.changed("stoptime", "a millisecond, since 0 would be for ever")


def _stopasgroup(unit: UnitDraft) -> None:
    value = unit.source.config.stopasgroup
    if value is False:
        unit.set("KillMode", "process")
    elif value == "leader":
        unit.set("KillMode", "mixed")
        unit.changed(
            "stopasgroup", "what the leader leaves behind is killed when it has ended, without the stop signal"
        )


def _stdin(unit: UnitDraft) -> None:
    value = unit.value("stdin")
    if value.startswith("/"):
        unit.whole("stdin", "StandardInput", value, "file:")
    elif value.startswith(FROM_SOCKET):
        unit.set("StandardInput", "socket")
    elif value != DISCARD:
        unit.dropped("stdin", "its input is empty there", "let it read a FIFO: StandardInput=file:PATH")


def _umask(unit: UnitDraft) -> None:
    umask = unit.source.config.umask
    umask = unit.context.daemon.umask if umask is None else umask
    if umask != USUAL_UMASK or "umask" in unit.source.written:
        unit.set("UMask", f"{umask:04o}")


def _workingdir(unit: UnitDraft) -> None:
    unit.whole("workingdir", "WorkingDirectory", unit.value("workingdir"))


def _user(unit: UnitDraft) -> None:
    user = unit.source.config.run_as.user or unit.context.daemon.user
    if user is None:
        unit.note(AS_ROOT)
    else:
        unit.whole("user", "User", user)


def _group(unit: UnitDraft) -> None:
    if unit.source.config.run_as.group is not None:
        unit.whole("group", "Group", unit.source.config.run_as.group)


def _description(unit: UnitDraft) -> None:
    text = unit.value("description").rstrip("\\ ")
    if text:
        unit.set("Description", text.replace("%", "%%").replace(INSTANCE, "%i"), "Unit")
    if text != unit.source.config.description:
        unit.changed("description", "without what stands at its end: a backslash there would join the next line")


def _autostart(unit: UnitDraft) -> None:
    if wanted(unit.source) and not unit.template and not unit.source.optional("schedule", {}):
        unit.set("WantedBy", "multi-user.target", "Install")


def _env(unit: UnitDraft) -> None:
    env: dict[str, str | None] = dict(unit.variables(unit.of_file))
    for variable in unit.needed:
        here = unit.context.environment.get(variable, "")
        if env.setdefault(variable, here) == here:
            unit.changed("cmd", f"${{{variable}}} is set in the unit, with its value of this environment", shown=False)
            unit.hold(variable)
    mentioned = any("TASKMASTER_" in text for text in _shell_texts(unit))
    if mentioned:
        env = {"TASKMASTER_PROGRAM": unit.source.name, "TASKMASTER_INSTANCE": INSTANCE if unit.template else "0", **env}
    for name, value in env.items():
        problem = variable_problem(name, value or "")
        if problem:
            unit.dropped("env", f"systemd refuses {name}: {problem}")
        elif value is None:
            unit.set("UnsetEnvironment", name)
        else:
            unit.set("Environment", assignment(name, value))


def _shell_texts(unit: UnitDraft) -> list[str]:
    config = unit.source.config
    return [*(config.cmd if config.shell else ()), *(text for key in HOOKS for text in config.value(key))]


PROCESS: KeyRows = {
    "cmd": KeyRow("`ExecStart=`, with the path that its first word has here; `shell`: `/bin/sh -c`", _cmd),
    "shell": silent("`/bin/sh -c` in `ExecStart=`"),
    "numprocs": silent("more than 1: `NAME@.service`, with `%i` for the number, and `NAME.target` for all of them"),
    "umask": KeyRow("`UMask=`", _umask),
    "workingdir": KeyRow("`WorkingDirectory=`", _workingdir),
    "autostart": KeyRow("`WantedBy=multi-user.target`; false: no `[Install]`", _autostart),
    "depends_on": KeyRow(
        "`Requires=`, `Wants=` or `BindsTo=`, and `After=`; conditions that systemd does not know: changed", depends_on
    ),
    "type": KeyRow("`Type=exec`, `notify` or `oneshot`", _type),
    "ready": KeyRow("`notify`: `Type=notify`; else dropped", _ready),
    "start_timeout": KeyRow("`TimeoutStartSec=`", _start_timeout),
    "health": KeyRow("`watchdog`: `WatchdogSec=`; else dropped", _health),
    "autorestart": KeyRow("`Restart=always`, `on-failure` or `no`", _autorestart),
    "exitcodes": KeyRow("`SuccessExitStatus=`", _exitcodes),
    "startretries": KeyRow("of a `oneshot`: `StartLimitBurst=`; else dropped", _startretries),
    "starttime": KeyRow("dropped", _starttime),
    "stopsignal": KeyRow("`KillSignal=`", _stopsignal),
    "stoptime": KeyRow("`TimeoutStopSec=`", _stoptime),
    "tty": lost("tty", "a unit has no terminal of its own", "use a console with StandardInput=tty and TTYPath="),
    "stdin": KeyRow("a path: `StandardInput=file:`; a socket: `StandardInput=socket`; `pipe`: dropped", _stdin),
    "user": KeyRow("`User=`", _user),
    "group": KeyRow("`Group=`", _group),
    "description": KeyRow("`Description=`", _description),
    "stopasgroup": KeyRow(
        "true: the default there; `leader`: `KillMode=mixed`, changed; false: `KillMode=process`", _stopasgroup
    ),
    "restart_delay": KeyRow("`RestartSec=`, changed", _restart_delay),
    "restart_max_delay": KeyRow("dropped", _restart_max_delay),
    "restart_burst": KeyRow("`StartLimitBurst=`, changed", _restart_burst),
    "restart_window": KeyRow("`StartLimitIntervalSec=`, changed", _restart_window),
    "essential": lost(
        "essential", "no unit ends the system with it", "SuccessAction= and FailureAction= power off the host"
    ),
    "update": lost("update", "restarting several instances is up to you", "systemctl restart NAME@0, then NAME@1"),
    "env": KeyRow("`Environment=`; null: `UnsetEnvironment=`", _env),
}
ROWS: KeyRows = {**PROCESS, **OUTPUT, **HOOKS, **LIMITS}
"""One row for each key of a program."""
