"""The completion scripts for bash, zsh and fish, made from the command table and the client's options.

Verbs, flags and their texts are written into the scripts; names of programs and signals come
from `taskmasterctl _complete` at each Tab, called with the -s or -c of the line. Its output is data: no shell evaluates
it, and a word that cannot be the name of a program or a signal is left out, whatever the daemon says.
"""

from __future__ import annotations

from scripts.completions.bash import bash
from scripts.completions.fish import fish
from scripts.completions.zsh import zsh

FILES = {"taskmasterctl.bash": bash, "_taskmasterctl": zsh, "taskmasterctl.fish": fish}
"""The function that returns each file's text, by its name in config/completions/."""
