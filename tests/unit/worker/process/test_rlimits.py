"""What runs away is stopped, and nothing honest comes near."""

from __future__ import annotations

from dataclasses import replace

import pytest

from config.values import MIB
from tasks.media import AudioFacts, MediaFacts, VideoFacts
from tasks.specs import Output
from worker.clip.containers import CONTAINERS
from worker.clip.encoding import kept_channels, sound_bit_rate
from worker.clip.plan import ClipPlan
from worker.clip.size_limit import clip_bytes
from worker.clip.strategy import Mode, Strategy, Tool
from worker.process.rlimits import cpu_seconds, data_bytes

SOURCE_BYTES = 10_000_000
# Most private and most resident memory of one process, as measured; see the module.
MEASURED = ((85, 47), (121, 49), (143, 81), (391, 256), (1027, 825), (162, 139), (332, 251))


def plan(seconds: float = 10.0, container: str = "mp4", **more: object) -> ClipPlan:
    video = VideoFacts("h264", None, 1920, 1080, "yuv420p", more.pop("depth", 8), 25.0)  # type: ignore[arg-type]
    facts = MediaFacts("mov,mp4", 0.0, 60.0, SOURCE_BYTES, video, (AudioFacts("aac", 48000, 2),))
    output = Output(**more)  # type: ignore[arg-type]
    strategy = Strategy(Tool.FFMPEG, Mode.ENCODE, "as the test wants it")
    return ClipPlan(facts, output, strategy, container, 1.0, 1.0 + seconds, 1.0 + seconds)


@pytest.mark.parametrize(("private", "resident"), MEASURED)
def test_no_measured_tool_comes_near_the_limit_of_private_memory(
    private: int, resident: int
) -> None:
    assert data_bytes(resident * MIB, 2) > 1.5 * private * MIB


def test_more_cores_mean_more_threads_and_these_more_stacks() -> None:
    more = data_bytes(100 * MIB, 64) - data_bytes(100 * MIB, 2)
    assert more >= 62 * 8 * MIB


def test_all_cores_may_work_until_the_deadline() -> None:
    assert cpu_seconds(7200.0, 4) > 4 * 7200
    assert cpu_seconds(0.1, 1) >= 1


def test_a_clip_may_be_as_large_as_its_source_and_its_pictures_together() -> None:
    raw = 10 * 60 * 1920 * 1080 * 1.5
    assert SOURCE_BYTES + raw < clip_bytes(plan()) < SOURCE_BYTES + 1.2 * raw
    assert clip_bytes(plan(20)) > 1.8 * clip_bytes(plan(10))


def test_a_larger_picture_a_faster_one_and_a_deeper_one_may_take_more() -> None:
    usual = clip_bytes(plan())
    assert clip_bytes(plan(width=3840, height=2160, fit="pad")) > 3 * usual
    assert clip_bytes(plan(fps=120.0)) > 1.8 * usual
    assert clip_bytes(plan(depth=10)) > 1.8 * usual


def test_sound_alone_takes_little_more_than_its_source() -> None:
    assert clip_bytes(plan(container="mp3")) < SOURCE_BYTES + 20 * MIB


@pytest.mark.parametrize("container", ["mp3", "m4a"])
@pytest.mark.parametrize("channels", [1, 2, 6, 8])
def test_no_setting_of_ours_comes_near_the_largest_sound(container: str, channels: int) -> None:
    clip = plan(3600, container, quality="high")
    clip = replace(clip, facts=replace(clip.facts, audio=(AudioFacts("flac", 48000, channels),)))
    encoder = CONTAINERS[container].audio_encoder
    assert encoder is not None
    written = sound_bit_rate(encoder, "high", kept_channels(encoder, channels)) / 8 * 3600
    assert clip_bytes(clip) > SOURCE_BYTES + 2 * written
