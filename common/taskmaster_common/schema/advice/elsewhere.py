"""Words of systemd, Compose and pm2 for what a program has not, or has in another way. Data, as in `foreign`, which adds these."""

from __future__ import annotations

_RIGHTS = "programs have the rights of their user here; `setpriv` or `bwrap` as the first words of cmd take some away"
_DIRECTORY = "pre_start: mkdir -p PATH makes a directory before each start"
_CONTAINER = "containers are not run here; a program sees the host as its user does"
_NOTHING = "there is no counterpart here, and none is needed"
_FROM_A_FILE = "env: {NAME: {file: PATH}} gives a program what a file holds"
_MEMORY = "write limits: {memory: SIZE} here"

SYSTEMD_WORDS = {
    **dict.fromkeys(("unit", "service", "install"), "`taskmasterctl import FILE` makes a program out of a unit"),
    **dict.fromkeys(
        (
            "protectsystem", "protecthome", "protectproc", "protectclock", "protecthostname", "protectkerneltunables",
            "protectkernelmodules", "protectkernellogs", "protectcontrolgroups", "privatetmp", "privatedevices", "privatenetwork",
            "privateusers", "privatemounts", "nonewprivileges", "capabilityboundingset", "ambientcapabilities", "readwritepaths",
            "readonlypaths", "inaccessiblepaths", "restrictaddressfamilies", "restrictnamespaces", "restrictrealtime",
            "restrictsuidsgid", "systemcallfilter", "systemcallarchitectures", "lockpersonality", "memorydenywriteexecute",
            "removeipc", "securebits", "rootdirectory", "bindpaths",
        ),
        _RIGHTS,
    ),
    **dict.fromkeys(
        ("runtimedirectory", "statedirectory", "cachedirectory", "logsdirectory", "configurationdirectory"), _DIRECTORY
    ),
    "syslogidentifier": "write stdout: {syslog: {tag: NAME}}, or {journal: {tag: NAME}}, here",
    "ttypath": "write tty: true for a terminal of its own, or stdin: PATH",
    "restartpreventexitstatus": "with autorestart: unexpected the codes of exitcodes restart nothing",
    "startlimitaction": "a rule of alerts: runs a command when a program is FATAL",
    "conflicts": "no program is stopped here because another one starts",
    "requiresmountsfor": "pre_start: mountpoint -q PATH lets a start fail without the mount",
    **dict.fromkeys(("conditionpathexists", "assertpathexists"), "pre_start: test -e PATH lets a start fail without the file"),
    "slice": "cgroup_root: below taskmasterd: says where control groups are",
    "runtimemaxsec": "it is written recycle: {age: TIME} here",
    "alias": "a program has one name; groups: gives further ones",
    **dict.fromkeys(("ioweight", "ioschedulingclass", "ioschedulingpriority"), "begin cmd with ionice, such as `ionice -c3 PROGRAM`"),
    **dict.fromkeys(("cpuschedulingpolicy", "cpuschedulingpriority"), "begin cmd with chrt, such as `chrt -b 0 PROGRAM`"),
    "notifyaccess": "write ready: notify here",
    **dict.fromkeys(("defaultdependencies", "guessmainpid", "busname", "sendsigkill", "documentation"), _NOTHING),
    "timeoutsec": "start_timeout is the longest start, stoptime the longest stop",
}  # fmt: skip

CONTAINER_WORDS = {
    **dict.fromkeys(("secrets", "configs"), _FROM_A_FILE),
    **dict.fromkeys(
        (
            "securityopt", "readonly", "dns", "dnssearch", "extrahosts", "hostname", "domainname", "platform", "pullpolicy", "sysctls",
            "devices", "shmsize", "pid", "ipc", "networkmode", "isolation", "cgroupparent", "runtime", "volumesfrom",
        ),
        _CONTAINER,
    ),
    "oomkilldisable": "oom_score_adj says how likely the kernel ends a program when memory is short",
}  # fmt: skip

OTHER_WORDS = {
    **dict.fromkeys(("nodeargs", "interpreterargs"), "arguments are part of cmd here"),
    "incrementvar": "${TASKMASTER_INSTANCE} in env is the number of the instance, such as PORT: 300${TASKMASTER_INSTANCE}",
    **dict.fromkeys(("sourcemapsupport", "vizion", "force", "postupdate"), _NOTHING),
    "treekill": "it is called stopasgroup here, and is true by default",
    "shutdownwithmessage": "stop_cmd stops a program by a command of its own",
    "timeout": "start_timeout is the longest start, stoptime the longest stop",
    "port": "a program opens its port by itself; write the port in cmd or env, or let sockets: open it",
    "depends": "=depends_on",
    **dict.fromkeys(("memory", "mem", "maxmem"), _MEMORY),
    "cpu": "write limits: {cpu: PROCESSORS} here, such as 1.5 or 150%",
    **{name: f"write rlimits: {{{name}: VALUE}} here" for name in ("nofile", "nproc", "memlock", "core")},
    "concurrency": "=numprocs",
    "niceness": "=nice",
    "tags": "there are no labels; description is a text for status and show",
    "notify": "write ready: notify here",
}
