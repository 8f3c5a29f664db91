"""Encodes that save memory: what they save, that they look the same, and when they are chosen."""

from __future__ import annotations

from pathlib import Path

import pytest

from config.values import MIB
from tasks.errors import ExceedsMemoryBudget
from tasks.kinds import ClipSpec
from tasks.media import MediaFacts, VideoFacts
from tasks.specs import Output, Source
from tests.support.exactness import decode, luma_psnr
from tests.support.media import ffmpeg
from worker.calibration.samples import Sample
from worker.calibration.trial import Trial, run_trial
from worker.cutting.cut import SAVING_WARNING
from worker.engine.budget import Budget
from worker.kinds import HANDLERS
from worker.memory.capacity import Capacity
from worker.memory.estimate import GUARD_BYTES
from worker.memory.need import ResourceNeed

MOST_GROWTH = 1.5  # of the file, for what is spared in memory
MOST_LOSS = 1.0  # dB


@pytest.fixture(scope="module")
def restless(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A second of noise that moves: the hardest pictures there are."""
    path = (
        tmp_path_factory.mktemp("restless") / "restless.ts"
    )  # without an index, so the program can make it as well
    drawn = "mandelbrot=s=640x360:r=30:end_pts=60,noise=alls=12:allf=t,format=yuv420p"
    words = "-t 1.1 -c:v libx264 -preset ultrafast -crf 10"
    ffmpeg("-f", "lavfi", "-i", drawn, *words.split(), str(path))
    return path


def encode_need(quality: str, height: int, budget_mib: int, cores: int = 2) -> ResourceNeed:
    """What an encode of an H.264 source takes within a budget, all cores being busy."""
    video = VideoFacts("h264", None, height * 16 // 9, height, "yuv420p", 8, 25.0, references=4)
    facts = MediaFacts("mov,mp4", 0.0, 60.0, 1_000_000, video)
    spec = ClipSpec(Source(url="https://a.example/v"), 0.0, 10.0, "encode", Output(quality=quality))
    return HANDLERS["clip"].need(spec, facts, Capacity(budget_mib * MIB, cores=cores))


@pytest.mark.alone  # equal tools beside it would share pages with it
@pytest.mark.parametrize("quality", ["standard", "high"])
@pytest.mark.parametrize("suffix", [".mp4", ".ts"])  # by FFmpeg's command, and by the program
def test_encodes_that_save_memory_take_less_memory_and_look_as_good(
    quality: str, suffix: str, restless: Path, tmp_path: Path
) -> None:
    source = tmp_path / f"source{suffix}"
    ffmpeg("-i", str(restless), "-c", "copy", str(source))
    original = [picture.frame for picture in decode(source)]
    peaks, sizes, losses = [], [], []
    for level in (0, 1, 2):
        output = Output(quality=quality)
        trial = Trial(source, "encode", output, memory_saving_level=level, start=0, end=2)
        clip = tmp_path / f"clip{level}.mp4"
        peaks.append(run_trial(trial, tmp_path, keep=clip).peak_bytes)
        sizes.append(clip.stat().st_size)
        pictures = [picture.frame for picture in decode(clip)]
        assert len(pictures) == len(original)
        losses.append(luma_psnr(list(zip(original, pictures, strict=True))))

    assert peaks[0] > peaks[1] > peaks[2]
    assert max(sizes) <= sizes[0] * MOST_GROWTH
    assert min(losses) >= losses[0] - MOST_LOSS


def test_usual_settings_hold_while_one_such_job_for_each_core_fits() -> None:
    assert encode_need("high", 1080, 600).memory_saving_level == 0
    assert encode_need("draft", 1080, 512).memory_saving_level == 0


def test_settings_save_memory_where_that_lets_a_job_run_on_each_core() -> None:
    saving = encode_need("high", 1080, 480)
    assert saving.memory_saving_level > 0
    assert saving.memory_bytes <= 480 * MIB // 2
    assert encode_need("high", 1080, 480, cores=1).memory_saving_level == 0


def test_what_fits_only_alone_keeps_as_much_quality_as_fits() -> None:
    assert encode_need("high", 2160, 700).memory_saving_level == 1
    assert encode_need("high", 2160, 512).memory_saving_level == 2


def test_what_is_too_large_at_its_most_saving_is_refused_with_need_and_budget() -> None:
    budget = Budget(290 * MIB, 2)
    need = encode_need("high", 2160, 290)

    with pytest.raises(ExceedsMemoryBudget, match="the budget is 290 MiB") as refused:
        budget.check(need.memory_bytes)

    assert refused.value.detail == {
        "need_bytes": need.memory_bytes,
        "budget_bytes": 290 * MIB,
    }


def test_a_2160p_encode_in_high_quality_runs_in_the_room_that_it_was_given(tmp_path: Path) -> None:
    need = encode_need("high", 2160, 512)
    source = Sample(width=3840, height=2160, seconds=1.6)
    level, output = need.memory_saving_level, Output(quality="high")
    trial = Trial(source, "encode", output, memory_saving_level=level, start=0.2, end=1.4)

    seen = run_trial(trial, tmp_path, limit_bytes=need.memory_bytes - GUARD_BYTES)

    assert seen.warnings == [SAVING_WARNING]
    assert 0.5 * need.estimate_bytes < seen.peak_bytes <= need.memory_bytes - GUARD_BYTES
