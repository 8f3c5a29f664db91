"""Program: where in its source a copy begins, found by the bytes of its first picture.

Spec: {"source": path, "clip": path, "at": seconds}. Result: {"seconds": when the keyframe shows}.
"""

from math import floor
from pathlib import Path
from typing import Any

from av.container import InputContainer
from av.video.stream import VideoStream

from tasks.errors import NoSuchStream
from worker.pyav.index import seek_before, video_packets
from worker.pyav.opening import open_source
from worker.pyav.packets import VideoPacket
from worker.pyav.probe import main_video
from worker.pyav.protocol import serve
from worker.pyav.reading import window_of
from worker.pyav.window import GRACE_SECONDS, Window, seconds

# How far before the asked start to look, one after the other; FFmpeg may have gone back further
# than needed.
BACK_SECONDS = (0.0, 12.0, 60.0, 600.0)
# Muxers rewrite how a packet begins, and pad its end, but not this.
COMPARED_BYTES = 512


def main(spec: dict[str, Any]) -> dict[str, Any]:
    """Find the keyframe of `spec["source"]`, at or before `spec["at"]`, that the clip begins with.

    Raises NoSuchStream when the clip begins with no such keyframe.
    """
    mark = _first_picture(str(Path(spec["clip"]).absolute()))
    with open_source(str(Path(spec["source"]).absolute())) as container:
        return {"seconds": _place_of(mark, container, float(spec["at"]))}


def _first_picture(path: str) -> bytes:
    with open_source(path) as container:
        for packet in video_packets(container, _video(container)):
            return _mark(packet)
    raise NoSuchStream("the copy has no picture")


def _mark(packet: VideoPacket) -> bytes:
    return bytes(packet).rstrip(b"\0")[-COMPARED_BYTES:]


def _place_of(mark: bytes, container: InputContainer, at: float) -> float:
    video = _video(container)
    assert video.time_base is not None
    window = window_of(container, video.time_base, seconds(at), seconds(at + 1))
    for back in BACK_SECONDS:
        found = _latest(mark, container, video, window, back)
        if found is not None:
            return max(0.0, float(window.time(found)))
    raise NoSuchStream(
        "the source cannot be copied from a keyframe at or before the start; "
        "mode auto cuts it exactly"
    )


def _latest(
    mark: bytes, container: InputContainer, video: VideoStream, window: Window, back: float
) -> int | None:
    seek_before(container, video, window, back)
    found, last = None, _last_ticks(window)
    for packet in video_packets(container, video):
        now = packet.pts if packet.dts is None else packet.dts
        if now is not None and now > last and packet.is_keyframe:
            break
        if packet.pts is None or packet.pts > last:
            continue
        if packet.is_keyframe and _mark(packet) == mark:
            found = packet.pts
    return found


def _last_ticks(window: Window) -> int:
    """The highest pts at or before the start."""
    return floor((window.start + GRACE_SECONDS + window.zero) / window.time_base)


def _video(container: InputContainer) -> VideoStream:
    video = main_video(container)
    if video is None:
        raise NoSuchStream("the source has no video")
    return video


if __name__ == "__main__":
    serve(main)
