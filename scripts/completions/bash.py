"""The completion script for bash 3.2 and later."""

from __future__ import annotations

from scripts.completions.words import MADE, actions, forms, offered, spellings, takes_path, verbs_taking
from taskmaster_common.commands.table import COMMANDS, Flag
from taskmasterctl.options import GLOBALS

BASH = r"""# bash completion for taskmasterctl. {made}

_taskmasterctl_live() {{ # $1: what; the rest: how the client is called
    local kind=$1 word _ LC_ALL=C
    shift
    while IFS=$'\t' read -r word _; do
        case $word in '' | [-.:]* | *[!A-Za-z0-9_.@+:-]*) ;; *) printf '%s\n' "$word" ;; esac
    done < <("$@" _complete "$kind" </dev/null 2>/dev/null)
}}

_taskmasterctl() {{
    local IFS=$' \t\n' line=${{COMP_LINE:0:COMP_POINT}} words=() client=("${{1/#\~\//$HOME/}}")
    local current word at verb= value= only= count=0 found=() kind prefix=
    COMPREPLY=()
    # Our own splitting: COMP_WORDS is cut at the colons of web:1 and the = of --socket=PATH.
    read -r -a words <<<"$line"
    case $line in *[[:space:]]) words+=("") ;; esac
    current=${{words[${{#words[@]}} - 1]}}
    for ((at = 1; at < ${{#words[@]}} - 1; at++)); do
        word=${{words[at]}}
        if [ -n "$value" ]; then
            case $value in -s | --socket | -c | --config) client+=("$value" "${{word/#\~\//$HOME/}}") ;; esac
            value=
            continue
        fi
        if [ -n "$only" ]; then
            ((count++))
            continue
        fi
        case $verb:$word in
        {valued}) value=$word ;;
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
        value=${{current%%=*}}
        current=${{current#*=}}
        ;;
    *:*) case $COMP_WORDBREAKS in *:*) prefix=${{current%:*}}: ;; esac ;; # bash replaces what follows the last colon only
    \'* | \"*) current=${{current:1}} ;;
    esac
    if [ -n "$value" ]; then
        case $value in
        {paths})
            compopt -o filenames 2>/dev/null
            while IFS= read -r word; do COMPREPLY+=("$word"); done < <(compgen -f -- "${{current/#\~\//$HOME/}}")
            return
            ;;
{choices}
        esac
    elif [ -z "$only" ] && [ "${{current:0:1}}" = - ]; then
        case $verb in
{flags}
        esac
        found+=({globals})
    else
        case $verb in
        '') found=({verbs}) ;;
        help) [ "$count" -gt 0 ] || found=({verbs}) ;;
{actions}
        {signals})
            kind=programs
            if [ "$count" -eq 0 ]; then kind=signals; fi
            ;;
        {targets}) kind=programs ;;
        {files})
            compopt -o filenames 2>/dev/null
            while IFS= read -r word; do COMPREPLY+=("$word"); done < <(compgen -f -- "${{current/#\~\//$HOME/}}")
            return
            ;;
        esac
        if [ "$kind" = programs ]; then
            case $current in *:*) kind=processes ;; *) found=(all) ;; esac
        fi
        if [ -n "$kind" ]; then
            while IFS= read -r word; do found+=("$word"); done < <(_taskmasterctl_live "$kind" "${{client[@]}}")
        fi
    fi
    for word in "${{found[@]}}"; do
        case $word in "$current"*) COMPREPLY+=("${{word#"$prefix"}}") ;; esac
    done
}}

complete -F _taskmasterctl taskmasterctl
"""


def bash() -> str:
    """Return the script for bash (3.2 and later)."""
    own = [
        f"{verb}:{form}"
        for command in COMMANDS
        for flag in command.flags
        if flag.value
        for verb in spellings(command)
        for form in forms(flag)
    ]
    valued = [f"*:{form}" for flag in GLOBALS if flag.value for form in forms(flag)] + own
    flags = [
        f"        {' | '.join(spellings(command))}) found=({_flag_words(command.flags)}) ;;"
        for command in COMMANDS
        if command.flags
    ]
    choices = {
        f"        {' | '.join(forms(flag))}) found=({' '.join(offered(flag))}) ;;": None
        for flags in (GLOBALS, *(command.flags for command in COMMANDS))
        for flag in flags
        if offered(flag)
    }
    return BASH.format(
        made=MADE,
        choices="\n".join(choices),
        actions="\n".join(
            f'        {command.name}) [ "$count" -gt 0 ] || found=({" ".join(actions(command))}) ;;'
            for command in COMMANDS
            if command.actions
        ),
        paths=" | ".join(
            dict.fromkeys(
                form
                for flags in (GLOBALS, *(command.flags for command in COMMANDS))
                for flag in flags
                if takes_path(flag)
                for form in forms(flag)
            )
        ),
        files=" | ".join(verbs_taking("FILE")),
        valued=" | ".join(valued),
        flags="\n".join(flags),
        globals=_flag_words(GLOBALS),
        verbs=" ".join(command.name for command in COMMANDS),
        signals=" | ".join(verbs_taking("SIGNAL")),
        targets=" | ".join(word for word in verbs_taking("TARGET") if word not in verbs_taking("SIGNAL")),
    )


def _flag_words(flags: tuple[Flag, ...]) -> str:
    return " ".join(form for flag in flags for form in forms(flag))
