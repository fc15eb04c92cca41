"""Two hundred ill-behaved programs and their clients for some minutes; whether anything was not as it has to be.

Run: python -m tests.soak [MINUTES] [--programs 200] [--seed N]. Exit 0 where there is no finding. It plays rounds of
`ROUND_S`: everybody does what they do at random, then, in a calm, everything is stopped and looked at.
"""

from __future__ import annotations

import argparse
import random
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

from tests.soak import kernel
from tests.soak.actors.breakers import Breaker
from tests.soak.actors.clients import Commander, Operator, Owner, Patient, Sampler
from tests.soak.actors.editor import Editor
from tests.soak.actors.receivers import LIMIT, Receivers
from tests.soak.actors.rude import Killer, Rude
from tests.soak.actors.viewers import Sender, Viewer
from tests.soak.judges.calm import Calm
from tests.soak.judges.transitions import Subscriber
from tests.soak.population import Population
from tests.soak.stage import Actor, Stage
from tests.support.daemon import Daemon

ROUND_S = 25.0
OWNED = 5
END_WITHIN_S = 40


def cast(stage: Stage) -> list[Actor]:
    """Return everybody who acts."""
    operators = [Operator(stage, f"operator {number}") for number in range(3)]
    rude = [Rude(stage, f"rude {number}") for number in range(2)]
    viewers = [Viewer(stage, f"viewer {number}") for number in range(2)]
    others = (Owner, Commander, Sampler, Patient, Killer, Editor, Sender, Breaker)
    return [*viewers, *operators, *rude, *(kind(stage, kind.__name__.lower()) for kind in others)]


def play(stage: Stage, minutes: float, calm: Calm) -> None:
    """Play rounds until the time is over; the first finding ends it with the round."""
    configuration = stage.population.text()
    actors = cast(stage)
    subscriber = Subscriber(stage)
    subscriber.start()
    for actor in actors:
        actor.start()
    while not stage.findings and time.monotonic() - stage.began < minutes * 60:
        calm.receivers.moody = True
        stage.raise_curtain()
        stage.pause(min(ROUND_S, max(1.0, minutes * 60 - (time.monotonic() - stage.began))))
        stage.lower_curtain(actors)
        stage.count("rounds")
        if stage.findings:
            break
        calm.configured = calm.configured + stage.daemon.config.read_text()
        calm.look(configuration)
        print(progress(stage, calm), flush=True)
        with stage.connect() as wire:
            wire.ask("start", "--no-wait", "all")
    stage.end()
    stage.count("changes told", subscriber.image.changes)


def finish(stage: Stage, calm: Calm) -> None:
    """End the daemon in one of the ways to do that; afterwards nothing may be left."""
    daemon = stage.daemon
    assert daemon.foreground
    way = stage.dice("end").choice(("TERM", "INT", "shutdown"))
    if way == "shutdown":
        with stage.connect() as wire:
            reply = wire.ask("shutdown")
            if reply[-1]["exit"] != 0:
                stage.found(f"shutdown: {reply}")
    else:
        daemon.foreground.send_signal(getattr(signal, f"SIG{way}"))
    code = daemon.foreground.wait(timeout=END_WITHIN_S)
    if code != 0:
        stage.found(f"{way}: the daemon exited with {code}")
    for seen, slot in kernel.marked(daemon.socket).items():
        stage.found(f"{way}: the daemon has ended, and {seen} of {slot} is alive")
    for path in (daemon.socket, daemon.pidfile):
        if path.exists():
            stage.found(f"{way}: {path.name} is left")
    calm.read_events()
    stderr = (daemon.home / "stderr").read_text(errors="replace")
    if "Traceback" in stderr:
        stage.found(f"stderr of the daemon: {stderr[-2000:]}")


def progress(stage: Stage, calm: Calm) -> str:
    """Return a line for a round."""
    size = calm.sizes[-1]
    return (
        f"{time.monotonic() - stage.began:6.0f} s  {sum(calm.chronicle.started.values())} starts, "
        f"{stage.counts['requests']} requests, {stage.counts['reloads']} reloads, {size.rss_kb} KB, {size.fds} fds, "
        f"CPU {size.cpu_s:.0f} s, worst status {stage.worst_status_s * 1000:.0f} ms"
    )


def summary(stage: Stage, calm: Calm) -> str:
    """Return what happened, a line each."""
    counts = {
        **stage.counts,
        "lines of the event log": calm.chronicle.lines,
        "processes started": sum(calm.chronicle.started.values()),
        "processes ended": calm.chronicle.ended,
    }
    lines = [f"{what}: {number}" for what, number in sorted(counts.items())]
    if calm.sizes:
        first, last = calm.sizes[0], calm.sizes[-1]
        most = max(size.rss_kb for size in calm.sizes)
        lines.append(f"resident, KB: {first.rss_kb} at the first calm, {last.rss_kb} at the last, {most} at most")
        lines.append(f"descriptors: {first.fds} at the first calm, {last.fds} at the last; threads: {last.threads}")
        lines.append(f"CPU of the daemon: {last.cpu_s:.1f} s in {time.monotonic() - stage.began:.0f} s")
    lines.append(f"worst status: {stage.worst_status_s * 1000:.0f} ms")
    return "\n".join(lines)


def rules(receivers: Receivers) -> str:
    """Return the alert rules: a command that runs each second or so, a server that often refuses, a log daemon."""
    return (
        "alerts:\n"
        f"  told: {{cmd: {receivers.command()}, events: [crash, fatal, recovered], batch: {{batch}}, {LIMIT}}}\n"
        f"  posted: {{http: {{url: '{receivers.url}'}}, events: [fatal], batch: 10s, {LIMIT}}}\n"
        f"  logged: {{syslog: {{to: '{receivers.address}'}}, events: [crash]}}\n"
    )


def soak(minutes: float, programs: int, seed: int, home: Path) -> int:
    """Run one soak; returns the exit code."""
    receivers = Receivers(home, random.Random(f"{seed} receivers"))
    population = Population(programs, OWNED, random.Random(f"{seed} population"), rules(receivers))
    (home / "soak" / "locks").mkdir(parents=True)
    (home / "soak" / "starts").touch()
    daemon = Daemon(home, population.text())
    daemon.environment["SOAK_DIR"] = str(home / "soak")
    stage = Stage(daemon, population, seed)
    calm = Calm(stage, receivers)
    receivers.start()
    try:
        daemon.start_foreground()
        play(stage, minutes, calm)
        finish(stage, calm)
    finally:
        daemon.destroy()
        receivers.close()
    print(summary(stage, calm))
    for finding in stage.findings:
        print(f"FINDING {finding}")
    print(f"seed {seed}: {len(stage.findings) or 'no'} finding{'' if len(stage.findings) == 1 else 's'}")
    return 1 if stage.findings else 0


def main() -> int:
    """Read the options, make a directory, and soak."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__.partition("\n")[0])
    parser.add_argument("minutes", nargs="?", type=float, default=1.0)
    parser.add_argument("--programs", type=int, default=200)
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000))
    parser.add_argument("--keep", action="store_true", help="leave the directory where it is, for a look")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # a time limit must leave no daemon behind
    home = Path(tempfile.mkdtemp(prefix="tmsoak", dir="/tmp"))
    print(f"seed {options.seed}, {options.programs} programs, {options.minutes:g} min, {home}", flush=True)
    code = 1
    try:
        code = soak(options.minutes, options.programs, options.seed, home)
    finally:
        if options.keep or code:
            print(f"see {home}")
        else:
            shutil.rmtree(home, ignore_errors=True)
    return code


if __name__ == "__main__":
    sys.exit(main())
