"""Media that is broken, lying or hostile: a documented end, nothing left, nothing told."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import pytest

from tests.support.media import Video, cached_video, ffmpeg
from tests.support.origin import Origin, answers
from tests.support.system import System

PLAIN = Video(seconds=6.0)


@pytest.fixture
def video(media_folder: Path) -> Path:
    """A good video to spoil."""
    return cached_video(media_folder, PLAIN)


def clip_of(system: System, url: str, **wish: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """A clip of a URL and the download it waited for, both final."""
    body = {"kind": "clip", "source": {"url": url}, "start": 1, "end": 3} | wish
    clip = system.until(system.submit(**body)["id"], within_seconds=150)
    return clip, system.until(clip["depends_on"])


def assert_tells_nothing(system: System, *jobs: dict[str, Any]) -> None:
    """No local path and no stack trace in what a client can read."""
    for job in jobs:
        text = system.client.get(f"/api/v2/jobs/{job['id']}").text
        assert str(system.data) not in text
        assert "Traceback" not in text


def test_a_truncated_file_without_its_index_is_refused(
    system: System, origin: Origin, video: Path
) -> None:
    # The index is at the end here, so half of the file has none.
    broken = answers.content(video.read_bytes()[: video.stat().st_size // 2], "video/mp4")
    clip, download = clip_of(system, origin.add("/half.mp4", broken))
    assert clip["error"]["code"] == "source_failed"
    assert download["error"]["code"] in {"corrupt_media", "not_media"}
    assert_tells_nothing(system, clip, download)


def test_flipped_bits_end_in_a_playable_clip_or_a_reason(
    system: System, origin: Origin, video: Path
) -> None:
    data = bytearray(video.read_bytes())
    for position in range(2000, len(data) - 8000, 997):
        data[position] ^= 0xFF
    clip, download = clip_of(
        system, origin.add("/flips.mp4", answers.content(bytes(data), "video/mp4"))
    )
    codes = {"corrupt_media", "not_media", "tool_failed", "source_failed", "no_such_stream"}
    assert clip["state"] == "succeeded" or clip["error"]["code"] in codes
    assert_tells_nothing(system, clip, download)


def test_sound_alone_cannot_give_a_gif_and_pictures_alone_cannot_give_an_mp3(
    system: System, origin: Origin, media_folder: Path
) -> None:
    sound = cached_video(media_folder, Video(seconds=6, video=None, suffix=".m4a"))
    silent = cached_video(media_folder, Video(seconds=6, audio=None))
    url = origin.add("/sound.m4a", answers.file(sound))
    clip, _ = clip_of(system, url, output={"container": "gif"})
    assert clip["error"]["code"] == "no_such_stream"
    url = origin.add("/silent.mp4", answers.file(silent))
    clip, _ = clip_of(system, url, output={"container": "mp3"})
    assert clip["error"]["code"] == "no_such_stream"
    clip, _ = clip_of(system, url)
    assert clip["state"] == "succeeded"


def test_a_header_that_lies_about_the_duration_binds_nobody(
    system: System, origin: Origin, video: Path, tmp_path: Path
) -> None:
    lying = tmp_path / "lying.mkv"
    ffmpeg("-i", str(video), "-c", "copy", str(lying))
    data = lying.read_bytes()
    # The duration of a Matroska segment: element 0x4489, eight bytes of a float.
    at = data.index(b"\x44\x89\x88") + 3

    ten_hours = struct.pack(">d", 36_000_000.0)
    lying.write_bytes(data[:at] + ten_hours + data[at + 8 :])
    url = origin.add("/lying.mkv", answers.file(lying))
    download = system.until(
        system.submit(kind="download", source={"url": url}, container="mkv")["id"]
    )
    if download["state"] == "succeeded":
        body = {"kind": "clip", "source": {"job_id": download["id"]}, "start": 4, "end": 9000}
        clip = system.until(system.submit(**body)["id"])
        assert clip["state"] == "succeeded", clip["error"]
        assert clip["result"]["frames"] == 50
    else:
        assert download["error"]["code"] == "too_long"


def test_a_playlist_named_mp4_reads_no_neighbour(
    system: System, origin: Origin, tmp_path: Path
) -> None:
    secret = tmp_path / "secret.ts"
    secret.write_bytes(b"secret")
    text = f"ffconcat version 1.0\nfile {secret}\n".encode()
    clip, download = clip_of(system, origin.add("/list.mp4", answers.content(text, "video/mp4")))
    assert clip["error"]["code"] == "source_failed"
    assert download["state"] == "failed"
    assert_tells_nothing(system, clip, download)
