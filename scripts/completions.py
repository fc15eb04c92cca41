"""Write config/completions/: for bash, zsh and fish, out of the command table and the client's options.

    python -m scripts.completions

What is fixed (verbs, flags, their texts) is written into the scripts; names of programs and signals are asked of
`taskmasterctl _complete` at each Tab, with the -s or -c that stands on the line. What comes back is data: no shell
evaluates it, and a word that is no name of a program or a signal is left out, whatever the daemon says.
"""

from __future__ import annotations

from pathlib import Path

from taskmaster_common.aliases import ALIASES
from taskmaster_common.commands.help import HELP
from taskmaster_common.commands.table import COMMANDS, Command, Flag
from taskmasterctl.options import COLOUR_WORDS, GLOBALS

DIRECTORY = Path(__file__).resolve().parents[1] / "config" / "completions"
MADE = "Made by `python -m scripts.completions` from the command table; not edited by hand."
PATHS = ("--socket", "--config")
"""The options whose value is a file."""


def spellings(command: Command) -> list[str]:
    """Return the verb and its aliases."""
    return [command.name, *(alias for alias, words in ALIASES.items() if words[0] == command.name)]


def forms(flag: Flag) -> list[str]:
    """Return the short form, where there is one, and the long one."""
    return [form for form in (flag.short, flag.name) if form]


def _taking(argument: str) -> list[str]:
    return [word for command in COMMANDS if argument in command.arguments for word in spellings(command)]


# -- bash

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
        -s | --socket | -c | --config)
            compopt -o filenames 2>/dev/null
            while IFS= read -r word; do COMPREPLY+=("$word"); done < <(compgen -f -- "${{current/#\~\//$HOME/}}")
            return
            ;;
        --color) found=({colours}) ;;
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
        {signals})
            kind=programs
            if [ "$count" -eq 0 ]; then kind=signals; fi
            ;;
        {targets}) kind=programs ;;
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
    return BASH.format(
        made=MADE,
        valued=" | ".join(valued),
        colours=" ".join(COLOUR_WORDS),
        flags="\n".join(flags),
        globals=_flag_words(GLOBALS),
        verbs=" ".join(command.name for command in COMMANDS),
        signals=" | ".join(_taking("SIGNAL")),
        targets=" | ".join(word for word in _taking("TARGET") if word not in _taking("SIGNAL")),
    )


def _flag_words(flags: tuple[Flag, ...]) -> str:
    return " ".join(form for flag in flags for form in forms(flag))


# -- zsh

ZSH = r"""#compdef taskmasterctl
# zsh completion for taskmasterctl. {made}

_taskmasterctl_live() {{ # $1: what; offers the words of the client with what they are
    local line word LC_ALL=C
    local -a found
    for line in ${{(f)"$("${{client[@]}}" _complete $1 </dev/null 2>/dev/null)"}}; do
        word=${{line%%$'\t'*}}
        [[ -z $word || $word == [-.:]* || $word == *[^A-Za-z0-9_.@+:-]* ]] && continue
        found+=("${{word//:/\\:}}:${{line#*$'\t'}}")
    done
    [[ $1 != programs ]] || found+=('all:every program')
    _describe -t $1 ${{1%s}} found
}}

_taskmasterctl_target() {{
    if [[ $PREFIX == *:* ]]; then
        _taskmasterctl_live processes
    else
        _taskmasterctl_live programs
    fi
}}

_taskmasterctl_verb() {{
    local -a verbs=(
{verbs}
    )
    _describe -t verbs verb verbs
}}

_taskmasterctl() {{
    local context state state_descr line curcontext=$curcontext word value=
    local -A opt_args
    local -a options client=("${{words[1]/#\~\//$HOME/}}")
    for word in "${{(@)words[2,CURRENT-1]}}"; do
        word=${{(Q)word}}
        if [[ -n $value ]]; then
            client+=($value "${{word/#\~\//$HOME/}}")
            value=
            continue
        fi
        case $word in
        (-s|--socket|-c|--config) value=$word ;;
        (-s?*|-c?*|--socket=*|--config=*) client+=("$word") ;;
        esac
    done
    options=(
{globals}
    )
    _arguments -C -s -S $options '1: : _taskmasterctl_verb' '*:: :->rest' && return
    [[ $state == rest ]] || return 1
    curcontext="${{curcontext%:*}}-$words[1]:"
    case $words[1] in
{cases}
    esac
}}

_taskmasterctl "$@"
"""


def zsh() -> str:
    """Return the script for zsh."""
    verbs = [f"        {_single(_escaped(command.name) + ':' + HELP[command.name].summary)}" for command in COMMANDS]
    cases = []
    for command in COMMANDS:
        specs = [
            spec for flag in command.flags for spec in _zsh_specs(flag, HELP[command.name].flags[flag.name])
        ] + _zsh_arguments(command)
        call = " \\\n            ".join(("_arguments -s -S $options", *specs))
        cases.append(f"    ({'|'.join(spellings(command))})\n        {call}\n        ;;")
    return ZSH.format(
        made=MADE,
        verbs="\n".join(verbs),
        globals="\n".join(f"        {spec}" for flag in GLOBALS for spec in _zsh_specs(flag, flag.help)),
        cases="\n".join(cases),
    )


def _zsh_arguments(command: Command) -> list[str]:
    signal = ["'1: : _taskmasterctl_live signals'"] if "SIGNAL" in command.arguments else []
    target = ["'*: : _taskmasterctl_target'"] if "TARGET" in command.arguments else []
    return signal + target + (["'1: : _taskmasterctl_verb'"] if "VERB" in command.arguments else [])


def _zsh_specs(flag: Flag, text: str) -> list[str]:
    """Return the specification of `_arguments` for each form of the flag. Source: zshcompsys(1)."""
    exclude = f"({' '.join(forms(flag))})" if flag.short else ""
    value = f":{flag.value}:{_zsh_value(flag)}" if flag.value else ""
    marks = {flag.short: "+", flag.name: "="} if flag.value else {}
    return [_single(f"{exclude}{form}{marks.get(form, '')}[{_escaped(text)}]{value}") for form in forms(flag)]


def _zsh_value(flag: Flag) -> str:
    if flag.name in PATHS:
        return "_files"
    return f"({' '.join(COLOUR_WORDS)})" if flag.name == "--color" else " "


def _escaped(text: str) -> str:
    return "".join(f"\\{character}" if character in "[]:\\" else character for character in text)


def _single(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


# -- fish

FISH = r"""# fish completion for taskmasterctl. {made}

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
            case {valued}
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
{globals}

{verbs}

{flags}

{arguments}
"""


def fish() -> str:
    """Return the script for fish (3.0 and later)."""
    valued = [f"'*:{form}'" for flag in GLOBALS if flag.value for form in forms(flag)]
    valued += [
        f"'{verb}:{form}'"
        for command in COMMANDS
        for flag in command.flags
        if flag.value
        for verb in spellings(command)
        for form in forms(flag)
    ]
    verb = "complete -c taskmasterctl -n '__taskmasterctl_verb{}' "
    flags = [
        verb.format(" " + " ".join(spellings(command))) + _fish_flag(flag, HELP[command.name].flags[flag.name])
        for command in COMMANDS
        for flag in command.flags
    ]
    signals = " ".join(_taking("SIGNAL"))
    targets = " ".join(word for word in _taking("TARGET") if word not in _taking("SIGNAL"))
    signal_first = f"complete -c taskmasterctl -n '__taskmasterctl_verb {signals}; and __taskmasterctl_first' "
    signal_then = f"complete -c taskmasterctl -n '__taskmasterctl_verb {signals}; and not __taskmasterctl_first' "
    help_verb = "complete -c taskmasterctl -n '__taskmasterctl_verb help; and __taskmasterctl_first' "
    return FISH.format(
        made=MADE,
        valued=" ".join(valued),
        globals="\n".join(f"complete -c taskmasterctl {_fish_flag(flag, flag.help)}" for flag in GLOBALS),
        verbs="\n".join(f"{verb.format('')}-a {each.name} -d {_fish(HELP[each.name].summary)}" for each in COMMANDS),
        flags="\n".join(flags),
        arguments="\n".join(
            (
                f"{verb.format(' ' + targets)}-a '(__taskmasterctl_targets)'",
                f"{signal_first}-a '(__taskmasterctl_live signals)'",
                f"{signal_then}-a '(__taskmasterctl_targets)'",
                *(f"{help_verb}-a {each.name} -d {_fish(HELP[each.name].summary)}" for each in COMMANDS),
            )
        ),
    )


def _fish_flag(flag: Flag, text: str) -> str:
    words = [f"-s {flag.short[1:]}"] if flag.short else []
    words.append(f"-l {flag.name[2:]}")
    if flag.name in PATHS:
        words.append("-r -F")
    elif flag.value:
        words.append("-x")
    if flag.name == "--color":
        words.append(f"-a '{' '.join(COLOUR_WORDS)}'")
    return " ".join((*words, f"-d {_fish(text)}"))


def _fish(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


FILES = {"taskmasterctl.bash": bash, "_taskmasterctl": zsh, "taskmasterctl.fish": fish}
"""What is written, by the name of the file."""

if __name__ == "__main__":
    DIRECTORY.mkdir(exist_ok=True)
    for name, make in FILES.items():
        (DIRECTORY / name).write_text(make())
