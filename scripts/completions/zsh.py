"""The completion script for zsh."""

from __future__ import annotations

from scripts.completions.words import MADE, actions, forms, offered, spellings, takes_path
from taskmaster_common.commands.help import HELP
from taskmaster_common.commands.table import COMMANDS, Command, Flag
from taskmasterctl.options import GLOBALS

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
    files = ["'*: :_files'"] if "FILE" in command.arguments else []
    action = [f"'1: :({' '.join(actions(command))})'"] if command.actions else []
    return signal + target + files + action + (["'1: : _taskmasterctl_verb'"] if "VERB" in command.arguments else [])


def _zsh_specs(flag: Flag, text: str) -> list[str]:
    """Return the specification of `_arguments` for each form of the flag. Source: zshcompsys(1)."""
    exclude = f"({' '.join(forms(flag))})" if flag.short else ""
    value = f":{flag.value}:{_zsh_value(flag)}" if flag.value else ""
    marks = {flag.short: "+", flag.name: "="} if flag.value else {}
    return [_single(f"{exclude}{form}{marks.get(form, '')}[{_escaped(text)}]{value}") for form in forms(flag)]


def _zsh_value(flag: Flag) -> str:
    if takes_path(flag):
        return "_files"
    return f"({' '.join(offered(flag))})" if offered(flag) else " "


def _escaped(text: str) -> str:
    return "".join(f"\\{character}" if character in "[]:\\" else character for character in text)


def _single(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"
