"""The completion scripts for bash, zsh and fish, made from the command table and the client's options.

    python -m scripts.completions

writes config/completions/. Verbs, flags and their texts are written into the scripts; names of programs and signals come
from `taskmasterctl _complete` at each Tab, called with the -s or -c of the line. Its output is data: no shell evaluates
it, and a word that cannot be the name of a program or a signal is left out, whatever the daemon says.
"""

from __future__ import annotations

from pathlib import Path

from scripts.completions.bash import bash
from scripts.completions.fish import fish
from scripts.completions.zsh import zsh

DIRECTORY = Path(__file__).resolve().parents[2] / "config" / "completions"
FILES = {"taskmasterctl.bash": bash, "_taskmasterctl": zsh, "taskmasterctl.fish": fish}
"""The function that returns each file's text."""
