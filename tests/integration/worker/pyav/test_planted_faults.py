"""The check of a clip refuses what was changed in it after it was made, or before encoding."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import pytest
from av import VideoCodecContext, VideoFrame
from av.container import InputContainer, OutputContainer
from av.stream import Stream

from tasks.errors import ToolFailed
from tasks.kinds import ClipSpec
from tasks.specs import Output, Source
from tests.support.clips import probed
from tests.support.media import ffmpeg
from worker.clip.plan import plan_clip
from worker.pyav import cut as program
from worker.pyav import smart
from worker.pyav.request import CutRequest, cut_spec

Named = Callable[[str], Path]
Plant = Callable[[Path, Path], None]
TAGGED = "h264_metadata=colour_primaries=1:transfer_characteristics=1:matrix_coefficients=1"
UNTAGGED = "h264_metadata=colour_primaries=2:transfer_characteristics=2:matrix_coefficients=2"
NAMES = (
    "closed gop",
    "matroska",
    "fragmented",
    "transport stream",
    "b pyramid",
    "open gop",
    "one long gop",
    "variable rate matroska",
    "television rate",
    "late start",
)


def remuxed(clip: Path, target: Path) -> Iterator[tuple[InputContainer, OutputContainer]]:
    """The clip to read, and a file to write."""
    with av.open(str(clip)) as source, av.open(str(target), "w", format="mp4") as out:
        yield source, out


def copied(
    clip: Path, target: Path, change: Callable[[list[av.Packet]], None], colours: int | None = None
) -> None:
    """The clip with its packets changed, and told to have these colours."""
    for source, out in remuxed(clip, target):
        streams: dict[int, Stream] = {
            it.index: out.add_stream_from_template(it, opaque=True) for it in source.streams
        }
        if colours is not None:
            context = streams[0].codec_context
            context.color_primaries = context.color_trc = context.colorspace = colours
        packets = [packet for packet in source.demux() if packet.size]
        change(packets)
        for packet in packets:
            packet.stream = streams[packet.stream_index]
            out.mux_one(packet)


def _videos(packets: list[av.Packet]) -> list[int]:
    return [n for n, it in enumerate(packets) if it.stream.type == "video"]


def drop_a_frame(clip: Path, target: Path) -> None:
    def change(packets: list[av.Packet]) -> None:
        videos = _videos(packets)
        del packets[videos[len(videos) // 2]]

    copied(clip, target, change)


def swap_two_frames(clip: Path, target: Path) -> None:
    def change(packets: list[av.Packet]) -> None:
        videos = _videos(packets)
        one, other = videos[len(videos) // 2], videos[len(videos) // 2 + 1]
        for here, there in ((one, bytes(packets[other])), (other, bytes(packets[one]))):
            old = packets[here]
            new = av.Packet(there)
            new.pts, new.dts, new.time_base = old.pts, old.dts, old.time_base
            new.duration, new.is_keyframe, new.stream = old.duration, old.is_keyframe, old.stream
            packets[here] = new

    copied(clip, target, change)


def shift_the_sound(clip: Path, target: Path) -> None:
    def change(packets: list[av.Packet]) -> None:
        for packet in packets:
            if packet.stream.type == "audio":
                ticks = round(0.06 / packet.time_base)
                packet.pts, packet.dts = packet.pts + ticks, packet.dts + ticks

    copied(clip, target, change)


def lose_a_track(clip: Path, target: Path) -> None:
    ffmpeg("-i", str(clip), "-map", "0:v", "-c", "copy", "-f", "mp4", str(target))


def turn_the_picture(clip: Path, target: Path) -> None:
    ffmpeg("-display_rotation", "90", "-i", str(clip), "-c", "copy", "-f", "mp4", str(target))


def lose_the_colours(clip: Path, target: Path) -> None:
    """In the pictures and in the container."""
    untagged = target.with_suffix(".untagged.mp4")
    ffmpeg("-i", str(clip), "-c", "copy", "-bsf:v", UNTAGGED, str(untagged))
    copied(untagged, target, lambda packets: None, colours=2)


PLANTS: tuple[Plant, ...] = (
    drop_a_frame,
    swap_two_frames,
    shift_the_sound,
    lose_a_track,
    turn_the_picture,
    lose_the_colours,
)


def request_for(source: Path, folder: Path, mode: str) -> CutRequest:
    spec = ClipSpec(Source(url="http://x"), 0.73, 3.31, mode, Output())
    plan = plan_clip(spec, probed(source))
    return CutRequest.from_spec({**cut_spec(plan, source, folder / "clip.mp4"), "mode": mode})


@pytest.fixture
def tagged(source_named: Named, tmp_path: Path) -> Named:
    """A source whose pictures say their colours."""

    def make(name: str) -> Path:
        plain = source_named(name)
        target = tmp_path / f"tagged{plain.suffix}"
        ffmpeg("-i", str(plain), "-map", "0", "-c", "copy", "-bsf:v", TAGGED, str(target))
        return target

    return make


@pytest.mark.parametrize("mode", ["smart", "encode"])
@pytest.mark.parametrize("name", NAMES)
def test_every_planted_fault_is_refused_and_the_clip_without_one_is_not(
    name: str, mode: str, tagged: Named, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = unharmed(request_for(tagged(name), tmp_path, mode))
    real = program.verify
    for plant in PLANTS:
        target = tmp_path / f"{plant.__name__}.mp4"

        def planted(path: str, *more: Any, plant: Plant = plant, target: Path = target) -> Any:
            plant(Path(path), target)
            return real(str(target), *more)

        monkeypatch.setattr(program, "verify", planted)
        with pytest.raises((ToolFailed, program.NeedsEncode), match="did not pass its check"):
            program.cut(request)


def unharmed(request: CutRequest) -> CutRequest:
    """The request, of which the clip passes its check; encoded where it cannot be cut smartly."""
    try:
        found = program.cut(request).verification
    except program.NeedsEncode:
        request = replace(request, mode="encode")
        found = program.cut(request).verification
    assert found is not None
    assert found["frames_found"] == found["frames_expected"] > 0
    return request


def test_pictures_that_were_changed_before_they_were_encoded_are_refused(
    source_named: Named, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fault of our own: the encoder gets every picture upside down."""
    real = smart.encode

    def turned(encoder: VideoCodecContext, frame: VideoFrame | None) -> list[av.Packet]:
        if frame is not None:
            frame.make_writable()
            for plane in frame.planes:
                plane.update(bytes(reversed(bytes(plane))))
        return real(encoder, frame)

    monkeypatch.setattr(smart, "encode", turned)
    with pytest.raises(program.NeedsEncode, match="is not that of the source"):
        program.cut(request_for(source_named("closed gop"), tmp_path, "smart"))
