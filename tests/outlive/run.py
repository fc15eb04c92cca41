"""One long run: everybody does what they do, the daemon is killed or upgraded, and at the end all is compared."""

from __future__ import annotations

import random
import signal
import statistics
import time
from collections import Counter
from pathlib import Path

from tests.outlive import rows, writer
from tests.outlive.actors import Caller, CarefulEditor, Follower, Owner, Waiter
from tests.outlive.cohort import POSTED, TOLD, Cohort, kind_of
from tests.outlive.keepers import Guarded, Keeper
from tests.outlive.looks import Looks
from tests.outlive.moments import Moments, renew_keeper
from tests.outlive.verdict import Verdict
from tests.soak import kernel
from tests.soak.actors.breakers import kill_logger
from tests.soak.actors.clients import Operator, Sampler, exit_of
from tests.soak.actors.editor import Editor
from tests.soak.actors.receivers import LIMIT, Receivers
from tests.soak.judges.descriptors import Beside, surplus
from tests.soak.judges.transitions import Subscriber
from tests.soak.stage import Actor, Stage
from tests.support.daemon import Daemon
from tests.support.wait import wait_until

MODES = ("restart", "guardian", "upgrade")
STOP_WITHIN_S = 60.0
IDLE_FDS_OF_GUARDIAN = 12
"""What a guardian may have open when nothing runs; what its daemon may have follows from the configuration, see `descriptors`."""
RULES = 2
WAYS = ("TERM", "INT", "shutdown")


class Run:
    """One run in a directory of its own."""

    def __init__(self, mode: str, programs: int, seed: int, home: Path, pace: float) -> None:
        self.pace = pace
        self.mode = mode
        words = writer.build(home)
        self.rows = home / "rows"
        self.rows.touch()
        self.receivers = Receivers(home, random.Random(f"{seed} receivers"))
        self.cohort = Cohort(
            programs, words, str(self.rows), random.Random(f"{seed} cohort"), rules(self.receivers, TOLD, POSTED)
        )
        self.daemon = Daemon(home, self.cohort.text())
        self.stage = Stage(self.daemon, self.cohort, seed)
        self.stage.daemon_may_vanish = mode != "upgrade"
        self.keeper = Guarded(self.stage) if mode == "guardian" else Keeper(self.stage)
        self.looks = Looks(self.stage, self.cohort)
        self.owner = Owner(self.stage, self.cohort)
        self.upgrades: list[float] = []
        self.watchers = 0
        self.moments: Counter[str] = Counter()

    @property
    def guardian(self) -> int | None:
        """The guardian's pid, None where there is none."""
        return self.keeper.process.pid if self.mode == "guardian" else None

    def play(self, kills: int) -> None:
        """Kill, or upgrade, so often."""
        self.receivers.start()
        self.receivers.moody = True
        self.keeper.start()
        writers = [name for name, _index in self.looks.slots if name not in self.cohort.served()]
        wait_until(lambda: len(rows.lives(self.rows)) >= len(writers), within_s=60)
        self.looks.look("at the beginning", self.keeper.pid, self.guardian)
        actors = self._cast()
        for actor in actors:
            actor.start()
        self.stage.raise_curtain()
        if self.mode == "upgrade":
            self._upgrade(kills)
        else:
            self._kill(kills)
        self.stage.lower_curtain(actors)
        if self.stage.findings:
            return
        self.owner.look()
        self.looks.look("at the end", self.keeper.pid, self.guardian)

    def _cast(self) -> list[Actor]:
        stage = self.stage
        operators: list[Actor] = [Operator(stage, f"operator {number}") for number in range(3)]
        operators.append(Caller(stage, self.cohort.served()))
        if self.mode != "upgrade":
            return [operators[0], operators[-1], self.owner, CarefulEditor(stage, "editor")]
        Subscriber(stage).start()
        self.watchers = 1 + sum(kind_of(name) == "ticks" for name in self.cohort.programs)
        for name in self.cohort.programs:
            if kind_of(name) == "ticks":
                Follower(stage, name).start()
        return [*operators, self.owner, Editor(stage, "editor"), Waiter(stage, "waiter"), Sampler(stage, "sampler")]

    def _kill(self, kills: int) -> None:
        moments = Moments(self.stage, self.keeper, self.cohort, self.pace)
        while self.keeper.kills < kills and not self.stage.findings:
            when = moments.next()
            gap = self.keeper.answer()
            self.moments[when] += 1
            self.looks.look(f"kill {self.keeper.kills} ({when})", self.keeper.pid, self.guardian)
            print(f"{self.keeper.kills:4} kills: {when}, gap {gap * 1000:.0f} ms", flush=True)

    def _upgrade(self, times: int) -> None:
        dice = self.stage.dice("upgrades")
        for number in range(times):
            self.stage.pause(dice.uniform(0, self.pace))
            if number % 4 == 1:
                renew_keeper(self.stage, self.cohort.held)
            elif number % 4 == 3:
                kill_logger(self.stage, dice.choice)
            with self.stage.connect() as wire:
                reply, took = wire.timed("upgrade")
            if exit_of(reply) != 0:
                self.stage.found(f"upgrade {number}: {reply}")
            if self.stage.findings:
                return
            self.upgrades.append(next(each["seconds"] for each in reply if each["type"] == "upgraded"))
            self.looks.look(f"upgrade {number}", self.keeper.pid, None)
            print(
                f"{number + 1:4} upgrades: {took * 1000:.0f} ms, {self.upgrades[-1] * 1000:.0f} ms as it says",
                flush=True,
            )

    # -- the end

    def stop(self) -> None:
        """Stop everything; nothing may be left, and no descriptor either."""
        with self.stage.connect() as wire:
            wire.patience(STOP_WITHIN_S)
            reply = wire.ask("stop", "all")
        if exit_of(reply) != 0:
            self.stage.found(f"stop all: {reply[-2:]}")
        for seen, slot in kernel.marked(self.daemon.socket).items():
            if kernel.still_alive(seen):
                self.stage.found(f"all is stopped, and {seen} of {slot} is alive")
        self._few_descriptors()
        self._deliver()

    def _deliver(self) -> None:
        """Have all messages delivered that wait."""
        self.receivers.moody = False
        with self.stage.connect() as wire:
            for rule in ("told", "posted"):
                wire.ask("alert", "flush", rule)
            rows = [each for each in wire.ask("alert", "list") if each["type"] == "alert"]
        for row in rows:
            if row["waiting"]:
                self.stage.found(f"alert {row['rule']}: {row['waiting']} wait though the receiver is there: {row}")

    def _few_descriptors(self) -> None:
        """Nothing runs: what is open follows from what is configured, and from who is there."""
        socket, daemon = self.daemon.socket, self.keeper.pid

        def more() -> dict[str, int]:
            keepers = int(kernel.keeper_of(socket) is not None) + (self.guardian is not None)
            beside = Beside(self.watchers, keepers, 0, RULES, max(0, self.watchers - 1))
            return surplus(kernel.descriptors(daemon), str(self.daemon.home), self.cohort.text(), beside)

        try:
            wait_until(lambda: not more(), within_s=15)
        except AssertionError:
            self.stage.found(f"all is stopped, and there are more descriptors: {more()}: {kernel.descriptors(daemon)}")
        if self.guardian:
            links = kernel.descriptors(self.guardian)
            if len(links) > IDLE_FDS_OF_GUARDIAN:
                self.stage.found(f"all is stopped, and the guardian has {len(links)} descriptors: {links}")

    def end(self) -> None:
        """End the daemon as an operator would; it may leave nothing."""
        way = self.stage.dice("end").choice(WAYS)
        if way == "shutdown":
            with self.stage.connect() as wire:
                wire.ask("shutdown")
        else:
            self.keeper.process.send_signal(getattr(signal, f"SIG{way}"))
        code = self.keeper.process.wait(timeout=STOP_WITHIN_S)
        if code != 0:
            self.stage.found(f"{way}: it exited with {code}")
        left = [*self.daemon.home.glob("*.state*"), *self.daemon.home.glob("*.sock"), *self.daemon.home.glob("*.pid")]
        if left:
            self.stage.found(f"{way}: these are left: {left}")
        for seen, slot in kernel.marked(self.daemon.socket).items():
            self.stage.found(f"{way}: {seen} of {slot} is alive")
        stderr = (self.daemon.home / "stderr").read_text(errors="replace")
        if "Traceback" in stderr or "internal error" in stderr:
            self.stage.found(f"stderr: {stderr[-3000:]}")

    def summary(self, verdict: Verdict) -> str:
        """Return what happened, a line each."""
        gaps = [ended - began for began, ended in self.keeper.gaps]
        lines = [f"kills: {self.keeper.kills} ({', '.join(f'{what} {n}' for what, n in sorted(self.moments.items()))})"]
        if gaps:
            lines.append(f"gaps: median {statistics.median(gaps) * 1000:.0f} ms, worst {max(gaps) * 1000:.0f} ms")
        if self.upgrades:
            seconds = statistics.median(self.upgrades), max(self.upgrades)
            lines.append(
                f"upgrades: {len(self.upgrades)}, median {seconds[0] * 1000:.0f} ms, worst {seconds[1] * 1000:.0f} ms"
            )
        lines += verdict.lines()
        lines.append(f"descriptors at most: daemon {self.looks.most_fds}, guardian {self.looks.most_fds_of_guardian}")
        lines += [f"{what}: {number}" for what, number in sorted(self.stage.counts.items())]
        return "\n".join(lines)


def rules(receivers: Receivers, told: tuple[str, ...], posted: tuple[str, ...]) -> str:
    """Return the alert rules: a command that hears of ends of some kinds, and a server of starts and stops of others."""
    targets = (", ".join(f"'{kind}*'" for kind in kinds) for kinds in (told, posted))
    return (
        "alerts:\n"
        f"  told: {{cmd: {receivers.command()}, events: [crash, recovered], targets: [{next(targets)}], batch: 1s, {LIMIT}}}\n"
        f"  posted: {{http: {{url: '{receivers.url}'}}, events: [running, stopped], targets: [{next(targets)}],"
        f" batch: 5s, {LIMIT}}}\n"
    )


def outlive(mode: str, kills: int, programs: int, seed: int, home: Path, pace: float = 1.0) -> int:
    """Run once; returns the exit code."""
    run = Run(mode, programs, seed, home, pace)
    stage = run.stage
    began = time.monotonic()
    try:
        run.play(kills)
        if not stage.findings:
            run.stop()
        stage.end()
        verdict = Verdict(run.cohort, run.rows, run.daemon, run.keeper, mode)
        if not stage.findings:
            verdict.statuses(stage)
            run.end()
        if not stage.findings:
            verdict.read(stage)
            for problem in verdict.heard(run.receivers):
                stage.found(f"alerts: {problem}")
    finally:
        stage.end()
        run.keeper.end_by_force()
        run.daemon.destroy()
        run.receivers.close()
    print(run.summary(verdict))
    for finding in stage.findings:
        print(f"FINDING {finding}")
    count = len(stage.findings)
    print(
        f"{mode}, seed {seed}: {count or 'no'} finding{'' if count == 1 else 's'} in {time.monotonic() - began:.0f} s",
        flush=True,
    )
    return 1 if count else 0
