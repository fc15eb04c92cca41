"""Words of other tools in a configuration, and what to write here instead. Data.

The tools are supervisor, Docker Compose, systemd, pm2, Circus, process-compose and the like. A word is looked up
without its case, `-` and `_`. A value that starts with `=` is the name of a key here; anything else is the sentence
that users read. Where there is no counterpart the sentence says so.
"""

from __future__ import annotations

from taskmaster_common.config.limits import RLIMITS
from taskmaster_common.schema.advice.elsewhere import CONTAINER_WORDS, OTHER_WORDS, SYSTEMD_WORDS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

SHOWN_KEYS = 16
"""Most keys that a list of all keys names."""

_EVENTS = "there are no event listeners here; `taskmasterctl logs -f` and `subscribe` show what happens"
_LISTENER = "there are no event listeners here; a rule of alerts: runs a command, and `taskmasterctl subscribe` shows what happens"
PROGRAM_WORDS = {
    # the command
    "command": "=cmd",
    "cmdline": "=cmd",
    "commandline": "=cmd",
    "exec": "=cmd",
    "execstart": "=cmd",
    "entrypoint": "=cmd",
    "executable": "=cmd",
    "script": "=cmd",
    "run": "=cmd",
    "bin": "=cmd",
    "args": "arguments are part of cmd here",
    "arguments": "arguments are part of cmd here",
    "interpreter": "the interpreter is the first word of cmd here",
    "virtualenv": "write the interpreter's path as the first word of cmd, such as venv/bin/python",
    "execmode": "there are no modes here; numprocs starts several instances",
    "name": "the name of a program is the key above its settings",
    "processname": "processes are called web:0, web:1 here",
    "containername": "the name of a program is the key above its settings",
    # how many
    "instances": "=numprocs",
    "replicas": "=numprocs",
    "scale": "=numprocs",
    "numprocesses": "=numprocs",
    "processes": "=numprocs",
    "nprocs": "=numprocs",
    "programs": "programs: stands at the top level, and its programs directly below it",
    "nbr": "=numprocs",
    "numprocsstart": "instances are counted from 0 here",
    "singleton": "without numprocs there is one instance",
    # where and as whom
    "directory": "=workingdir",
    "workingdirectory": "=workingdir",
    "workdir": "=workingdir",
    "chdir": "=workingdir",
    "cwd": "=workingdir",
    "uid": "=user",
    "runas": "=user",
    "username": "=user",
    "gid": "=group",
    "dynamicuser": "users are not made here; user names one that exists",
    # when it starts, and again
    "startsecs": "=starttime",
    "autostarttime": "=starttime",
    "startuptime": "=starttime",
    "startseconds": "=starttime",
    "minuptime": "it is called starttime here, and is in seconds: 1000 ms are starttime: 1",
    "warmupdelay": "instances are started without a pause here",
    "autorestarttries": "=startretries",
    "restarttries": "=startretries",
    "restartretries": "=startretries",
    "restartattempts": "=startretries",
    "starttries": "=startretries",
    "startattempts": "=startretries",
    "retries": "=startretries",
    "maxretries": "=startretries",
    "maxretry": "=startretries",
    "maxrestarts": "failed starts are limited by startretries, restarts by restart_burst within restart_window",
    "restart": "restart is called autorestart here: always, never or unexpected",
    "restartpolicy": "it is called autorestart here: always, never or unexpected",
    "respawn": "it is called autorestart here: always or never",
    "availability": "the restart policy is autorestart here: always, never or unexpected; exit_on_end is essential: true",
    "restartsec": "=restart_delay",
    **dict.fromkeys(("backoffseconds", "backoffdelay"), "=restart_delay"),
    "backofflimit": "=restart_max_delay",
    "backofffactor": "each failed start doubles the delay here, up to restart_max_delay",
    **dict.fromkeys(
        ("onsuccess", "onfailure"),
        "autorestart says it here: always, never or unexpected; a rule of alerts: runs a command",
    ),
    "override": "a program of an included file adds to no other one; templates: hold what is shared",
    "startup": "autostart: true or false says whether it starts with the daemon",
    "restartlimitcount": "=restart_burst",
    "restartlimitinterval": "=restart_window",
    "smoothrecovery": "a program that restarts leaves those that depend on it alone here",
    "expbackoffrestartdelay": "=restart_delay",
    "startlimitburst": "=restart_burst",
    "startlimitinterval": "=restart_window",
    "startlimitintervalsec": "=restart_window",
    **dict.fromkeys(
        ("timeoutstartsec", "listentimeout"),
        "start_timeout is the longest time until it is ready; starttime is how long it must stay up",
    ),
    "exitcode": "=exitcodes",
    "successexitcodes": "=exitcodes",
    "successexitstatus": "=exitcodes",
    "expectedexitcodes": "=exitcodes",
    "expected": "=exitcodes",
    "disabled": "write autostart: false",
    "remainafterexit": "a program that has ended is shown as EXITED here",
    "isdaemon": "the process that cmd starts must stay in the foreground here",
    "pidfile": "a program needs no pid file here: it stays in the foreground and the daemon knows its pid",
    # how it stops
    "stopsig": "=stopsignal",
    "stop": "=stopsignal",
    "killsignal": "=stopsignal",
    "stopwaitsecs": "=stoptime",
    "stoptimeout": "=stoptime",
    "stopgraceperiod": "=stoptime",
    "timeoutstopsec": "=stoptime",
    "killtimeout": "it is called stoptime here, and is in seconds: 1600 ms are stoptime: 1.6",
    "killdelay": "=stoptime",
    "gracefultimeout": "=stoptime",
    "gracefulstoptime": "=stoptime",
    "shutdown": "stopsignal, stoptime and stop_cmd say how a program is stopped here",
    "killasgroup": "killasgroup is called stopasgroup here, and is true by default",
    "killmode": "it is called stopasgroup here: true for control-group, leader for mixed, false for process",
    "stopchildren": "it is called stopasgroup here, and is true by default",
    "execreload": "use `taskmasterctl signal HUP NAME`",
    # output
    "stdoutlogfile": "=stdout",
    "stdoutpath": "=stdout",
    "stdoutfile": "=stdout",
    "stdoutlog": "=stdout",
    "standardoutput": "=stdout",
    "outfile": "=stdout",
    "out": "=stdout",
    "output": "=stdout",
    "logfile": "=stdout",
    "loglocation": "=stdout",
    "stderrlogfile": "=stderr",
    "stderrpath": "=stderr",
    "stderrfile": "=stderr",
    "stderrlog": "=stderr",
    "standarderror": "=stderr",
    "errfile": "=stderr",
    "err": "=stderr",
    "errorfile": "=stderr",
    "redirectstderr": "redirect_stderr is written stderr: stdout here",
    "mergelogs": "instances share a log where stdout names one path for all of them",
    **dict.fromkeys(("discardoutput", "discardstdout", "stdoutdiscard"), "write stdout: null and stderr: null"),
    "stdoutlogfilemaxbytes": "=log_maxbytes",
    "stderrlogfilemaxbytes": "=log_maxbytes",
    "maxlogsize": "=log_maxbytes",
    "logsize": "=log_maxbytes",
    "stdoutlogfilebackups": "=log_backups",
    "stderrlogfilebackups": "=log_backups",
    "logging": "stdout and stderr say where the output goes: a file, with log_maxbytes and log_backups, syslog or journal",
    "stdoutsyslog": "its lines go there with `stdout: syslog`",
    "stderrsyslog": "its lines go there with `stderr: syslog`",
    "stdouteventsenabled": _EVENTS,
    "stderreventsenabled": _EVENTS,
    "stdoutcapturemaxbytes": "there is no capture mode here",
    "stderrcapturemaxbytes": "there is no capture mode here",
    **dict.fromkeys(
        ("logdateformat", "time", "timestamps", "logtimestamps"),
        "write log_format: prefix, and each line of the log begins with its time",
    ),
    # environment
    "environment": "=env",
    "environ": "=env",
    "envvars": "=env",
    "envproduction": "=env",
    **dict.fromkeys(("template", "templates", "inherits", "inherit", "parent", "base", "uses"), "=extends"),
    "copyenv": "programs inherit the daemon's variables here; clear_env: true keeps them off, env adds and removes some",
    **dict.fromkeys(("environmentfile", "envfiles", "dotenv", "dotenvfile"), "=env_file"),
    "serverurl": "programs find the daemon's socket in TASKMASTER_SOCKET",
    "usesockets": "=sockets",
    "sendhup": "`taskmasterctl signal HUP NAME` sends it",
    # order
    "priority": "depends_on says what has to be up before a program starts; the others start in the order of the file",
    **dict.fromkeys(
        ("dependencies", "dependency", "requires", "requisite", "needs", "links", "waitfor"), "=depends_on"
    ),
    **dict.fromkeys(("after", "wants"), "it is written depends_on: {NAME: {required: false}} here"),
    **dict.fromkeys(("bindsto", "partof"), "it is written depends_on: {NAME: {restart: true}} here"),
    "before": "it is written as depends_on of the other program here",
    # when it runs
    "wantedby": "autostart says whether a program starts with the daemon",
    **dict.fromkeys(("healthcheck", "livenessprobe"), "=health"),
    "watchdogsec": "it is written health: {watchdog: SECONDS} here",
    **dict.fromkeys(("readinessprobe", "waitready", "startupprobe"), "=ready"),
    "readylogline": "it is written ready: {log: TEXT} here",
    **dict.fromkeys(("cron", "crontab", "oncalendar", "timer"), "=schedule"),
    "cronrestart": "it is written recycle: {cron: '0 4 * * 0'} here",
    "maxage": "it is written recycle: {age: 12h} here",
    "ignorewatch": "it is written watch: {paths: [src], ignore: [...]} here",
    "nbrestart": "=startretries",
    "hooks": "hooks are keys of the program here: pre_start, post_start, pre_restart, pre_stop, stop_cmd, post_stop",
    **dict.fromkeys(("execstartpre", "startpre"), "=pre_start"),
    **dict.fromkeys(("execstartpost", "startpost"), "=post_start"),
    "stoppre": "=pre_stop",
    **dict.fromkeys(("execstop", "stopcommand"), "=stop_cmd"),
    **dict.fromkeys(("execstoppost", "stoppost"), "=post_stop"),
    # what it may use
    **dict.fromkeys(("ulimits", "ulimit", "rlimit"), "=rlimits"),
    **{f"limit{name}": f"write rlimits: {{{name}: VALUE}} here" for name in RLIMITS},
    **{f"rlimit{name}": f"write rlimits: {{{name}: VALUE}} here" for name in RLIMITS},
    **dict.fromkeys(("affinity", "cpusetcpus", "allowedcpus", "cpuset"), "=cpu_affinity"),
    **dict.fromkeys(("memorymax", "memorylimit", "memlimit", "maxmemory"), "write limits: {memory: SIZE} here"),
    "memoryhigh": "write limits: {memory_high: SIZE} here",
    "memswaplimit": "write limits: {swap: SIZE} here",
    "maxmemoryrestart": "it is written recycle: {memory: SIZE} here",
    **dict.fromkeys(("cpus", "cpuquota"), "write limits: {cpu: PROCESSORS} here, such as 1.5 or 150%"),
    **dict.fromkeys(("cpuweight", "cpushares"), "write limits: {cpu_weight: NUMBER} here, 1 to 10000"),
    **dict.fromkeys(("tasksmax", "pidslimit"), "write limits: {tasks: NUMBER} here"),
    "oompolicy": "write limits: {oom: process}, or group, here",
    "ionice": "begin cmd with ionice, such as `ionice -c3 PROGRAM`",
    "oomscoreadjust": "=oom_score_adj",
    # terminals and containers: not there
    "istty": "=tty",
    "stdinopen": "write stdin: pipe, and `taskmasterctl send` writes into it",
    "standardinput": "write stdin: PATH for a file or FIFO, or stdin: pipe; without it a program reads /dev/null",
    "image": "containers are not run here; cmd is a program of this host",
    "build": "containers are not run here; cmd is a program of this host",
    **dict.fromkeys(("ports", "expose", "networks"), "programs use the host's network here"),
    "volumes": "programs see the host's files here",
    "tmpfs": "programs see the host's files here",
    "labels": "there are no labels; description is a text for status and show",
    "profiles": "there are no profiles; autostart: false leaves a program down until it is started",
    "namespace": "a group is written groups: {NAME: [PROGRAM, ...]} at the top level here",
    "deploy": "containers are not run here; numprocs is the number of instances",
    "privileged": "programs have the rights of their user here",
    "capadd": "programs have the rights of their user here; `setpriv` as the first word of cmd changes them",
    "capdrop": "programs have the rights of their user here; `setpriv` as the first word of cmd changes them",
    "init": "taskmasterd reaps what programs leave behind",
    "events": _LISTENER,
    "buffersize": _LISTENER,
    **SYSTEMD_WORDS,
    **CONTAINER_WORDS,
    **OTHER_WORDS,
}
"""Words under a program."""

DAEMON_WORDS = {
    "nodaemon": "nodaemon is the option -n of taskmasterd",
    "childlogdir": "=log_dir",
    "logdir": "=log_dir",
    "directory": "relative paths mean this file's directory here",
    "identifier": "identifier has no counterpart here",
    "file": "=socket",
    "socketpath": "=socket",
    "socketfile": "=socket",
    "endpoint": "=socket",
    "chmod": "=socket_mode",
    "chown": "=socket_group",
    "log": "=logfile",
    "logfilemaxbytes": "the event log rotates at 50 MB here",
    "logfilebackups": "10 rotated files of the event log are kept here",
    "minfds": "the daemon takes all open files that its hard limit allows, and programs keep the original limit",
    "minprocs": "the daemon sets no limit of processes",
    "nocleanup": "logs are never removed here",
    "silent": "with -n the events go to stderr too; redirect it",
    "stripansi": "logs hold what the program wrote, byte for byte",
    "environment": "write defaults: {env: ...} for variables of all programs",
    "env": "write defaults: {env: ...} for variables of all programs",
    "username": "there are no passwords; the kernel says who connects, and roles say what he may do",
    "password": "there are no passwords; the kernel says who connects, and roles say what he may do",
    "port": "there is no network listener; use ssh",
    "host": "there is no network listener; use ssh",
    "serverurl": "the client finds the socket by itself; -s names another one",
    "prompt": "the shell of taskmasterctl has a prompt of its own",
    "historyfile": "the shell of taskmasterctl keeps its history by itself",
    "programs": "programs: stands beside taskmasterd:, not below it",
    "checkdelay": "ends are noticed at once here, nothing is polled",
    "statsd": "`taskmasterctl metrics` has them for Prometheus",
    "httpd": "there is no network listener; use ssh",
}
"""Words of the daemon's sections."""

PROBE_WORDS = {
    **dict.fromkeys(("httpget", "url", "endpoint"), "=http"),
    **dict.fromkeys(("tcpsocket", "port"), "=tcp"),
    **dict.fromkeys(("test", "command", "cmd", "script", "run"), "=exec"),
    **dict.fromkeys(("periodseconds", "period", "every"), "=interval"),
    **dict.fromkeys(("timeoutseconds", "timeoutsec"), "=timeout"),
    **dict.fromkeys(("failurethreshold", "retry", "failures"), "=retries"),
    "successthreshold": "=successes",
    **dict.fromkeys(("initialdelayseconds", "initialdelay", "startdelay", "delay"), "=start_period"),
    "startinterval": "there is one interval here, which holds from the start",
    **dict.fromkeys(("disable", "disabled"), "leave the key out, and nothing is asked"),
    **dict.fromkeys(("logline", "readylogline"), "=log"),
}
"""Words in `ready` and `health`, of Compose, Kubernetes, process-compose and the like."""

ALERT_WORDS = {
    **dict.fromkeys(("command", "exec", "run", "script", "program"), "=cmd"),
    **dict.fromkeys(("email", "emails", "emailconfigs", "smtp"), "=mail"),
    **dict.fromkeys(("webhook", "webhooks", "webhookconfigs", "https", "post", "callback", "hook"), "=http"),
    **dict.fromkeys(("url", "urlfile"), "it is written http: {url: …} here"),
    **dict.fromkeys(("slack", "slackconfigs", "mattermost"), "it is written http: {url: …, format: slack} here"),
    "to": "it is written mail: {to: …} here",
    **dict.fromkeys(("after", "since", "lasting", "pendingperiod"), "did you mean for? It is how long trouble has to last"),
    **dict.fromkeys(("on", "when", "states", "triggers", "conditions"), "=events"),
    **dict.fromkeys(("programs", "processes", "services", "groups", "matchers", "only"), "=targets"),
    **dict.fromkeys(("groupwait", "groupinterval", "digest", "gather"), "=batch"),
    **dict.fromkeys(("ratelimit", "throttle", "limit", "max"), "=at_most"),
    **dict.fromkeys(("environment", "variables"), "=env"),
    **dict.fromkeys(("cwd", "directory"), "=workingdir"),
    **dict.fromkeys(("retryfor", "expire"), "=give_up"),
}  # fmt: skip
"""Words of alert rules, of Alertmanager, Grafana, monit and the like."""

NO_OUTPUT = "write null to discard the output"
STREAM_WORDS = {
    **dict.fromkeys(("none", "off", "false", "no", "discard", "devnull"), NO_OUTPUT),
    "auto": "leave the key out: the log is then a file in log_dir",
    **dict.fromkeys(
        ("true", "yes", "on", "file"), "write a path, or leave the key out: the log is then a file in log_dir"
    ),
    "syslog": "write syslog",
    "kmsg": "write syslog",
    "journal": "write journal",
    "journald": "write journal",
    **dict.fromkeys(("console", "tty", "-"), "write inherit for the daemon's own output"),
    "pipe": "output goes to a file; `taskmasterctl logs -f` follows it",
    "socket": "output goes to a file; `taskmasterctl logs -f` follows it",
}
"""Values of stdout and stderr; a file of such a name needs a slash: ./NAME."""

STREAM_PREFIXES = ("file:", "append:", "truncate:", "fd:")
"""Prefixes of systemd's targets. Source: systemd.exec(5), StandardOutput."""

RESTART_WORDS = {
    **dict.fromkeys(("onfailure", "onabnormal", "onfail"), "unexpected"),
    "unlessstopped": "always",
    "1": "always",
    "0": "never",
    "none": "never",
}
"""Values of autorestart."""

DAEMONS = ("forking", "daemon", "bgprocess")
TYPE_WORDS = {
    **dict.fromkeys(("simple", "exec", "notify", "idle", "process", "longrun", *DAEMONS), "service"),
    **dict.fromkeys(("job", "task", "scripted", "once"), "oneshot"),
}
"""Types of services of systemd, dinit and s6, and what they are here; what forks has to stay in the foreground."""
GROUP_WORDS = {"controlgroup": "true", "mixed": "leader", "process": "false"}
"""Values of systemd's KillMode, and what they are for stopasgroup."""
LEVEL_WORDS = {
    "warn": "warning",
    "critical": "error",
    "fatal": "error",
    "blather": "debug",
    "verbose": "debug",
}
"""Values of loglevel."""

SHELLS = frozenset(("sh", "bash", "dash", "ash", "zsh", "ksh", "fish"))


def squash(word: str) -> str:
    """Return a word as the tables spell it: lower case, without `-` and `_`."""
    return word.lower().replace("_", "").replace("-", "").replace(" ", "")


def instead(name: str, table: Mapping[str, str]) -> str:
    """Return the sentence for a word of another tool, or ""."""
    found = table.get(squash(name), "")
    return f"{name} is called {found[1:]} here" if found.startswith("=") else found


def key_list(known: Iterable[str]) -> str:
    """Return a list of keys that fits two lines, for an unknown key without a better hint."""
    known = tuple(known)
    more = f" and {len(known) - SHOWN_KEYS} more; taskmaster.yaml(5) has all of them" if len(known) > SHOWN_KEYS else ""
    return f"the keys are {', '.join(known[:SHOWN_KEYS])}{more}"


def foreign_stream(text: str) -> str:
    """Return what to write instead of another tool's target, or ""."""
    prefix = next((each for each in STREAM_PREFIXES if text.startswith(each)), "")
    if prefix:
        return (
            "write inherit for the daemon's own output"
            if prefix == "fd:"
            else f"write the path alone, without {prefix}"
        )
    if text in ("&1", "2>&1", "&2"):
        return "stderr: stdout sends both to one place"
    return STREAM_WORDS.get(text.lower().partition("+")[0], "") if "/" not in text else ""
