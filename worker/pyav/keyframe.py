"""Program: when the keyframe at or before a moment is shown, by the container's index.

Spec: {"source": path, "at": seconds}. Result: {"seconds": moment of the keyframe}.
"""

from pathlib import Path
from typing import Any

import av
from av.container import InputContainer

from tasks.errors import NoSuchStream
from worker.pyav.opening import open_source
from worker.pyav.probe import main_video
from worker.pyav.protocol import serve


def main(spec: dict[str, Any]) -> dict[str, Any]:
    """Find the keyframe of `spec["source"]` that a copy from `spec["at"]` begins with."""
    with open_source(str(Path(spec["source"]).absolute())) as container:
        return {"seconds": _keyframe_before(container, float(spec["at"]))}


def _keyframe_before(container: InputContainer, at: float) -> float:
    video = main_video(container)
    if video is None:
        raise NoSuchStream("the source has no video")
    zero = container.start_time or 0
    container.seek(zero + round(at * av.time_base), backward=True)
    for packet in container.demux(video):
        if packet.size and packet.is_keyframe and packet.pts is not None:
            assert packet.time_base is not None
            return max(0.0, float(packet.pts * packet.time_base) - zero / av.time_base)
    return max(0.0, at)


if __name__ == "__main__":
    serve(main)
