"""Program: cut one clip: a copy, or exact, copying what can be copied.

Spec: the fields of `CutRequest`. Result: `CutResult` as a dict; or, where everything must be
encoded and was not asked to be, {"needs_encode": reason, "rejected": bool}: an encode takes several
times the memory, which the worker has to reserve first.
"""

import errno
import gc
from dataclasses import asdict, replace
from fractions import Fraction
from typing import Any, NamedTuple

import av
from av.audio.stream import AudioStream

from tasks.errors import CorruptMedia, JobError, NoSuchStream, ToolFailed
from worker.clip.containers import CONTAINERS, is_sound_alone
from worker.clip.strategy import Mode, no_smart_cut
from worker.pyav.clip_writer import ClipWriter
from worker.pyav.compare.record import Record, evenly
from worker.pyav.copying import plan_copy
from worker.pyav.full_encode import Encoded, WholeEncode, run_whole_encode
from worker.pyav.index import BACK_SECONDS
from worker.pyav.joining import CannotJoin, Joining, copying_of, joining_of
from worker.pyav.open_range import NoVideo, Source, opened_range
from worker.pyav.packets import has_true_times
from worker.pyav.probe import is_interlaced
from worker.pyav.protocol import SHORTAGES, ProgressReporter, write_line
from worker.pyav.reading import PicturesMissing, window_of
from worker.pyav.request import CutRequest
from worker.pyav.result import CutResult, result_of
from worker.pyav.serving import serve
from worker.pyav.side_tracks import write_side_tracks
from worker.pyav.smart import SmartCut, Timing, run_smart_cut, timing_of
from worker.pyav.smart_plan import SmartPlan, plan_smart
from worker.pyav.sound import Sound, SoundChanges, sound_of
from worker.pyav.sound_only import cut_sound
from worker.pyav.verify import PICTURES_OF_A_PIECE, Expected, Fault, verify

KEYS_SAMPLED = 4  # of the copied pictures; others would have to be decoded from one of these on


def main(spec: dict[str, Any]) -> dict[str, Any]:
    """Make one clip, and report what the finished file holds."""
    try:
        result = asdict(cut(CutRequest.from_spec(spec)))
    except NeedsEncode as needs:
        return {"needs_encode": needs.reason, "rejected": needs.rejected}
    return result


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
        try:
            return _cut(request)
        except SoundChanges as reason:
            if request.mode == Mode.COPY:
                raise NoSuchStream(f"the source cannot be copied: {reason}") from reason
            return _cut(replace(request, encodes_sound=True))
    except av.FFmpegError as error:
        if error.errno == errno.ENOMEM:
            raise MemoryError from error
        if isinstance(error, FileNotFoundError) or error.errno in SHORTAGES:
            raise
        raise CorruptMedia("the range cannot be cut; the file is damaged") from error


def _cut(request: CutRequest) -> CutResult:
    if is_sound_alone(request.container):
        return cut_sound(request)
    try:
        if request.mode == Mode.ENCODE:
            return _encode(request)
        if request.mode == Mode.COPY:
            return _copy(request)
        return _smart(request)
    except NoVideo as reason:
        return cut_sound(request, reason.args)
    except CannotJoin as reason:
        raise NeedsEncode(str(reason), rejected=False) from reason
    except _Rejected as rejected:
        raise NeedsEncode(f"the smart cut was rejected: {rejected}", rejected=True) from rejected


class Written(NamedTuple):
    """How far each sound track of the file goes, in seconds of the clip, and warnings."""

    sound_until: tuple[Fraction, ...]
    warnings: tuple[str, ...]


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


def _writer(source: Source, request: CutRequest, record: Record) -> ClipWriter:
    return ClipWriter(
        request.target, request.container, request.muxer, record, begins_late=source.begins_late
    )


def _progress(request: CutRequest) -> ProgressReporter:
    return ProgressReporter(float(request.end - request.start), write_line)


class Made(NamedTuple):
    """A clip that is written and not yet checked."""

    result: CutResult
    record: Record
    expected: Expected


def _copy(request: CutRequest) -> CutResult:
    """The copy, checked. Raises NoSuchStream where it would not be right."""
    return _verified(request, _made_copy(request))


def _made_copy(request: CutRequest) -> Made:
    with opened_range(request) as found:
        source, plan = plan_copy(found)
        timing = timing_of(plan, source)
        record = Record()
        joining = copying_of(source.video)
        written = _write_pieces(source, request, plan, timing, joining, record)
        result = result_of(
            source,
            request,
            end=timing.end * source.window.time_base,
            mode="copy",
            reason=request.reason,
            frames=(0, len(plan.copied)),
            warnings=written.warnings,
        )
        return Made(result, record, _expected_pieces(source, request, plan, timing, written))


def _smart(request: CutRequest) -> CutResult:
    """The smart cut, checked. Raises CannotJoin before and _Rejected after writing."""
    made = _made_smart(request)
    try:
        return _verified(request, made)
    except ToolFailed as fault:
        raise _Rejected(fault.message) from fault


def _made_smart(request: CutRequest) -> Made:
    with opened_range(request) as source:
        plan = _plan(source, request)
        timing = timing_of(plan, source)
        record = Record(chosen=_chosen(plan))
        try:
            joining = joining_of(source.video)
            written = _write_pieces(source, request, plan, timing, joining, record)
        except (CannotJoin, JobError, MemoryError, SoundChanges):
            raise
        except Exception as error:  # a full encode does without what failed here
            if isinstance(error, OSError) and error.errno in SHORTAGES:
                raise  # but it needs the disk as well, and more memory and threads
            raise _Rejected(f"{type(error).__name__}: {error}") from error
        result = _smart_result(source, request, plan, timing, written.warnings)
        return Made(result, record, _expected_pieces(source, request, plan, timing, written))


def _verified(request: CutRequest, made: Made) -> CutResult:
    """The result with what was compared. Raises ToolFailed for a clip that is not right."""
    gc.collect()  # what wrote the clip is free by now: the check opens codecs of its own
    try:
        found = verify(request.target, made.record, made.expected)
    except Fault as fault:
        raise ToolFailed(f"the clip did not pass its check: {fault}") from fault
    return made.result.verified(made.expected.due, found)


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


def _side_tracks(source: Source, request: CutRequest, writer: ClipWriter) -> tuple[str, ...]:
    end = source.window.zero + source.window.end
    return tuple(
        write_side_tracks(
            source.container,
            request.source,
            request.subtitles,
            source.origin,
            end,
            writer,
            request.container,
        )
    )


def _write_pieces(
    source: Source,
    request: CutRequest,
    plan: SmartPlan,
    timing: Timing,
    joining: Joining,
    record: Record,
) -> Written:
    """Write the file."""
    with _writer(source, request, record) as writer:
        smart = SmartCut(source.video, joining, plan, timing, writer, request)
        sounds = _sounds(source, request, writer)
        warnings = _side_tracks(source, request, writer)
        writer.start()
        run_smart_cut(source, smart, sounds, _progress(request))
    return Written(tuple(sound.until for sound in sounds.values()), warnings)


def _expected_pieces(
    source: Source, request: CutRequest, plan: SmartPlan, timing: Timing, written: Written
) -> Expected:
    base = source.window.time_base
    pieces = plan.pieces
    keys = {record.pts for record in source.index.records if record.key}
    copied = [at for at, pts in enumerate(plan.copied, pieces[1].start) if pts in keys]
    sampled = [copied[place] for place in evenly(len(copied), KEYS_SAMPLED)] if copied else []
    runs = {(piece.start, min(piece.start + PICTURES_OF_A_PIECE, piece.stop)) for piece in pieces}
    single = {(at, at + 1) for at in sampled if not any(a <= at < b for a, b in runs)}
    return Expected(
        frames=len(plan.order),
        due=len(plan.order),
        first=min(timing.pts.values()) * base,
        last=max(timing.pts.values()) * base,
        sound_until=written.sound_until,
        runs=tuple(sorted(run for run in runs | single if run[0] < run[1])),
        copied=pieces[1],
        source_video=request.source_video,
    )


def _chosen(plan: SmartPlan) -> set[int]:
    """The places of the encoded pictures that are compared: the first of each piece."""
    head, _, tail = plan.pieces
    return {place for piece in (head, tail) for place in piece[:PICTURES_OF_A_PIECE]}


def _smart_result(
    source: Source,
    request: CutRequest,
    plan: SmartPlan,
    timing: Timing,
    warnings: tuple[str, ...],
) -> CutResult:
    encoded = len(plan.head) + len(plan.tail)
    return result_of(
        source,
        request,
        end=timing.end * source.window.time_base,
        mode="smart",
        reason="only the frames around the cut points are encoded"
        if encoded
        else "the cut points fall where frames can be copied as they are",
        frames=(encoded, len(plan.copied)),
        warnings=warnings,
    )


def _encode(request: CutRequest) -> CutResult:
    """The exact full encode; each time frames are missing, again from further back."""
    return _verified(request, _made_whole(request))


def _made_whole(request: CutRequest) -> Made:
    for back in (0.0, *BACK_SECONDS[1:]):
        try:
            return _made_from(request, back, strict=True)
        except PicturesMissing:
            continue
    # No position further back delivers these pictures; the clip shows the others.
    return _made_from(request, 0.0, strict=False)


def _made_from(request: CutRequest, back: float, *, strict: bool) -> Made:
    with opened_range(request, back) as source:
        record = Record(chosen=evenly(len(source.wanted)))
        with _writer(source, request, record) as writer:
            whole = WholeEncode(source, writer, request)
            sounds = _sounds(source, request, writer)
            warnings = list(_side_tracks(source, request, writer))
            made = run_whole_encode(source, whole, sounds, _progress(request), strict=strict)
        until = tuple(sound.until for sound in sounds.values())
        missing = len(source.wanted) - made.frames
        if missing > 0:
            warnings.append(f"{missing} pictures of the range cannot be decoded and were left out")
        result = result_of(
            source,
            request,
            end=made.end * source.window.time_base,
            mode="encode",
            reason=request.reason,
            frames=(made.frames, 0),
            warnings=tuple(warnings),
        )
        return Made(result, record, _expected_whole(source, request, made, until))


def _expected_whole(
    source: Source, request: CutRequest, made: Encoded, until: tuple[Fraction, ...]
) -> Expected:
    base = source.window.time_base
    return Expected(
        frames=made.frames,
        due=len(source.wanted),
        first=made.first * base,
        last=made.last * base,
        sound_until=until,
        runs=((0, made.frames),),
        source_video=request.source_video,
    )


if __name__ == "__main__":
    serve(main)
