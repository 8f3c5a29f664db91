"""A download in another container than the site's: the same streams, or one that misfits."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import av
import pytest

from tasks.errors import NoSuchStream
from tasks.media import AudioFacts
from tests.support.clips import probed, runner_in
from tests.support.media import Video, cached_video, ffmpeg, frame_numbers
from tests.unit.worker.clip.values import FACTS
from tests.unit.worker.clip.values import video as picture
from worker.kinds.remuxing import best_joined, remuxed

SUBTITLES = "1\n00:00:00,500 --> 00:00:01,500\nHello\n"


@pytest.fixture
def rich(media_folder: Path, tmp_path: Path) -> Path:
    """Pictures, two sounds in two languages and subtitles, in Matroska."""
    text, rich = tmp_path / "words.srt", tmp_path / "rich.mkv"
    text.write_text(SUBTITLES)
    video = str(cached_video(media_folder))
    kept = ["-map", "0:v", "-map", "0:a", "-map", "0:a", "-map", "1", "-c", "copy", "-c:s", "srt"]
    told = ["-metadata:s:a:0", "language=eng", "-metadata:s:a:1", "language=deu"]
    ffmpeg("-i", video, "-i", str(text), *kept, *told, str(rich))
    return rich


def languages(path: Path) -> list[str]:
    return [track.language or "" for track in probed(path).audio]


def test_every_stream_that_fits_is_moved_and_what_does_not_is_named(
    rich: Path, tmp_path: Path
) -> None:
    pictures, tracks = frame_numbers(rich), languages(rich)
    moved, warnings = remuxed(rich, probed(rich), "mp4", runner_in(tmp_path))
    assert moved.suffix == ".mp4"
    assert not rich.exists()
    assert frame_numbers(moved) == pictures
    assert languages(moved) == tracks == ["eng", "deu"]
    assert warnings == ("the subtitles were left out, since mp4 was asked for",)


@pytest.mark.parametrize(
    ("video", "audio", "container"),
    [
        ("hevc", "aac", "mp4"),
        ("vp9", "aac", "mp4"),
        ("h264", "opus", "mp4"),
        ("vp8", "vorbis", "webm"),
        ("av1", "vorbis", "webm"),
        ("vp8", "aac", None),
    ],
)
def test_joined_streams_belong_into_the_first_container_that_takes_both(
    video: str, audio: str, container: str | None
) -> None:
    facts = replace(FACTS, video=picture(codec=video), audio=(AudioFacts(audio, 48000, 2),))
    assert best_joined(facts) == container


def test_matroska_takes_the_subtitles_too(rich: Path, tmp_path: Path) -> None:
    facts = probed(rich)
    other = rich.rename(rich.with_suffix(".any"))
    moved, warnings = remuxed(other, facts, "mkv", runner_in(tmp_path))
    assert warnings == ()
    with av.open(str(moved)) as container:
        assert [stream.type for stream in container.streams] == [
            "video",
            "audio",
            "audio",
            "subtitle",
        ]


@pytest.mark.parametrize(
    ("options", "suffix", "container", "named"),
    [
        ("-c:v libx264 -c:a aac", ".mp4", "webm", "h264 video"),
        ("-c:v libvpx -deadline realtime -c:a libopus", ".webm", "mp4", "vp8 video"),
        ("-c:v libx264 -c:a pcm_s16le", ".mkv", "mp4", "pcm_s16le sound"),
        ("-c:v prores_ks -c:a aac", ".mov", "mp4", "prores video"),
    ],
)
def test_the_stream_that_does_not_fit_is_named_and_the_file_is_kept(
    media_folder: Path, tmp_path: Path, options: str, suffix: str, container: str, named: str
) -> None:
    source = tmp_path / f"source{suffix}"
    small = cached_video(media_folder, Video(seconds=1.0, width=64, height=64))
    ffmpeg("-i", str(small), *options.split(), str(source))
    with pytest.raises(
        NoSuchStream, match=f"{container} does not take the source's {named}; leave"
    ):
        remuxed(source, probed(source), container, runner_in(tmp_path))
    assert source.exists()


def test_pictures_without_times_are_not_copied_into_wrong_order(
    media_folder: Path, tmp_path: Path
) -> None:
    source = tmp_path / "source.avi"
    ffmpeg(
        "-i",
        str(cached_video(media_folder)),
        *["-c:v", "libx264", "-bf", "2", "-c:a", "mp3"],
        str(source),
    )
    with pytest.raises(NoSuchStream, match="does not say when its pictures show"):
        remuxed(source, probed(source), "mkv", runner_in(tmp_path))
