"""Program: write a finished clip anew with the subtitles and chapters of its source.

Spec: {"clip": path, "target": path, "container", "source": path, "subtitles": indexes of streams,
"start": seconds, "end": seconds}. Result: {"warnings": list of texts}.
"""

from fractions import Fraction
from typing import Any

import av

from worker.pyav.clip_writer import ClipWriter
from worker.pyav.opening import open_source
from worker.pyav.packets import packets_of
from worker.pyav.serving import serve
from worker.pyav.side_tracks import write_side_tracks
from worker.pyav.window import seconds


def main(spec: dict[str, Any]) -> dict[str, Any]:
    """Write `spec["target"]`."""
    with (
        open_source(spec["source"]) as source,
        open_source(spec["clip"]) as clip,
        ClipWriter(spec["target"], spec["container"]) as writer,
    ):
        streams = {it.index: writer.copy_stream(it) for it in clip.streams}
        zero = Fraction(source.start_time or 0, av.time_base)
        begin, end = zero + seconds(spec["start"]), zero + seconds(spec["end"])
        texts = tuple(spec["subtitles"])
        warnings = write_side_tracks(
            source, spec["source"], texts, begin, end, writer, spec["container"]
        )
        writer.start()
        for packet in packets_of(clip, list(clip.streams)):
            writer.write(packet, streams[packet.stream_index])
    return {"warnings": warnings}


if __name__ == "__main__":
    serve(main)
