"""The table of all keys of the configuration: the one place that says which keys there are.

The decoder, `taskmasterd -T` and the client read it. `python -m scripts.generate` makes the rest from it: the records
of `program` and `daemon`, the JSON schema, config/reference.yaml, the key tables of docs/configuration.md and taskmaster.yaml(5).
The resident daemon never loads it: the texts are documentation.
"""

from __future__ import annotations

from taskmaster_common.config.key import FILES, REQUIRED, Key, Part
from taskmaster_common.config.keys_of_daemon import DAEMON
from taskmaster_common.config.words import (
    ALWAYS,
    DEFAULT_LOG,
    DISCARD,
    INHERIT,
    JOURNAL,
    LEADER,
    LIVE,
    LIVE_OR_NEXT,
    LOCAL,
    LOG_FORMATS,
    MERGED,
    NEVER,
    NEXT,
    ON_FAILURE,
    ONESHOT,
    PIPE,
    RAW,
    RESTART,
    SAME_AS_STDOUT,
    SCALE,
    SERVICE,
    SYSLOG,
    UNEXPECTED,
    UTC,
)

__all__ = ["DAEMON", "EXTRA", "FILES", "PARTS", "PROGRAM", "REQUIRED", "Key", "Part"]

PARTS = (
    Part("policy", "Policy", "What decides over restarts and deadlines: all that `step` may know of a program."),
    Part("output", "Output", "Where a program's output goes: paths or the words of `words`; sizes in bytes."),
    Part("run_as", "RunAs", "User and group as written, name or number; None where the daemon's own apply."),
    Part(
        "may_use",
        "MayUse",
        "What a program may use of the system, and with which weight; None and () for what the daemon has.",
    ),
)

PROGRAM = (
    Key(
        "cmd", "command", REQUIRED, RESTART,
        "Command line, split into words as a shell does and run without a shell; or a list of words.",
        otherwise="required", varies=True, example="sleep 86400",
    ),
    Key(
        "numprocs", "whole", 1, SCALE,
        "Number of instances, {least} to {most}. All programs together have at most 20000.",
        least=1, most=10_000,
    ),
    Key(
        "umask", "octal", None, RESTART,
        'File mode creation mask in octal: `022`, `"022"`, `22` and `0o22` mean the same.',
        otherwise="the daemon's", example="022",
    ),
    Key(
        "workingdir", "path", "/", RESTART,
        "Directory it runs in. If its user may not enter the default one, it runs in `/`.",
        otherwise="the directory of the main file", varies=True, example="/",
    ),
    Key("autostart", "boolean", True, LIVE, "Start it when the daemon starts, or when a reload adds it."),
    Key(
        "depends_on", "dependencies", (), LIVE,
        "What has to be up before it starts: the name of a program, of an instance or of a group, or a list of names; or "
        "a map of names, each with a condition (`started`; `ready`: RUNNING; `healthy`; `done`: a job has ended well; `ended`), or with a map "
        "of `condition`, `required` "
        "(false: its failure does not keep this program down) and `restart` (true: this program goes down and up with it).",
        part="policy", otherwise="nothing", shared=False, example="\nbackend: {required: false}",
    ),
    Key(
        "type", "choice", SERVICE, RESTART,
        "What it is: `service`, which stays up, or `oneshot`, a job that is done when it ends with one of `exitcodes`; what depends on it "
        "waits for that. Any other end is a failed try. A job that is done runs again only if you start it.",
        part="policy", words=(SERVICE, ONESHOT),
    ),
    Key(
        "ready", "ready", {}, NEXT,
        "How it is known that it is ready, which is what RUNNING then means: `notify` (READY=1 on NOTIFY_SOCKET), `health` (its "
        "health probe succeeds), or a map "
        "with one of `exec` (a command that exits with 0), `http` (a URL that answers with 200 to 399), `tcp` (HOST:PORT), "
        "`unix` (a path), `log` (a line of its output that holds this text; `*` and `?` match) and `fd` (a newline on that "
        "descriptor), and with `interval` (1) and `timeout` (3) of a try, seconds.",
        otherwise="RUNNING after `starttime`", varies=True, example="\ntcp: 127.0.0.1:8000\ninterval: 0.5",
    ),
    Key(
        "start_timeout", "seconds", 60.0, LIVE,
        "Longest time from the start of its program until it is `ready`, or of a `oneshot` to its end, seconds; what takes "
        "longer is stopped, and that is a failed start. 0, the default of a `oneshot`: no limit. `post_start` counts.",
        part="policy", shortest=0.1,
    ),
    Key(
        "health", "health", {}, LIVE,
        "How it is known that it is well while it is RUNNING: a map with one of `exec`, `http`, `tcp`, `unix` (as in `ready`) and "
        "`watchdog` (seconds within which it sends WATCHDOG=1 to NOTIFY_SOCKET again and again), and with `interval` (10) and "
        "`timeout` (3), seconds, `retries` (3) failures in a row that make it unhealthy, `successes` (2) in a row that make it "
        "healthy again, `start_period` (30), seconds in which failures do not count before the first success, and `action`: "
        "`restart`, `stop`, `signal NAME` or `none`. A changed `watchdog` is used at the next start.",
        otherwise="nothing", varies=True, example="\ntcp: 127.0.0.1:8000\nretries: 2\naction: restart",
    ),
    Key(
        "autorestart", "autorestart", UNEXPECTED, LIVE,
        "Restart it when it ends: `always`, `never`, or `unexpected`, which means if its exit code is not in "
        "`exitcodes`. A true boolean means `always`, a false one `never`.",
        part="policy", words=(ALWAYS, NEVER, UNEXPECTED),
    ),
    Key(
        "exitcodes", "exit codes", (0,), LIVE,
        "Expected exit codes: one code or a list, {least} to {most}.",
        part="policy", most=255,
    ),
    Key(
        "startretries", "whole", 3, LIVE,
        "Retries after the first failed start, {least} to {most}, whatever `autorestart` says. With 20 it tries for more than seven "
        "minutes. The default of a `oneshot` is 0.",
        part="policy", most=1_000_000,
    ),
    Key(
        "starttime", "seconds", 1.0, LIVE,
        "Seconds it must stay up to count as started. 0, the default of a `oneshot` and with `ready`: it counts as started once its "
        "program is executed or ready.",
        part="policy",
    ),
    Key(
        "stopsignal", "signal", 15, LIVE,
        "Signal that asks it to stop: a name or a number, with or without SIG. Real-time signals are written `RTMIN+3` "
        "or `RTMAX-1`.",
    ),
    Key("stoptime", "seconds", 10.0, LIVE, "Seconds from the stop signal to KILL.", part="policy"),
    Key(
        "stdout", "stream", DEFAULT_LOG, RESTART,
        "Path of its log; missing directories are created. `null` discards the output, `inherit` sends it to the "
        "daemon's own stream. `syslog` sends each line as a message, `journal` gives it a stream to journald; or a map with one of them, "
        "with `to`, `tag` and `severity`, one or a map of `stdout` and `stderr`, and for syslog `facility`. A command reads it, and is restarted until it has "
        "read all, with `'| command words'`, or a map with `pipe` and `shell`.",
        part="output", otherwise="the default log", words=(DISCARD, INHERIT, SYSLOG, JOURNAL), varies=True,
        example="/tmp/taskmaster-reference/example.log",
    ),
    Key(
        "stderr", "stream", DEFAULT_LOG, RESTART,
        "As `stdout`: a path, `null`, `inherit`, `syslog`, `journal` or a command; or `stdout`, which sends both to the same place.",
        part="output", otherwise="the default log", words=(DISCARD, INHERIT, SYSLOG, JOURNAL, SAME_AS_STDOUT), varies=True,
        example="stdout",
    ),
    Key(
        "tty", "tty", {}, RESTART,
        "Run it on a terminal of its own: `true`, or a map with `rows` (24), `cols` (80), 1 to 1000, and `term` (`xterm-256color`), its TERM. "
        "Its streams are the terminal: `stdout` is the log of all that it writes.",
        otherwise="no terminal", example="false",
    ),
    Key(
        "stdin", "input", DISCARD, RESTART,
        "What it reads: `null`, which is an empty input; `pipe`, a pipe into which `taskmasterctl send` writes, and which stays open when "
        "the daemon dies; the path of a file, which each start reads from its beginning, of a FIFO, which never ends, or of a terminal, which "
        "its user has to be allowed to open; or a map with `socket`, the name of one of its `sockets`.",
        words=(DISCARD, PIPE), varies=True, example="pipe",
    ),
    Key(
        "clear_env", "cleared", False, RESTART,
        "What of the daemon's variables it gets: `false`, all; `true`, none; or a list of names. If the list lacks them, PATH is "
        "`/usr/local/bin:/usr/bin:/bin`, and HOME, USER, LOGNAME and SHELL are its user's.",
        example="[LANG, TZ]",
    ),
    Key(
        "env_file", "variable files", (), RESTART,
        "File of `NAME=VALUE` lines, or a list of files, of which a later one is stronger, and `env` stronger than all. Each start reads them, "
        "within 30 s, or `start_timeout` if that is shorter, and nobody else learns the values. A path behind `?` may be missing.",
        otherwise="none", varies=True, example="?secret.env",
    ),
    Key(
        "env", "environment", {}, RESTART,
        "Map of variables to set. Values are text as written; `null` removes an inherited variable; a map with `file` and a path means "
        "what that file holds at each start, without its final newline.",
        varies=True, example="\n<<: *common-env\nPORT: 0080\nDEBUG: null",
    ),
    Key(
        "user", "account", None, RESTART,
        "User to run as, name or uid. Also sets the groups, HOME, USER, LOGNAME and SHELL.",
        part="run_as", otherwise="the daemon's", example="www-data",
    ),
    Key(
        "group", "account", None, RESTART,
        "Group to run with, name or gid.",
        part="run_as", otherwise="the user's", example="www-data",
    ),
    Key("shell", "boolean", False, RESTART, "Run `cmd` with `/bin/sh -c`."),
    Key(
        "description", "text", "", LIVE,
        "Text that `status` and `show` print, at most {most} characters.",
        most=500, varies=True, example="sleeps for a day",
    ),
    Key(
        "stopasgroup", "boolean or word", True, LIVE,
        "Which of its processes a stop ends. `true`: all of them get the stop signal at once. `leader`: the leader "
        "alone gets it; what the leader leaves behind gets it when the leader has ended; KILL at `stoptime` is for "
        "all. `false`: only the leader is signalled, killed and waited for; what it leaves behind lives on.",
        words=("true", "false", LEADER),
    ),
    Key(
        "pre_start", "hook", (), LIVE,
        "Command that runs before each start of its program, which waits for it: words, or a map with `cmd`, `shell`, `timeout` (30 "
        "seconds) and `user` (the program's). If it fails, that is a failed start.",
        part="policy", otherwise="none", varies=True, example="./migrate",
    ),
    Key(
        "post_start", "hook", (), LIVE,
        "Command that runs once the program is ready, or has stayed up; RUNNING comes after it, within `start_timeout`. If it fails, "
        "that is a failed start, and the program is stopped. Written as `pre_start`; not for a `oneshot`.",
        part="policy", otherwise="none", varies=True, example="\nshell: true\ncmd: echo up | logger\ntimeout: 10",
    ),
    Key(
        "pre_restart", "hook", (), LIVE,
        "Command that says whether a running program may be restarted, such as `nginx -t`. It runs before a restart that you, a "
        "reload or a health check asks for; if it fails or takes too long, nothing is stopped, and that restart has failed. "
        "Written as `pre_start`; not for a `oneshot`.",
        part="policy", otherwise="none", varies=True, example="nginx -t",
    ),
    Key(
        "pre_stop", "hook", (), LIVE,
        "Command that runs before a running program is stopped; the stop goes on when it has ended, failed or used up its time. Written "
        "as `pre_start`.",
        part="policy", otherwise="none", varies=True, example="./drain",
    ),
    Key(
        "stop_cmd", "hook", (), LIVE,
        "Command that stops the program, in the place of `stopsignal`; TASKMASTER_PID is its pid. If it fails or takes too long, the "
        "signal is sent; KILL comes `stoptime` after its start. Written as `pre_start`.",
        part="policy", otherwise="none", varies=True, example="pg_ctl stop -m fast",
    ),
    Key(
        "post_stop", "hook", (), LIVE,
        "Command that runs when nothing of the program is left, whatever has ended it, and before what follows. Written as "
        "`pre_start`.",
        part="policy", otherwise="none", varies=True, example="rm -f /run/example.sock",
    ),
    Key(
        "restart_delay", "seconds", 0.5, LIVE,
        "Seconds before the first retry of a failed start; doubles with each retry.",
        part="policy",
    ),
    Key("restart_max_delay", "seconds", 30.0, LIVE, "Longest delay between retries, seconds.", part="policy"),
    Key(
        "restart_burst", "whole", 10, LIVE,
        "Number of automatic restarts within `restart_window` that happen without delay. 0: no limit.",
        part="policy", most=1_000_000,
    ),
    Key(
        "restart_window", "seconds", 60.0, LIVE,
        "Seconds over which `restart_burst` counts. 0: no limit.",
        part="policy",
    ),
    Key("log_maxbytes", "size", 50_000_000, LIVE, "Size at which its logs rotate. 0: never.", part="output"),
    Key(
        "log_backups", "whole", 10, LIVE,
        "Number of rotated files to keep, at most {most}.",
        part="output", most=10_000,
    ),
    Key(
        "log_format", "choice", RAW, RESTART,
        "How its logs are written: `raw`, byte for byte; `prefix`, with `log_prefix` before each line; or `json`, each line as an "
        "object with `time`, `program`, `instance`, `stream`, `pid`, `level` and `message`.",
        part="output", words=LOG_FORMATS, example="prefix",
    ),
    Key(
        "log_prefix", "log prefix", "{time} ", RESTART,
        "Text before each line with `log_format: prefix`; `time`, `name`, `stream` and `pid` in braces stand for what they say.",
        part="output", otherwise="the time and a blank", example='"{time} {name} | "',
    ),
    Key(
        "log_time", "choice", LOCAL, RESTART,
        "Zone of the times in a formatted log: `local` or `utc`. A time is that at which the daemon has read the line.",
        part="output", words=(LOCAL, UTC),
    ),
    Key(
        "log_levels", "boolean", None, RESTART,
        "Whether `<0>` to `<7>` at the start of a line is its severity, which JSON has in `level`, without the mark in `message`, and syslog in its priority.",
        part="output", otherwise="true with `json` and syslog", example="true",
    ),
    Key(
        "log_events", "boolean", False, LIVE,
        "Whether a formatted log has lines of the daemon's own, of the stream `event`: when an instance was started, and how it has "
        "ended.",
        part="output",
    ),
    Key(
        "essential", "boolean or word", False, LIVE,
        "Whether the daemon ends with it. `true`: when an instance has ended for good (EXITED or FATAL), the daemon stops "
        "all programs in order and exits with that program's code. `on-failure`: only if the instance is FATAL or has ended "
        "unexpectedly. `false`: no. A stop or restart that you ask for does not count. Not for `defaults:`.",
        words=("true", "false", ON_FAILURE), shared=False,
    ),
    Key(
        "update", "update", {}, LIVE,
        "How a reload or restart replaces its instances: one after the other, the next one when the one before is RUNNING and has "
        "stayed so. A map with `max_unavailable` (1; how many at a time), `pause` (0; seconds before the next one), `monitor` (5; "
        "seconds that an instance has to stay up) and `on_failure`: `stop` leaves the others as they are, `rollback` also takes back those "
        "that were replaced.",
        otherwise="all at once", example="\nmax_unavailable: 1\non_failure: rollback",
    ),
    Key(
        "rlimits", "rlimits", (), LIVE_OR_NEXT,
        "Limits of its processes, as of setrlimit(2): a map of `as`, `core`, `cpu`, `data`, `fsize`, `locks`, `memlock`, `msgqueue`, `nice`, "
        "`nofile`, `nproc`, `rss`, `rtprio`, `rttime`, `sigpending` and `stack`, each one value, a list of the soft and the hard limit, or "
        "`[soft, null]`, which leaves the hard one as it is. Sizes, durations of `cpu` and `rttime`, otherwise numbers; or `unlimited`. "
        "Programs and `defaults:` are merged name by name.",
        part="may_use", otherwise="the daemon's", example="\nnofile: 4096\ncore: [0, null]",
    ),
    Key(
        "nice", "whole", None, LIVE_OR_NEXT,
        "Its weight among all that want a processor, {least} (most) to {most} (least), as of nice(1); also of its autogroup.",
        part="may_use", otherwise="the daemon's", least=-20, most=19, example="10",
    ),
    Key(
        "cpu_affinity", "processors", (), LIVE_OR_NEXT,
        "Processors that it may run on, as of taskset(1): `0-3,8`, or a list.",
        part="may_use", otherwise="the daemon's", example="0",
    ),
    Key(
        "oom_score_adj", "whole", None, LIVE_OR_NEXT,
        "How readily the kernel kills it when memory is short, {least} (never) to {most}. Below the daemon's own it needs root.",
        part="may_use", otherwise="the daemon's", least=-1000, most=1000, example="500",
    ),
    Key(
        "limits", "limits", (), LIVE_OR_NEXT,
        "Limits of all its processes together, by a control group: a map of `memory`, `memory_high` and `swap` (sizes), `cpu` (processors: "
        "`1.5`, or `150%`), `cpu_weight` (1 to 10000), `tasks` (processes and threads), `oom` (`process`, or `group`: the kernel kills all "
        "of them) and `required` (false; true: it does not run without them).",
        part="may_use", otherwise="none", example="\nmemory: 512MB\ncpu: 1.5\ntasks: 200",
    ),
    Key(
        "cgroup", "boolean", None, RESTART,
        "Run it in a control group of its own: a stop then reaches all that it has started, whatever that did to escape.",
        part="may_use", otherwise="true with `limits`", example="true",
    ),
    Key(
        "enabled", "boolean", True, LIVE,
        "Whether it is started at all. `false`: it is in the file and in `status`, but nothing starts it: no boot, no reload, no "
        "dependent, no `start all`; only you do, by its own name. What runs goes on. `taskmasterctl disable` and `enable` override the key.",
    ),
    Key(
        "recycle", "recycle", {}, LIVE,
        "When an instance that runs is stopped and started again as planned, one of its program at a time, or as `update` says: a map "
        "with `memory` (a size: what it and its descendants have for themselves, RssAnon and VmSwap, is above it in `samples` (2) looks in "
        "a row, one each `interval` (15 seconds)), `age` (time since it became RUNNING) or `cron` (a line of cron or a list of them, by the clocks of "
        "`timezone`), and `jitter` (0): each instance's moment is up to this many seconds earlier or later. Not for a `oneshot`.",
        otherwise="never", example="\nmemory: 400MB\nage: 12h\ncron: 0 4 * * 0",
    ),
    Key(
        "watch", "watch", {}, LIVE,
        "Files whose change restarts it, or starts it where it has ended or failed: a path or a pattern, relative to `workingdir`, or a map "
        "with `paths`, a list of them, `include` (only these names or paths), `ignore` (not these), `debounce` (300ms; it acts when nothing has "
        "changed for so long), `action` (`restart` or `signal NAME`), `poll` (look at the files in this interval; without it the kernel reports changes) and "
        "`default_ignores` (true: not `.git`, `node_modules`, `__pycache__`, editors' files and the like).",
        otherwise="nothing", example="\npaths: [src]\ninclude: ['*.py']\nignore: [tmp]\ndebounce: 0.3\naction: restart",
    ),
    Key(
        "sockets", "sockets", (), RESTART,
        "Sockets on which the daemon listens for it, so that clients wait while it restarts: a map of names to addresses "
        "(`127.0.0.1:8000`, `[::1]:80`, `:80`, `localhost:80`, `/path`, `@abstract`, `udp:...`), or to maps with `listen`, `backlog` (4096) and, "
        "of a path, `mode` (0666), `user` and `group`. They are descriptors 3 and up, as LISTEN_FDS and LISTEN_FDNAMES say; "
        "the variable SOCKET_name in `cmd` is the number of one. A changed `backlog` or `mode` is applied at once.",
        otherwise="none", varies=True, shared=False, example="\nhttp: 127.0.0.1:8000\nadmin: {listen: /tmp/taskmaster-reference-admin.sock, mode: 0660}",
    ),
    Key(
        "schedule", "schedule", {}, LIVE,
        "When it runs, as a `oneshot`: a line of cron, five fields or a word such as `@daily`; or a map with one of `cron` (a line or a "
        "list), `every` (a period, 1s to 31d) and `at` (moments such as `2026-12-24T18:00`), and with `timezone` (the daemon's), `jitter` "
        "(0; each instance is late by a fixed time of at most this), `overlap` (what is due while the run before is not over: `skip`, "
        "`queue` or `replace`), `catch_up` (1h; how late a missed run may begin), `at_start` (false; also when the daemon starts) and "
        "`history` (20; the runs that are kept). `none`: it has no schedule, whatever a template says. Not for `defaults:`.",
        otherwise="it runs when it is started", shared=False, example="none",
    ),
)  # fmt: skip
"""The keys of a program, in the order of every list and document."""

EXTRA = (
    Key(
        "extends", "templates", (), MERGED,
        "Template whose keys it has, or a list of templates, of which a later one replaces the values of those before it. They "
        "stand below `templates:` in any file, and may extend others.",
        otherwise="nothing", shared=False, example="slow",
    ),
)  # fmt: skip
"""Further keys of a program that are gone once it is put together, so that no record has them."""
