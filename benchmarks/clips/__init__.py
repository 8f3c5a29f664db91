"""Part `clips`: clips of a long video, by this system and other tools; are they exact?"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from benchmarks.clips import sweep as sweeps
from benchmarks.clips.batch import all_ways, batch_sheet, batch_values, run_batch
from benchmarks.clips.measured import Measured
from benchmarks.clips.session import Session, open_session
from benchmarks.clips.sizes import FULL, QUICK, Range, Sizes
from benchmarks.clips.source import source_video
from benchmarks.clips.ways import OURS, Way, by_command, input_seek_argv
from benchmarks.part import Outcome, Setup
from tests.support.box.system import MEDIA_BUDGET


def run(setup: Setup) -> Outcome:
    """The batch in every way of cutting; then a long clip and two sweeps in one session."""
    sizes = QUICK if setup.quick else FULL
    setup.say("The source …")
    source = source_video(sizes, setup.folder)
    ways, notes = all_ways(setup)
    batch = run_batch(setup, sizes.rounds, source, sizes.batch(), ways)
    with open_session(source) as session:
        long = run_long(setup, sizes, source, session)
        setup.say("The sweeps …")
        positions = sweeps.sweep(setup, sizes, source, session, sweeps.positions(sizes))
        lengths = sweeps.sweep(setup, sizes, source, session, sweeps.lengths(sizes))
    values = {
        "sizes": vars(sizes),
        "source_bytes": source.stat().st_size,
        "media_budget": MEDIA_BUDGET,
        "batch": batch_values(batch),
        "long": batch_values(long),
        "positions": sweeps.sweep_values(positions),
        "lengths": sweeps.sweep_values(lengths),
    }
    sheets = (
        batch_sheet(batch_title(sizes), batch, (*notes, *batch_notes())),
        batch_sheet(f"One clip of {sizes.long_seconds} s", long),
        sweeps.sweep_sheet("The same clip at other positions", "starts at", positions),
        sweeps.sweep_sheet("Clips of other lengths, from the same position", "length", lengths),
    )
    return Outcome(values, sheets)


def run_long(setup: Setup, sizes: Sizes, source: Path, session: Session) -> Sequence[Measured]:
    """One long clip, by an encode of every frame and by this system."""
    start = sizes.positions[0]
    ways = (
        Way("input-seek", "-ss before -i", by_command(input_seek_argv)),
        Way(OURS, "clipmill, source downloaded before", session.cut),
    )
    wanted = Range(start, round(start + sizes.long_seconds, 3))
    return run_batch(setup, sizes.rounds, source, [wanted], ways)


def batch_title(sizes: Sizes) -> str:
    return (
        f"{sizes.clips} clips of {sizes.clip_seconds} s from {sizes.seconds} s of "
        f"{sizes.width}x{sizes.height} H.264 and AAC"
    )


def batch_notes() -> tuple[str, ...]:
    return (
        "Medians; peak: the largest sum of all processes (PSS) over all rounds.",
        f"clipmill: from the submission to the last clip's end; MEMORY_BUDGET={MEDIA_BUDGET}, so "
        "that API, worker, broker and media stay below 512 MB.",
        "exact: clips with the right number of frames, the right first and the right last frame.",
    )
