"""The programs of the long run: which kinds there are, and the configuration that holds them.

Pure. A kind's name begins the names of its programs.
"""

from __future__ import annotations

import random
import sys
from pathlib import Path
from typing import NamedTuple

from tests.outlive.numbers import JSON, PREFIX, TERMINAL

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

Slot = tuple[str, int]

LISTENS = Path(__file__).parents[1] / "integration" / "programs" / "listens.py"
CODES = "code"
MIXED = "mixed"


class Kind(NamedTuple):
    """So many of each hundred; how a writer of it lives (see `writer`), and its keys."""

    share: int
    life_ms: int
    how: str
    rest_us: int
    burst: int
    keys: dict[str, str]


ROTATING = {"log_maxbytes": "2MB", "log_backups": "5000"}
ALWAYS = {"autorestart": "always", "restart_burst": "0", "starttime": "0"}
KINDS = {
    "gushes": Kind(1, 0, CODES, 10_000, 2000, {"log_maxbytes": "20MB", "log_backups": "5000"}),
    "flows": Kind(19, 0, CODES, 200_000, 1000, {}),
    "rotates": Kind(15, 0, CODES, 200_000, 1000, {**ROTATING, "log_maxbytes": "500kB"}),
    "pair": Kind(3, 0, CODES, 20_000, 200, {"numprocs": "2"}),
    "checked": Kind(
        2, 0, CODES, 200_000, 1000, {"health": "{exec: 'true', interval: 0.3, retries: 1, start_period: 0}"}
    ),
    "logged": Kind(
        2,
        0,
        CODES,
        200_000,
        1000,
        {"stdout": "{pipe: 'exec cat >> log/$TASKMASTER_PROGRAM.log', shell: true}", "stderr": "stdout"},
    ),
    "shown": Kind(2, 0, CODES, 200_000, 500, {"tty": "true"}),
    "dated": Kind(1, 0, CODES, 50_000, 100, {**ROTATING, "log_maxbytes": "500kB", "log_format": "prefix"}),
    "objects": Kind(1, 0, CODES, 50_000, 100, {"log_format": "json", "log_events": "true"}),
    "ticks": Kind(3, 0, CODES, 50_000, 5, {"log_maxbytes": "20kB", "log_backups": "5000"}),
    "ends": Kind(15, 3000, MIXED, 200_000, 1000, ALWAYS),
    "loops": Kind(
        8, 60, MIXED, 5_000, 100, {"starttime": "0.3", "restart_max_delay": "0.3", "startretries": "1000000"}
    ),
    "turns": Kind(6, 400, MIXED, 5_000, 200, {**ALWAYS, **ROTATING, "log_maxbytes": "100kB"}),
    "once": Kind(10, 20_000, MIXED, 200_000, 1000, {"autorestart": "never", "starttime": "0"}),
    "asked": Kind(12, 0, CODES, 200_000, 1000, {"starttime": "0.1"}),
    "edited": Kind(3, 0, CODES, 200_000, 1000, {"starttime": "0"}),
    "rolled": Kind(1, 0, CODES, 200_000, 1000, {"numprocs": "3", "starttime": "0", "update": "{monitor: 0.2}"}),
    "hooked": Kind(
        1,
        3000,
        MIXED,
        200_000,
        1000,
        {**ALWAYS, **dict.fromkeys(("pre_start", "post_start", "pre_stop", "post_stop"), "'true'")},
    ),
    "served": Kind(2, 0, CODES, 0, 0, {**ALWAYS, "sockets": "{http: './${TASKMASTER_PROGRAM}.sock'}"}),
    "own": Kind(3, 0, CODES, 200_000, 1000, {"starttime": "0"}),
}
FORMS = {"shown": TERMINAL, "dated": PREFIX, "objects": JSON}
"""Kinds whose logs hold what they write in another form, and in which."""
TOLD, POSTED = ("ends", "once"), ("asked",)
"""Kinds whose ends a command hears of, and kinds whose starts and stops an HTTP server hears of."""
STEADY = ("gushes", "flows", "rotates", "pair", "checked", "logged", "shown", "dated", "objects", "ticks")
"""Nobody touches them, and they never end."""
ALONE = (*STEADY, "ends", "loops", "turns", "once")
"""Nobody touches them, so each end is their own."""


def kind_of(name: str) -> str:
    """Return the kind of a program."""
    return name.rstrip("0123456789")


class Cohort:
    """`writer` are the words that execute a writer, `rows` is where it notes what it does, `alerts` the rules. Changed by one editor."""

    def __init__(self, count: int, writer: Sequence[str], rows: str, rng: random.Random, alerts: str = "") -> None:
        self._alerts = alerts
        self._writer = writer
        self._rows = rows
        self._rng = rng
        self._edits: dict[str, str] = {}
        shares = {kind: max(1, round(each.share * count / 100)) for kind, each in KINDS.items()}
        self.programs = [f"{kind}{number}" for kind, share in shares.items() for number in range(share)]

    def text(self) -> str:
        """Return the configuration as YAML."""
        lines = ["defaults: {restart_delay: 0.1, startretries: 1000}", "programs:"]
        for name in self.programs:
            kind = KINDS[kind_of(name)]
            words = [*self._writer, self._rows, kind.life_ms, kind.how, kind.rest_us, kind.burst]
            if kind_of(name) == "served":
                words = [sys.executable, "-S", LISTENS, "crash=20"]
            pairs = {"cmd": f"[{', '.join(f'{str(word)!r}' for word in words)}]", **kind.keys}
            if name in self._edits:
                pairs["env"] = f"{{EDITED: '{self._edits[name]}'}}"
            lines.append(f"  {name}: {{{', '.join(f'{key}: {value}' for key, value in pairs.items())}}}")
        return "\n".join(lines) + "\n" + self._alerts

    def names(self) -> list[str]:
        """Return the programs that everybody may disturb."""
        return [name for name in self.programs if kind_of(name) == "asked"]

    def served(self) -> list[str]:
        """Return the programs that have clients: each is a UNIX socket of its name."""
        return [name for name in self.programs if kind_of(name) == "served"]

    @property
    def held(self) -> int:
        """How many of their descriptors a keeper holds: two for each terminal and each logger's pipe, one for each socket."""
        return sum({"shown": 2, "logged": 2, "served": 1}.get(kind_of(name), 0) for name in self.programs)

    def edit(self) -> str:
        """Change something; returns what, in words."""
        name = self._rng.choice([name for name in self.programs if kind_of(name) in ("edited", "rolled")])
        self._edits[name] = str(self._rng.randint(0, 999))
        return f"{name} restart key"

    def slots(self, *kinds: str) -> Iterator[Slot]:
        """Yield the slots of some kinds, or of all."""
        for name in self.programs:
            if not kinds or kind_of(name) in kinds:
                yield from ((name, index) for index in range(int(KINDS[kind_of(name)].keys.get("numprocs", "1"))))
