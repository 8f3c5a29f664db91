"""`python -m tests.chaos.run --seed N`: a system under load and faults, then the invariants.

Prints its seed first. The same seed makes the same requests and the same faults in the same order;
what each fault meets and when depends on the machine. A fault that meets no target is retried for a
while, and is not counted. Faults of disks need root and loop devices, and a slow disk a kernel that
can throttle it. Faults that are not possible here are left out and listed.
"""

from __future__ import annotations

import argparse
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from tests.chaos.canary import Canary
from tests.chaos.causes import Hit
from tests.chaos.check import faults_of
from tests.chaos.faults import Fault, kill_a_worker, left_out, possible_faults
from tests.chaos.load import Clients
from tests.chaos.probe import cut_again_and_again
from tests.chaos.told import Moody
from tests.chaos.traces import (
    Kinds,
    Look,
    MemoryWatch,
    creeping,
    descriptors,
    living_faults,
    look_at,
    settled,
    strays,
)
from tests.chaos.work import RealWork, ScriptedWork, Work
from tests.chaos.world import World
from tests.support.origin import Origin
from tests.support.receiver import Receiver

BUDGET_BYTES = 512 * 2**20
WARM_UP_JOBS = 8
CALM_SECONDS = 60.0  # the reports of killed workers expire in this time
TRY_SECONDS = 10.0  # until a fault meets something


@dataclass(frozen=True)
class Form:
    """The form of a storm. `seconds` is the time of submissions; the recovery comes on top."""

    jobs: int = 600
    faults: int = 70
    seconds: float = 480.0
    quick: bool = False  # leases of four seconds
    real: bool = False  # real downloads and clips
    regular: bool = False  # the only fault is the death of a worker, always after the same pause
    each: bool = False  # every fault once, instead of random faults

    @property
    def least_hits(self) -> int:
        """How many faults must meet a target: sixty of seventy."""
        return self.faults * 6 // 7


# As a test: about a minute and a half.
SHORT = Form(jobs=60, seconds=45.0, quick=True, each=True)

# Two hundred real jobs, and a worker dies every five seconds of three minutes.
REAL = Form(jobs=200, faults=36, seconds=180.0, real=True, regular=True)


@dataclass(frozen=True)
class Outcome:
    """What happened and what did not hold."""

    jobs: int
    faults: Counter[str]  # that met a target
    left_out: list[str]  # what this machine cannot do
    ends: Counter[str]
    broken: list[str]
    notes: list[str] = field(default_factory=list)


def run(folder: Path, seed: int, form: Form) -> Outcome:
    """Run once. The seed decides the form of the system, so that five seeds show all forms."""
    with ExitStack() as opened:
        # In a short storm no process lives long enough to leak much.
        alike = {"steady": seed % 2 == 0 and not form.each, "own_broker": seed % 3 == 0}
        world = opened.enter_context(World(folder, seed, form.quick, form.real, **alike))
        canary = Canary()
        opened.callback(canary.close)
        memory = opened.enter_context(MemoryWatch(world, BUDGET_BYTES))
        work = opened.enter_context(_work(world, seed, form))
        hook = opened.enter_context(Receiver(Moody(seed)))
        clients = Clients(world, work, canary.place, hook.url, seed, form.jobs, form.seconds)
        clients.warm_up(WARM_UP_JOBS)
        before = descriptors(world)
        clients.start()
        hits, looks = _storm(world, seed, form)
        clients.finish_submitting()
        world.heal()
        not_final = clients.wait_for_all(60 + 120 * (not form.quick) + form.jobs / 10)
        clients.stop()
        world.wait_until_ready(CALM_SECONDS)
        broken = [f"I1 never final: {job_id}" for job_id in not_final]
        untold = clients.wait_until_told(60 + 120 * (not form.quick))
        broken += [f"W never delivered: {id}" for id in untold]
        broken += settled(lambda: _left(world, before, looks, len(hits)), 10)
        broken += faults_of(world, clients.promises, work, hits, hook.received, form.real)
        broken += memory.faults
        broken += ["I7 somebody came to the forbidden address"] * (canary.visits > 0)
        notes = _notes(world, memory, before)
        struck = Counter(hit.name for hit in hits) + Counter({"the clock jumps": world.jumped})
        broken += cut_again_and_again(world)
        broken += _end(world)
        ends = Counter(clients.promises.codes.values())
        if not form.each and len(hits) < form.least_hits:
            broken.append(f"only {len(hits)} faults of {form.faults} met anything")
        return Outcome(len(clients.promises.accepted), struck, left_out(world), ends, broken, notes)


def _left(world: World, before: list[Kinds], looks: list[Look], faults: int) -> list[str]:
    return living_faults(world, before) + creeping(looks, look_at(world, faults))


def _notes(world: World, memory: MemoryWatch, before: list[Kinds]) -> list[str]:
    then, now = ([sum(kinds.values()) for kinds in found] for found in (before, descriptors(world)))
    return [
        f"starts of APIs and workers: {[process.starts for process in world.everyone]}; "
        f"their descriptors: {then}, after it {now}",
        f"memory of a worker with its tools: at most {memory.peak_bytes / 2**20:.0f} MiB "
        f"in {memory.samples} samples",
    ]


def _end(world: World) -> list[str]:
    """Stop all processes in order; the faults of their ends."""
    statuses = world.end()
    found = [f"I3 left behind: {line}" for line in world.strangers()] + strays(world)
    return found + [f"ended with {statuses}"] * (set(statuses) != {0})


def _storm(world: World, seed: int, form: Form) -> tuple[list[Hit], list[Look]]:
    """One fault after the other; those that met a target, and what was open at each."""
    # Two generators: a fault draws numbers according to what it meets, which must not change the
    # order of the faults.
    order, chance = random.Random(seed), random.Random(seed + 1)
    hits: list[Hit] = []
    looks: list[Look] = []
    faults = _faults(world, form, order)
    ends_at = time.monotonic() + form.seconds
    for number, fault in enumerate(faults):
        # Some faults last long, and all must strike while jobs come in.
        pause = max(0.1, (ends_at - time.monotonic()) / (len(faults) - number))
        time.sleep(pause if form.regular else pause * order.uniform(0.3, 1.7))
        looks.append(look_at(world, len(hits)))
        hits += _strike(world, fault, chance)
    return hits, looks


def _faults(world: World, form: Form, order: random.Random) -> list[Fault]:
    if form.regular:
        return [kill_a_worker] * form.faults
    possible = possible_faults(world)
    if form.each:
        return order.sample(list(possible), len(possible))
    return order.choices(list(possible), list(possible.values()), k=form.faults)


def _strike(world: World, fault: Fault, chance: random.Random) -> list[Hit]:
    """The fault if it met a target in time, else nothing."""
    until = time.monotonic() + TRY_SECONDS
    while time.monotonic() < until:
        began = time.time()
        lasts = fault(world, chance)
        if lasts is not None:
            return [Hit(fault.__name__, began, time.time() + lasts)]
        time.sleep(0.02)
    return []


@contextmanager
def _work(world: World, seed: int, form: Form) -> Iterator[Work]:
    if not form.real:
        # Long enough that most slots are always taken, and most faults meet running jobs.
        yield ScriptedWork(seed, form.jobs, world.token, pace=2.0 if form.quick else 3.0)
        return
    with Origin() as origin:
        yield RealWork(origin, world.folder, world.token)


def main() -> int:
    """The command line; status 1 when an invariant does not hold."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    kind = parser.add_mutually_exclusive_group()
    kind.add_argument("--quick", action="store_true", help="leases of four seconds")
    kind.add_argument("--short", action="store_true", help="quick, and every fault once")
    kind.add_argument("--real", action="store_true", help="real tools; workers are killed")
    parser.add_argument("--every-fault", action="store_true", help="with --real, all the others")
    parser.add_argument("--seconds", type=float)
    parser.add_argument("--jobs", type=int)
    parser.add_argument("--faults", type=int)
    asked = parser.parse_args()
    real = replace(REAL, regular=not asked.every_fault)
    form = real if asked.real else SHORT if asked.short else Form(quick=asked.quick)
    given = {name: getattr(asked, name) for name in ("seconds", "jobs", "faults")}
    form = replace(form, **{name: value for name, value in given.items() if value is not None})
    print(f"seed {asked.seed}, {form}", flush=True)
    folder = Path(tempfile.mkdtemp(prefix="chaos-"))
    outcome = run(folder / "w", asked.seed, form)
    print(f"{outcome.jobs} jobs: {dict(outcome.ends)}")
    print(f"{sum(outcome.faults.values())} faults: {dict(outcome.faults)}")
    if outcome.left_out:
        print(f"this machine cannot do, so it was left out: {', '.join(outcome.left_out)}")
    for line in [*outcome.notes, *(f"BROKEN {line}" for line in outcome.broken)]:
        print(line)
    if outcome.broken:
        print(f"the logs are in {folder}")
        return 1
    shutil.rmtree(folder)
    print("everything held")
    return 0


if __name__ == "__main__":
    sys.exit(main())
