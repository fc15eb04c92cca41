"""The completion script for fish 3.0 and later."""

from __future__ import annotations

from scripts.completions.words import MADE, actions, forms, offered, spellings, takes_path, verbs_taking
from taskmaster_common.commands.help import HELP
from taskmaster_common.commands.table import COMMANDS, Flag
from taskmasterctl.options import GLOBALS

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
    signals = " ".join(verbs_taking("SIGNAL"))
    targets = " ".join(word for word in verbs_taking("TARGET") if word not in verbs_taking("SIGNAL"))
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
                f"{verb.format(' ' + ' '.join(verbs_taking('FILE')))}-F",
                f"{signal_first}-a '(__taskmasterctl_live signals)'",
                f"{signal_then}-a '(__taskmasterctl_targets)'",
                *(
                    f"{verb.format(f' {each.name}; and __taskmasterctl_first')}-a '{' '.join(actions(each))}'"
                    for each in COMMANDS
                    if each.actions
                ),
                *(f"{help_verb}-a {each.name} -d {_fish(HELP[each.name].summary)}" for each in COMMANDS),
            )
        ),
    )


def _fish_flag(flag: Flag, text: str) -> str:
    words = [f"-s {flag.short[1:]}"] if flag.short else []
    words.append(f"-l {flag.name[2:]}")
    if takes_path(flag):
        words.append("-r -F")
    elif flag.value:
        words.append("-x")
    if offered(flag):
        words.append(f"-a '{' '.join(offered(flag))}'")
    return " ".join((*words, f"-d {_fish(text)}"))


def _fish(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
