"""Cuts of a case as a job makes them, each with what was found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import av
from av.stream import Disposition
from av.video.stream import VideoStream

from tasks.errors import JobError
from tasks.kinds import ClipSpec
from tasks.specs import Output, Source
from tests.support.cases.judging import (
    SOUND_SHIFT_MS,
    Range,
    fault_of_length,
    faults_of_pictures,
    faults_of_sound,
    pictures,
    ranges,
    wanted,
)
from tests.support.cases.recipes import FPS, SECONDS, Case, Shown, base_video
from tests.support.clips import made_clip, probed, runner_in
from worker.clip.plan import plan_clip
from worker.cutting import Cut

RIGHT = "right"
JOINED_SHIFT_MS = 70.0  # by which joining two parts moves the second one's sound
RESIZED = 240  # pixels wide: the bar code can still be read


def cut(source: Path, mode: str, asked: Range, folder: Path, **output: object) -> Cut:
    """The clip as a job makes it. Raises a JobError."""
    spec = ClipSpec(
        Source(url="http://x"), asked.start, asked.end, mode, Output(**output)  # type: ignore[arg-type]
    )  # fmt: skip
    return made_clip(plan_clip(spec, probed(source)), source, runner_in(folder))


def timed(case: Case, source: Path) -> list[Shown]:
    """The pictures of a source, at the times that its container gives them; AVI's are counted."""
    with av.open(str(source)) as container:
        video = next(it for it in container.streams.video if not _is_other(it))
        packets = [it for it in container.demux(video) if it.size and not it.is_discard]
        avi = container.format.name == "avi"
        ticks = sorted(it.dts if avi else it.pts for it in packets)
        zero = 0 if avi else (container.start_time or 0) / av.time_base
        assert len(ticks) == len(case.shown), f"{len(ticks)} packets, {len(case.shown)} pictures"
        times = [float(tick * video.time_base) - zero for tick in ticks]
    return [Shown(it.number, time) for it, time in zip(case.shown, times, strict=True)]


def _is_other(stream: VideoStream) -> bool:
    """Whether a track is there to be left alone: none of its pictures has a number."""
    several = len(stream.container.streams.video) > 1
    return several and not stream.disposition & Disposition.default


def judged(
    case: Case, mode: str, media: Path, work: Path, places: Sequence[str] | None = None
) -> list[tuple[Range, str]]:
    """Cuts of a case in one mode, each with "right", an error's code or what is wrong.

    At the places of these names, or at all.
    """
    case = replace(case, shown=timed(case, case.file(media)))
    found = []
    for number, asked in enumerate(ranges(case)):
        if places is not None and asked.name not in places:
            continue
        folder = work / str(number)
        folder.mkdir()
        found.append((asked, _one(case, mode, asked, media, folder)))
    return found


def _one(case: Case, mode: str, asked: Range, media: Path, folder: Path) -> str:
    output = {"width": RESIZED} if mode == "resized" else {}
    try:
        clip = cut(case.file(media), "auto" if output else mode, asked, folder, **output)
    except JobError as error:
        return f"refused: {error.code}: {error.message}"
    if mode == "copy":
        return _judged_copy(case, asked, clip)
    want, got = wanted(case, asked), pictures(clip.path)
    if not want:
        return RIGHT if not got and clip.facts.audio and clip.warnings else "pictures from nowhere"
    faults = faults_of_pictures(want, got)
    if clip.values["frames"] != len(got):
        faults.append(f"the result says {clip.values['frames']} frames")
    start, zero = clip.values["actual_start"], want[0].time - got[0].time
    if abs(start - zero) > 0.005:
        faults.append(f"actual_start {start:.3f} instead of {zero:.3f}")
    end = max(case.shown[-1].time + 1 / FPS, SECONDS)
    if case.timed_end and (fault := fault_of_length(clip.path, zero, min(asked.end, end))):
        faults.append(fault)
    if case.sound:
        source = base_video(media) if case.sound_is_base else case.file(media)
        joint = SECONDS / 2 if case.sound_is_base else None
        shift = JOINED_SHIFT_MS if case.sound_is_base else SOUND_SHIFT_MS
        faults += faults_of_sound(source, clip.path, zero, asked.end, shift, joint)
    return "; ".join(faults) or RIGHT


def _judged_copy(case: Case, asked: Range, clip: Cut) -> str:
    """A copy begins at a keyframe at or before the start, says where, and has all until the end."""
    got, start = pictures(clip.path), clip.values["actual_start"]
    if not got:
        none_due = not any(it.time < asked.end for it in case.shown)
        return RIGHT if none_due and clip.facts.audio and clip.warnings else "no pictures"
    by_number = {it.number: it.time for it in case.shown}
    first = by_number.get(got[0].number)
    if first is None:
        return f"the first picture is {got[0].number}"
    if abs(first - got[0].time - start) > 0.005:
        return f"actual_start {start:.3f} instead of {first - got[0].time:.3f}"
    if first > max(asked.start, case.shown[0].time) + 0.001:
        return f"begins at {first:.3f}, after the start"
    due = [it.number for it in case.shown if first <= it.time < asked.end - 0.0005]
    found = [it.number for it in got]
    missing = sorted(set(due) - set(found))
    if missing or found != sorted(found):
        return f"pictures {missing[:5]} missing of {len(due)}, or out of order"
    return RIGHT
