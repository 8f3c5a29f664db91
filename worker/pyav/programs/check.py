"""Program: check a clip that FFmpeg's command made, and report what it holds.

Spec: {"source": path of the clip, "original": see `Original`, or None}. Result: {"facts":
MediaFacts, "frames", "begins_with_key", "compared": how many pictures were compared}.
"""

import gc
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from av.container import InputContainer

from tasks.errors import JobError, ToolFailed
from worker.clip.strategy import Mode
from worker.pyav.bitstream.hdr import BrightnessNotes
from worker.pyav.compare.record import Record
from worker.pyav.compare.shapes import TURNS, Steps, cropped, likeness, small_picture
from worker.pyav.full_encode import pictures_of_range
from worker.pyav.index import seek_before, video_packets
from worker.pyav.open_range import opened_range
from worker.pyav.opening import open_source
from worker.pyav.probe import facts_of_file, main_video
from worker.pyav.request import CutRequest
from worker.pyav.serving import serve
from worker.pyav.window import seconds

LEAST_LIKENESS = 0.9
MOMENT = seconds(0.001)
NEXT_FRAME_SECONDS = 0.05


@dataclass(frozen=True)
class Original:
    """What the clip was made of: the source's path, its stream of pictures, and how they changed.

    `zero` is the source's time at the clip's zero, in seconds. `crop` is the part of the turned
    source that the clip shows, `inner` the part of the clip that shows it. `every` tells that each
    picture of the clip begins when one of the source does, so that any can be compared. `later` is
    how much later, in seconds, the source may have shown what the clip shows. `texts` is when the
    clip shows texts that are drawn into its pictures.
    """

    path: str
    video: int
    zero: float
    rotation: int
    crop: tuple[int, int] | None
    inner: tuple[int, int] | None
    every: bool
    later: tuple[float, ...] = ()
    texts: tuple[tuple[float, float], ...] = ()

    def is_drawn_on(self, moment: float) -> bool:
        """Whether a text may be in the clip's picture of this time, a frame more or less."""
        near = 2 * NEXT_FRAME_SECONDS
        return any(begin - near < moment < end + near for begin, end in self.texts)


def main(spec: dict[str, Any]) -> dict[str, Any]:
    """Check `spec["source"]`. Raises ToolFailed where it shows another picture than the source."""
    path = str(Path(spec["source"]).absolute())
    facts = facts_of_file(path).to_dict()
    with open_source(path) as container:
        keys, times = _pictures_of(container)
    original = Original(**spec["original"]) if spec.get("original") else None
    compared = 0 if original is None or not times else _compare(path, times, original)
    found = {"frames": len(keys), "begins_with_key": keys[:1] == [True] or not keys}
    return {"facts": facts, "compared": compared, **found}


def _pictures_of(container: InputContainer) -> tuple[list[bool], list[float]]:
    """Which packets are keys, and when pictures are shown, as a player counts."""
    video = main_video(container)
    if video is None:
        return [], []
    zero = (container.start_time or 0) / 1_000_000
    packets = [packet for packet in container.demux(video) if packet.size]
    shown = [float(it.pts * it.time_base) - zero for it in packets if it.pts is not None]
    return [packet.is_keyframe for packet in packets], sorted(shown)


def _compare(path: str, times: list[float], original: Original) -> int:
    """How many pictures were compared: the first, and one in the middle and the last."""
    last = len(times) - 1
    turned = (*TURNS.get(original.rotation, ()), *cropped(original.crop))
    compared = 0
    places = [place for place, at in enumerate(times) if not original.is_drawn_on(at)]
    for place in _some_of(places, last) if original.every else places[:1]:
        own = _picture_at(path, None, times[place], cropped(original.inner))
        likes = own and list(_likes(own, original, original.zero + times[place], turned))
        if not likes:
            continue
        if max(likes) < LEAST_LIKENESS:
            raise ToolFailed(
                f"the clip did not pass its check: picture {place} is not that of the source"
            )
        compared += 1
    return compared


def _some_of(places: list[int], last: int) -> list[int]:
    """The first, the middle one and the last of all, or those nearest to them."""
    wanted = (0, last // 2, last) if places else ()
    return sorted({min(places, key=lambda it: abs(it - one)) for one in wanted})


def _likes(own: bytes, original: Original, moment: float, steps: Steps) -> Iterator[float]:
    """How alike the clip's picture is to what the source shows then; at another rate, to what it
    shows until half of a picture later, since the nearest one was taken."""
    for later in (0.0, *original.later):
        due = _picture_at(original.path, original.video, moment + later, steps)
        like = None if due is None else likeness(own, due)
        if like is not None:
            yield like
            if like >= LEAST_LIKENESS:
                return


def _picture_at(path: str, video: int | None, moment: float, steps: Steps) -> bytes | None:
    """The picture that a player shows at a time, made small; None where none can be decoded without
    an error: what is shown instead differs from one decoder to the next."""
    gc.collect()  # the decoder of the picture before is free by now
    start = seconds(max(0.0, moment))
    request = CutRequest(path, "", start, start + MOMENT, Mode.ENCODE, video=video, sounds=())
    record = Record()
    try:
        with opened_range(request) as source:
            source.video.codec_context.options = {"err_detect": "explode"}
            seek_before(source.container, source.video, source.window, source.index.back_seconds)
            packets = video_packets(source.container, source.video)
            pictures = pictures_of_range(
                source.video,
                packets,
                source.index,
                source.window,
                BrightnessNotes(),
                record,
                strict=False,
            )
            found = next(pictures, None)
            return None if record.errors or found is None else small_picture(found, steps)
    except JobError:
        return None


if __name__ == "__main__":
    serve(main)
