# fish completion for taskmasterctl. Made by `python -m scripts.generate` from the command table; not edited by hand.

# Print the client's call with the socket of the line, the verb, and how many arguments follow it, one a line.
function __taskmasterctl_line
    set -l tokens (commandline -opc)
    set -l client (string replace -r '^~/' "$HOME/" -- $tokens[1])
    set -l verb ''
    set -l count 0
    set -l value ''
    set -l only ''
    for word in $tokens[2..-1]
        if test -n "$value"
            contains -- $value -s --socket -c --config
            and set -a client $value (string replace -r '^~/' "$HOME/" -- $word)
            set value ''
            continue
        end
        if test -n "$only"
            set count (math $count + 1)
            continue
        end
        switch "$verb:$word"
            case '*:-s' '*:--socket' '*:-c' '*:--config' '*:--timeout' '*:--color' 'logs:-n' 'logs:--lines' 'tail:-n' 'tail:--lines' 'maintail:-n' 'maintail:--lines' 'logs:--since' 'tail:--since' 'maintail:--since' 'logs:--until' 'tail:--until' 'maintail:--until' 'wait:--for' 'why:-n' 'why:--lines' 'events:-n' 'events:--lines' 'history:-n' 'history:--lines' 'events:--since' 'history:--since' 'events:--until' 'history:--until' 'events:--event' 'history:--event' 'events:--by' 'history:--by' 'events:--after' 'history:--after' 'top:--sort' 'top:--every' 'metrics:--format' 'metrics:--output' 'metrics:--every' 'metrics:--listen' 'runs:-n' 'runs:--lines' 'runs:--from' 'runs:--cron' 'runs:--timezone' 'import:--from' 'import:-o' 'import:--output' 'import:--workdir' 'import:--set' 'export:-o' 'export:--output' 'export:--set' 'alert:--event' 'simulate:--end' 'simulate:--for' 'simulate:--seed' 'restart:--max-unavailable' 'disable:--reason' 'attach:-n' 'attach:--lines' 'fg:-n' 'fg:--lines' 'attach:--detach-keys' 'fg:--detach-keys' 'attach:--from' 'fg:--from' 'send:--file'
                set value $word
            case '*:-s?*' '*:-c?*' '*:--socket=*' '*:--config=*'
                set -a client $word
            case '*:--'
                test -z "$verb"
                or set only 1
            case '*:-*'
            case ':*'
                set verb $word
            case '*'
                set count (math $count + 1)
        end
    end
    printf '%s\n' "$verb" $count $client
end

function __taskmasterctl_verb # whether one of these is the verb; without any: whether there is none yet
    set -l line (__taskmasterctl_line)
    if test (count $argv) -eq 0
        test -z "$line[1]"
    else
        contains -- "$line[1]" $argv
    end
end

function __taskmasterctl_first # whether the verb has no argument yet
    set -l line (__taskmasterctl_line)
    test $line[2] -eq 0
end

function __taskmasterctl_live
    set -l line (__taskmasterctl_line)
    command $line[3..-1] _complete $argv[1] </dev/null 2>/dev/null | string match -r -- '^[A-Za-z0-9_@+][A-Za-z0-9_.@+:-]*(?:\t.*)?$'
end

function __taskmasterctl_targets
    if string match -q '*:*' -- (commandline -ct)
        __taskmasterctl_live processes
    else
        __taskmasterctl_live programs
        printf 'all\tevery program\n'
    end
end

complete -c taskmasterctl -f
complete -c taskmasterctl -s s -l socket -r -F -d 'the daemon\'s control socket'
complete -c taskmasterctl -s c -l config -r -F -d 'act only on the daemon that runs this configuration'
complete -c taskmasterctl -l json -d 'one JSON document instead of text; JSON lines for logs and events'
complete -c taskmasterctl -s q -l quiet -d 'say nothing about what succeeded'
complete -c taskmasterctl -l timeout -x -d 'wait at most this long (5, 1m30s), then exit 124'
complete -c taskmasterctl -l color -x -a 'auto always never' -d 'auto, always or never'
complete -c taskmasterctl -l no-pager -d 'long answers without a pager, as with PAGER=cat'
complete -c taskmasterctl -s e -l exit-on-error -d 'commands from a pipe: stop at the first that fails'
complete -c taskmasterctl -s V -l version -d 'print the version of this client'
complete -c taskmasterctl -s h -l help -d 'print this, or the help of a verb'

complete -c taskmasterctl -n '__taskmasterctl_verb' -a status -d 'one line for each process: state, pid, uptime, restarts, detail'
complete -c taskmasterctl -n '__taskmasterctl_verb' -a show -d 'everything about a program: settings, processes, last exits, log files'
complete -c taskmasterctl -n '__taskmasterctl_verb' -a logs -d 'the last lines that programs wrote'
complete -c taskmasterctl -n '__taskmasterctl_verb' -a pid -d 'the pid of the daemon, or of processes'
complete -c taskmasterctl -n '__taskmasterctl_verb' -a subscribe -d 'every change of a process as it happens, until Ctrl-C'
complete -c taskmasterctl -n '__taskmasterctl_verb' -a wait -d 'wait until programs are up, stopped or settled; change nothing'
complete -c taskmasterctl -n '__taskmasterctl_verb' -a why -d 'why a program is in its state, what led there, what comes next and what to do'
complete -c taskmasterctl -n '__taskmasterctl_verb' -a events -d 'what happened: starts, ends, failures, requests, reloads, from the history'
complete -c taskmasterctl -n '__taskmasterctl_verb' -a health -d 'whether programs are well, as their health checks have found'
complete -c taskmasterctl -n '__taskmasterctl_verb' -a deps -d 'the tree of dependencies, and which of them are satisfied'
complete -c taskmasterctl -n '__taskmasterctl_verb' -a version -d 'the versions of both sides and of the protocol'
complete -c taskmasterctl -n '__taskmasterctl_verb' -a top -d 'what runs and what it uses, on the whole screen'
complete -c taskmasterctl -n '__taskmasterctl_verb' -a metrics -d 'states, counters and usage of all processes for Prometheus'
complete -c taskmasterctl -n '__taskmasterctl_verb' -a runs -d 'programs with a schedule, their runs, and the next ones'
complete -c taskmasterctl -n '__taskmasterctl_verb' -a completion -d 'print the completions of a shell: bash, zsh or fish'
complete -c taskmasterctl -n '__taskmasterctl_verb' -a import -d 'make a configuration out of that of another supervisor, and say what is lost'
complete -c taskmasterctl -n '__taskmasterctl_verb' -a export -d 'make units, a Compose file, Kubernetes objects or a Procfile out of the configuration, and say what is lost'
complete -c taskmasterctl -n '__taskmasterctl_verb' -a alert -d 'list alert rules, test one, or deliver what waits'
complete -c taskmasterctl -n '__taskmasterctl_verb' -a overrides -d 'what somebody has changed with disable, enable or scale, without an edit of the file'
complete -c taskmasterctl -n '__taskmasterctl_verb' -a simulate -d 'what Taskmaster would do if a program ended as you say; nothing is started'
complete -c taskmasterctl -n '__taskmasterctl_verb' -a check -d 'run the health check of programs now'
complete -c taskmasterctl -n '__taskmasterctl_verb' -a start -d 'start programs and wait until they run'
complete -c taskmasterctl -n '__taskmasterctl_verb' -a stop -d 'stop programs and wait until nothing of them is left'
complete -c taskmasterctl -n '__taskmasterctl_verb' -a restart -d 'stop and start again, as one operation of the daemon'
complete -c taskmasterctl -n '__taskmasterctl_verb' -a disable -d 'let nothing start programs any more, over reloads and boots'
complete -c taskmasterctl -n '__taskmasterctl_verb' -a enable -d 'undo disable, or override enabled: false of the configuration'
complete -c taskmasterctl -n '__taskmasterctl_verb' -a scale -d 'another number of instances of a program for now'
complete -c taskmasterctl -n '__taskmasterctl_verb' -a signal -d 'send a signal to the leading process of programs'
complete -c taskmasterctl -n '__taskmasterctl_verb' -a attach -d 'the terminal of a program, with your keys as its keys'
complete -c taskmasterctl -n '__taskmasterctl_verb' -a send -d 'write a line into the standard input of programs'
complete -c taskmasterctl -n '__taskmasterctl_verb' -a reload -d 'apply the edited configuration; untouched programs keep running'
complete -c taskmasterctl -n '__taskmasterctl_verb' -a upgrade -d 'execute the installed version of the daemon; programs, clients and logs go on'
complete -c taskmasterctl -n '__taskmasterctl_verb' -a shutdown -d 'stop all programs and the daemon'
complete -c taskmasterctl -n '__taskmasterctl_verb' -a help -d 'this list, or everything about one verb'

complete -c taskmasterctl -n '__taskmasterctl_verb status' -l wide -d 'show every process in a row of its own, and never cut the DETAIL column'
complete -c taskmasterctl -n '__taskmasterctl_verb status' -l failed -d 'only processes that are not in their wanted state'
complete -c taskmasterctl -n '__taskmasterctl_verb status' -l watch -d 'show it again whenever something changes, until Ctrl-C'
complete -c taskmasterctl -n '__taskmasterctl_verb status' -l usage -d 'also processor and memory of each process, from a sample of 0.3 s'
complete -c taskmasterctl -n '__taskmasterctl_verb show' -l env -d 'also the values of env (only root and the daemon\'s user may see them)'
complete -c taskmasterctl -n '__taskmasterctl_verb show' -l daemon -d 'the daemon itself instead, and where its control groups are, or why it has none'
complete -c taskmasterctl -n '__taskmasterctl_verb logs tail maintail' -s f -l follow -d 'go on with what is written from now on, until Ctrl-C'
complete -c taskmasterctl -n '__taskmasterctl_verb logs tail maintail' -s n -l lines -x -d 'how many lines (default 20)'
complete -c taskmasterctl -n '__taskmasterctl_verb logs tail maintail' -l since -x -d 'only what was written since: 10m (ago), 10:00, 2026-11-28T10:00, boot, start'
complete -c taskmasterctl -n '__taskmasterctl_verb logs tail maintail' -l until -x -d 'only what was written before; as --since; not with -f or -n'
complete -c taskmasterctl -n '__taskmasterctl_verb logs tail maintail' -l timestamps -d 'about when each line of a log without times was written: ~10:02:31, or ~? from before the daemon\'s start'
complete -c taskmasterctl -n '__taskmasterctl_verb logs tail maintail' -l merge -d 'the lines of several programs in the order of their times; not with -f'
complete -c taskmasterctl -n '__taskmasterctl_verb logs tail maintail' -l stderr -d 'the standard error stream'
complete -c taskmasterctl -n '__taskmasterctl_verb logs tail maintail' -l daemon -d 'the daemon\'s own event log; with a TARGET only what happened to it'
complete -c taskmasterctl -n '__taskmasterctl_verb logs tail maintail' -l raw -d 'on a terminal: pass on control characters too'
complete -c taskmasterctl -n '__taskmasterctl_verb logs tail maintail' -l reopen -d 'close and reopen the log files, for logrotate: those of the TARGETs, or all'
complete -c taskmasterctl -n '__taskmasterctl_verb wait' -l for -x -a 'up healthy done stopped settled' -d 'up (the default), healthy, done, stopped or settled'
complete -c taskmasterctl -n '__taskmasterctl_verb why' -s n -l lines -x -d 'how many events at most (default 10)'
complete -c taskmasterctl -n '__taskmasterctl_verb events history' -s f -l follow -d 'go on with what happens from now on, until Ctrl-C'
complete -c taskmasterctl -n '__taskmasterctl_verb events history' -s n -l lines -x -d 'how many of the last events (default 50; with --since or --until all)'
complete -c taskmasterctl -n '__taskmasterctl_verb events history' -l since -x -d 'only what happened from then on'
complete -c taskmasterctl -n '__taskmasterctl_verb events history' -l until -x -d 'only what happened until then'
complete -c taskmasterctl -n '__taskmasterctl_verb events history' -l event -x -a 'started ready running exited failed backoff fatal done signalled stopping killed lost stuck stopped adopted unhealthy healthy waiting blocked missed skipped recycled refused attach rolled disabled enabled scaled watch daemon-start daemon-stop crashed upgrade reload reload-failed operator denied log-trouble alert-failed crash oom trouble recovered' -d 'only these events'
complete -c taskmasterctl -n '__taskmasterctl_verb events history' -l by -x -d 'only what this user has asked for, by number'
complete -c taskmasterctl -n '__taskmasterctl_verb events history' -l after -x -d 'what follows the event with this number; all of it without -n'
complete -c taskmasterctl -n '__taskmasterctl_verb deps' -l reverse -d 'what depends on the programs, instead of what they depend on'
complete -c taskmasterctl -n '__taskmasterctl_verb top' -l sort -x -a 'name state cpu mem uptime restarts' -d 'name (the default), state, cpu, mem, uptime or restarts'
complete -c taskmasterctl -n '__taskmasterctl_verb top' -l every -x -d 'pause between two samples (1s by default)'
complete -c taskmasterctl -n '__taskmasterctl_verb top' -l once -d 'one table as text, from a sample of 0.3 s'
complete -c taskmasterctl -n '__taskmasterctl_verb metrics' -l format -x -a 'prometheus openmetrics' -d 'prometheus (text 0.0.4, the default) or openmetrics'
complete -c taskmasterctl -n '__taskmasterctl_verb metrics' -l output -r -F -d 'write to this file instead'
complete -c taskmasterctl -n '__taskmasterctl_verb metrics' -l every -x -d 'write it again and again, with this pause (5s at least)'
complete -c taskmasterctl -n '__taskmasterctl_verb metrics' -l listen -x -d 'answer requests at unix:PATH or 127.0.0.1:PORT'
complete -c taskmasterctl -n '__taskmasterctl_verb runs' -s n -l lines -x -d 'how many of the next runs (default 5)'
complete -c taskmasterctl -n '__taskmasterctl_verb runs' -l from -x -d 'the next runs from then on, such as 2026-03-28T12:00, in the program\'s zone unless it has an offset (default: now)'
complete -c taskmasterctl -n '__taskmasterctl_verb runs' -l cron -x -d 'five fields, minute hour day month weekday, or a word such as @daily'
complete -c taskmasterctl -n '__taskmasterctl_verb runs' -l timezone -x -d 'with --cron: the zone by whose clocks it runs (default: that of this terminal)'
complete -c taskmasterctl -n '__taskmasterctl_verb import' -l from -x -a 'supervisor procfile systemd circus process-compose pm2' -d 'the kind of the files'
complete -c taskmasterctl -n '__taskmasterctl_verb import' -s o -l output -r -F -d 'write to this file, which must not exist'
complete -c taskmasterctl -n '__taskmasterctl_verb import' -l force -d 'replace the file of -o'
complete -c taskmasterctl -n '__taskmasterctl_verb import' -l check -d 'also decode the outcome as taskmasterd -t does; what only this machine lacks is a warning'
complete -c taskmasterctl -n '__taskmasterctl_verb import' -l strict -d 'write nothing if anything is lost'
complete -c taskmasterctl -n '__taskmasterctl_verb import' -l workdir -r -F -d 'where the old supervisor was started: the directory of programs that name none; not for systemd, Procfiles and pm2'
complete -c taskmasterctl -n '__taskmasterctl_verb import' -l ordered -d 'supervisor: stop in the order of priority, too, by depends_on'
complete -c taskmasterctl -n '__taskmasterctl_verb import' -l strict-stop -d 'supervisor: leave alone what a leader leaves at a stop'
complete -c taskmasterctl -n '__taskmasterctl_verb import' -l supervisor-env -d 'supervisor: set SUPERVISOR_ENABLED, _PROCESS_NAME and _GROUP_NAME'
complete -c taskmasterctl -n '__taskmasterctl_verb import' -l set -x -d 'a value for a variable of the input; may be repeated'
complete -c taskmasterctl -n '__taskmasterctl_verb export' -s o -l output -r -F -d 'write the files to this directory'
complete -c taskmasterctl -n '__taskmasterctl_verb export' -l check -d 'let the target\'s own tool read the files, where it is installed'
complete -c taskmasterctl -n '__taskmasterctl_verb export' -l strict -d 'write nothing if anything is lost'
complete -c taskmasterctl -n '__taskmasterctl_verb export' -l set -x -d 'image=NAME or PROGRAM.image=NAME, the image of all programs or of one; may be repeated'
complete -c taskmasterctl -n '__taskmasterctl_verb alert' -l event -x -a 'started ready running exited failed backoff fatal done signalled stopping killed lost stuck stopped adopted unhealthy healthy waiting blocked missed skipped recycled refused attach rolled disabled enabled scaled watch daemon-start daemon-stop crashed upgrade reload reload-failed operator denied log-trouble alert-failed crash oom trouble recovered' -d 'the event that test sends (default fatal)'
complete -c taskmasterctl -n '__taskmasterctl_verb simulate' -l end -x -d 'how and when it ends: 1@0.2, KILL@3s, 0@1m; repeat the flag for the next start'
complete -c taskmasterctl -n '__taskmasterctl_verb simulate' -l for -x -d 'how long (default 1h)'
complete -c taskmasterctl -n '__taskmasterctl_verb simulate' -l seed -x -d 'choose other random delays; they vary by a tenth'
complete -c taskmasterctl -n '__taskmasterctl_verb start' -l no-wait -d 'return at once; the operation goes on in the daemon'
complete -c taskmasterctl -n '__taskmasterctl_verb start' -l no-deps -d 'without a look at dependencies: start nothing else, wait for nothing'
complete -c taskmasterctl -n '__taskmasterctl_verb start' -l next -d 'start nothing now: let the schedule do it, when its time comes'
complete -c taskmasterctl -n '__taskmasterctl_verb stop' -l no-wait -d 'return at once; the operation goes on in the daemon'
complete -c taskmasterctl -n '__taskmasterctl_verb stop' -l dependents -d 'first stop all that depends on the programs'
complete -c taskmasterctl -n '__taskmasterctl_verb stop' -l run -d 'end the run of a program with a schedule, which stays armed'
complete -c taskmasterctl -n '__taskmasterctl_verb restart' -l no-wait -d 'return at once; the operation goes on in the daemon'
complete -c taskmasterctl -n '__taskmasterctl_verb restart' -l if-running -d 'leave alone what is not running'
complete -c taskmasterctl -n '__taskmasterctl_verb restart' -l outdated -d 'leave alone what already runs with the present configuration and env_file'
complete -c taskmasterctl -n '__taskmasterctl_verb restart' -l rolling -d 'one instance after the other, as for programs with update'
complete -c taskmasterctl -n '__taskmasterctl_verb restart' -l max-unavailable -x -d 'with --rolling: how many instances at a time (default 1, or what update says)'
complete -c taskmasterctl -n '__taskmasterctl_verb restart' -l dependents -d 'also restart what runs and depends on the programs: down before them, up after them'
complete -c taskmasterctl -n '__taskmasterctl_verb restart' -l no-deps -d 'without a look at dependencies: start nothing else, wait for nothing'
complete -c taskmasterctl -n '__taskmasterctl_verb disable' -l now -d 'also stop them, and wait until nothing of them is left'
complete -c taskmasterctl -n '__taskmasterctl_verb disable' -l reason -x -d 'text that status, why and overrides show'
complete -c taskmasterctl -n '__taskmasterctl_verb disable' -l no-wait -d 'return at once; the operation goes on in the daemon'
complete -c taskmasterctl -n '__taskmasterctl_verb enable' -l now -d 'also start them, and wait until they run'
complete -c taskmasterctl -n '__taskmasterctl_verb enable' -l no-wait -d 'return at once; the operation goes on in the daemon'
complete -c taskmasterctl -n '__taskmasterctl_verb scale' -l no-wait -d 'return at once; the operation goes on in the daemon'
complete -c taskmasterctl -n '__taskmasterctl_verb signal' -l list -d 'print the names of the signals'
complete -c taskmasterctl -n '__taskmasterctl_verb attach fg' -l read-only -d 'look and type nothing'
complete -c taskmasterctl -n '__taskmasterctl_verb attach fg' -s n -l lines -x -d 'how many of the last lines are shown first (default 100, at most 64 KiB)'
complete -c taskmasterctl -n '__taskmasterctl_verb attach fg' -l take -d 'take the typing from the client that has it'
complete -c taskmasterctl -n '__taskmasterctl_verb attach fg' -l detach-keys -x -d 'one or two keys that detach, in the place of Ctrl-] and its letters; none: no key (TASKMASTER_DETACH_KEYS)'
complete -c taskmasterctl -n '__taskmasterctl_verb attach fg' -l from -x -d 'what follows this place of the log, as an output names it on the wire'
complete -c taskmasterctl -n '__taskmasterctl_verb send' -l no-newline -d 'without a line end'
complete -c taskmasterctl -n '__taskmasterctl_verb send' -l eof -d 'afterwards close the pipe: the program sees the end of its input'
complete -c taskmasterctl -n '__taskmasterctl_verb send' -l file -r -F -d 'what this file holds, - for standard input, and no line end'
complete -c taskmasterctl -n '__taskmasterctl_verb reload update reread' -l no-wait -d 'return at once; the operation goes on in the daemon'
complete -c taskmasterctl -n '__taskmasterctl_verb reload update reread' -l dry-run -d 'print the plan and change nothing'
complete -c taskmasterctl -n '__taskmasterctl_verb reload update reread' -l exit-code -d 'with --dry-run: exit 1 where the plan changes something'
complete -c taskmasterctl -n '__taskmasterctl_verb reload update reread' -l env -d 'in the plan also the values of env (only root and the daemon\'s user may see them)'
complete -c taskmasterctl -n '__taskmasterctl_verb reload update reread' -l wide -d 'in the plan also what stays as it is, and no line broken for the terminal'
complete -c taskmasterctl -n '__taskmasterctl_verb reload update reread' -l no-restart -d 'let instances run on whose program has changed: they are outdated then'
complete -c taskmasterctl -n '__taskmasterctl_verb reload update reread' -l rollback -d 'take it back, unless all that it starts comes up and stays up for 5 s'
complete -c taskmasterctl -n '__taskmasterctl_verb shutdown' -l no-wait -d 'return at once; the operation goes on in the daemon'

complete -c taskmasterctl -n '__taskmasterctl_verb status show logs tail maintail pid subscribe wait why events history health deps top metrics runs export simulate check start stop restart disable enable scale attach fg send' -a '(__taskmasterctl_targets)'
complete -c taskmasterctl -n '__taskmasterctl_verb import' -F
complete -c taskmasterctl -n '__taskmasterctl_verb signal; and __taskmasterctl_first' -a '(__taskmasterctl_live signals)'
complete -c taskmasterctl -n '__taskmasterctl_verb signal; and not __taskmasterctl_first' -a '(__taskmasterctl_targets)'
complete -c taskmasterctl -n '__taskmasterctl_verb export; and __taskmasterctl_first' -a 'systemd compose kubernetes procfile'
complete -c taskmasterctl -n '__taskmasterctl_verb alert; and __taskmasterctl_first' -a 'list test flush'
complete -c taskmasterctl -n '__taskmasterctl_verb help; and __taskmasterctl_first' -a status -d 'one line for each process: state, pid, uptime, restarts, detail'
complete -c taskmasterctl -n '__taskmasterctl_verb help; and __taskmasterctl_first' -a show -d 'everything about a program: settings, processes, last exits, log files'
complete -c taskmasterctl -n '__taskmasterctl_verb help; and __taskmasterctl_first' -a logs -d 'the last lines that programs wrote'
complete -c taskmasterctl -n '__taskmasterctl_verb help; and __taskmasterctl_first' -a pid -d 'the pid of the daemon, or of processes'
complete -c taskmasterctl -n '__taskmasterctl_verb help; and __taskmasterctl_first' -a subscribe -d 'every change of a process as it happens, until Ctrl-C'
complete -c taskmasterctl -n '__taskmasterctl_verb help; and __taskmasterctl_first' -a wait -d 'wait until programs are up, stopped or settled; change nothing'
complete -c taskmasterctl -n '__taskmasterctl_verb help; and __taskmasterctl_first' -a why -d 'why a program is in its state, what led there, what comes next and what to do'
complete -c taskmasterctl -n '__taskmasterctl_verb help; and __taskmasterctl_first' -a events -d 'what happened: starts, ends, failures, requests, reloads, from the history'
complete -c taskmasterctl -n '__taskmasterctl_verb help; and __taskmasterctl_first' -a health -d 'whether programs are well, as their health checks have found'
complete -c taskmasterctl -n '__taskmasterctl_verb help; and __taskmasterctl_first' -a deps -d 'the tree of dependencies, and which of them are satisfied'
complete -c taskmasterctl -n '__taskmasterctl_verb help; and __taskmasterctl_first' -a version -d 'the versions of both sides and of the protocol'
complete -c taskmasterctl -n '__taskmasterctl_verb help; and __taskmasterctl_first' -a top -d 'what runs and what it uses, on the whole screen'
complete -c taskmasterctl -n '__taskmasterctl_verb help; and __taskmasterctl_first' -a metrics -d 'states, counters and usage of all processes for Prometheus'
complete -c taskmasterctl -n '__taskmasterctl_verb help; and __taskmasterctl_first' -a runs -d 'programs with a schedule, their runs, and the next ones'
complete -c taskmasterctl -n '__taskmasterctl_verb help; and __taskmasterctl_first' -a completion -d 'print the completions of a shell: bash, zsh or fish'
complete -c taskmasterctl -n '__taskmasterctl_verb help; and __taskmasterctl_first' -a import -d 'make a configuration out of that of another supervisor, and say what is lost'
complete -c taskmasterctl -n '__taskmasterctl_verb help; and __taskmasterctl_first' -a export -d 'make units, a Compose file, Kubernetes objects or a Procfile out of the configuration, and say what is lost'
complete -c taskmasterctl -n '__taskmasterctl_verb help; and __taskmasterctl_first' -a alert -d 'list alert rules, test one, or deliver what waits'
complete -c taskmasterctl -n '__taskmasterctl_verb help; and __taskmasterctl_first' -a overrides -d 'what somebody has changed with disable, enable or scale, without an edit of the file'
complete -c taskmasterctl -n '__taskmasterctl_verb help; and __taskmasterctl_first' -a simulate -d 'what Taskmaster would do if a program ended as you say; nothing is started'
complete -c taskmasterctl -n '__taskmasterctl_verb help; and __taskmasterctl_first' -a check -d 'run the health check of programs now'
complete -c taskmasterctl -n '__taskmasterctl_verb help; and __taskmasterctl_first' -a start -d 'start programs and wait until they run'
complete -c taskmasterctl -n '__taskmasterctl_verb help; and __taskmasterctl_first' -a stop -d 'stop programs and wait until nothing of them is left'
complete -c taskmasterctl -n '__taskmasterctl_verb help; and __taskmasterctl_first' -a restart -d 'stop and start again, as one operation of the daemon'
complete -c taskmasterctl -n '__taskmasterctl_verb help; and __taskmasterctl_first' -a disable -d 'let nothing start programs any more, over reloads and boots'
complete -c taskmasterctl -n '__taskmasterctl_verb help; and __taskmasterctl_first' -a enable -d 'undo disable, or override enabled: false of the configuration'
complete -c taskmasterctl -n '__taskmasterctl_verb help; and __taskmasterctl_first' -a scale -d 'another number of instances of a program for now'
complete -c taskmasterctl -n '__taskmasterctl_verb help; and __taskmasterctl_first' -a signal -d 'send a signal to the leading process of programs'
complete -c taskmasterctl -n '__taskmasterctl_verb help; and __taskmasterctl_first' -a attach -d 'the terminal of a program, with your keys as its keys'
complete -c taskmasterctl -n '__taskmasterctl_verb help; and __taskmasterctl_first' -a send -d 'write a line into the standard input of programs'
complete -c taskmasterctl -n '__taskmasterctl_verb help; and __taskmasterctl_first' -a reload -d 'apply the edited configuration; untouched programs keep running'
complete -c taskmasterctl -n '__taskmasterctl_verb help; and __taskmasterctl_first' -a upgrade -d 'execute the installed version of the daemon; programs, clients and logs go on'
complete -c taskmasterctl -n '__taskmasterctl_verb help; and __taskmasterctl_first' -a shutdown -d 'stop all programs and the daemon'
complete -c taskmasterctl -n '__taskmasterctl_verb help; and __taskmasterctl_first' -a help -d 'this list, or everything about one verb'
