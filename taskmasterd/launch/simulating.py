"""`taskmasterd --simulate NAME`: what a program of the file would do that ends as the options say; no daemon is there."""

from __future__ import annotations

import json
import os
import sys
import time

from taskmaster_common.text.formats import after_text
from taskmaster_common.text.nearest import hint
from taskmasterd.core.simulation import asked_for, left_out, simulate
from taskmasterd.core.timed import WallClock
from taskmasterd.launch.options import USAGE
from taskmasterd.system.loop.signals import signal_numbers
from taskmasterd.system.loop.zones import within

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace

    from taskmaster_common.config import Config

UNKNOWN = 4
"""Exit code for a program that the file does not have, as of `taskmasterctl simulate`."""


def run_simulation(config: Config, options: Namespace) -> int:
    """Print the life of the program; return the exit code."""
    name, numbers = options.simulate, signal_numbers()
    program = config.program(name)
    if program is None:
        return _failed(UNKNOWN, f'no program named "{name}"{hint(name, [each.name for each in config.programs])}')
    try:
        endings, for_s, seed = asked_for(",".join(options.end), options.lasts, options.seed, numbers)
    except ValueError as error:
        return _failed(USAGE, str(error))
    signals = {number: each for each, number in numbers.items()}
    clock = WallClock(time.time(), within, os.uname().nodename)
    lines = [line for line in simulate(program, endings, for_s, seed, signals, clock) if line]
    if text := left_out(program):
        print(f"taskmasterd: warning: {text}", file=sys.stderr)
    if options.json:
        print(json.dumps({"schema": 1, "verb": "simulate", "events": [line.to_data() for line in lines], "exit": 0}))
        return 0
    for line in lines:
        print(f"{after_text(line.at):<8} {line.text}")
    return 0


def _failed(code: int, text: str) -> int:
    print(f"taskmasterd: {text}", file=sys.stderr)
    return code
