"""Program: cut one frame-exact clip, copying what can be copied.

Spec: the fields of `CutRequest`. Result: `CutResult` as a dict, and the clip's `facts`.
"""

import gc
from dataclasses import asdict, dataclass
from fractions import Fraction
from typing import Any

from av.audio.stream import AudioStream
from av.container import InputContainer
from av.error import InvalidDataError
from av.video.stream import VideoStream

from tasks.errors import CorruptMedia, JobError, RangeOutsideMedia, ToolFailed
from worker.media.index import BACK_SECONDS, Index, read_index
from worker.media.joining import CannotJoin, joining_of, joints_of
from worker.media.opening import open_source, refuse_huge_pictures
from worker.media.output import ClipWriter
from worker.media.plan import SmartPlan, plan_smart
from worker.media.probe import facts_of_file, main_video, playable_audio
from worker.media.protocol import ProgressReporter, serve, write_line
from worker.media.reading import PicturesMissing, window_of
from worker.media.request import CutRequest
from worker.media.smart import LONGEST_FRAME_SECONDS, SmartCut, Timing, run_smart_cut, timing_of
from worker.media.sound import Sound, sound_of
from worker.media.soundonly import cut_sound
from worker.media.verify import Expected, fault_of
from worker.media.whole import Encoded, WholeEncode, has_true_times, is_interlaced, run_whole_encode
from worker.media.window import Window

COPIED_VIDEO = {
    "mp4": frozenset({"h264", "hevc", "vp9", "av1"}),
    "mkv": frozenset({"h264", "hevc", "vp9", "av1"}),
    "webm": frozenset({"vp9", "av1"}),
}
SOUND_CONTAINERS = frozenset({"m4a", "mp3"})
CLAMP_TOLERANCE_SECONDS = Fraction(1, 4)


@dataclass(frozen=True, slots=True)
class CutResult:
    """What was made; times are the source's media time in seconds."""

    mode: str
    mode_reason: str
    requested_start: float
    requested_end: float
    actual_start: float
    actual_end: float
    duration_seconds: float
    frames: int
    frames_encoded: int
    frames_copied: int
    warnings: tuple[str, ...] = ()
    smart_rejected: str | None = None  # a smart result that did not pass the check, and why


@dataclass(frozen=True, slots=True)
class Source:
    """The open source and where its range lies."""

    container: InputContainer
    video: VideoStream
    audio: list[AudioStream]
    window: Window
    index: Index
    wanted: list[int]

    @property
    def origin(self) -> Fraction:
        """The moment of the source that becomes the clip's zero: the first frame's."""
        gap = self.window.time(self.wanted[0]) - self.window.start
        shift = Fraction(0) if self.begins_late else gap
        return self.window.zero + self.window.start + shift

    @property
    def begins_late(self) -> bool:
        """Whether the range begins with so long a time without a frame that it is kept."""
        gap = self.window.time(self.wanted[0]) - self.window.start
        return gap > LONGEST_FRAME_SECONDS


def main(spec: dict[str, Any]) -> dict[str, Any]:
    """Make one clip, and say what the finished file holds."""
    result = asdict(cut(CutRequest.from_spec(spec)))
    return {**result, "facts": facts_of_file(spec["output"]).to_dict()}


def cut(request: CutRequest) -> CutResult:
    """Make the clip the cheapest exact way. Raises JobError."""
    if request.container in SOUND_CONTAINERS:
        return CutResult(**cut_sound(request))
    try:
        if request.mode == "encode-exact":
            return _encode(request, "the whole range was asked to be encoded")
        return _smart(request)
    except _NoVideo:
        return CutResult(**cut_sound(request))
    except CannotJoin as reason:
        return _encode(request, str(reason))
    except _Rejected as rejected:
        return _encode(request, f"the smart cut was rejected: {rejected}", str(rejected))


class _NoVideo(Exception):
    """The source is sound alone."""


class _Rejected(Exception):
    """A smart cut went wrong or did not pass the check."""


def _open(container: InputContainer, request: CutRequest, at_least_back: float = 0) -> Source:
    """Find the range. Raises RangeOutsideMedia, CorruptMedia, TooLarge."""
    video = main_video(container)
    if video is None:
        raise _NoVideo
    assert video.time_base is not None
    refuse_huge_pictures(video.codec_context.width, video.codec_context.height)
    video.codec_context.thread_count = request.threads
    video.codec_context.thread_type = "AUTO"
    window = window_of(container, video.time_base, request.start, request.end)
    index = read_index(container, video, window, joints_of(video), at_least_back)
    wanted = index.wanted(window)
    if not wanted:
        raise _no_frame(index, window)
    audio = playable_audio(container) if request.audio == "keep" else []
    return Source(container, video, audio, window, index, wanted)


def _no_frame(index: Index, window: Window) -> JobError:
    if not index.records:
        return CorruptMedia("The file's video has no usable timestamps.")
    last = max(window.time(record.pts) for record in index.records)
    if index.ended and last < window.start:
        return RangeOutsideMedia(
            f"The start, {float(window.start):.3f} s, is past the end of the media; "
            f"its last frame is at {float(last):.3f} s."
        )
    return RangeOutsideMedia(
        f"No frame lies between {float(window.start):.6g} s and {float(window.end):.6g} s."
    )


def _sounds(source: Source, request: CutRequest, writer: ClipWriter) -> dict[AudioStream, Sound]:
    start = source.origin - source.window.zero
    sounds = {}
    for stream in source.audio:
        assert stream.time_base is not None
        window = window_of(source.container, stream.time_base, start, request.end)
        sounds[stream] = sound_of(stream, request.container, window, writer)
    return sounds


def _writer(source: Source, request: CutRequest) -> ClipWriter:
    return ClipWriter(
        request.output, request.container, source.origin, begins_late=source.begins_late
    )


def _progress(request: CutRequest) -> ProgressReporter:
    return ProgressReporter(float(request.end - request.start), write_line)


def _smart(request: CutRequest) -> CutResult:
    """The smart cut, checked. Raises CannotJoin before and _Rejected after writing."""
    with open_source(request.source) as container:
        source = _open(container, request)
        plan = _plan(source, request)
        timing = _timing(source, plan)
        try:
            until = _write_smart(source, request, plan, timing)
        except (CannotJoin, JobError, MemoryError):
            raise
        except Exception as error:  # whatever goes wrong here, the full encode does without it
            raise _Rejected(f"{type(error).__name__}: {error}") from error
        result = _smart_result(source, request, plan, timing)
    gc.collect()  # codecs are freed before the check opens its own
    fault = fault_of(request.output, _expected_smart(source, plan, timing, until))
    if fault is not None:
        raise _Rejected(fault)
    return result


def _plan(source: Source, request: CutRequest) -> SmartPlan:
    """Which frames to copy. Raises CannotJoin with the reason why none."""
    codec = source.video.codec_context.codec.canonical_name
    joining_of(source.video)
    if codec not in COPIED_VIDEO[request.container]:
        raise CannotJoin(f"{codec} video does not go into {request.container}")
    if is_interlaced(source.video):
        raise CannotJoin("interlaced video is encoded as a whole")
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
    return _result(
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


def _encode(request: CutRequest, reason: str, rejected: str | None = None) -> CutResult:
    """The exact full encode, from further back each time frames are missing."""
    try:
        for back in (0.0, *BACK_SECONDS[1:]):
            try:
                return _encode_from(request, reason, rejected, back, strict=True)
            except PicturesMissing:
                continue
        # Nobody who begins to read here gets those frames; the clip begins with the next.
        return _encode_from(request, reason, rejected, 0.0, strict=False)
    except InvalidDataError as error:
        raise CorruptMedia("The range cannot be read; the file is damaged.") from error


def _encode_from(
    request: CutRequest, reason: str, rejected: str | None, back: float, *, strict: bool
) -> CutResult:
    with open_source(request.source) as container:
        source = _open(container, request, back)
        with _writer(source, request) as writer:
            whole = WholeEncode(source.video, writer, request, source.window.time_base)
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
        result = _result(
            source,
            request,
            first=made.first,
            end=end,
            mode="encode",
            reason=reason,
            frames=(made.frames, 0),
            rejected=rejected,
        )
        expected = _expected_whole(source, made, until)
    fault = fault_of(request.output, expected)
    if fault is not None:
        raise ToolFailed(f"The encoded clip did not pass its check: {fault}.")
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


def _result(
    source: Source,
    request: CutRequest,
    *,
    first: int,
    end: Fraction,
    mode: str,
    reason: str,
    frames: tuple[int, int],
    rejected: str | None = None,
) -> CutResult:
    """The result; `end` is in the clip's time, `frames` are encoded and copied."""
    window = source.window
    actual_end = end + source.origin - window.zero
    return CutResult(
        mode=mode,
        mode_reason=reason,
        requested_start=float(request.start),
        requested_end=float(request.end),
        actual_start=float(window.time(first)),
        actual_end=float(actual_end),
        duration_seconds=float(end),
        frames=sum(frames),
        frames_encoded=frames[0],
        frames_copied=frames[1],
        warnings=_warnings(source, actual_end),
        smart_rejected=rejected,
    )


def _warnings(source: Source, actual_end: Fraction) -> tuple[str, ...]:
    """What the client should know about the clip."""
    warnings = []
    end = source.window.end
    if source.index.ended and end > actual_end + CLAMP_TOLERANCE_SECONDS:
        warnings.append(
            f"The end, {float(end):.3f} s, is past the end of the media; "
            f"the clip ends at {float(actual_end):.3f} s."
        )
    if any(stream.type == "subtitle" for stream in source.container.streams):
        warnings.append("Subtitles are not kept in clips.")
    return tuple(warnings)


if __name__ == "__main__":
    serve(main)
