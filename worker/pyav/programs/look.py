"""Program: which pictures lie in a range, without decoding one.

Spec: {"source": path, "video": index of the stream, "sounds": indexes, "start": seconds, "end":
seconds}. Result: the fields of `worker.clip.plan.Pictures`, or {"none": why there is sound alone}.
"""

from fractions import Fraction
from typing import Any

from worker.clip.strategy import Mode
from worker.pyav.index import seek_before
from worker.pyav.open_range import NoVideo, Source, opened_range
from worker.pyav.packets import packets_of
from worker.pyav.request import CutRequest
from worker.pyav.serving import serve
from worker.pyav.sound import JITTER


def main(spec: dict[str, Any]) -> dict[str, Any]:
    """Look at a range. Raises RangeOutsideMedia where it has nothing."""
    request = CutRequest.from_spec({**spec, "target": "", "mode": Mode.ENCODE})
    try:
        with opened_range(request) as source:
            return _pictures(source)
    except NoVideo as reason:
        return {"none": str(reason)}


def _pictures(source: Source) -> dict[str, Any]:
    window, last = source.window, source.placed(source.wanted[-1])
    zero = source.origin - window.zero
    return {
        "overlaps": _overlaps(source),
        "count": len(source.wanted),
        "first": float(window.time(source.wanted[0])),
        "zero": float(zero),
        "last": float(last * window.time_base),
        "trouble": source.index.trouble,
        "end": float((last + source.last_length) * window.time_base),
    }


def _overlaps(source: Source) -> int:
    """How many packets of sound begin before the one before them has ended."""
    if not source.audio:
        return 0
    window, index = source.window, source.index
    seek_before(source.container, source.video, window, index.back_seconds)
    last = window.zero + window.end
    ends: dict[int, Fraction] = {}
    found = 0
    for packet in packets_of(source.container, [source.video, *source.audio]):
        if packet.pts is None:
            continue
        begin = packet.pts * packet.time_base
        if packet.stream_index != source.video.index:
            found += begin < ends.get(packet.stream_index, begin) - JITTER
            ends[packet.stream_index] = begin + (packet.duration or 0) * packet.time_base
        elif packet.dts is not None and packet.dts * packet.time_base > last:
            break
    return found


if __name__ == "__main__":
    serve(main)
