"""How a clip is cut, decided without touching a file."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tasks.errors import NoSuchStream
from tasks.kinds import ClipSpec
from tasks.media import AudioFacts, MediaFacts, VideoFacts
from tasks.specs import Output, Source
from worker.clip.plan import plan_clip
from worker.clip.strategy import Mode, Tool

URL = Source(url="https://example.org/v")


def facts(
    codec: str | None = "h264", container: str = "mov,mp4", sound: str | None = "aac",
    interlaced: bool = False,
) -> MediaFacts:  # fmt: skip
    """A source with one video and one sound track, or without either."""
    video = None
    if codec:
        video = VideoFacts(codec, None, 1280, 720, "yuv420p", 8, 25.0, interlaced=interlaced)
    audio = (AudioFacts(sound, 48000, 2),) if sound else ()
    return MediaFacts(container, 0.0, 60.0, 1_000_000, video, audio)


def spec(mode: str = "auto", **output: object) -> ClipSpec:
    """A clip of two seconds."""
    return ClipSpec(URL, 1.0, 3.0, mode, Output(**output))  # type: ignore[arg-type]


def decided(asked: ClipSpec, source: MediaFacts) -> tuple[Tool, Mode, str]:
    """What makes the clip, how, and into what."""
    found = plan_clip(asked, source)
    return found.strategy.tool, found.strategy.mode, found.container


@pytest.mark.parametrize("mode", ["auto", "smart"])
def test_a_plain_clip_is_joined_by_the_program(mode: str) -> None:
    assert decided(spec(mode), facts()) == (Tool.PYAV, Mode.SMART, "mp4")


@pytest.mark.parametrize("wish", [{"width": 640}, {"fps": 10.0}, {"container": "gif"}])
def test_a_change_of_the_picture_is_encoded_whatever_the_mode(wish: dict[str, object]) -> None:
    for mode in ("auto", "smart", "encode"):
        tool, mode_, _ = decided(spec(mode, **wish), facts())
        assert (tool, mode_) == (Tool.FFMPEG, Mode.ENCODE)


def test_a_webm_of_h264_is_encoded_and_one_of_vp9_joined() -> None:
    vp9 = facts("vp9", "matroska,webm", "opus")
    assert decided(spec(container="webm"), facts("h264")) == (Tool.FFMPEG, Mode.ENCODE, "webm")
    assert decided(spec(container="webm"), vp9) == (Tool.PYAV, Mode.SMART, "webm")


def test_a_source_without_an_index_is_encoded_by_the_program_that_finds_its_frames() -> None:
    source = facts(container="mpegts")
    assert decided(spec("encode"), source) == (Tool.PYAV, Mode.ENCODE, "mp4")


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        (facts("prores"), "prores video cannot be joined with encoded frames"),
        (facts("h264", interlaced=True), "interlaced video is encoded as a whole"),
    ],
)
def test_what_can_never_be_joined_is_encoded_at_once(source: MediaFacts, reason: str) -> None:
    strategy = plan_clip(spec("smart"), source).strategy
    assert (strategy.tool, strategy.mode) == (Tool.PYAV, Mode.ENCODE)
    assert strategy.reason == reason


def test_a_copy_takes_the_container_that_its_codecs_fit_into() -> None:
    vp8 = facts("vp8", "matroska,webm", "vorbis")
    assert decided(spec("copy"), facts("h264")) == (Tool.PYAV, Mode.COPY, "mp4")
    assert decided(spec("copy"), vp8) == (Tool.PYAV, Mode.COPY, "mkv")


def test_a_copy_into_a_container_that_does_not_take_the_codec_is_refused() -> None:
    with pytest.raises(NoSuchStream, match="cannot be copied into webm"):
        plan_clip(spec("copy", container="webm"), facts("h264"))


def test_a_source_that_does_not_say_when_its_pictures_show_is_not_copied() -> None:
    known = facts(container="avi")
    assert known.video is not None
    unknown = replace(known, video=replace(known.video, reorders=True))
    with pytest.raises(NoSuchStream, match="does not say when its pictures show"):
        plan_clip(spec("copy", container="mkv"), unknown)


def test_a_copy_that_matroska_has_no_name_for_is_moved_there_by_ffmpeg() -> None:
    assert plan_clip(spec("copy"), facts("dvvideo", "avi", "pcm_s16le")).muxer == "nut"
    assert plan_clip(spec("copy"), facts("dnxhd", sound="pcm_s16le")).muxer == "mov"
    assert plan_clip(spec("copy"), facts("vp8", "matroska,webm", "vorbis")).muxer is None


def test_sound_alone_gives_a_clip_of_sound() -> None:
    assert decided(spec(), facts(codec=None)) == (Tool.PYAV, Mode.SMART, "m4a")


@pytest.mark.parametrize(
    ("wish", "source"),
    [
        ({"container": "mp3"}, facts(sound=None)),
        ({"container": "gif"}, facts(codec=None)),
        ({}, facts(codec=None, sound=None)),
    ],
)
def test_a_stream_that_is_not_there_is_named(wish: dict[str, object], source: MediaFacts) -> None:
    with pytest.raises(NoSuchStream):
        plan_clip(spec(**wish), source)
