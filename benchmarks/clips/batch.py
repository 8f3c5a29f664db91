"""The same clips in every way of cutting, in turns; each clip is judged."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks.clips.judge import judge
from benchmarks.clips.measured import Measured
from benchmarks.clips.sizes import Range
from benchmarks.clips.smartcut import NotInstalled, installed_smartcut, smartcut_argv
from benchmarks.clips.system import cut_by_fresh_system
from benchmarks.clips.ways import OURS, Attempt, Way, by_command, input_seek_argv, seed_argv
from benchmarks.numbers import NONE, median, megabytes, ratio, seconds
from benchmarks.part import Setup, Sheet

FAULTS_SHOWN = 2  # of each way; the JSON has all


def all_ways(setup: Setup) -> tuple[list[Way], list[str]]:
    """The ways that can be measured, and notes about those that cannot."""
    cores = len(os.sched_getaffinity(0))
    ways = [
        Way("seed", "-ss after -i, one by one", by_command(seed_argv), rounds=1),
        Way("input-seek", "-ss before -i, one by one", by_command(input_seek_argv)),
        Way(
            "input-seek-parallel",
            f"-ss before -i, {cores} at a time",
            by_command(input_seek_argv, cores),
        ),
        Way(OURS, "clipmill, download included", cut_by_fresh_system),
    ]
    notes = [f"Left out by option: {name}" for name in sorted(setup.left_out)]
    if not setup.quick and "smartcut" not in setup.left_out:
        try:
            argv = smartcut_argv(installed_smartcut(setup.folder))
            ways.append(Way("smartcut", "smartcut, one by one", by_command(argv)))
        except NotInstalled as error:
            notes.append(f"Left out: smartcut could not be installed ({error})")
    return [way for way in ways if way.name not in setup.left_out], notes


def run_batch(
    setup: Setup, rounds: int, source: Path, ranges: Sequence[Range], ways: Sequence[Way]
) -> list[Measured]:
    """Every way in every round, so that a busy minute of the machine does not hit one alone."""
    found = {way.name: Measured(way) for way in ways}
    for number, way in turns(ways, rounds):
        attempt, faults = run_once(way, source, ranges)
        found[way.name].add(attempt, faults)
        setup.say(f"  round {number + 1}, {way.title}: {attempt.cost.wall_seconds:.1f} s")
    return list(found.values())


def turns(ways: Sequence[Way], rounds: int) -> Iterator[tuple[int, Way]]:
    """Round by round, without the ways that have had all their rounds."""
    for number in range(rounds):
        yield from ((number, way) for way in ways if way.rounds is None or number < way.rounds)


def run_once(way: Way, source: Path, ranges: Sequence[Range]) -> tuple[Attempt, list[list[str]]]:
    """One attempt with the faults of each of its clips; the clips are not kept."""
    with tempfile.TemporaryDirectory(prefix="clipmill-bench-") as name:
        attempt = way.cut(source, ranges, Path(name))
        pairs = zip(attempt.clips, ranges, strict=True)
        return attempt, [judge(source, clip, wanted) for clip, wanted in pairs]


def batch_sheet(title: str, found: Sequence[Measured], notes: Sequence[str] = ()) -> Sheet:
    """Each way of cutting beside ours."""
    ours = next((each.wall_seconds for each in found if each.way.name == OURS), 0.0)
    return Sheet(
        title,
        ("", "rounds", "wall s", "to ours", "CPU s", "peak MB", "exact"),
        [row for each in found for row in _rows(each, ours)],
        (*notes, _gap_note(found), *_fault_notes(found)),
    )


def _rows(each: Measured, ours: float) -> Iterator[list[str]]:
    yield [
        each.way.title,
        str(len(each.costs)),
        seconds(each.wall_seconds),
        ratio(each.wall_seconds, ours),
        seconds(each.cpu_seconds),
        megabytes(each.peak_bytes),
        each.exact,
    ]
    for name, values in each.more.items():
        wall = median(values)
        yield [f"  {name}", "", seconds(wall), ratio(wall, ours), NONE, NONE, NONE]


def _gap_note(found: Sequence[Measured]) -> str:
    gap = max(cost.longest_gap_seconds for each in found for cost in each.costs)
    return f"The memory was sampled every {gap * 1000:.0f} ms or more often."


def _fault_notes(found: Sequence[Measured]) -> Iterator[str]:
    for each in found:
        for faults in [faults for faults in each.faults if faults][:FAULTS_SHOWN]:
            yield f"{each.way.title}: {'; '.join(faults)}"


def batch_values(found: Sequence[Measured]) -> dict[str, Any]:
    """By the way's name."""
    return {each.way.name: each.values() for each in found}
