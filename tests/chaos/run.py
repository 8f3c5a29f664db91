"""`python -m tests.chaos.run --seed N`: a system under load and faults, then the invariants.

Prints its seed first. The same seed gives the same requests and the same faults in the same order;
when each strikes what is up to the machine. Faults of disks need root and loop devices; without
those they are left out, which is said.
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
from tests.chaos.check import faults_of
from tests.chaos.disk import may_mount
from tests.chaos.faults import kill_a_worker, next_fault
from tests.chaos.load import Clients
from tests.chaos.traces import Kinds, MemoryWatch, descriptors, living_faults, settled, strays
from tests.chaos.work import RealWork, ScriptedWork, Work
from tests.chaos.world import World
from tests.support.origin import Origin

BUDGET_BYTES = 512 * 2**20
WARM_UP_JOBS = 8
CALM_SECONDS = 60.0  # what killed workers' reports need to go


@dataclass(frozen=True)
class Form:
    """How a storm is. `seconds` is how long submitting takes; recovering comes on top."""

    jobs: int = 600
    faults: int = 70
    seconds: float = 480.0
    quick: bool = False  # leases of four seconds
    real: bool = False  # real downloads and clips
    regular: bool = False  # the one fault is the death of a worker, each time after the same pause


# Two hundred real jobs, and a worker dies every five seconds of three minutes.
REAL = Form(jobs=200, faults=36, seconds=180.0, real=True, regular=True)


@dataclass(frozen=True)
class Outcome:
    """What happened and what did not hold."""

    jobs: int
    faults: Counter[str]
    ends: Counter[str]
    broken: list[str]
    notes: list[str] = field(default_factory=list)


def run(folder: Path, seed: int, form: Form) -> Outcome:
    """Run once. What the system is like depends on the seed, so that five see all of it."""
    with ExitStack() as opened:
        alike = {"steady": seed % 2 == 0, "own_broker": seed % 3 == 0}
        world = opened.enter_context(World(folder, seed, form.quick, form.real, **alike))
        canary = Canary()
        opened.callback(canary.close)
        memory = opened.enter_context(MemoryWatch(world, BUDGET_BYTES))
        work = opened.enter_context(_work(world, seed, form))
        clients = Clients(world, work, canary.place, seed, form.jobs, form.seconds)
        clients.warm_up(WARM_UP_JOBS)
        before = descriptors(world)
        clients.start()
        struck = _storm(world, seed, form)
        clients.finish_submitting()
        world.heal()
        not_final = clients.wait_for_all(60 + 120 * (not form.quick) + form.jobs / 10)
        clients.stop()
        world.wait_until_ready(CALM_SECONDS)
        broken = [f"I1 never final: {job_id}" for job_id in not_final]
        broken += settled(lambda: living_faults(world, before), 10)
        broken += faults_of(world, clients.promises)
        broken += memory.faults
        broken += ["I7 somebody came to the forbidden address"] * (canary.visits > 0)
        notes = _notes(world, memory, before)
        broken += _end(world)
        ends = Counter(clients.promises.codes.values())
        return Outcome(len(clients.promises.accepted), struck, ends, broken, notes)


def _notes(world: World, memory: MemoryWatch, before: list[Kinds]) -> list[str]:
    then, now = ([sum(kinds.values()) for kinds in found] for found in (before, descriptors(world)))
    return [
        f"starts of APIs and workers: {[process.starts for process in world.everyone]}; "
        f"their descriptors: {then}, after it {now}",
        f"memory of a worker with its tools: at most {memory.peak_bytes / 2**20:.0f} MiB "
        f"in {memory.samples} samples",
    ]


def _end(world: World) -> list[str]:
    """Stop everything in order; what is wrong with that."""
    statuses = world.end()
    found = [f"I3 left behind: {line}" for line in world.strangers()] + strays(world)
    return found + [f"ended with {statuses}"] * (set(statuses) != {0})


def _storm(world: World, seed: int, form: Form) -> Counter[str]:
    """One fault after the other."""
    # Two, since how much chance a fault takes depends on what it meets; their order must not.
    order, chance = random.Random(seed), random.Random(seed + 1)
    struck: Counter[str] = Counter()
    for _ in range(form.faults):
        pause = form.seconds / form.faults
        time.sleep(pause if form.regular else pause * order.uniform(0.3, 1.7))
        fault = kill_a_worker if form.regular else next_fault(world, order)
        struck[fault.__name__] += 1
        fault(world, chance)
    return struck


@contextmanager
def _work(world: World, seed: int, form: Form) -> Iterator[Work]:
    if not form.real:
        # So long that most places are taken at any time, and most faults meet running jobs.
        yield ScriptedWork(seed, form.jobs, world.token, pace=1.0 if form.quick else 3.0)
        return
    with Origin() as origin:
        yield RealWork(origin, world.folder, world.token)


def main() -> int:
    """The command line; status 1 when an invariant does not hold."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    kind = parser.add_mutually_exclusive_group()
    kind.add_argument("--quick", action="store_true", help="leases of four seconds")
    kind.add_argument("--real", action="store_true", help="real tools; workers are killed")
    parser.add_argument("--every-fault", action="store_true", help="with --real, all the others")
    parser.add_argument("--seconds", type=float)
    parser.add_argument("--jobs", type=int)
    parser.add_argument("--faults", type=int)
    asked = parser.parse_args()
    real = replace(REAL, regular=not asked.every_fault)
    form = real if asked.real else Form(quick=asked.quick)
    given = {name: getattr(asked, name) for name in ("seconds", "jobs", "faults")}
    form = replace(form, **{name: value for name, value in given.items() if value is not None})
    print(f"seed {asked.seed}, {form}", flush=True)
    if not may_mount():
        print("nobody may mount here: no disk will fail")
    folder = Path(tempfile.mkdtemp(prefix="chaos-"))
    outcome = run(folder / "w", asked.seed, form)
    print(f"{outcome.jobs} jobs: {dict(outcome.ends)}")
    print(f"{sum(outcome.faults.values())} faults: {dict(outcome.faults)}")
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
