"""Comparing pictures of the clip with those that were taken from its source."""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from fractions import Fraction

import av
from av import VideoFrame
from av.container import InputContainer
from av.filter import Graph
from av.video.stream import VideoStream

from worker.pyav.compare.record import scaled

LEAST_PSNR = 20.0  # in dB; even a draft of noise is better, and another picture is worse
CLOSER_BY = 1.0  # dB by which a neighbour must be closer to count as another picture
_TIME_BASE = Fraction(1, 25)
Run = tuple[int, int]  # positions of packets: from a key packet on, up to


def decoded_runs(
    container: InputContainer,
    video: VideoStream,
    runs: Iterable[Run],
    see: Callable[[VideoFrame], None],
) -> Iterator[tuple[Run, bool]]:
    """Each run of packets, and whether all its pictures are whole; `see` gets each of them."""
    context = video.codec_context
    context.thread_count = 1
    context.options = {"err_detect": "explode"}
    waiting = iter(sorted(runs))
    run, is_whole = next(waiting, None), True
    for position, packet in enumerate(it for it in container.demux(video) if it.size):
        if run is None:
            return
        if position < run[0]:
            continue
        is_last = position == run[1] - 1
        for piece in (packet, None) if is_last else (packet,):
            try:
                frames = context.decode(piece) if is_whole else []
            except av.FFmpegError:
                frames, is_whole = [], False
            for frame in frames:
                is_whole = is_whole and not frame.is_corrupt
                see(frame)
        if is_last:
            yield run, is_whole
            context.flush_buffers()
            run, is_whole = next(waiting, None), True


def compared(
    wanted: Mapping[int, VideoFrame], found: Mapping[int, VideoFrame]
) -> tuple[dict[int, float], int | None]:
    """PSNR in dB of each sample that is in both, and the first that is another one, if any.

    A picture is another one when it is far from its own in the source, or when it is closer to
    that picture's neighbour.
    """
    ratios: dict[int, float] = {}
    for place, own in found.items():
        due = wanted[place]
        if (own.width, own.height) != (due.width, due.height):  # the source changes its size
            due = scaled(due, own.width, own.height)
        ratios[place] = psnr(due, own)
        beside = [wanted[it] for it in (place - 1, place + 1) if it in wanted]
        closest = max((psnr(it, own) for it in beside), default=-math.inf)
        if ratios[place] < LEAST_PSNR or closest > ratios[place] + CLOSER_BY:
            return ratios, place
    return ratios, None


def psnr(left: VideoFrame, right: VideoFrame) -> float:
    """Between two samples, in dB; infinite for equal ones, 0 for other sizes."""
    if (left.width, left.height) != (right.width, right.height):
        return 0.0
    graph = Graph()
    graph.threads = 1
    measure = graph.add("psnr")
    for at, frame in enumerate((left, right)):
        source = graph.add_buffer(
            width=frame.width, height=frame.height, format=frame.format, time_base=_TIME_BASE
        )
        source.link_to(measure, 0, at)
    measure.link_to(graph.add("buffersink"))
    graph.configure()
    for at, frame in enumerate((left, right)):
        frame.pts, frame.time_base = 0, _TIME_BASE
        graph.push(frame, at=at)
    answer = graph.pull()
    assert isinstance(answer, VideoFrame)
    return float(answer.metadata["lavfi.psnr.psnr.y"])
