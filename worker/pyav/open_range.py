"""The source opened, and its range found."""

from dataclasses import dataclass
from fractions import Fraction

from av.audio.stream import AudioStream
from av.container import InputContainer
from av.video.stream import VideoStream

from tasks.errors import CorruptMedia, JobError, RangeOutsideMedia
from worker.pyav.index import Index, read_index
from worker.pyav.joining import joints_of
from worker.pyav.opening import refuse_huge_pictures
from worker.pyav.probe import main_video, playable_audio
from worker.pyav.reading import window_of
from worker.pyav.request import CutRequest
from worker.pyav.window import LONGEST_FRAME_SECONDS, Window


class NoVideo(Exception):
    """The source is sound alone."""


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
        """Whether the range begins with a time without a frame that is long enough to keep."""
        gap = self.window.time(self.wanted[0]) - self.window.start
        return gap > LONGEST_FRAME_SECONDS


def open_range(container: InputContainer, request: CutRequest, at_least_back: float = 0) -> Source:
    """Find the range. Raises NoVideo, RangeOutsideMedia, CorruptMedia, TooLarge."""
    video = _chosen_video(container, request)
    if video is None:
        raise NoVideo
    assert video.time_base is not None
    refuse_huge_pictures(video.codec_context.width, video.codec_context.height)
    video.codec_context.thread_count = request.threads
    video.codec_context.thread_type = "AUTO"
    window = window_of(container, video.time_base, request.start, request.end)
    index = read_index(container, video, window, joints_of(video), at_least_back)
    wanted = index.wanted(window)
    if not wanted:
        raise _no_frame(index, window)
    return Source(container, video, chosen_sounds(container, request), window, index, wanted)


def chosen_sounds(container: InputContainer, request: CutRequest) -> list[AudioStream]:
    """The sound tracks that the clip gets."""
    if request.sounds is not None:
        return [it for it in container.streams.audio if it.index in request.sounds]
    return playable_audio(container) if request.output.audio == "keep" else []


def _chosen_video(container: InputContainer, request: CutRequest) -> VideoStream | None:
    if request.video is None:
        return main_video(container)
    return next(it for it in container.streams.video if it.index == request.video)


def _no_frame(index: Index, window: Window) -> JobError:
    if not index.records:
        return CorruptMedia("the file's video has no usable timestamps")
    last = max(window.time(record.pts) for record in index.records)
    if index.ended and last < window.start:
        return RangeOutsideMedia(
            f"the start, {float(window.start):.3f} s, is past the end of the media; "
            f"its last frame is at {float(last):.3f} s"
        )
    return RangeOutsideMedia(
        f"no frame lies between {float(window.start):.6g} s and {float(window.end):.6g} s"
    )
