"""What a source allows, and what its clip should hold."""

from dataclasses import replace

import pytest

from tasks.media import AudioFacts
from tests.unit.worker.clip.values import FACTS, plan, video
from worker.ffmpeg import (
    can_copy,
    expected_frames,
    lost_frames,
    needs_exact_decoder,
    with_longer_preroll,
)


@pytest.mark.parametrize(
    ("container", "exact"),
    [
        ("mov,mp4,m4a,3gp,3g2,mj2", False),
        ("matroska,webm", False),
        ("flv", False),
        ("mpegts", True),
        ("mpeg", True),
        ("avi", True),
    ],
)
def test_sources_without_an_index_or_times_need_the_exact_decoder(
    container: str, exact: bool
) -> None:
    assert needs_exact_decoder(replace(FACTS, container=container)) is exact


def test_sound_alone_never_needs_the_exact_decoder() -> None:
    assert not needs_exact_decoder(replace(FACTS, container="mpegts", video=None))


def test_a_clip_that_misses_frames_is_noticed() -> None:
    clip = plan(start=10, end=15)

    assert expected_frames(clip) == 150
    assert not lost_frames(clip, 150)
    assert not lost_frames(clip, 149)
    assert lost_frames(clip, 140)


def test_a_clip_is_expected_to_end_where_its_source_does() -> None:
    assert expected_frames(plan(start=58, end=100)) == 60


def test_an_asked_rate_decides_how_many_frames_are_expected() -> None:
    assert expected_frames(plan(fps=10)) == 50


@pytest.mark.parametrize("container", ["gif", "m4a"])
def test_no_frames_are_expected_where_none_can_be_counted(container: str) -> None:
    assert expected_frames(plan(container)) is None
    assert not lost_frames(plan(container), 0)


def test_a_longer_preroll_is_tried_once() -> None:
    longer = with_longer_preroll(plan(start=30, end=31))

    assert longer is not None
    assert longer.seek_seconds == 18
    assert with_longer_preroll(longer) is None
    assert with_longer_preroll(plan(start=0.2, end=1)) is None


@pytest.mark.parametrize(
    ("codec", "sound", "container", "copies"),
    [
        ("h264", "aac", "mp4", True),
        ("h264", "vorbis", "mp4", False),
        ("h264", "vorbis", "mkv", True),
        ("h264", "aac", "webm", False),
        ("vp9", "opus", "webm", True),
        ("h264", "aac", "m4a", True),
        ("h264", "aac", "mp3", False),
        ("h264", "aac", "gif", False),
    ],
)
def test_only_what_a_container_holds_is_copied_into_it(
    codec: str, sound: str, container: str, copies: bool
) -> None:
    facts = replace(FACTS, video=video(codec=codec), audio=(AudioFacts(sound, 48000, 2),))

    assert can_copy(facts, container) is copies


def test_nothing_is_copied_from_where_a_seek_misses_the_key_picture() -> None:
    assert not can_copy(replace(FACTS, container="mpegts"), "mp4")
