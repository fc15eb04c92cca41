# bash completion for taskmasterctl. Made by `python -m scripts.generate` from the command table; not edited by hand.

_taskmasterctl_live() { # $1: what; the rest: how the client is called
    local kind=$1 word _ LC_ALL=C
    shift
    while IFS=$'\t' read -r word _; do
        case $word in '' | [-.:]* | *[!A-Za-z0-9_.@+:-]*) ;; *) printf '%s\n' "$word" ;; esac
    done < <("$@" _complete "$kind" </dev/null 2>/dev/null)
}

_taskmasterctl() {
    local IFS=$' \t\n' line=${COMP_LINE:0:COMP_POINT} words=() client=("${1/#\~\//$HOME/}")
    local current word at verb= value= only= count=0 found=() kind prefix=
    COMPREPLY=()
    # Our own splitting: COMP_WORDS is cut at the colons of web:1 and the = of --socket=PATH.
    read -r -a words <<<"$line"
    case $line in *[[:space:]]) words+=("") ;; esac
    current=${words[${#words[@]} - 1]}
    for ((at = 1; at < ${#words[@]} - 1; at++)); do
        word=${words[at]}
        if [ -n "$value" ]; then
            case $value in -s | --socket | -c | --config) client+=("$value" "${word/#\~\//$HOME/}") ;; esac
            value=
            continue
        fi
        if [ -n "$only" ]; then
            ((count++))
            continue
        fi
        case $verb:$word in
        *:-s | *:--socket | *:-c | *:--config | *:--timeout | *:--color | logs:-n | logs:--lines | tail:-n | tail:--lines | maintail:-n | maintail:--lines | logs:--since | tail:--since | maintail:--since | logs:--until | tail:--until | maintail:--until | wait:--for | why:-n | why:--lines | events:-n | events:--lines | history:-n | history:--lines | events:--since | history:--since | events:--until | history:--until | events:--event | history:--event | events:--by | history:--by | events:--after | history:--after | top:--sort | top:--every | metrics:--format | metrics:--output | metrics:--every | metrics:--listen | runs:-n | runs:--lines | runs:--from | runs:--cron | runs:--timezone | import:--from | import:-o | import:--output | import:--workdir | import:--set | export:-o | export:--output | export:--set | alert:--event | simulate:--end | simulate:--for | simulate:--seed | restart:--max-unavailable | disable:--reason | attach:-n | attach:--lines | fg:-n | fg:--lines | attach:--detach-keys | fg:--detach-keys | attach:--from | fg:--from | send:--file) value=$word ;;
        *:-s?* | *:-c?* | *:--socket=* | *:--config=*) client+=("$word") ;;
        *:--) [ -z "$verb" ] || only=1 ;;
        *:-*) ;;
        :*) verb=$word ;;
        *) ((count++)) ;;
        esac
    done
    case $current in
    --*=*)
        case $COMP_WORDBREAKS in *=*) ;; *) return ;; esac # bash would replace the option too
        value=${current%%=*}
        current=${current#*=}
        ;;
    *:*) case $COMP_WORDBREAKS in *:*) prefix=${current%:*}: ;; esac ;; # bash replaces what follows the last colon only
    \'* | \"*) current=${current:1} ;;
    esac
    if [ -n "$value" ]; then
        case $value in
        -s | --socket | -c | --config | --output | -o | --workdir | --file)
            compopt -o filenames 2>/dev/null
            while IFS= read -r word; do COMPREPLY+=("$word"); done < <(compgen -f -- "${current/#\~\//$HOME/}")
            return
            ;;
        --color) found=(auto always never) ;;
        --for) found=(up healthy done stopped settled) ;;
        --event) found=(started ready running exited failed backoff fatal done signalled stopping killed lost stuck stopped adopted unhealthy healthy waiting blocked missed skipped recycled refused attach rolled disabled enabled scaled watch daemon-start daemon-stop crashed upgrade reload reload-failed operator denied log-trouble alert-failed crash oom trouble recovered) ;;
        --sort) found=(name state cpu mem uptime restarts) ;;
        --format) found=(prometheus openmetrics) ;;
        --from) found=(supervisor procfile systemd circus process-compose pm2) ;;
        esac
    elif [ -z "$only" ] && [ "${current:0:1}" = - ]; then
        case $verb in
        status) found=(--wide --failed --watch --usage) ;;
        show) found=(--env --daemon) ;;
        logs | tail | maintail) found=(-f --follow -n --lines --since --until --timestamps --merge --stderr --daemon --raw --reopen) ;;
        wait) found=(--for) ;;
        why) found=(-n --lines) ;;
        events | history) found=(-f --follow -n --lines --since --until --event --by --after) ;;
        deps) found=(--reverse) ;;
        top) found=(--sort --every --once) ;;
        metrics) found=(--format --output --every --listen) ;;
        runs) found=(-n --lines --from --cron --timezone) ;;
        import) found=(--from -o --output --force --check --strict --workdir --ordered --strict-stop --supervisor-env --set) ;;
        export) found=(-o --output --check --strict --set) ;;
        alert) found=(--event) ;;
        simulate) found=(--end --for --seed) ;;
        start) found=(--no-wait --no-deps --next) ;;
        stop) found=(--no-wait --dependents --run) ;;
        restart) found=(--no-wait --if-running --outdated --rolling --max-unavailable --dependents --no-deps) ;;
        disable) found=(--now --reason --no-wait) ;;
        enable) found=(--now --no-wait) ;;
        scale) found=(--no-wait) ;;
        signal) found=(--list) ;;
        attach | fg) found=(--read-only -n --lines --take --detach-keys --from) ;;
        send) found=(--no-newline --eof --file) ;;
        reload | update | reread) found=(--no-wait --dry-run --exit-code --env --wide --no-restart --rollback) ;;
        shutdown) found=(--no-wait) ;;
        esac
        found+=(-s --socket -c --config --json -q --quiet --timeout --color --no-pager -e --exit-on-error -V --version -h --help)
    else
        case $verb in
        '') found=(status show logs pid subscribe wait why events health deps version top metrics runs completion import export alert overrides simulate check start stop restart disable enable scale signal attach send reload upgrade shutdown help) ;;
        help) [ "$count" -gt 0 ] || found=(status show logs pid subscribe wait why events health deps version top metrics runs completion import export alert overrides simulate check start stop restart disable enable scale signal attach send reload upgrade shutdown help) ;;
        export) [ "$count" -gt 0 ] || found=(systemd compose kubernetes procfile) ;;
        alert) [ "$count" -gt 0 ] || found=(list test flush) ;;
        signal)
            kind=programs
            if [ "$count" -eq 0 ]; then kind=signals; fi
            ;;
        status | show | logs | tail | maintail | pid | subscribe | wait | why | events | history | health | deps | top | metrics | runs | export | simulate | check | start | stop | restart | disable | enable | scale | attach | fg | send) kind=programs ;;
        import)
            compopt -o filenames 2>/dev/null
            while IFS= read -r word; do COMPREPLY+=("$word"); done < <(compgen -f -- "${current/#\~\//$HOME/}")
            return
            ;;
        esac
        if [ "$kind" = programs ]; then
            case $current in *:*) kind=processes ;; *) found=(all) ;; esac
        fi
        if [ -n "$kind" ]; then
            while IFS= read -r word; do found+=("$word"); done < <(_taskmasterctl_live "$kind" "${client[@]}")
        fi
    fi
    for word in "${found[@]}"; do
        case $word in "$current"*) COMPREPLY+=("${word#"$prefix"}") ;; esac
    done
}

complete -F _taskmasterctl taskmasterctl
