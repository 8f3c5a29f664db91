"""The tables of containers and encoders: complete, and of one mind with each other."""

from __future__ import annotations

import pytest

from tasks.specs import CLIP_CONTAINERS, CLIP_QUALITIES, SOUND_CONTAINERS
from worker.clip.containers import CONTAINERS, is_sound_alone
from worker.clip.encoding import (
    QUALITIES,
    SOUND_ENCODERS,
    kept_channels,
    last_saving_level,
    sound_bit_rate,
    video_encoder_options,
)
from worker.clip.strategy import COPIED_CODECS, JOINED_CODECS, no_smart_cut
from worker.pyav.joining import MAKERS


def test_what_a_client_may_ask_for_has_its_row() -> None:
    assert set(CONTAINERS) == set(CLIP_CONTAINERS)
    assert set(QUALITIES) == set(CLIP_QUALITIES)


def test_a_container_of_sound_alone_has_no_pictures() -> None:
    for name, row in CONTAINERS.items():
        assert is_sound_alone(name) is (name in SOUND_CONTAINERS)
        assert (row.video_encoder is None) is (name in SOUND_CONTAINERS)


@pytest.mark.parametrize("quality", CLIP_QUALITIES)
def test_every_encoder_of_sound_has_a_bit_rate_for_each_quality(quality: str) -> None:
    used = {row.audio_encoder for row in CONTAINERS.values()} - {None}
    assert set(SOUND_ENCODERS) == set(QUALITIES[quality].sound) == used


def test_an_exact_cut_copies_no_sound_that_the_container_does_not_take() -> None:
    for row in CONTAINERS.values():
        assert all(map(row.takes_audio, row.exact_audio))


def test_the_program_can_join_whatever_the_plan_counts_upon() -> None:
    assert set(MAKERS) == COPIED_CODECS
    assert JOINED_CODECS < COPIED_CODECS
    assert all(no_smart_cut(codec, interlaced=False) is None for codec in COPIED_CODECS)


def test_channels_without_a_layout_become_two() -> None:
    assert [kept_channels("aac", count) for count in (1, 2, 3, 6, 16)] == [1, 2, 2, 6, 2]
    assert [kept_channels("libopus", count) for count in (1, 2, 6)] == [1, 2, 2]
    assert sound_bit_rate("aac", "standard", 2) == 160_000


@pytest.mark.parametrize("container", ["mp4", "mkv", "webm"])
@pytest.mark.parametrize("quality", CLIP_QUALITIES)
def test_every_saving_level_is_a_setting_of_its_own_at_the_same_quality(
    container: str, quality: str
) -> None:
    levels = range(last_saving_level(container, quality) + 1)
    options = [video_encoder_options(container, quality, level) for level in levels]
    assert len({tuple(it.items()) for it in options}) == len(options)
    assert len({(it["crf"], it.get("preset")) for it in options}) == 1


def test_edges_of_a_cut_are_never_coarser_than_a_whole_encode() -> None:
    for row in QUALITIES.values():
        assert row.edges.x264_quantizer < row.x264.crf
        assert row.edges.vp9_quantizer < row.vp9.crf
