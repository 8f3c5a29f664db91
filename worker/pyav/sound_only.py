"""A clip of sound alone."""

from fractions import Fraction

import av
from av.container import InputContainer

from tasks.errors import NoSuchStream, RangeOutsideMedia, ToolFailed
from worker.clip.strategy import Mode
from worker.pyav.clip_writer import ClipWriter
from worker.pyav.compare.record import Record
from worker.pyav.open_range import chosen_sounds
from worker.pyav.opening import open_source
from worker.pyav.reading import sounding_packets, window_of
from worker.pyav.request import CutRequest
from worker.pyav.result import CutResult
from worker.pyav.side_tracks import write_side_tracks
from worker.pyav.sound import Sound, is_copied, sound_of
from worker.pyav.verify import Expected, Fault, verify

UNTIMED = frozenset({"mp3"})
LEAD_IN_SECONDS = Fraction(1, 2)


def cut_sound(request: CutRequest, warnings: tuple[str, ...] = ()) -> CutResult:
    """Make the clip. Raises JobError."""
    record = Record()
    with open_source(request.source) as container:
        all_copied, sounds = _write(container, request, record)
    until = tuple(sound.until for sound in sounds)
    if max(until) <= 0:
        raise RangeOutsideMedia("no sound lies in the range; it may be past the media's end")
    timed = request.container not in UNTIMED
    expected = Expected(0, 0, Fraction(0), Fraction(0), until, times_are_kept=timed)
    try:
        found = verify(request.target, record, expected)
    except Fault as fault:
        raise ToolFailed(f"the clip did not pass its check: {fault}") from fault
    end = min(request.end, request.start + max(until))
    result = CutResult(
        *_mode(request, all_copied),
        requested_start=float(request.start),
        requested_end=float(request.end),
        actual_start=float(request.start),
        actual_end=float(end),
        duration_seconds=float(end - request.start),
        frames=0,
        frames_encoded=0,
        frames_copied=0,
        warnings=warnings,
    )
    return result.verified(0, found)


def _mode(request: CutRequest, all_copied: bool) -> tuple[str, str]:
    if request.mode == Mode.COPY:
        return "copy", request.reason
    if all_copied:
        return "smart", "sound alone is copied"
    return "encode", "the container needs another codec"


def _write(
    container: InputContainer, request: CutRequest, record: Record
) -> tuple[bool, list[Sound]]:
    kept = chosen_sounds(container, request)
    if not kept:
        raise NoSuchStream("the file holds no sound")
    zero = Fraction(container.start_time or 0, av.time_base)
    with ClipWriter(request.target, request.container, request.muxer, record) as writer:
        sounds = {}
        for stream in kept:
            assert stream.time_base is not None
            window = window_of(container, stream.time_base, request.start, request.end)
            sounds[stream] = sound_of(stream, request, window, writer)
        end = zero + request.end
        write_side_tracks(
            container, request.source, (), zero + request.start, end, writer, request.container
        )
        writer.start()
        _seek(container, zero + request.start - LEAD_IN_SECONDS)
        for _ in sounding_packets(container, None, sounds, end):
            pass
        for sound in sounds.values():
            sound.finish()
    return all(is_copied(stream, request.container) for stream in kept), list(sounds.values())


def _seek(container: InputContainer, moment: Fraction) -> None:
    try:
        container.seek(int(moment * av.time_base))
    except (PermissionError, av.FFmpegError):
        container.seek(0)
