"""`python -m tests.chaos.run --seed N`: a system under load and faults, then the invariants.

Prints its seed first. The same seed gives the same requests and the same faults in the same order;
when each strikes what is up to the machine.
"""

from __future__ import annotations

import argparse
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from tests.chaos.check import faults_of
from tests.chaos.faults import FAULTS
from tests.chaos.load import Clients
from tests.chaos.world import World


@dataclass(frozen=True)
class Outcome:
    """What happened and what did not hold."""

    jobs: int
    faults: Counter[str]
    ends: Counter[str]
    broken: list[str]


def run(folder: Path, seed: int, *, jobs: int, faults: int, seconds: float, quick: bool) -> Outcome:
    """Run once. `seconds` is how long submitting takes; recovering comes on top."""
    chance = random.Random(seed)
    struck: Counter[str] = Counter()
    with World(folder, quick=quick) as world:
        clients = Clients(world, seed, jobs, seconds)
        clients.start()
        for _ in range(faults):
            time.sleep(seconds / faults * chance.uniform(0.3, 1.7))
            fault = chance.choice(FAULTS)
            struck[fault.__name__] += 1
            fault(world, chance)
        clients.finish_submitting()
        not_final = clients.wait_for_all(60 + 120 * (not quick) + jobs / 10)
        clients.stop()
        time.sleep(1.0)  # the last write of a job comes before its folder goes
        broken = [f"I1 never final: {job_id}" for job_id in not_final]
        broken += faults_of(world, clients.promises)
        statuses = world.end()
        broken += [f"I3 left behind: {line}" for line in world.strangers()]
        if set(statuses) != {0}:
            broken.append(f"ended with {statuses}")
        ends = Counter(clients.promises.codes.values())
        return Outcome(len(clients.promises.accepted), struck, ends, broken)


def main() -> int:
    """The command line; status 1 when an invariant does not hold."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--seconds", type=float, default=480)
    parser.add_argument("--jobs", type=int, default=600)
    parser.add_argument("--faults", type=int, default=70)
    parser.add_argument("--quick", action="store_true", help="leases of four seconds")
    asked = parser.parse_args()
    print(f"seed {asked.seed}", flush=True)
    folder = Path(tempfile.mkdtemp(prefix="chaos-"))
    outcome = run(
        folder / "w", asked.seed, jobs=asked.jobs, faults=asked.faults, seconds=asked.seconds,
        quick=asked.quick,
    )  # fmt: skip
    print(f"{outcome.jobs} jobs: {dict(outcome.ends)}")
    print(f"{sum(outcome.faults.values())} faults: {dict(outcome.faults)}")
    for line in outcome.broken:
        print("BROKEN", line)
    if outcome.broken:
        print(f"the logs are in {folder}")
        return 1
    shutil.rmtree(folder)
    print("everything held")
    return 0


if __name__ == "__main__":
    sys.exit(main())
