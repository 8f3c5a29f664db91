"""Whether a clip of a case is right: by the numbers in its pictures, and by its sound."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import av
from av.stream import Disposition

from tests.support.cases.recipes import SECONDS, Case, Shown
from tests.support.exactness import GRACE, SOUND_RATE, _best_shift, sound
from tests.support.media import frame_number

DISPLAY_GRACE = 0.1  # where no picture begins within this, the one on display comes first
LONGEST = 0.15  # of one picture or packet of sound
LEAST_LIKENESS, LEAST_OF_BASE = 0.6, 0.25
LOUDEST_SILENCE = 40
SOUND_SHIFT_MS = 25.0


@dataclass(frozen=True)
class Range:
    """What is asked for, in seconds."""

    start: float
    end: float
    name: str = ""


def ranges(case: Case) -> list[Range]:
    """The places at which cuts go wrong, for one source."""
    k = case.keyframe
    return [
        Range(k, k + 2, "on a keyframe"),
        Range(k - 0.04, k + 1.5, "one before it"),
        Range(k + 0.04, k + 2.5, "one after it"),
        Range(round(k - 1.13, 3), round(k + 1.21, 3), "around it"),
        Range(0.0, 1.3, "the beginning"),
        Range(8.9, SECONDS + 0.2, "the end"),
        Range(k + 0.6, k + 0.64, "one picture"),
        Range(k + 0.9, k + 1.1, "two tenths"),
        Range(0.4, 9.7, "nearly all"),
    ]


def wanted(case: Case, asked: Range) -> list[Shown]:
    """The pictures of an exact clip; the first may be one that began before."""
    grace = float(GRACE)
    inside = [it for it in case.shown if asked.start - grace <= it.time < asked.end - grace]
    if inside and inside[0].time <= asked.start + DISPLAY_GRACE:
        return inside
    before = [it for it in case.shown if it.time < asked.start - grace]
    if not before:
        return inside
    return [Shown(before[-1].number, asked.start), *inside]


def pictures(clip: Path) -> list[Shown]:
    """What a clip shows, counted from its own start."""
    with av.open(str(clip)) as container:
        if not container.streams.video:
            return []
        moving = [it for it in container.streams.video if it.frames != 1] or container.streams.video
        zero = (container.start_time or 0) / av.time_base
        stream = moving[0]
        stream.codec_context.thread_count = 1
        return [Shown(frame_number(it), (it.time or 0.0) - zero) for it in container.decode(stream)]


def fault_of_length(clip: Path, start: float, end: float) -> str | None:
    """Whether each track ends where the range does, give or take one picture.

    `start` is the clip's zero, `end` at most the media's.
    """
    due = end - start
    with av.open(str(clip)) as container:
        length = (container.duration or 0) / av.time_base
        if abs(length - due) > LONGEST:
            return f"it lasts {length:.2f} s instead of {due:.2f}"
        for stream in container.streams:
            ends = [
                float((it.pts + (it.duration or 0)) * it.time_base)
                for it in container.demux(stream)
                if it.pts is not None and it.size
            ]
            container.seek(0)
            if stream.type == "audio" and max(ends) > due + LONGEST:
                return f"the sound lasts {max(ends):.2f} s instead of {due:.2f}"
    return None


def faults_of_pictures(want: list[Shown], got: list[Shown]) -> list[str]:
    """What is wrong with the pictures of an exact clip."""
    numbers, found = [it.number for it in want], [it.number for it in got]
    if numbers != found:
        return [
            f"{len(found)} pictures {_brief(found)} instead of {len(numbers)} {_brief(numbers)}"
        ]
    for right, is_ in zip(want, got, strict=True):
        if abs((right.time - want[0].time) - (is_.time - got[0].time)) > 0.012:
            return [f"picture {right.number} shows at {is_.time:.3f} s"]
    return []


def _brief(numbers: list[int]) -> str:
    return f"{numbers[:3]}…{numbers[-3:]}" if len(numbers) > 8 else str(numbers)


def _is_silent(sound: Sequence[int]) -> bool:
    return max(map(abs, sound), default=0) < LOUDEST_SILENCE


def _default_track(path: Path) -> int:
    with av.open(str(path)) as container:
        tracks = container.streams.audio
        defaults = [n for n, it in enumerate(tracks) if it.disposition & Disposition.default]
    return defaults[0] if defaults else 0


def faults_of_sound(
    source: Path,
    clip: Path,
    source_time_at_zero: float,
    end: float,
    most_ms: float = SOUND_SHIFT_MS,
    joint: float | None = None,
) -> list[str]:
    """Whether the default track is the source's sound from that moment on, as FFmpeg plays it.

    What lies around a `joint`, a time of the source, is not compared.
    """
    whole, _ = sound(source, _default_track(source))
    own, _ = sound(clip, _default_track(clip))
    assert whole is not None
    if own is None:
        return ["no sound"]
    offset = round(source_time_at_zero * SOUND_RATE)
    with av.open(str(source)) as container:
        end = min(end, (container.duration or 0) / av.time_base)
    due = min(round(end * SOUND_RATE), len(whole)) - offset
    rest = whole[offset + len(own) + SOUND_RATE // 20 : offset + due]
    if len(own) < due - SOUND_RATE // 10 and not _is_silent(rest):
        return [f"{len(own) / SOUND_RATE:.2f} s of sound instead of {due / SOUND_RATE:.2f}"]
    worst = 0.0
    for at in range(SOUND_RATE // 25, min(due, len(own)) - SOUND_RATE // 4, SOUND_RATE):
        when = source_time_at_zero + at / SOUND_RATE
        if joint is not None and joint - 0.3 < when < joint + 0.1:
            continue
        around = whole[max(0, offset + at - SOUND_RATE // 25) : offset + at + SOUND_RATE // 3]
        if _is_silent(around) and _is_silent(own[at : at + SOUND_RATE // 4]):
            continue
        shift, correlation = _best_shift(whole, own, offset, at)
        if correlation < (LEAST_LIKENESS if joint is None else LEAST_OF_BASE):
            return [f"the sound at {at / SOUND_RATE:.2f} s is another ({correlation:.2f})"]
        worst = max(worst, abs(shift) * 1000 / SOUND_RATE)
    return [f"the sound is {worst:.0f} ms off"] if worst > most_ms else []
