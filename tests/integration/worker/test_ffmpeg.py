"""Clips made by FFmpeg's command line, judged frame by frame against their sources."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import av
import pytest

from config.values import MIB
from tasks.errors import JobError, RangeOutsideMedia, ToolFailed
from tasks.kinds import ClipSpec
from tasks.metrics.observer import JobObserver
from tasks.specs import Output, Source
from tests.support.clips import made_clip, probed, runner_in
from tests.support.exactness import Verdict, decode, judge
from tests.support.media import Video, cached_video, ffmpeg, frame_number, frame_numbers, noise
from tests.support.sources import SOURCES, make_source
from worker.clip.encoding import sound_bit_rate
from worker.clip.plan import (
    ClipPlan,
    Pictures,
    expected_frames,
    plan_clip,
    with_longer_preroll,
)
from worker.clip.strategy import Mode, Strategy, Tool
from worker.ffmpeg import (
    Progress,
    ProgressParser,
    encode_argv,
    failure_of,
    thumbnail_argv,
)
from worker.memory.model import encode_terms, thumbnail_terms
from worker.memory.table import shipped_table
from worker.process.run import Finished, Limits, ProcessEnd, Stop, run_process
from worker.process.tools import ToolRunner
from worker.pyav.programs import check, look

ONE_FRAME_MS = 41  # the judge counts the sound from the first frame, the clip from its start
LEAST_PSNR = 36.0
LIMITS = Limits(deadline_seconds=60)


@pytest.fixture
def source_named(media_folder: Path) -> Callable[[str], Path]:
    """The file of a source in `SOURCES`."""
    folder = media_folder / "sources"
    folder.mkdir(exist_ok=True)
    return lambda name: make_source(folder, SOURCES[name])


@pytest.fixture
def video(media_folder: Path) -> Path:
    """Three seconds with a bar code, 75 frames, a key picture each second."""
    return cached_video(media_folder)


@dataclass(frozen=True)
class Job:
    """A clip of a file, into a file."""

    plan: ClipPlan
    source: Path
    target: Path

    @property
    def encoding(self) -> list[str]:
        return encode_argv(self.plan, self.source, self.target)


def planned(
    source: Path, folder: Path, start: float, end: float, container: str = "mp4", **output: Any
) -> Job:
    """FFmpeg's encode of a range, whether or not it is what would be chosen."""
    strategy = Strategy(Tool.FFMPEG, Mode.ENCODE, "as the test wants it")
    wanted = Output(**output)
    plan = ClipPlan(probed(source), wanted, strategy, container, start, end, end)
    shown = look.main({"source": str(source), "video": 0, "sounds": [], "start": start, "end": end})
    return Job(plan.showing(Pictures(**shown)), source, folder / f"clip.{container}")


def run(argv: list[str], folder: Path, limits: Limits = LIMITS) -> tuple[Finished, list[str]]:
    lines: list[str] = []
    finished = run_process(argv, folder=folder, limits=limits, stop=Stop(), on_line=lines.append)
    return finished, lines


def made(job: Job, argv: list[str] | None = None) -> Progress:
    """Run the job's encode; the last progress."""
    finished, lines = run(argv or job.encoding, job.target.parent)
    assert finished.returncode == 0, finished.stderr_tail
    parser = ProgressParser(job.plan.seconds, expected_frames(job.plan))
    reports = [report for line in lines if (report := parser.feed(line))]
    assert reports[-1].finished
    return reports[-1]


def refused(job: Job, argv: list[str] | None = None, limits: Limits = LIMITS) -> JobError:
    """Run the job's encode, which must fail; why."""
    finished, _ = run(argv or job.encoding, job.target.parent, limits)
    error = failure_of(finished, job.target.parent)
    assert error is not None, finished
    assert str(job.target.parent) not in f"{error.message} {error.detail}"
    return error


def assert_exact(verdict: Verdict) -> None:
    assert verdict.faults == []
    assert verdict.worst_psnr >= LEAST_PSNR
    assert verdict.sound_shift_ms <= ONE_FRAME_MS


EXACT_SOURCES = (
    "closed gop",
    "matroska",
    "fragmented",
    "transport stream",
    "b pyramid",
    "open gop",
    "one long gop",
    "ten bit",
    "interlaced",
    "variable rate matroska",
    "television rate",
    "late start",
    "late start matroska",
    "edit list",
    "anamorphic",
    "odd size",
    "late audio",
    "short audio",
    "hevc open gop",
    "vp9",
    "av1",
    "prores",
)


@pytest.mark.parametrize("name", EXACT_SOURCES)
def test_a_clip_holds_exactly_the_frames_of_its_range(
    name: str, source_named: Callable[[str], Path], tmp_path: Path
) -> None:
    source = source_named(name)
    clip = planned(source, tmp_path, 2.013, 3.47)

    frames = made(clip).frames

    verdict = judge(source, clip.target, 2.013, 3.47)
    assert_exact(verdict)
    assert frames == verdict.frames
    assert frames == expected_frames(clip.plan)


@pytest.mark.parametrize("container", ["mp4", "mkv", "webm"])
@pytest.mark.parametrize("name", ["closed gop", "variable rate", "late start"])
def test_a_range_that_begins_on_a_frame_begins_with_it_in_every_container(
    name: str, container: str, source_named: Callable[[str], Path], tmp_path: Path
) -> None:
    source = source_named(name)
    clip = planned(source, tmp_path, 1.24, 2.5, container)

    made(clip)

    verdict = judge(source, clip.target, 1.24, 2.5)
    assert verdict.faults == []
    assert verdict.worst_psnr >= (30 if container == "webm" else LEAST_PSNR)


def test_sound_is_cut_to_the_sample(source_named: Callable[[str], Path], tmp_path: Path) -> None:
    source = source_named("closed gop")
    clip = planned(source, tmp_path, 1.24, 3.0)

    made(clip)

    assert judge(source, clip.target, 1.24, 3.0).sound_shift_ms <= 1


def test_better_quality_is_closer_to_the_source(
    source_named: Callable[[str], Path], tmp_path: Path
) -> None:
    source = source_named("closed gop")
    found = {}
    for quality in ("draft", "standard", "high"):
        clip = planned(source, tmp_path, 1, 2, quality=quality)
        made(clip)
        found[quality] = judge(source, clip.target, 1, 2).worst_psnr

    assert found["draft"] < found["standard"] < found["high"]
    assert found["standard"] >= LEAST_PSNR


@pytest.mark.parametrize(("container", "encoder"), [("mp4", "aac"), ("webm", "libopus")])
def test_better_quality_gives_sound_more_bits(
    container: str, encoder: str, media_folder: Path, tmp_path: Path
) -> None:
    noisy = tmp_path / "noisy.mkv"
    pictures = ("-f", "lavfi", "-i", "color=s=64x64:r=25:d=6")
    ffmpeg(*pictures, "-f", "lavfi", "-i", noise(2), str(noisy))
    rates = []
    for quality in ("draft", "standard", "high"):
        clip = planned(noisy, tmp_path, 0.5, 5.5, container, quality=quality)
        made(clip)
        with av.open(str(clip.target)) as found:
            rates.append(sum(packet.size for packet in found.demux(audio=0)) * 8 / 5)
        assert rates[-1] == pytest.approx(sound_bit_rate(encoder, quality, 2), rel=0.3), quality

    assert rates == sorted(rates)


def test_frames_lost_to_a_source_without_key_pictures_are_noticed_and_found_again(
    media_folder: Path, tmp_path: Path
) -> None:
    refreshed = ("-x264-params", "intra-refresh=1:keyint=75")
    source = cached_video(media_folder, Video(seconds=8, keyframe_seconds=100, options=refreshed))
    clip = planned(source, tmp_path, 6.52, 7.52)

    assert made(clip).frames < (expected_frames(clip.plan) or 0)
    longer = with_longer_preroll(clip.plan)
    assert longer is not None
    made(replace(clip, plan=longer))

    assert frame_numbers(clip.target) == list(range(163, 188))


def test_a_portrait_of_a_landscape_is_exactly_the_asked_size(video: Path, tmp_path: Path) -> None:
    for fit in ("cover", "pad"):
        clip = planned(video, tmp_path, 1, 2, width=108, height=192, fit=fit)
        made(clip)

        pictures = decode(clip.target)
        assert {(p.frame.width, p.frame.height) for p in pictures} == {(108, 192)}
        assert len(pictures) == 25
        luma = pictures[0].frame.planes[0]
        row = bytes(luma)[40 * luma.line_size :][:100]
        assert (max(row) < 20) is (fit == "pad")  # the bars are black, the noise is not


def test_a_turned_picture_is_turned_once(video: Path, tmp_path: Path) -> None:
    turned, back = tmp_path / "turned.mp4", tmp_path / "back.mp4"
    ffmpeg("-display_rotation", "90", "-i", str(video), "-c", "copy", str(turned))
    clip = planned(turned, tmp_path, 1, 2)

    made(clip)

    video_facts = probed(clip.target).video
    assert video_facts is not None
    assert (video_facts.width, video_facts.height, video_facts.rotation) == (180, 320, 0)
    ffmpeg("-i", str(clip.target), "-vf", "transpose=clock", "-crf", "10", str(back))
    assert frame_numbers(back) == list(range(25, 50))


def test_an_asked_rate_gives_frames_at_that_rate(video: Path, tmp_path: Path) -> None:
    clip = planned(video, tmp_path, 1.0, 3.0, fps=10)

    made(clip)

    numbers = frame_numbers(clip.target)
    assert len(numbers) == 20
    assert all(abs(number - (25 + 2.5 * at)) <= 1.5 for at, number in enumerate(numbers))


def test_high_dynamic_range_becomes_what_every_screen_shows(
    source_named: Callable[[str], Path], tmp_path: Path
) -> None:
    clip = planned(source_named("hevc hdr"), tmp_path, 1, 2)

    made(clip)

    found = probed(clip.target).video
    assert found is not None
    assert (found.bit_depth, found.colour.transfer, found.colour.primaries) == (8, "bt709", "bt709")
    with av.open(str(clip.target)) as container:
        frame = next(container.decode(video=0))
    assert "MASTERING_DISPLAY_METADATA" not in {side.type.name for side in frame.side_data}
    assert 40 < sum(bytes(frame.planes[0])) / len(bytes(frame.planes[0])) < 200


def test_interlaced_pictures_are_whole_after_resizing(
    source_named: Callable[[str], Path], tmp_path: Path
) -> None:
    clip = planned(source_named("interlaced"), tmp_path, 1, 2, width=160)

    assert made(clip).frames == 25
    found = probed(clip.target).video
    assert found is not None
    assert not found.interlaced


@pytest.mark.parametrize(("container", "frames"), [("mp4", 50), ("gif", 25)])
def test_a_picture_that_stays_becomes_as_many_as_the_rate_wants(
    container: str, frames: int, tmp_path: Path
) -> None:
    """Half a minute of one slide, with music."""
    source = tmp_path / "slide.mp4"
    picture = ["-f", "lavfi", "-i", "testsrc2=s=320x180:r=1/30:d=30"]
    sounds = ["-f", "lavfi", "-i", "anoisesrc=d=30"]
    ffmpeg(*picture, *sounds, "-frames:v", "1", "-c:v", "libx264", str(source))
    output = {"fps": frames / 5, "container": container}
    spec = ClipSpec(Source(url="file"), 12.0, 17.0, "auto", Output(**output))

    clip = made_clip(plan_clip(spec, probed(source)), source, runner_in(tmp_path))

    assert len(decode(clip.path)) == frames
    assert clip.facts.duration_seconds == pytest.approx(5.0, abs=0.05)


@pytest.mark.parametrize("end", [1.0, 3.0])
def test_a_gif_has_a_bounded_rate_and_whole_frames(end: float, video: Path, tmp_path: Path) -> None:
    clip = planned(video, tmp_path, 0, end, "gif", quality="draft", width=320)

    made(clip)

    with av.open(str(clip.target)) as container:
        frames = [frame.to_rgb().reformat(format="gray") for frame in container.decode(video=0)]
    assert len(frames) == 10 * end
    assert abs(frame_number(frames[5]) - 12.5) <= 1.5


def test_a_range_after_the_end_of_the_sound_is_still_a_clip(
    source_named: Callable[[str], Path], tmp_path: Path
) -> None:
    clip = planned(source_named("short audio"), tmp_path, 3, 3.6)

    assert made(clip).frames == 15


def test_a_thumbnail_shows_the_frame_of_its_moment(video: Path, tmp_path: Path) -> None:
    target = tmp_path / "thumbnail.jpg"

    finished, _ = run(thumbnail_argv(video, target, 1.4, 640, probed(video)), tmp_path)

    assert finished.returncode == 0, finished.stderr_tail
    with av.open(str(target)) as container:
        assert frame_number(next(container.decode(video=0))) == 35


def test_a_file_with_an_odd_name_is_only_a_file(video: Path, tmp_path: Path) -> None:
    odd = tmp_path / "-y http:%03d [v];'\"\n.mp4"
    odd.write_bytes(video.read_bytes())
    clip = replace(planned(odd, tmp_path, 1, 2), target=tmp_path / "pipe:1 %d.mp4")

    assert made(clip).frames == 25
    assert clip.target.stat().st_size > 1000


def test_half_a_file_is_damaged(video: Path, tmp_path: Path) -> None:
    half = tmp_path / "half.mp4"
    half.write_bytes(video.read_bytes()[: video.stat().st_size // 2])
    clip = replace(planned(video, tmp_path, 1, 2), source=half)

    assert refused(clip).code == "corrupt_media"


def test_flipped_bits_end_in_a_playable_clip_or_in_an_error(video: Path, tmp_path: Path) -> None:
    numbers = random.Random(7)
    for share in (1000, 100):
        broken = tmp_path / "broken.mp4"
        content = bytearray(video.read_bytes())
        for _ in range(len(content) // share):
            content[numbers.randrange(len(content))] ^= 1 << numbers.randrange(8)
        broken.write_bytes(content)
        clip = replace(planned(video, tmp_path, 1, 2), source=broken)

        finished, _ = run(clip.encoding, tmp_path)

        error = failure_of(finished, tmp_path)
        if error is None:
            assert len(decode(clip.target)) > 0
        else:
            assert error.code in {"corrupt_media", "not_media", "no_such_stream"}, error.detail


@pytest.mark.parametrize("text", ["ffconcat version 1.0\nfile other.mp4\n", "#EXTM3U\nother.mp4\n"])
def test_text_that_names_other_files_opens_none(text: str, video: Path, tmp_path: Path) -> None:
    (tmp_path / "other.mp4").write_bytes(video.read_bytes())
    (tmp_path / "list.mp4").write_text(text)
    clip = replace(planned(video, tmp_path, 1, 2), source=tmp_path / "list.mp4")

    assert refused(clip).code in {"not_media", "corrupt_media"}
    assert not clip.target.exists()


def test_a_source_that_lost_a_stream_since_it_was_probed_says_so(
    source_named: Callable[[str], Path], video: Path, tmp_path: Path
) -> None:
    clip = replace(planned(video, tmp_path, 1, 2), source=source_named("no audio"))

    assert refused(clip).code == "no_such_stream"


def test_a_duration_that_lies_does_not_lengthen_the_clip(video: Path, tmp_path: Path) -> None:
    clip = planned(video, tmp_path, 1, 36_000)
    facts = replace(clip.plan.facts, duration_seconds=36_000.0)
    lying = replace(clip, plan=replace(clip.plan, facts=facts))

    assert made(lying).frames == 50
    assert probed(clip.target).duration_seconds == pytest.approx(2.0, abs=0.1)


def test_a_short_range_of_a_long_file_reads_only_that(video: Path, tmp_path: Path) -> None:
    clip = planned(video, tmp_path, 0, 0.4)

    assert made(clip).frames == 10
    assert probed(clip.target).duration_seconds == pytest.approx(0.4, abs=0.05)


def test_a_range_past_the_end_is_outside_the_media(video: Path, tmp_path: Path) -> None:
    with pytest.raises(RangeOutsideMedia, match="past the end of the media"):
        planned(video, tmp_path, 30, 31)


def test_a_range_between_two_frames_shows_the_one_that_is_on_display(
    video: Path, tmp_path: Path
) -> None:
    spec = ClipSpec(Source(url="file"), 2.99, 2.999, "auto", Output(audio="drop", width=160))

    clip = made_clip(plan_clip(spec, probed(video)), video, runner_in(tmp_path))

    assert len(frame_numbers(clip.path)) == 1


def test_a_clip_that_shows_other_pictures_than_its_source_is_refused(
    video: Path, source_named: Callable[[str], Path], tmp_path: Path
) -> None:
    other = source_named("closed gop")
    clip = planned(video, tmp_path, 1, 2, width=240)
    made(clip)
    original = {
        "path": str(video), "video": 0, "zero": 1.0, "rotation": 0, "crop": None, "inner": None,
        "every": True,
    }  # fmt: skip

    assert check.main({"source": str(clip.target), "original": original})["compared"] == 3
    for wrong in ({"path": str(other)}, {"rotation": 180}):
        with pytest.raises(ToolFailed, match="is not that of the source"):
            check.main({"source": str(clip.target), "original": {**original, **wrong}})


class Idle(ToolRunner):
    """FFmpeg ends well and does nothing."""

    def run(self, tool: str, argv: list[str], *asked: Any) -> Finished:
        return super().run(tool, ["true"] if tool == "ffmpeg" else argv, *asked)


def test_a_clip_that_was_never_written_is_refused(video: Path, tmp_path: Path) -> None:
    spec = ClipSpec(Source(url="file"), 1, 2, output=Output(width=160))
    idle = Idle(tmp_path, Stop(), JobObserver("clip"), deadline_seconds=60, memory_bytes=256 * MIB)

    with pytest.raises(ToolFailed, match="came out empty"):
        made_clip(plan_clip(spec, probed(video)), video, idle)


def test_limits_end_as_the_errors_they_stand_for(media_folder: Path, tmp_path: Path) -> None:
    large = cached_video(media_folder, Video(seconds=4, width=1280, height=720, audio=None))
    clip = planned(large, tmp_path, 0, 4, quality="high")

    assert refused(clip, limits=replace(LIMITS, file_bytes=50_000)).code == "too_large"
    assert refused(clip, limits=replace(LIMITS, deadline_seconds=0.3)).code == "deadline_exceeded"
    assert refused(clip, limits=replace(LIMITS, cpu_seconds=1)).code == "deadline_exceeded"
    memory = replace(LIMITS, memory_bytes=40 * MIB)
    assert refused(clip, limits=memory).code == "memory_exceeded"
    assert refused(clip, limits=replace(LIMITS, data_bytes=60 * MIB)).code == "memory_exceeded"


def test_a_cancelled_encode_is_no_failure(video: Path, tmp_path: Path) -> None:
    clip = planned(video, tmp_path, 0, 3)
    stop = Stop()
    stop.request(ProcessEnd.CANCELLED)

    finished = run_process(clip.encoding, folder=tmp_path, limits=LIMITS, stop=stop)

    assert finished.end is ProcessEnd.CANCELLED
    assert failure_of(finished, tmp_path) is None


def test_the_memory_estimate_holds_for_real_runs(media_folder: Path, tmp_path: Path) -> None:
    large = cached_video(media_folder, Video(seconds=4, width=1280, height=720, audio=None))
    clip = planned(large, tmp_path, 1, 3)
    picture = thumbnail_argv(large, tmp_path / "t.jpg", 1, 640, clip.plan.facts)

    for argv, terms in (
        (clip.encoding, encode_terms(clip.plan)),
        (picture, thumbnail_terms(clip.plan.facts, 640)),
    ):
        finished, _ = run(argv, tmp_path)
        assert finished.returncode == 0
        assert finished.peak_bytes <= shipped_table().bytes_of(terms) * 1.1
