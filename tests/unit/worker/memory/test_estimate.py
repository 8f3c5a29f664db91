"""What admission reserves for a job."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from config.values import MIB
from tasks.kinds import ClipSpec, DownloadSpec, ExtractSpec
from tasks.media import AudioFacts, MediaFacts, VideoFacts
from tasks.specs import Output, Source
from worker.clip.picture_size import THUMBNAIL_WIDTH
from worker.clip.plan import plan_clip
from worker.kinds import HANDLERS
from worker.kinds.clip import LEAST_BYTES
from worker.memory.capacity import Capacity
from worker.memory.estimate import (
    GUARD_BYTES,
    UNKNOWN_MEDIA,
    estimate_clip,
)
from worker.memory.model import thumbnail_terms
from worker.memory.need import ResourceNeed
from worker.memory.table import shipped_table

URL = Source(url="https://example.org/v")
BUDGET = 512 * MIB
CORES = (1, 2, 3, 4, 8, 16)


def facts(width: int = 1920, height: int = 1080) -> MediaFacts:
    """An H.264 source of this size."""
    video = VideoFacts("h264", None, width, height, "yuv420p", 8, 25.0)
    return MediaFacts("mov,mp4", 0.0, 60.0, 1_000_000, video, (AudioFacts("aac", 48000, 2),))


def clip(mode: str, quality: str = "standard") -> ClipSpec:
    """Ten seconds."""
    return ClipSpec(URL, 0.0, 10.0, mode, Output(quality=quality))


def need_of(spec: ClipSpec, source: MediaFacts, **machine: Any) -> ResourceNeed:
    """The need of a clip that is planned."""
    return HANDLERS["clip"].need(spec, source, Capacity(**machine))


def need(
    mode: str, source: MediaFacts | None = None, cores: int = 1, budget: int = BUDGET
) -> ResourceNeed:
    """The need of a clip."""
    return need_of(clip(mode), source or facts(), budget_bytes=budget, idle_cores=cores)


def test_a_copy_needs_least_and_an_encode_most() -> None:
    needs = [need(mode).memory_bytes for mode in ("copy", "smart", "encode")]
    assert needs == sorted(needs)
    assert needs[0] < needs[1] < needs[2]


def test_need_grows_with_the_picture() -> None:
    small, large = (need("encode", facts(*size)) for size in ((1280, 720), (3840, 2160)))
    assert large.memory_bytes > 3 * small.memory_bytes


def test_a_clip_takes_a_second_thread_only_while_a_core_is_idle_and_it_fits() -> None:
    assert need("encode", cores=2).threads == 2
    assert need("encode", cores=1).threads == 1
    one = need("encode", cores=1).memory_bytes
    assert need("encode", cores=2, budget=one + MIB) == need("encode", cores=1)


def at_once(quality: str, cores: int, budget_mib: int) -> tuple[int, int]:
    """How far an encode of 1080p saves memory while all cores are busy, and how many run then."""
    spec, budget = clip("encode", quality), budget_mib * MIB
    found = need_of(spec, facts(), budget_bytes=budget, cores=cores)
    return found.memory_saving_level, min(cores, budget // found.memory_bytes)


@pytest.mark.parametrize(
    ("quality", "budget_mib", "expected"),  # on 1, 2, 3, 4, 8 and 16 cores
    [
        ("standard", 256, [(0, 1)] * 6),
        ("standard", 352, [(0, 1)] + [(2, 2)] * 5),
        ("standard", 400, [(0, 1)] + [(1, 2)] * 5),
        ("standard", 512, [(0, 1), (0, 2)] + [(2, 3)] * 4),
        ("standard", 4096, [(0, 1), (0, 2), (0, 3), (0, 4), (0, 8), (0, 16)]),
        ("high", 256, [(1, 1)] * 6),
        ("high", 400, [(0, 1)] + [(2, 2)] * 5),
        ("high", 512, [(0, 1), (1, 2)] + [(2, 3)] * 4),
        ("high", 4096, [(0, 1), (0, 2), (0, 3), (0, 4), (0, 8), (1, 16)]),
        ("draft", 400, [(0, 1), (0, 2)] + [(0, 3)] * 4),
    ],
)
def test_settings_save_as_much_as_lets_most_run_side_by_side(
    quality: str, budget_mib: int, expected: list[tuple[int, int]]
) -> None:
    assert [at_once(quality, cores, budget_mib) for cores in CORES] == expected


@pytest.mark.parametrize("budget_mib", range(224, 1024, 16))
def test_more_cores_never_let_fewer_run(budget_mib: int) -> None:
    for quality in ("draft", "standard", "high"):
        counts = [at_once(quality, cores, budget_mib)[1] for cores in CORES]
        assert counts == sorted(counts)


def test_only_what_encodes_takes_a_core() -> None:
    assert [need(mode, cores=2).cores for mode in ("copy", "smart", "encode")] == [0, 2, 2]
    assert HANDLERS["download"].need(DownloadSpec(URL), None, Capacity(BUDGET)).cores == 0


def test_a_source_of_which_nothing_is_known_is_taken_for_a_large_one() -> None:
    unknown = need_of(clip("encode"), UNKNOWN_MEDIA, budget_bytes=BUDGET)
    assert unknown.memory_bytes >= need("encode").memory_bytes


def test_downloads_and_extracts_need_what_their_tool_needs() -> None:
    for spec in (DownloadSpec(URL), ExtractSpec(URL)):
        needed = HANDLERS[spec.kind].need(spec, None, Capacity(BUDGET))
        assert 100 * MIB < needed.memory_bytes < 200 * MIB


def test_a_peak_a_tenth_above_the_estimate_still_fits() -> None:
    for size in ((640, 360), (1920, 1080), (3840, 2160)):
        for mode in ("copy", "smart", "encode"):
            it = need(mode, facts(*size))
            assert it.estimate_bytes * 1.1 + GUARD_BYTES <= it.memory_bytes


def test_every_job_has_room_for_the_programs_that_look_at_its_files() -> None:
    small = need("copy", facts(320, 180))
    assert small.estimate_bytes < 64 * MIB
    assert small.memory_bytes >= LEAST_BYTES + GUARD_BYTES


def test_a_thumbnail_of_a_large_clip_counts_beside_a_copy() -> None:
    large = facts(3840, 2160)
    plain, pictured = (
        need_of(ClipSpec(URL, 0, 10, "copy", Output(thumbnail=it)), large, budget_bytes=BUDGET)
        for it in (False, True)
    )
    picture = shipped_table().bytes_of(thumbnail_terms(large, THUMBNAIL_WIDTH))
    assert pictured.estimate_bytes == pytest.approx(picture, rel=0.01)
    assert plain.memory_bytes < 145 * MIB < pictured.memory_bytes


def test_a_thumbnail_is_made_of_the_clip_and_not_of_its_source() -> None:
    output = Output(width=640, thumbnail=True)
    small = need_of(ClipSpec(URL, 0, 10, "encode", output), facts(3840, 2160), budget_bytes=BUDGET)
    assert small.memory_bytes < small.estimate_bytes * 1.13 + GUARD_BYTES


def test_what_was_learned_of_a_shape_corrects_its_need() -> None:
    plain = need("encode", budget=8 * BUDGET)

    def factor(shape: str) -> float:
        return 2.0 if shape == plain.shape else 1.0

    twice = need_of(clip("encode"), facts(), budget_bytes=8 * BUDGET, factor=factor)

    assert twice.model_bytes == plain.model_bytes
    assert twice.estimate_bytes == 2 * plain.estimate_bytes
    assert twice.memory_bytes > 1.9 * plain.memory_bytes
    assert need_of(clip("smart"), facts(), budget_bytes=BUDGET, factor=factor) == need("smart")


def test_shapes_tell_work_apart_that_takes_memory_differently() -> None:
    needs = [need(mode, facts(*size)) for mode in ("copy", "smart", "encode")
             for size in ((640, 360), (1920, 1080))]  # fmt: skip
    needs += [need("encode", cores=2)]
    needs += [need_of(clip("encode", "high"), facts(), budget_bytes=BUDGET)]
    needs += [HANDLERS["download"].need(DownloadSpec(URL), None, Capacity(BUDGET))]
    assert len({it.shape for it in needs}) == len(needs)


def test_a_source_cannot_make_up_shapes() -> None:
    strange = replace(facts(), video=replace(facts().video, codec="of-my-own"))
    assert "of-my-own" not in need("encode", strange).shape


@pytest.mark.parametrize("codec", ["h264", "hevc", "vp9", "av1", "prores"])
@pytest.mark.parametrize("mode", ["auto", "encode"])
def test_what_is_reserved_after_a_cut_could_copy_nothing_is_what_that_plan_takes(
    codec: str, mode: str
) -> None:
    source = replace(facts(), video=replace(facts().video, codec=codec))
    first = plan_clip(clip(mode), source)
    whole = first.encode_whole("nothing can be copied")
    reserved, again = (estimate_clip(it, LEAST_BYTES, Capacity(BUDGET)) for it in (first, whole))

    assert "encode" in again.shape
    if first.copies_pictures:
        assert reserved.shape.startswith("smart")
        assert reserved.model_bytes != again.model_bytes
    elif first.strategy.tool is whole.strategy.tool:
        assert reserved == again
