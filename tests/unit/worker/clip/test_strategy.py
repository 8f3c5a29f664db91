"""How a clip is cut, decided without touching a file."""

from __future__ import annotations

import pytest

from tasks.errors import NoSuchStream
from tasks.kinds import ClipSpec
from tasks.media import AudioFacts, MediaFacts, VideoFacts
from tasks.specs import Output, Source
from worker.clip.strategy import Tool, way_of

URL = Source(url="https://example.org/v")


def facts(
    codec: str | None = "h264", container: str = "mov,mp4", sound: str | None = "aac"
) -> MediaFacts:
    """A source with one video and one sound track, or without either."""
    video = VideoFacts(codec, None, 1280, 720, "yuv420p", 8, 25.0) if codec else None
    audio = (AudioFacts(sound, 48000, 2),) if sound else ()
    return MediaFacts(container, 0.0, 60.0, 1_000_000, video, audio)


def spec(mode: str = "auto", **output: object) -> ClipSpec:
    """A clip of two seconds."""
    return ClipSpec(URL, 1.0, 3.0, mode, Output(**output))  # type: ignore[arg-type]


@pytest.mark.parametrize("mode", ["auto", "smart"])
def test_a_plain_clip_is_joined_by_the_program(mode: str) -> None:
    way = way_of(spec(mode), facts())
    assert (way.tool, way.container) == (Tool.PROGRAM, "mp4")


@pytest.mark.parametrize("wish", [{"width": 640}, {"fps": 10.0}, {"container": "gif"}])
def test_a_change_of_the_picture_is_encoded_whatever_the_mode(wish: dict[str, object]) -> None:
    for mode in ("auto", "smart", "encode"):
        way = way_of(spec(mode, **wish), facts())
        assert (way.tool, way.mode) == (Tool.FFMPEG, "encode")


def test_a_webm_of_h264_is_encoded_and_one_of_vp9_joined() -> None:
    assert way_of(spec(container="webm"), facts("h264")).mode == "encode"
    assert way_of(spec(container="webm"), facts("vp9", "matroska,webm", "opus")).mode == "auto"


def test_a_source_without_an_index_is_encoded_by_the_program_that_finds_its_frames() -> None:
    way = way_of(spec("encode"), facts(container="mpegts"))
    assert (way.tool, way.mode) == (Tool.PROGRAM, "encode-exact")


def test_a_copy_takes_the_container_that_its_codecs_fit_into() -> None:
    assert way_of(spec("copy"), facts("h264")).container == "mp4"
    assert way_of(spec("copy"), facts("vp8", "matroska,webm", "vorbis")).container == "mkv"


def test_a_copy_into_a_container_that_does_not_take_the_codec_is_refused() -> None:
    with pytest.raises(NoSuchStream, match="cannot be copied into webm"):
        way_of(spec("copy", container="webm"), facts("h264"))


def test_sound_alone_gives_a_clip_of_sound() -> None:
    way = way_of(spec(), facts(codec=None))
    assert (way.tool, way.container) == (Tool.PROGRAM, "m4a")


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
        way_of(spec(**wish), source)
