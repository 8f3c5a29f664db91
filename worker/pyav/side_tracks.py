"""What a clip has beside pictures and sound: subtitles and chapters, at the clip's own time."""

from fractions import Fraction
from typing import Any

from av.container import InputContainer

from worker.clip.containers import CONTAINERS
from worker.pyav.clip_writer import TEXT_TICK as TICK
from worker.pyav.clip_writer import ClipWriter
from worker.pyav.subtitles import encoded, one_at_a_time, read_subtitles

STYLED = "ass"  # its styles survive only in Matroska


def write_side_tracks(
    source: InputContainer,
    path: str,
    subtitles: tuple[int, ...],
    begin: Fraction,
    end: Fraction,
    writer: ClipWriter,
    container: str,
) -> list[str]:
    """Write what lies between two times of the source, open and at `path`; returns warnings.

    `subtitles` are the indexes of its streams. To be called before the writer starts.
    """
    row = CONTAINERS[container]
    if row.chapters:
        writer.set_chapters(_chapters(source, begin, end))
    tracks, warnings = read_subtitles(path, subtitles, begin, end)
    for track in tracks:
        assert row.subtitle_encoder is not None
        keeps_style = track.codec == STYLED and row.subtitle_encoder == "subrip"
        codec = STYLED if keeps_style else row.subtitle_encoder
        stream = writer.subtitles(codec, track.header, track.tags, default=track.default)
        overlapping = codec != "mov_text"
        for cue in track.cues if overlapping else one_at_a_time(track.cues):
            writer.write(encoded(stream.codec_context, cue), stream)
    return warnings


def _chapters(container: InputContainer, begin: Fraction, end: Fraction) -> list[Any]:
    """The chapters between two times of the source, as PyAV's writer takes them."""
    found: list[Any] = []
    for chapter in container.chapters():
        base = chapter["time_base"] or Fraction(1)
        first = round((max(chapter["start"] * base, begin) - begin) / TICK)
        past = round((min(chapter["end"] * base, end) - begin) / TICK)
        if first < past:
            times = {"start": first, "end": past, "time_base": TICK}
            title = {k: v for k, v in chapter["metadata"].items() if k == "title"}
            found.append({"id": len(found) + 1, **times, "metadata": title})
    return found
