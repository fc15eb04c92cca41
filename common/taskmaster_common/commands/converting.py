"""The texts of the verbs that need no daemon: they convert configurations, and print. See `help`."""

from __future__ import annotations

from taskmaster_common.commands.text import Help

CONVERTING = {
    "completion": Help(
        "Files",
        "print the completions of a shell: bash, zsh or fish",
        exits="0 printed; 1 this installation has none; 2 usage",
        details=(
            "For bash and fish: source them, in the file that the shell reads at its start. For zsh: save them as _taskmasterctl "
            "in a directory of fpath. They ask the daemon for names."
        ),
        examples=("completion bash >~/.local/share/bash-completion/completions/taskmasterctl",),
    ),
    "import": Help(
        "Files",
        "make a configuration out of that of another supervisor, and say what is lost",
        exits=(
            "0 written, nothing is lost; 1 cannot write, or --check has found a fault of ours; 2 usage, or a kind that is refused; "
            "3 written, with losses; 4 a file cannot be read; 6 its own tool refuses the input too"
        ),
        details=(
            "The configuration goes to standard output or to -o FILE, the report to standard error: a line for each option that "
            "is dropped, changed or ignored, with file and line, and notes. The same lines are comments in the configuration. "
            "Without --from the kind is known from the name of the file or its content. - is standard input. Nothing is run, "
            "and no daemon is needed; --json with -o writes the report to standard output, too."
        ),
        examples=("import /etc/supervisor/supervisord.conf -o taskmaster.yaml", "import --check conf.d/*.conf"),
        flags={
            "--from": "the kind of the files",
            "--output": "write to this file, which must not exist",
            "--force": "replace the file of -o",
            "--check": "also decode the outcome as taskmasterd -t does; what only this machine lacks is a warning",
            "--strict": "write nothing if anything is lost",
            "--workdir": "where the old supervisor was started: the directory of programs that name none; not for systemd, Procfiles and pm2",
            "--ordered": "supervisor: stop in the order of priority, too, by depends_on",
            "--strict-stop": "supervisor: leave alone what a leader leaves at a stop",
            "--supervisor-env": "supervisor: set SUPERVISOR_ENABLED, _PROCESS_NAME and _GROUP_NAME",
            "--set": "a value for a variable of the input; may be repeated",
        },
    ),
    "export": Help(
        "Files",
        "make units, a Compose file, Kubernetes objects or a Procfile out of the configuration, and say what is lost",
        exits=(
            "0 written, nothing is lost; 1 cannot write, or --check has found a fault; 2 usage, or an unknown name; 3 written, with "
            "losses; 4 there is no configuration; 6 it is wrong"
        ),
        details=(
            "The configuration is that of -c FILE or of the usual places, with defaults and included files; names choose among its "
            "programs. The files go to standard output or to -o DIR, where none of them may exist yet, the report to standard error: a line for "
            "each key that is dropped or changed, with file and line, and notes. The same lines are comments in the files. Nothing is "
            "run, and no daemon is needed; --json with -o writes the report to standard output, too."
        ),
        examples=("export systemd -o units --check", "export compose --set image=example/site:4 web"),
        flags={
            "--output": "write the files to this directory",
            "--check": "let the target's own tool read the files, where it is installed",
            "--strict": "write nothing if anything is lost",
            "--set": "image=NAME or PROGRAM.image=NAME, the image of all programs or of one; may be repeated",
        },
    ),
}
