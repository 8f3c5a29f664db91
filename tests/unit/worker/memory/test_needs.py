"""What admission reserves for a job."""

from __future__ import annotations

from tasks.media import AudioFacts, MediaFacts, VideoFacts
from tasks.specs import ClipSpec, DownloadSpec, ExtractSpec, Output, Source
from worker.memory.need import Need
from worker.memory.needs import need_of

URL = Source(url="https://example.org/v")
MIB = 1024**2
BUDGET = 512 * MIB


def facts(width: int = 1920, height: int = 1080) -> MediaFacts:
    """An H.264 source of this size."""
    video = VideoFacts("h264", None, width, height, "yuv420p", 8, 25.0)
    return MediaFacts("mov,mp4", 0.0, 60.0, 1_000_000, video, (AudioFacts("aac", 48000, 2),))


def clip(mode: str, quality: str = "standard") -> ClipSpec:
    """Ten seconds."""
    return ClipSpec(URL, 0.0, 10.0, mode, Output(quality=quality))


def need(mode: str, source: MediaFacts | None = None, cores: int = 1, budget: int = BUDGET) -> Need:
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
    assert need("encode", cores=2, budget=one + MIB) == Need(one, 1, 1)


def test_only_what_encodes_takes_a_core() -> None:
    assert [need(mode, cores=2).cores for mode in ("copy", "smart", "encode")] == [0, 2, 2]
    assert need_of(DownloadSpec(URL), None, budget_bytes=BUDGET, idle_cores=2).cores == 0


def test_a_source_of_which_nothing_is_known_is_taken_for_a_large_one() -> None:
    unknown = need_of(clip("encode"), None, budget_bytes=BUDGET)
    assert unknown.memory_bytes >= need("encode").memory_bytes


def test_downloads_and_extracts_need_what_their_tool_needs() -> None:
    for spec in (DownloadSpec(URL), ExtractSpec(URL)):
        assert 100 * MIB < need_of(spec, None, budget_bytes=BUDGET).memory_bytes < 200 * MIB
