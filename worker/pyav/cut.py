"""Program: cut one frame-exact clip, copying what can be copied.

Spec: the fields of `CutRequest`. Result: `CutResult` as a dict, and the clip's `facts`; or, where
everything must be encoded and was not asked to be, {"needs_encode": reason, "rejected": bool}: an
encode takes several times the memory, which the worker has to reserve first.
"""

import errno
import gc
from dataclasses import asdict
from fractions import Fraction
from typing import Any

import av
from av.audio.stream import AudioStream

from tasks.errors import CorruptMedia, JobError, ToolFailed
from worker.clip.containers import CONTAINERS, is_sound_alone
from worker.clip.strategy import Mode, no_smart_cut
from worker.pyav.clip_writer import ClipWriter
from worker.pyav.full_encode import Encoded, WholeEncode, run_whole_encode
from worker.pyav.index import BACK_SECONDS
from worker.pyav.joining import CannotJoin, joining_of
from worker.pyav.open_range import NoVideo, Source, open_range
from worker.pyav.opening import open_source
from worker.pyav.packets import has_true_times
from worker.pyav.probe import facts_of_file, is_interlaced
from worker.pyav.protocol import SHORTAGES, ProgressReporter, serve, write_line
from worker.pyav.reading import PicturesMissing, window_of
from worker.pyav.request import CutRequest
from worker.pyav.result import CutResult, result_of
from worker.pyav.smart import SmartCut, Timing, run_smart_cut, timing_of
from worker.pyav.smart_plan import SmartPlan, plan_smart
from worker.pyav.sound import Sound, sound_of
from worker.pyav.sound_only import cut_sound
from worker.pyav.verify import Expected, fault_of


def main(spec: dict[str, Any]) -> dict[str, Any]:
    """Make one clip, and report what the finished file holds."""
    try:
        result = asdict(cut(CutRequest.from_spec(spec)))
    except NeedsEncode as needs:
        return {"needs_encode": needs.reason, "rejected": needs.rejected}
    return {**result, "facts": facts_of_file(spec["target"]).to_dict()}


class NeedsEncode(Exception):
    """Only mode `encode` can make this clip; `rejected`: a smart cut of it failed."""

    def __init__(self, reason: str, *, rejected: bool) -> None:
        super().__init__(reason)
        self.reason = reason
        self.rejected = rejected


def cut(request: CutRequest) -> CutResult:
    """Make the clip by the cheapest exact strategy. Raises NeedsEncode, JobError, MemoryError;
    OSError where the file cannot be written."""
    try:
        return _cut(request)
    except av.FFmpegError as error:
        if error.errno == errno.ENOMEM:
            raise MemoryError from error
        if isinstance(error, FileNotFoundError) or error.errno in SHORTAGES:
            raise
        raise CorruptMedia("the range cannot be cut; the file is damaged") from error


def _cut(request: CutRequest) -> CutResult:
    if is_sound_alone(request.container):
        return CutResult(**cut_sound(request))
    try:
        if request.mode == Mode.ENCODE:
            return _encode(request)
        return _smart(request)
    except NoVideo:
        return CutResult(**cut_sound(request))
    except CannotJoin as reason:
        raise NeedsEncode(str(reason), rejected=False) from reason
    except _Rejected as rejected:
        raise NeedsEncode(f"the smart cut was rejected: {rejected}", rejected=True) from rejected


class _Rejected(Exception):
    """A smart cut failed, or did not pass the check."""


def _sounds(source: Source, request: CutRequest, writer: ClipWriter) -> dict[AudioStream, Sound]:
    start = source.origin - source.window.zero
    sounds = {}
    for stream in source.audio:
        assert stream.time_base is not None
        window = window_of(source.container, stream.time_base, start, request.end)
        sounds[stream] = sound_of(stream, request, window, writer)
    return sounds


def _writer(source: Source, request: CutRequest) -> ClipWriter:
    return ClipWriter(
        request.target, request.container, source.origin, begins_late=source.begins_late
    )


def _progress(request: CutRequest) -> ProgressReporter:
    return ProgressReporter(float(request.end - request.start), write_line)


def _smart(request: CutRequest) -> CutResult:
    """The smart cut, checked. Raises CannotJoin before and _Rejected after writing."""
    with open_source(request.source) as container:
        source = open_range(container, request)
        plan = _plan(source, request)
        timing = _timing(source, plan)
        try:
            until = _write_smart(source, request, plan, timing)
        except (CannotJoin, JobError, MemoryError):
            raise
        except Exception as error:  # a full encode does without what failed here
            if isinstance(error, OSError) and error.errno in SHORTAGES:
                raise  # but it needs the disk as well, and more memory and threads
            raise _Rejected(f"{type(error).__name__}: {error}") from error
        result = _smart_result(source, request, plan, timing)
    gc.collect()  # codecs are freed before the check opens its own
    fault = fault_of(request.target, _expected_smart(source, plan, timing, until))
    if fault is not None:
        raise _Rejected(fault)
    return result


def _plan(source: Source, request: CutRequest) -> SmartPlan:
    """Which frames to copy. Raises CannotJoin with the reason where none can be."""
    codec = source.video.codec_context.codec.canonical_name
    joining_of(source.video)
    if not CONTAINERS[request.container].takes_video(codec):
        raise CannotJoin(f"{codec} video does not go into {request.container}")
    if (reason := no_smart_cut(codec, interlaced=is_interlaced(source.video))) is not None:
        raise CannotJoin(reason)
    if not has_true_times(source.video):
        raise CannotJoin("the container does not say when its frames show")
    if source.index.trouble is not None:
        raise CannotJoin(source.index.trouble)
    plan = plan_smart(source.index.records, source.window)
    if plan is None:
        raise CannotJoin("no keyframe in the range begins a run that can be copied")
    if codec == "hevc" and (plan.head or plan.tail):
        raise CannotJoin("hevc pieces cannot be joined in a form that all players take")
    return plan


def _timing(source: Source, plan: SmartPlan) -> Timing:
    origin = round(source.origin / source.window.time_base)
    return timing_of(plan, source.index, source.window, origin)


def _write_smart(
    source: Source, request: CutRequest, plan: SmartPlan, timing: Timing
) -> tuple[Fraction, ...]:
    """Write the file; returns how far each sound track goes."""
    joining = joining_of(source.video)
    with _writer(source, request) as writer:
        smart = SmartCut(source.video, joining, plan, timing, writer, request)
        sounds = _sounds(source, request, writer)
        writer.start()
        run_smart_cut(
            source.container,
            source.video,
            smart,
            source.index,
            sounds,
            source.window,
            _progress(request),
        )
    return tuple(sound.until for sound in sounds.values())


def _expected_smart(
    source: Source, plan: SmartPlan, timing: Timing, until: tuple[Fraction, ...]
) -> Expected:
    base = source.window.time_base
    pieces = (len(plan.head), len(plan.copied), len(plan.tail))
    starts = (0, pieces[0], pieces[0] + pieces[1])
    return Expected(
        frames=len(plan.order),
        first=(min(plan.order) - timing.origin) * base,
        last=(max(plan.order) - timing.origin) * base,
        sound_until=until,
        joints=tuple(start for start, size in zip(starts, pieces, strict=True) if size),
    )


def _smart_result(
    source: Source, request: CutRequest, plan: SmartPlan, timing: Timing
) -> CutResult:
    encoded = len(plan.head) + len(plan.tail)
    return result_of(
        source,
        request,
        first=min(plan.order),
        end=timing.end * source.window.time_base,
        mode="smart",
        reason="only the frames around the cut points are encoded"
        if encoded
        else "the cut points fall where frames can be copied as they are",
        frames=(encoded, len(plan.copied)),
    )


def _encode(request: CutRequest) -> CutResult:
    """The exact full encode; each time frames are missing, again from further back."""
    for back in (0.0, *BACK_SECONDS[1:]):
        try:
            return _encode_from(request, back, strict=True)
        except PicturesMissing:
            continue
    # No position further back delivers these frames; the clip begins with the next one.
    return _encode_from(request, 0.0, strict=False)


def _encode_from(request: CutRequest, back: float, *, strict: bool) -> CutResult:
    with open_source(request.source) as container:
        source = open_range(container, request, back)
        with _writer(source, request) as writer:
            whole = WholeEncode(source.video, writer, request, source.window)
            sounds = _sounds(source, request, writer)
            made = run_whole_encode(
                container,
                source.video,
                whole,
                source.index,
                sounds,
                source.window,
                _progress(request),
                strict=strict,
            )
        until = tuple(sound.until for sound in sounds.values())
        end = made.end * source.window.time_base - source.origin
        result = result_of(
            source,
            request,
            first=made.first,
            end=end,
            mode="encode",
            reason=request.reason,
            frames=(made.frames, 0),
        )
        expected = _expected_whole(source, made, until)
    fault = fault_of(request.target, expected)
    if fault is not None:
        raise ToolFailed(f"the encoded clip did not pass its check: {fault}")
    return result


def _expected_whole(source: Source, made: Encoded, until: tuple[Fraction, ...]) -> Expected:
    base = source.window.time_base
    return Expected(
        frames=made.frames,
        first=made.first * base - source.origin,
        last=made.last * base - source.origin,
        sound_until=until,
        joints=(0,),
    )


if __name__ == "__main__":
    serve(main)
