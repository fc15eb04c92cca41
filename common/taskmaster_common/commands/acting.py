"""The texts of verbs that act on programs. See `help`."""

from __future__ import annotations

from taskmaster_common.commands.text import NO_DEPS, NO_WAIT, Help

ACTING = {
    "check": Help(
        "Act",
        "run the health check of programs now",
        exits="0 all are well; 1 one is not, does not run or has no health; 5 unknown name; 7 no daemon",
        details="Prints what came of it, the last lines of its output and the time that it took. No counter changes.",
        examples=("check web", "check all"),
    ),
    "start": Help(
        "Act",
        "start programs and wait until they run",
        exits="0 running; 1 FATAL, blocked, or stopped meanwhile; 5 unknown name; 7 no daemon; 124 --timeout passed",
        details=(
            "A program that runs already is left alone. A new start gives a new budget of retries. What the programs depend "
            "on is started first if it is down, and they wait for it."
        ),
        examples=("start web", "start all", "start --no-deps web", "start --next backup"),
        flags={
            "--no-wait": NO_WAIT,
            "--no-deps": NO_DEPS,
            "--next": "start nothing now: let the schedule do it, when its time comes",
        },
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
        flags={
            "--no-wait": NO_WAIT,
            "--dependents": "first stop all that depends on the programs",
            "--run": "end the run of a program with a schedule, which stays armed",
        },
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
            "--outdated": "leave alone what already runs with the present configuration and env_file",
            "--rolling": "one instance after the other, as for programs with update",
            "--max-unavailable": "with --rolling: how many instances at a time (default 1, or what update says)",
            "--dependents": "also restart what runs and depends on the programs: down before them, up after them",
            "--no-deps": NO_DEPS,
        },
    ),
    "disable": Help(
        "Act",
        "let nothing start programs any more, over reloads and boots",
        exits="0; 1 it cannot be kept, or with --now something could not be ended; 5 unknown name; 7 no daemon",
        details=(
            "Boot, reload, dependents, schedules, `start all`, groups and patterns pass a disabled program by; `start NAME` runs it "
            "once. It overrides the file, and is kept in the state directory until `enable`, also while the program is not in "
            "the file. What runs goes on."
        ),
        examples=("disable web", "disable --now --reason 'broken disk' web"),
        flags={
            "--now": "also stop them, and wait until nothing of them is left",
            "--reason": "text that status, why and overrides show",
            "--no-wait": NO_WAIT,
        },
    ),
    "enable": Help(
        "Act",
        "undo disable, or override enabled: false of the configuration",
        exits="0; 1 it cannot be kept, or with --now something did not start; 5 unknown name; 7 no daemon",
        details="It starts nothing by itself: the next boot does, or `start`.",
        examples=("enable web", "enable --now web"),
        flags={"--now": "also start them, and wait until they run", "--no-wait": NO_WAIT},
    ),
    "scale": Help(
        "Act",
        "another number of instances of a program for now",
        exits="0; 1 one did not start or end, or that number is not possible; 5 unknown name; 7 no daemon; 124 --timeout passed",
        details=(
            "COUNT is a number, +N, -N, or file: the number of the file. The lowest instances stay, the others are stopped. It is "
            "kept over reloads, upgrades and the daemon's death; it ends when the file gets another numprocs, and at an orderly "
            "stop of the daemon."
        ),
        examples=("scale web 5", "scale web +1", "scale web -1", "scale web file"),
        flags={"--no-wait": NO_WAIT},
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
            "these, and a second Ctrl-] is one for the program. Every other key goes to the program, Ctrl-C too. One client types, and the "
            "terminal has its size; others look. A program without tty: true shows its output, and with stdin: pipe it gets your "
            "lines; then Ctrl-C or Ctrl-D leaves. `fg` is `attach`."
        ),
        examples=("attach console", "attach --read-only console", "attach --detach-keys ctrl-p,ctrl-q console"),
        flags={
            "--read-only": "look and type nothing",
            "--lines": "how many of the last lines are shown first (default 100, at most 64 KiB)",
            "--take": "take the typing from the client that has it",
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
}
