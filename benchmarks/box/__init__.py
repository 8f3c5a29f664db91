"""Part `box`: whether encoding in half a gigabyte is as fast as in 4 GiB."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.box.rounds import Round, run_round
from benchmarks.clips import sizes as clips
from benchmarks.clips.source import source_video
from benchmarks.numbers import median, megabytes, seconds, spread
from benchmarks.part import Outcome, Setup, Sheet
from config.machine import cpu_count
from config.values import GIB, MIB

SMALL, LARGE = 512 * MIB, 4 * GIB
NAMES = {SMALL: "512 MiB", LARGE: "4 GiB"}
BAR = 0.9
Rounds = dict[int, list[Round]]  # by the limit of the box, in bytes


@dataclass(frozen=True)
class Sizes:
    """What is encoded, and how often."""

    source: clips.Sizes
    clips: int
    clip_seconds: float
    rounds: int


FULL = Sizes(clips.FULL, clips=12, clip_seconds=10.0, rounds=5)
QUICK = Sizes(clips.QUICK, clips=2, clip_seconds=2.0, rounds=1)


def run(setup: Setup) -> Outcome:
    """The same batch in both boxes, in turns, each time in a system that was just started."""
    sizes = QUICK if setup.quick else FULL
    setup.say("The source …")
    source = source_video(sizes.source, setup.folder)
    rounds: Rounds = {SMALL: [], LARGE: []}
    for number in range(sizes.rounds):
        # The first box alternates, so that a machine that grows warm or busy hits both.
        for limit in (SMALL, LARGE) if number % 2 == 0 else (LARGE, SMALL):
            setup.say(f"Round {number + 1} of {sizes.rounds}: {NAMES[limit]} …")
            rounds[limit].append(run_round(limit, source, sizes.clips, sizes.clip_seconds))
    values = {
        "clips": sizes.clips,
        "clip_seconds": sizes.clip_seconds,
        "rounds": {NAMES[limit]: values_of(found) for limit, found in rounds.items()},
        "throughput": throughput(rounds),
        "bar": BAR,
    }
    return Outcome(values, [sheet(rounds, sizes)])


def throughput(rounds: Rounds) -> float:
    """Of the small box, as a share of the large box's in the same round: the median."""
    pairs = zip(rounds[SMALL], rounds[LARGE], strict=True)
    return median([large.wall_seconds / small.wall_seconds for small, large in pairs])


def values_of(rounds: Sequence[Round]) -> dict[str, Any]:
    """The figures for the JSON."""
    return {
        "wall_seconds": spread([found.wall_seconds for found in rounds]),
        "rounds": [vars(found) for found in rounds],
    }


def sheet(rounds: Rounds, sizes: Sizes) -> Sheet:
    notes = [
        f"Bar: at 512 MiB at least {BAR:.2f} of the throughput at 4 GiB in the same round, "
        f"here {throughput(rounds):.2f}; at least {min(2, cpu_count())} at once; nothing killed.",
        "Budget, kernel, PSS in MB. Kernel: the kernel's peak of the whole group, page cache "
        "included; PSS: the largest sum of all processes.",
    ]
    if not all(found.boxed for boxes in rounds.values() for found in boxes):
        notes.append("No group could be made here (needs root): only the budget was that small.")
    title = (
        f"{sizes.clips} encodes of {sizes.clip_seconds:g} s of {sizes.source.height}p, draft, "
        "by the whole system in a box"
    )
    columns = ("seconds", "CPU s", "stalled s", "at once", "budget", "kernel", "PSS", "killed")
    return Sheet(
        title, ("", *columns), [row(NAMES[limit], found) for limit, found in rounds.items()], notes
    )


def row(name: str, rounds: Sequence[Round]) -> list[str]:
    return [
        name,
        seconds(median([found.wall_seconds for found in rounds])),
        seconds(median([found.cpu_seconds for found in rounds])),
        seconds(median([found.stalled_seconds for found in rounds])),
        str(min(found.most_at_once for found in rounds)),
        megabytes(rounds[0].budget_bytes),
        megabytes(max(found.kernel_peak_bytes for found in rounds)),
        megabytes(max(found.peak_bytes for found in rounds)),
        str(sum(found.killed for found in rounds)),
    ]
