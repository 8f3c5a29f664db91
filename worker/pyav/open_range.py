"""The source opened, and its range found."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from fractions import Fraction
from math import floor

from av.audio.stream import AudioStream
from av.container import InputContainer
from av.video.stream import VideoStream

from tasks.errors import CorruptMedia, RangeOutsideMedia
from worker.clip.strategy import Mode
from worker.pyav.index import Index, read_index, seek_before
from worker.pyav.joining import copying_of, joints_of
from worker.pyav.opening import open_source, refuse_huge_pictures
from worker.pyav.packets import packets_of
from worker.pyav.probe import main_video, playable_audio
from worker.pyav.reading import window_of
from worker.pyav.request import CutRequest
from worker.pyav.window import STILL_SECONDS, Window


class NoVideo(Exception):
    """There is sound alone, in the source or in the range; the text is a warning, or empty."""


@dataclass(frozen=True, slots=True)
class Source:
    """The open source and where its range lies."""

    container: InputContainer
    video: VideoStream
    audio: list[AudioStream]
    window: Window
    index: Index
    wanted: list[int]  # in the order of showing
    last_length: int  # for how long the clip shows the last of them, in ticks

    @property
    def origin(self) -> Fraction:
        """The moment of the source that becomes the clip's zero: the first picture's.

        The asked start, where that picture has been on display before, or comes so late that the
        sound before it is kept.
        """
        shown = self.window.on_display is not None or self.begins_late
        start = self.window.start if shown else self.window.time(self.wanted[0])
        return self.window.zero + start

    @property
    def begins_late(self) -> bool:
        """Whether the range begins with a time without a picture that is long enough to keep."""
        return self.window.time(self.wanted[0]) - self.window.start > STILL_SECONDS

    @property
    def origin_ticks(self) -> int:
        """`origin` in the pictures' ticks."""
        return round(self.origin / self.window.time_base)

    def placed(self, pts: int) -> int:
        """When a picture begins in the clip, in ticks; the one on display begins with the clip."""
        return max(0, pts - self.origin_ticks)


@contextmanager
def opened_range(request: CutRequest, at_least_back: float = 0.0) -> Iterator[Source]:
    """The source and its range, as `open_range` finds it, until the context ends."""
    with open_source(request.source) as container:
        source = open_range(container, request, at_least_back)
        if not source.begins_late:
            yield source
            return
        place = source.video.index
    # No seek leads to sound that lies before the first keyframe in the file.
    with open_source(request.source) as fresh:
        video = _prepared(fresh.streams.video, place, request)
        sounds = chosen_sounds(fresh, request)
        index = replace(source.index, back_seconds=None)
        yield replace(source, container=fresh, video=video, audio=sounds, index=index)


def _prepared(streams: Iterable[VideoStream], index: int, request: CutRequest) -> VideoStream:
    video = next(it for it in streams if it.index == index)
    video.codec_context.thread_count = request.threads
    video.codec_context.thread_type = "AUTO"
    return video


def open_range(container: InputContainer, request: CutRequest, at_least_back: float = 0) -> Source:
    """Find the range. Raises NoVideo, RangeOutsideMedia, CorruptMedia, TooLarge."""
    chosen = _chosen_video(container, request)
    if chosen is None:
        raise NoVideo
    video = _prepared(container.streams.video, chosen.index, request)
    assert video.time_base is not None
    refuse_huge_pictures(video.codec_context.width, video.codec_context.height)
    window = window_of(container, video.time_base, request.start, request.end)
    joints = copying_of(video).joints if request.mode == Mode.COPY else joints_of(video)
    index = read_index(container, video, window, joints, at_least_back)
    if not index.records:
        raise CorruptMedia("the file's video has no usable timestamps")
    end = _end_of_pictures(container, video, index, window)
    window = _with_display(index, window, end)
    wanted = index.wanted(window)
    sounds = chosen_sounds(container, request)
    if not wanted:
        raise _no_picture(index, window, sounds)
    length = _length(wanted[-1], index, window, end)
    return Source(container, video, sounds, window, index, wanted, length)


def _end_of_pictures(
    container: InputContainer, video: VideoStream, index: Index, window: Window
) -> int:
    """When the last picture that was read is gone, in ticks.

    The media's last picture stays until the sound ends as well, where that is clearly later.
    """
    end = index.shown_until(max(record.pts for record in index.records))
    if not index.ended or window.end_ticks <= end:
        return end
    seek_before(container, video, window, index.back_seconds)
    ends = [
        (packet.pts + (packet.duration or 0)) * packet.time_base
        for packet in packets_of(container, playable_audio(container))
        if packet.pts is not None
    ]
    sounding = floor(max(ends, default=Fraction(0)) / window.time_base)
    return sounding if (sounding - end) * window.time_base > STILL_SECONDS else end


def _with_display(index: Index, window: Window, end: int) -> Window:
    """The window with the picture that is on display at the start, if it belongs to the clip."""
    inside = index.wanted(window)
    if inside and window.time(inside[0]) - window.start <= STILL_SECONDS:
        return window
    before = index.last_before(window.first)
    if before is None or (not inside and index.ended and end <= window.start_ticks):
        return window
    return replace(window, on_display=before)


def _length(last: int, index: Index, window: Window, end: int) -> int:
    """For how long the clip shows its last picture, in ticks; a still ends with the range."""
    begin = max(last, window.start_ticks) if last == window.on_display else last
    until = end if index.last_before(end) == last else index.shown_until(last)
    if (until - begin) * window.time_base > STILL_SECONDS:
        until = min(until, window.end_ticks)
    return max(1, until - begin)


def chosen_sounds(container: InputContainer, request: CutRequest) -> list[AudioStream]:
    """The sound tracks that the clip gets."""
    if request.sounds is not None:
        return [it for it in container.streams.audio if it.index in request.sounds]
    return playable_audio(container) if request.output.audio == "keep" else []


def _chosen_video(container: InputContainer, request: CutRequest) -> VideoStream | None:
    if request.video is None:
        return main_video(container)
    return next(it for it in container.streams.video if it.index == request.video)


def _no_picture(index: Index, window: Window, sounds: list[AudioStream]) -> Exception:
    """Why the range has no picture: it ends before the first one, or begins after the last."""
    begin = min(window.time(record.pts) for record in index.records)
    last = max(window.time(record.pts) for record in index.records)
    if last < window.start:
        return RangeOutsideMedia(
            f"the start, {float(window.start):.3f} s, is past the end of the media; "
            f"its last frame is at {float(last):.3f} s"
        )
    first_shown = f"the first picture is shown at {float(begin):.3f} s"
    if sounds:
        return NoVideo(f"{first_shown}; the clip has sound alone")
    return RangeOutsideMedia(f"no picture lies in the range; {first_shown}")
