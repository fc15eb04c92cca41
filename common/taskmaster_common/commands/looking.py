"""The texts of verbs that look. See `help`."""

from __future__ import annotations

from taskmaster_common.commands.text import Help

LOOKING = {
    "status": Help(
        "Look",
        "one line for each process: state, pid, uptime, restarts, detail",
        exits="0 all as wanted; 3 something is not (or a named process is not RUNNING); 4 unknown name or no daemon",
        details=(
            "With a TARGET, only those processes. A program that you stopped, or that has autostart: false, "
            "counts as wanted; BACKOFF, FATAL and an unexpected exit do not. On a terminal --watch keeps the "
            "table up to date; into a pipe it writes a line for each change."
        ),
        examples=("status", "status web:1 'db*'", "status --watch"),
        flags={
            "--wide": "show every process in a row of its own, and never cut the DETAIL column",
            "--failed": "only processes that are not in their wanted state",
            "--watch": "show it again whenever something changes, until Ctrl-C",
            "--usage": "also processor and memory of each process, from a sample of 0.3 s",
        },
    ),
    "show": Help(
        "Look",
        "everything about a program: settings, processes, last exits, log files",
        exits="0; 4 unknown name or no daemon",
        examples=("show nginx", "show --daemon"),
        flags={
            "--env": "also the values of env (only root and the daemon's user may see them)",
            "--daemon": "the daemon itself instead, and where its control groups are, or why it has none",
        },
    ),
    "logs": Help(
        "Look",
        "the last lines that programs wrote",
        exits="0; 1 nothing of it is in a file (it is in the journal, in syslog, or nowhere; the message says where); 4 unknown name or no daemon",
        details=(
            "Without a TARGET it shows all programs, without --stderr their standard output. Several programs are "
            "shown one after the other; with -f their lines come as they are written, each after the program's "
            "name. --since and --until go by the times in the event log and in formatted logs, over rotated "
            "files; of other logs they reach back to the daemon's start at most, and may begin some lines early: up to a "
            "third of the time. On a terminal, control characters other than line ends, tabs and colours are "
            "shown as escapes such as \\x1b; --raw passes them on. Into a pipe every byte goes unchanged. `tail` "
            "is the same verb, `maintail` is `logs --daemon`."
        ),
        examples=("logs web", "logs -f", "logs -f -n 100 web:0", "logs --daemon web"),
        flags={
            "--follow": "go on with what is written from now on, until Ctrl-C",
            "--lines": "how many lines (default 20)",
            "--since": "only what was written since: 10m (ago), 10:00, 2026-11-28T10:00, boot, start",
            "--until": "only what was written before; as --since; not with -f or -n",
            "--timestamps": "about when each line of a log without times was written: ~10:02:31, or ~? from before the daemon's start",
            "--merge": "the lines of several programs in the order of their times; not with -f",
            "--stderr": "the standard error stream",
            "--daemon": "the daemon's own event log; with a TARGET only what happened to it",
            "--raw": "on a terminal: pass on control characters too",
            "--reopen": "close and reopen the log files, for logrotate: those of the TARGETs, or all",
        },
    ),
    "pid": Help(
        "Look",
        "the pid of the daemon, or of processes",
        exits="0; 1 a named process is not running; 4 unknown name or no daemon",
        examples=("pid", "pid web:0"),
    ),
    "subscribe": Help(
        "Look",
        "every change of a process as it happens, until Ctrl-C",
        exits="130 Ctrl-C; 4 unknown name, or no daemon any more",
        details=(
            "First the state of every process, then a line for each change; with --json one object of the "
            "protocol a line."
        ),
        examples=("subscribe", "subscribe web:1 'db*'"),
    ),
    "wait": Help(
        "Look",
        "wait until programs are up, stopped or settled; change nothing",
        exits=(
            "0 all are; 1 one cannot be by itself (settled: one is not as wanted), or the daemon is being shut down; "
            "4 unknown name or no daemon; 124 --timeout passed"
        ),
        details=(
            "up: RUNNING, and healthy where it has health; one with autostart: false that nobody has started, "
            "that is disabled, or that waits for its schedule is skipped. healthy: the same, but a program without health cannot be. stopped: nothing of it is alive. settled: "
            "nothing is on its way any more; what is blocked counts as settled. It ends as soon as one "
            "cannot get there by itself, and says why."
        ),
        examples=("wait web", "wait all", "wait --for stopped web"),
        flags={"--for": "up (the default), healthy, done, stopped or settled"},
    ),
    "why": Help(
        "Look",
        "why a program is in its state, what led there, what comes next and what to do",
        exits="0; 4 unknown name or no daemon",
        details=(
            "Without a TARGET, one sentence for each process that is not as wanted. The causes come from the history: exit codes in "
            "words, signals and who sent them, failed probes, dependencies down to the root, requests, reloads with the changed "
            "keys. To root it also quotes what the kernel says of the process."
        ),
        examples=("why", "why web:1", "why -n 50 web"),
        flags={"--lines": "how many events at most (default 10)"},
    ),
    "events": Help(
        "Look",
        "what happened: starts, ends, failures, requests, reloads, from the history",
        exits="0; 1 the history cannot be read; 4 unknown name or no daemon; 130 Ctrl-C",
        details=(
            "The history goes back over restarts of the daemon and of the host, as far as `history` of taskmasterd: keeps it. A "
            "TIME is 2026-11-28T10:00, 10:00 (the last one), 2h (ago), boot or start (of the daemon). EVENT is a word as it is "
            "shown, a pattern, or several with commas between them; crash (an unexpected end), oom (memory was short, and the "
            "kernel killed), trouble and recovered (what ended the trouble of a process) stand for several. With -f it also goes on "
            "after the death of the daemon, once another one is there within a minute. Names of programs that only the history has work, too. "
            "`history` is the same verb."
        ),
        examples=(
            "events",
            "events -f web",
            "events --since 2h --event trouble",
            "events --event 'reload*,operator' --by 0",
        ),
        flags={
            "--follow": "go on with what happens from now on, until Ctrl-C",
            "--lines": "how many of the last events (default 50; with --since or --until all)",
            "--since": "only what happened from then on",
            "--until": "only what happened until then",
            "--event": "only these events",
            "--by": "only what this user has asked for, by number",
            "--after": "what follows the event with this number; all of it without -n",
        },
    ),
    "overrides": Help(
        "Look",
        "what somebody has changed with disable, enable or scale, without an edit of the file",
        exits="0; 4 no daemon",
        examples=("overrides",),
    ),
    "simulate": Help(
        "Look",
        "what Taskmaster would do if a program ended as you say; nothing is started",
        exits="0; 2 a wrong end or time; 4 unknown name or no daemon",
        details=(
            "HOW is CODE@SECONDS or SIGNAL@SECONDS after a start. Several are used in turn, one for each start; the last one "
            "is repeated. Without any, the program runs on. The rules and the settings are the real ones; starts, hooks and probes succeed at once, "
            "and everything that it depends on is as it needs. Its schedule, and recycle by age and cron, begin "
            "now; recycle by memory is left out. It changes nothing, and stops after 10000 events."
        ),
        examples=(
            "simulate web --end 1@0.2",
            "simulate --end KILL@3s --end 0@1m --for 1d web",
            "simulate backup --end 0@20m --for 2d",
        ),
        flags={
            "--end": "how and when it ends: 1@0.2, KILL@3s, 0@1m; repeat the flag for the next start",
            "--for": "how long (default 1h)",
            "--seed": "choose other random delays; they vary by a tenth",
        },
    ),
    "health": Help(
        "Look",
        "whether programs are well, as their health checks have found",
        exits="0 all are as wanted and nothing is unhealthy; 1 otherwise, or unknown name, or no daemon",
        details="Without a name: all of them. As the health check of a container it needs no arguments.",
        examples=("health", "health web"),
    ),
    "alert": Help(
        "Look",
        "list alert rules, test one, or deliver what waits",
        exits="0; 1 not delivered; 4 no daemon (list), not permitted; 5 unknown rule; 7 no daemon",
        details=(
            "`list` shows each rule with its destination, how many events wait, and why the last message did not arrive. "
            "`test RULE` sends one event at once, past for, batch and at_most, and prints what was said with the server; "
            "secrets are shown as ***. `flush RULE` delivers what waits, without waiting for the next try."
        ),
        examples=("alert list", "alert test page", "alert test page --event recovered", "alert flush page"),
        flags={"--event": "the event that test sends (default fatal)"},
    ),
    "deps": Help(
        "Look",
        "the tree of dependencies, and which of them are satisfied",
        exits="0; 4 unknown name or no daemon",
        details=(
            "Each line is a dependency with its condition: ok is satisfied, waiting is on its way, blocked stays "
            "so until you act. Without a TARGET it shows all trees."
        ),
        examples=("deps", "deps web", "deps --reverse db"),
        flags={"--reverse": "what depends on the programs, instead of what they depend on"},
    ),
    "version": Help("Look", "the versions of both sides and of the protocol", exits="0; 4 no daemon"),
    "top": Help(
        "Look",
        "what runs and what it uses, on the whole screen",
        exits="0 left with q; 2 usage; 4 unknown name, or no daemon any more; 130 Ctrl-C",
        details=(
            "Programs with several processes are one row, which Enter opens; Enter on a process shows all that belongs to it. The "
            "selection stays with a name whatever is sorted, added or removed. s starts at once; x stops, r restarts and g signals "
            "after a question. h lists the keys. Leaving it ends nothing. The pause between samples grows if one takes more than a "
            "tenth of it. With --once, or where there is no terminal, it prints one table; with --json a line for each sample."
        ),
        examples=("top", "top --sort cpu web 'db*'", "top --once"),
        flags={
            "--sort": "name (the default), state, cpu, mem, uptime or restarts",
            "--every": "pause between two samples (1s by default)",
            "--once": "one table as text, from a sample of 0.3 s",
        },
    ),
    "runs": Help(
        "Look",
        "programs with a schedule, their runs, and the next ones",
        exits="0; 2 no such cron, zone or time; 4 unknown name or no daemon",
        details=(
            "Without a TARGET a line for each program with a schedule; with one the runs that are kept, the oldest first, and the next "
            "ones. Times are nominal, without jitter, and have the offset of the zone by which the program runs. With --cron it prints "
            "when any line of cron is due, one time a line, and needs no daemon."
        ),
        examples=("runs", "runs backup", "runs --cron @daily --timezone Europe/Berlin --from 2026-03-28T12:00 -n 3"),
        flags={
            "--lines": "how many of the next runs (default 5)",
            "--from": "the next runs from then on, such as 2026-03-28T12:00, in the program's zone unless it has an offset (default: now)",
            "--cron": "five fields, minute hour day month weekday, or a word such as @daily",
            "--timezone": "with --cron: the zone by whose clocks it runs (default: that of this terminal)",
        },
    ),
    "metrics": Help(
        "Look",
        "states, counters and usage of all processes for Prometheus",
        exits="0; 1 the file or address cannot be used; 2 an address beyond this host; 4 unknown name or no daemon",
        details=(
            "To standard output; with --output to a file for the textfile collector, which is replaced as a whole, and removed "
            "when metrics ends or fails. With --listen it answers GET /metrics on a UNIX socket or on the loopback interface, in "
            "the format that the request asks for."
        ),
        examples=(
            "metrics",
            "metrics --output /var/lib/node_exporter/taskmaster.prom --every 15s",
            "metrics --listen unix:/run/taskmaster/metrics.sock",
            "metrics --listen 127.0.0.1:9777",
        ),
        flags={
            "--format": "prometheus (text 0.0.4, the default) or openmetrics",
            "--output": "write to this file instead",
            "--every": "write it again and again, with this pause (5s at least)",
            "--listen": "answer requests at unix:PATH or 127.0.0.1:PORT",
        },
    ),
}
