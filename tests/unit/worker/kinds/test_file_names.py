"""The suffix of a file says what the file is, not what its address or site claimed."""

from __future__ import annotations

import pytest

from tasks.media import AudioFacts, MediaFacts, VideoFacts
from worker.kinds.file_names import media_type, suffix_of

MOV = "mov,mp4,m4a,3gp,3g2,mj2"
MATROSKA = "matroska,webm"


def facts(container: str, video: str = "h264", audio: str = "aac") -> MediaFacts:
    picture = VideoFacts(video, None, 64, 64, "yuv420p", 8, 25.0)
    return MediaFacts(container, 0.0, 1.0, 1, picture, (AudioFacts(audio, 48000, 2),))


@pytest.mark.parametrize(
    ("container", "claimed", "suffix"),
    [
        (MOV, ".mp4", ".mp4"),
        (MOV, ".MOV", ".mov"),
        (MOV, ".m4v", ".m4v"),
        (MOV, ".3gp", ".3gp"),
        (MOV, ".unknown_video", ".mp4"),
        (MOV, ".avi", ".mp4"),
        ("mpegts", ".mp4", ".ts"),
        ("mpeg", ".mpeg", ".mpeg"),
        ("mpeg", ".unknown_video", ".mpg"),
        ("asf", ".asf", ".asf"),
        ("asf", ".unknown_video", ".wmv"),
        ("ogg", ".ogv", ".ogv"),
        ("ogg", ".php", ".ogg"),
        ("mxf", ".unknown_video", ".mxf"),
        ("dv", ".bin", ".dv"),
        ("gif", ".gif", ".gif"),
        ("flv", ".unknown_video", ".flv"),
    ],
)
def test_a_claim_is_kept_where_it_may_be_right(container: str, claimed: str, suffix: str) -> None:
    assert suffix_of(facts(container), claimed) == suffix


@pytest.mark.parametrize(
    ("video", "audio", "claimed", "suffix"),
    [
        ("vp8", "opus", ".unknown_video", ".webm"),
        ("av1", "vorbis", ".webm", ".webm"),
        ("vp9", "opus", ".mkv", ".mkv"),
        ("h264", "aac", ".webm", ".mkv"),
        ("vp9", "aac", ".mp4", ".mkv"),
    ],
)
def test_webm_is_matroska_with_the_codecs_of_webm(
    video: str, audio: str, claimed: str, suffix: str
) -> None:
    assert suffix_of(facts(MATROSKA, video, audio), claimed) == suffix


def test_every_suffix_that_a_download_may_get_has_a_media_type() -> None:
    for suffix in (".mov", ".ts", ".wmv", ".mpg", ".mxf", ".flv", ".ogv", ".webm", ".3gp"):
        assert media_type(f"a{suffix}") != "application/octet-stream"
