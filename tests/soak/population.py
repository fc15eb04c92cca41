"""The programs of a soak: which kinds there are, the configuration that holds them, and how an editor would change it.

Pure but for reading nothing: text comes out, files are the caller's. The same `random.Random` gives the same texts.
"""

from __future__ import annotations

import sys
from pathlib import Path

TYPE_CHECKING = False
if TYPE_CHECKING:
    import random

ADVERSARY = Path(__file__).with_name("adversary.sh")
LISTENS = Path(__file__).parents[1] / "integration" / "programs" / "listens.py"
OWNED = "own"
"""Programs whose names begin so are one client's alone: it knows what their states have to be."""
WRITER = "writes"

QUICK = {"stoptime": "1", "restart_delay": "0.2", "restart_max_delay": "2"}
PIPED = {
    "stdout": "{pipe: 'exec cat >> log/$TASKMASTER_PROGRAM-$TASKMASTER_INSTANCE.piped', shell: true}",
    "stderr": "stdout",
}
FORMS = {"formed": "json", "stamped": "prefix", WRITER: "raw"}
"""Kinds that count in lines, and the form of their logs."""
OWN_KEYS: tuple[dict[str, str], ...] = ({}, {}, {"tty": "true"}, {"stdin": "pipe"}, PIPED)
"""Keys of the owned programs: three of them have something that a keeper or a logger holds, and neither's death may touch them."""
KINDS: dict[str, tuple[int, dict[str, str]]] = {
    "steady": (8, {}),
    "silent": (2, {}),
    "crashes": (6, {"autorestart": "always", "starttime": "0.2"}),
    "dumps": (3, {"starttime": "0"}),
    "fails": (3, {"startretries": "2"}),
    "expected": (3, {"exitcodes": "[0, 2]", "starttime": "0.2"}),
    "slow": (3, {"starttime": "2"}),
    "floods": (2, {"log_maxbytes": "1MB", "log_backups": "1"}),
    "deaf": (4, {"stoptime": "0.5"}),
    "frozen": (2, {"starttime": "0.3"}),
    "daemonizes": (3, {"startretries": "1"}),
    "escapes": (4, {}),
    "leaves": (4, {"autorestart": "always", "starttime": "0.2"}),
    "deafkids": (3, {"autorestart": "always", "starttime": "1", "stoptime": "0.5"}),
    "writes": (2, {"log_maxbytes": "300kB", "log_backups": "1000"}),
    "missing": (1, {"cmd": "/nonexistent/program", "startretries": "1"}),
    "sickly": (
        3,
        {
            "health": "{exec: [sh, -c, 'test $(($(date +%S) % 7)) -ne 0 || { sleep 5 & exit 1; }'], interval: 0.3, "
            "retries: 2, timeout: 0.5, start_period: 0.5}"
        },
    ),
    "alone": (1, {"stopasgroup": "false"}),
    "rolled": (2, {"numprocs": "3", "starttime": "0.1", "update": "{monitor: 0.2}"}),
    "taken": (
        1,
        {"numprocs": "3", "starttime": "0.1", "update": "{max_unavailable: 2, monitor: 0.5, on_failure: rollback}"},
    ),
    "hooked": (
        3,
        {
            "starttime": "0.1",
            "pre_start": "'true'",
            "post_start": "'true'",
            "pre_restart": "{cmd: 'test $(($$ % 3)) != 0', shell: true}",
            "pre_stop": "'sleep 0.1'",
            "post_stop": "'true'",
        },
    ),
    "unready": (1, {"startretries": "1", "pre_start": "{cmd: 'exec yes no', shell: true, timeout: 0.3}"}),
    "hung": (
        2,
        {"starttime": "0.1", "pre_stop": "{cmd: \"trap '' TERM; sleep 99; sleep 99\", shell: true, timeout: 0.2}"},
    ),
    "forking": (
        2,
        {
            "starttime": "0.1",
            "stop_cmd": "{cmd: 'kill $TASKMASTER_PID; exit $(($$ % 2))', shell: true}",
            "post_stop": "{cmd: 'sleep 99 & setsid sleep 99 & exit 1', shell: true}",
        },
    ),
    "served": (
        2,
        {
            "cmd": f"[{sys.executable}, -S, {LISTENS}, crash=50]",
            "sockets": "{http: './${TASKMASTER_PROGRAM}-${TASKMASTER_INSTANCE}.sock'}",
            "autorestart": "always",
        },
    ),
    "aging": (2, {"numprocs": "3", "starttime": "0.1", "recycle": "{age: 5s, jitter: 2s, memory: 1GB, interval: 1}"}),
    "watched": (
        2,
        {"numprocs": "2", "starttime": "0.1", "watch": "{paths: [.], include: ['*.yaml'], debounce: 100ms}"},
    ),
    "clockwork": (
        2,
        {
            "cmd": "sleep 1.5",
            "schedule": "{every: 1, jitter: 0.5, overlap: queue, at_start: true}",
            "start_timeout": "5",
        },
    ),
    "replaced": (1, {"cmd": "sleep 9", "schedule": "{every: 2, overlap: replace}", "start_timeout": "1"}),
    "typed": (2, {"cmd": "[cat]", "tty": "true", "starttime": "0.1"}),
    "fed": (1, {"cmd": "[cat]", "stdin": "pipe", "starttime": "0.1"}),
    "formed": (1, {"log_format": "json", "log_events": "true", "log_maxbytes": "100kB", "log_backups": "1000"}),
    "stamped": (1, {"log_format": "prefix", "log_maxbytes": "100kB", "log_backups": "1000"}),
    "piped": (2, PIPED),
    "nowhere": (1, {"workingdir": "/nonexistent", "startretries": "1"}),
}
"""kind: how many of each fifty or so, and its keys. `cmd` is adversary.sh with the kind where it is none of them."""

STEADY = ("sickly", "alone", "nowhere", "rolled", "taken", "hooked", "unready", "hung", "forking", "aging", "watched")
"""Kinds that are only their keys: the program itself behaves well."""

BROKEN = (
    "programs: [",
    "programs: {a: {cmd: sleep 1, colour: blue}}",
    "programs: {a: {cmd: sleep 1}, a: {cmd: sleep 2}}",
    "programs: {a: {cmd: sleep 1, numprocs: -1}}",
    "programs: {a: {cmd: !!python/name:os.system x}}",
    "a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\nprograms: *c\n",
    "",
    "\x00\x01\x02\x03",
    "programs:",
)
"""Files that every reload has to refuse."""


class Population:
    """The wanted programs: name to (kind, keys). Changed by one editor at a time.

    `alerts` are the rules, as YAML; {batch} in them is what an editor changes.
    """

    def __init__(self, count: int, owned: int, rng: random.Random, alerts: str = "") -> None:
        self._rng = rng
        self._alerts = alerts
        self._batch = 1
        self._count = count
        self._made = 0
        self.programs: dict[str, tuple[str, dict[str, str]]] = {}
        for number in range(owned):
            self.programs[f"{OWNED}{number}"] = ("steady", {"starttime": "0", **OWN_KEYS[number % len(OWN_KEYS)]})
        every = [kind for kind, (share, _) in KINDS.items() for _ in range(share)]
        while len(self.programs) < count:
            self._add(every[self._made % len(every)])

    def text(self) -> str:
        """Return the configuration as YAML."""
        lines = ["defaults:", *(f"  {key}: {value}" for key, value in QUICK.items()), "programs:"]
        for name, (kind, keys) in self.programs.items():
            command = {"cmd": f"[sh, {ADVERSARY}, {'steady' if kind in STEADY else kind}]"}
            pairs = ", ".join(f"{key}: {value}" for key, value in {**command, **keys}.items())
            lines.append(f"  {name}: {{{pairs}}}")
        return "\n".join(lines) + "\n" + self._alerts.replace("{batch}", f"{self._batch}s")

    def names(self) -> list[str]:
        """Return the programs that everybody may disturb."""
        return [name for name in self.programs if not name.startswith(OWNED)]

    def edit(self) -> str:
        """Change one to five things as an operator would; returns what, in words."""
        return ", ".join(self._edit_once() for _ in range(self._rng.randint(1, 5)))

    def _edit_once(self) -> str:
        change = self._rng.choice(
            (self._remove, self._remove, self._grow, self._scale, self._live, self._restart, self._turn, self._tell)
        )
        return change()

    def _add(self, kind: str) -> str:
        name = f"{kind}{self._made}"
        self._made += 1
        keys = dict(KINDS[kind][1])
        if kind not in ("floods", "missing", "nowhere") and self._rng.random() < 0.15:
            keys["numprocs"] = str(self._rng.randint(2, 3))
        self.programs[name] = (kind, keys)
        return f"added {name}"

    def _grow(self) -> str:
        if len(self.programs) >= self._count + 5:
            return self._remove()
        kinds = list(KINDS)
        return self._add(self._rng.choices(kinds, [KINDS[kind][0] for kind in kinds])[0])

    def _remove(self) -> str:
        if len(self.programs) <= self._count - 5:
            return self._grow()
        name = self._rng.choice(self.names())
        del self.programs[name]
        return f"removed {name}"

    def _scale(self) -> str:
        name = self._rng.choice(self.names())
        self.programs[name][1]["numprocs"] = number = str(self._rng.randint(1, 4))
        return f"{name} numprocs {number}"

    def _live(self) -> str:
        name = self._rng.choice(self.names())
        self.programs[name][1]["description"] = f"edited {self._rng.randint(0, 999)}"
        self.programs[name][1]["stoptime"] = str(self._rng.choice((0.3, 0.5, 1)))
        return f"{name} live keys"

    def _restart(self) -> str:
        name = self._rng.choice(self.names())
        self.programs[name][1]["env"] = f"{{EDITED: '{self._rng.randint(0, 999)}'}}"
        return f"{name} restart key"

    def _tell(self) -> str:
        """Change how long alerts wait for others (`batch`)."""
        self._batch = self._rng.randint(1, 3)
        return "batch of alerts"

    def _turn(self) -> str:
        """Change nothing but the order."""
        names = list(self.programs)
        self._rng.shuffle(names)
        self.programs = {name: self.programs[name] for name in names}
        return "another order"
