"""Program: which pictures lie in a range, without decoding one.

Spec: {"source": path, "video": index of the stream, "sounds": indexes, "start": seconds, "end":
seconds}. Result: the fields of `worker.clip.plan.Pictures`, or {"none": why there is sound alone}.
"""

from typing import Any

from worker.clip.strategy import Mode
from worker.pyav.open_range import NoVideo, Source, opened_range
from worker.pyav.request import CutRequest
from worker.pyav.serving import serve


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
        "count": len(source.wanted),
        "first": float(window.time(source.wanted[0])),
        "zero": float(zero),
        "last": float(last * window.time_base),
        "trouble": source.index.trouble,
        "end": float((last + source.last_length) * window.time_base),
    }


if __name__ == "__main__":
    serve(main)
