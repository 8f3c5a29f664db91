"""Comparing pictures that were turned, cut and resized with those that they were made of."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from av import VideoFrame
from av.filter import Graph

from worker.pyav.compare.correlation import correlation, spread

SIDE = 48  # pixels; what is left of a picture is enough to tell it from another
LEAST_CONTRAST = 3.0
TURNS = {90: ("transpose=clock",), 180: ("hflip", "vflip"), 270: ("transpose=cclock",)}
Steps = Sequence[str]
_TIME_BASE = Fraction(1, 25)


def likeness(own: bytes, due: bytes) -> float | None:
    """How alike two small pictures are, up to 1; None where there is no contrast."""
    return None if spread(due) < LEAST_CONTRAST else correlation(own, due)


def cropped(size: tuple[int, int] | None) -> Steps:
    """The middle of a picture, of that size."""
    return () if size is None else (f"crop={size[0]}:{size[1]}",)


def small_picture(frame: VideoFrame, steps: Steps) -> bytes:
    """The rows of the grey picture of SIDE by SIDE pixels that these filters make."""
    graph = Graph()
    graph.threads = 1
    node = graph.add_buffer(
        width=frame.width, height=frame.height, format=frame.format, time_base=_TIME_BASE
    )
    for step in (*steps, f"scale={SIDE}:{SIDE}:flags=area", "format=gray"):
        name, _, arguments = step.partition("=")
        following = graph.add(name, arguments)
        node.link_to(following)
        node = following
    node.link_to(graph.add("buffersink"))
    graph.configure()
    frame.pts, frame.time_base = 0, _TIME_BASE
    graph.push(frame)
    small = graph.pull()
    assert isinstance(small, VideoFrame)
    plane = small.planes[0]
    rows = bytes(plane)
    return b"".join(rows[at * plane.line_size :][:SIDE] for at in range(SIDE))
