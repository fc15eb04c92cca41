"""The texts of the command table: for `help`, `--help`, completion and the man page. Other requests do not load them."""

from __future__ import annotations

from taskmaster_common.commands.table import COMMANDS, LOOK, Command, command, usage
from taskmaster_common.records import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping


class Help(Record):
    """What there is to say about one verb; `flags` maps the names of its flags to their texts."""

    group: str
    summary: str
    exits: str
    details: str = ""
    examples: tuple[str, ...] = ()
    flags: Mapping[str, str] = {}


NO_WAIT = "return at once; the operation goes on in the daemon"
NO_DEPS = "without a look at dependencies: start nothing else, wait for nothing"

HELP = {
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
            "--wide": "never cut the DETAIL column",
            "--failed": "only processes that are not in their wanted state",
            "--watch": "show it again whenever something changes, until Ctrl-C",
            "--usage": "also processor and memory of each process, from a sample of 0.3 s",
        },
    ),
    "show": Help(
        "Look",
        "everything about a program: settings, processes, last exits, log files",
        exits="0; 4 unknown name or no daemon",
        examples=("show nginx",),
        flags={"--env": "also the values of env (only root and the daemon's user may see them)"},
    ),
    "logs": Help(
        "Look",
        "the last lines that programs wrote",
        exits="0; 4 unknown name or no daemon",
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
            "up: RUNNING, and healthy where it has health; a program with autostart: false that nobody has started is "
            "skipped. healthy: the same, but what has no health cannot be. stopped: nothing of it is alive. settled: "
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
            "shown, a pattern, several with commas between them, or crash (an unexpected end) or trouble. With -f it also goes on "
            "after the death of the daemon, once another one is there within a minute. Names that only the history knows are known. "
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
            "--after": "what follows the event of this number",
        },
    ),
    "health": Help(
        "Look",
        "whether programs are well, as their health checks have found",
        exits="0 all are as wanted and none is unhealthy; 1 not, or unknown name, or no daemon",
        details="Without a name: all of them. As a health check of a container it needs nothing else.",
        examples=("health", "health web"),
    ),
    "alert": Help(
        "Look",
        "alert rules: how they do, a message to try one, what waits now",
        exits="0; 1 not delivered; 4 no daemon (list), not permitted; 5 unknown rule; 7 no daemon",
        details=(
            "`list` shows each rule with its destination, how many events wait, and why the last message did not arrive. "
            "`test RULE` sends one event at once, past for, batch and at_most, and prints what was said with the server; "
            "secrets are shown as ***. `flush RULE` delivers what waits, without waiting for the next try."
        ),
        examples=("alert list", "alert test page", "alert test page --event recovered", "alert flush page"),
        flags={"--event": "what test pretends: fatal by default"},
    ),
    "check": Help(
        "Act",
        "ask programs now whether they are well, by the probe of their health",
        exits="0 all are well; 1 one is not, does not run or has no health; 5 unknown name; 7 no daemon",
        details="Prints what came of it, the last lines of its output and the time that it took. No counter changes.",
        examples=("check web", "check all"),
    ),
    "deps": Help(
        "Look",
        "the tree of dependencies, and which of them are satisfied",
        exits="0; 4 unknown name or no daemon",
        details=(
            "Each line is a dependency with its condition: ok is satisfied, waiting is on its way, blocked needs somebody "
            "who does something. Without a TARGET it shows all trees."
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
    "start": Help(
        "Act",
        "start programs and wait until they run",
        exits="0 running; 1 FATAL, blocked, or stopped meanwhile; 5 unknown name; 7 no daemon; 124 --timeout passed",
        details=(
            "A program that runs already is left alone. A new start gives a new budget of retries. What the programs depend "
            "on is started first if it is down, and they wait for it."
        ),
        examples=("start web", "start all", "start --no-deps web"),
        flags={"--no-wait": NO_WAIT, "--no-deps": NO_DEPS},
    ),
    "stop": Help(
        "Act",
        "stop programs and wait until nothing of them is left",
        exits=(
            "0 nothing is left; 1 something could not be ended, or was started again meanwhile; 5 unknown name; 7 no daemon; "
            "124 --timeout passed"
        ),
        details=(
            "By default all processes of the program get the stop signal (a process that reads the output of "
            "another gets it after that one has ended); stopasgroup changes that. What is left at stoptime is "
            "killed. The program stays stopped until somebody starts it. Of several programs, each is stopped after those "
            "that depend on it. A program that depends on a stopped one goes on, and a warning names it."
        ),
        examples=("stop web", "stop 'w*' db:1", "stop --dependents db"),
        flags={"--no-wait": NO_WAIT, "--dependents": "first stop all that depends on the programs"},
    ),
    "restart": Help(
        "Act",
        "stop and start again, as one operation of the daemon",
        exits=(
            "0 running; 1 FATAL, blocked, stopped meanwhile or not reached; 5 unknown name; 7 no daemon; 124 --timeout passed"
        ),
        details=(
            "What was stopped is started. The configuration is the loaded one: after an edit use `reload`. The instances of a "
            "program with update are restarted one after the other; that ends at the first one that does not stay up, and "
            "the others stay as they are."
        ),
        examples=("restart nginx", "restart --if-running all", "restart --outdated web"),
        flags={
            "--no-wait": NO_WAIT,
            "--if-running": "leave alone what is not running",
            "--outdated": "leave alone what was started with the present configuration",
            "--rolling": "one instance after the other, as of programs with update",
            "--max-unavailable": "with --rolling: so many instances at a time (default 1, or what update says)",
            "--dependents": "also restart what runs and depends on the programs: down before them, up after them",
            "--no-deps": NO_DEPS,
        },
    ),
    "signal": Help(
        "Act",
        "send a signal to the leading process of programs",
        exits="0 sent; 1 nothing runs there; 2 unknown signal; 5 unknown name; 7 no daemon",
        examples=("signal HUP nginx", "signal 10 web:1"),
        flags={"--list": "print the names of the signals"},
    ),
    "attach": Help(
        "Act",
        "the terminal of a program, with your keys as its keys",
        exits="0 detached; 1 it does not run; 2 no terminal here, or several processes; 3 the program is down and nothing follows; 4 unknown name, no daemon, or not permitted",
        details=(
            "Ctrl-] is the command key: d detaches, t takes or gives the typing, r redraws, z suspends this client, ? lists "
            "these, and a second Ctrl-] is one for the program. All else is the program's, Ctrl-C too. One client types, and the "
            "terminal has its size; others look. A program without tty: true shows its output, and with stdin: pipe it gets your "
            "lines; then Ctrl-C or Ctrl-D leaves. `fg` is `attach`."
        ),
        examples=("attach console", "attach --read-only console", "attach --detach-keys ctrl-p,ctrl-q console"),
        flags={
            "--read-only": "look and type nothing",
            "--lines": "how many of the last lines are shown first (default 100, at most 64 KiB)",
            "--take": "take the typing from who has it",
            "--detach-keys": "one or two keys that detach, in the place of Ctrl-] and its letters; none: no key (TASKMASTER_DETACH_KEYS)",
            "--from": "what follows this place of the log, as an output names it on the wire",
        },
    ),
    "send": Help(
        "Act",
        "write a line into the standard input of programs",
        exits="0 the programs have got it; 1 one has no stdin, was stopped or reads no more; 5 unknown name; 7 no daemon, also when it is lost on the way; 124 --timeout passed",
        details=(
            "For programs with stdin: pipe. The words of the text are joined by blanks; a line end follows. It waits "
            "until the kernel has taken all of it, however long a program does not read, and says how much that is. Words that "
            "look like options come after --."
        ),
        examples=("send web reload", "send web -- --verbose", "send --eof --file data.csv import"),
        flags={
            "--no-newline": "without a line end",
            "--eof": "afterwards close the pipe: the program sees the end of its input",
            "--file": "what this file holds, - for standard input, and no line end",
        },
    ),
    "reload": Help(
        "Configuration",
        "apply the edited configuration; untouched programs keep running",
        exits="0 applied; 1 something that it started is FATAL, or it was rolled back; 6 the configuration is wrong; 7 no daemon",
        details=(
            "The same as SIGHUP to the daemon. The whole file is checked first; with a mistake in it nothing "
            "changes. `update` is the same verb, `reread` is `reload --dry-run`."
        ),
        examples=("reload --dry-run", "reload", "reload --no-restart"),
        flags={
            "--no-wait": NO_WAIT,
            "--dry-run": "print the plan and change nothing",
            "--exit-code": "with --dry-run: exit 1 where the plan changes something",
            "--no-restart": "let instances run on whose program has changed: they are outdated then",
            "--rollback": "take it back, unless all that it starts comes up and stays up for 5 s",
        },
    ),
    "upgrade": Help(
        "Daemon",
        "execute the installed version of the daemon; programs, clients and logs go on",
        exits="0 upgraded; 1 nothing was changed; 7 no daemon",
        details=(
            "First a child starts the installed code and reads the daemon's state with it; if that fails, nothing is "
            "changed and the reply says why. Pids, uptimes, logs and connections stay."
        ),
    ),
    "shutdown": Help(
        "Daemon",
        "stop all programs and the daemon",
        exits="0 everything is gone; 1 something could not be ended; 7 no daemon",
        flags={"--no-wait": NO_WAIT},
    ),
    "help": Help(
        "Daemon", "this list, or everything about one verb", exits="0; 2 unknown verb", examples=("help stop",)
    ),
    "notify": Help(
        "Shell",
        "print changes of programs above the prompt, or not",
        exits="0",
        details=(
            "on (the default) prints changes that nobody asked for, and when they are over; of many changes at once it prints "
            "their number. Without a word it says which is set."
        ),
    ),
    "exit": Help("Shell", "leave the shell; the daemon goes on (also quit, Ctrl-D)", exits="0"),
}

SHELL_COMMANDS = (
    Command("notify", "", LOOK, "[on|off]"),
    Command("exit", "", LOOK),
)
"""The words that only the interactive shell understands; `quit` is another word for `exit`."""


def help_text(name: str = "", more: tuple[Command, ...] = ()) -> str:
    """Return the help of one verb, or the list of all verbs. Raises RequestError "unknown-verb".

    `more` are verbs that only the caller has.
    """
    if name:
        return _help_of(next((entry for entry in more if entry.name == name), None) or command(name))
    lines: list[str] = []
    summaries = [(HELP[entry.name].group, entry.name, HELP[entry.name].summary) for entry in (*COMMANDS, *more)]
    for group in dict.fromkeys(group for group, _, _ in summaries):
        lines.append(f"{group}:")
        lines.extend(f"  {verb:<10} {summary}" for other, verb, summary in summaries if other == group)
    lines.append("TARGET is a program (all its instances), web:1, a group, a pattern like 'web:*' or 'w*', or all.")
    lines.append("`help VERB` shows the flags, examples and exit codes of one verb.")
    return "\n".join(lines)


def _help_of(verb: Command) -> str:
    text = HELP[verb.name]
    lines = [f"{verb.name}: {text.summary}", f"usage: {usage(verb)}"]
    if text.details:
        lines.append(text.details)
    for flag in verb.flags:
        left = f"{flag.short + ', ' if flag.short else ''}{flag.name}{' ' + flag.value if flag.value else ''}"
        lines.append(f"  {left:<18} {text.flags[flag.name]}")
    lines.extend(f"example: taskmasterctl {example}" for example in text.examples)
    lines.append(f"exit codes: {text.exits}")
    return "\n".join(lines)
