"""What a clip keeps of its source, what it refuses, and how the program speaks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import pytest
from av import VideoFrame

from tasks.media import MediaFacts
from tests.integration.worker.pyav.conftest import Program
from tests.support.exactness import judge
from tests.support.media import ffmpeg, noise
from tests.support.origin import hostile
from worker.clip.containers import CONTAINERS
from worker.clip.encoding import sound_bit_rate
from worker.pyav.protocol import Refusal, Result

Named = Callable[[str], Path]


@pytest.fixture
def cut(run_program: Program, tmp_path: Path) -> Callable[..., Result | Refusal]:
    """Cut with the program into `tmp_path/clip.CONTAINER`."""

    def run(source: Path, start: float, end: float, **more: Any) -> Result | Refusal:
        container = more.setdefault("container", "mp4")
        more.setdefault("target", str(tmp_path / f"clip.{container}"))
        said = run_program("cut", source=str(source), start=start, end=end, **more)
        if isinstance(said, Result) and "needs_encode" in said.values:  # as the worker does
            again = {"mode": "encode", "reason": said.values["needs_encode"]}
            return run_program("cut", source=str(source), start=start, end=end, **more | again)
        return said

    return run


def _values(said: Result | Refusal) -> dict[str, Any]:
    assert isinstance(said, Result), said
    return said.values


def _first_frame(path: Path) -> VideoFrame:
    with av.open(str(path)) as container:
        return next(container.decode(video=0))


def test_a_smart_cut_says_what_it_did(source_named: Named, cut, tmp_path: Path):
    values = _values(cut(source_named("closed gop"), 0.5, 2.3))
    assert values["mode"] == "smart"
    assert values["frames"] == values["frames_encoded"] + values["frames_copied"] == 45
    assert values["frames_copied"] > 30
    assert (values["requested_start"], values["requested_end"]) == (0.5, 2.3)
    assert values["actual_start"] == pytest.approx(0.52)
    assert values["actual_end"] == pytest.approx(2.32)
    assert values["warnings"] == []


def test_an_encode_that_was_asked_for_copies_nothing(source_named: Named, cut):
    values = _values(cut(source_named("closed gop"), 1.0, 3.0, mode="encode"))
    assert (values["mode"], values["frames"], values["frames_copied"]) == ("encode", 50, 0)


@pytest.mark.parametrize("name", ["open gop", "interlaced", "hevc", "prores", "one long gop"])
def test_what_cannot_be_joined_is_not_encoded_before_that_was_asked_for(
    name: str, source_named: Named, cut, run_program: Program, tmp_path: Path
):
    """An encode takes several times the memory, which has to be reserved first."""
    source = source_named(name)
    asked = {"source": str(source), "target": str(tmp_path / "none.mp4"), "start": 0.5, "end": 2.3}
    said = _values(run_program("cut", **asked, mode="smart"))
    assert said.keys() == {"needs_encode", "rejected"}
    assert not said["rejected"]
    assert not (tmp_path / "none.mp4").exists()
    values = _values(cut(source, 0.5, 2.3, mode="smart"))
    assert (values["mode"], values["mode_reason"]) == ("encode", said["needs_encode"])
    assert len(values["mode_reason"]) > 10


@pytest.mark.parametrize("container", ["mkv", "webm"])
@pytest.mark.parametrize("name", ["closed gop", "transport stream", "vp9", "av1", "pcm sound"])
def test_other_containers_hold_exact_clips_too(
    name: str, container: str, source_named: Named, cut, tmp_path: Path
):
    source = source_named(name)
    _values(cut(source, 1.04, 3.0, container=container))
    verdict = judge(source, tmp_path / f"clip.{container}", 1.04, 3.0)
    assert verdict.faults == []
    assert verdict.worst_psnr > 36


@pytest.mark.parametrize("mode", ["smart", "encode"])
def test_rotation_and_aspect_are_kept(mode: str, source_named: Named, cut, tmp_path: Path):
    clip = tmp_path / "clip.mp4"
    rotated, anamorphic = source_named("rotated"), source_named("anamorphic")
    _values(cut(rotated, 0.5, 2.3, mode=mode))
    assert _first_frame(clip).rotation == _first_frame(rotated).rotation == 90
    _values(cut(anamorphic, 0.5, 2.3, mode=mode))
    with av.open(str(anamorphic)) as before, av.open(str(clip)) as after:
        assert after.streams.video[0].sample_aspect_ratio not in (None, 1)
        assert (
            after.streams.video[0].sample_aspect_ratio
            == before.streams.video[0].sample_aspect_ratio
        )


@pytest.mark.parametrize(
    ("name", "mode"), [("hdr", "smart"), ("hdr", "encode"), ("hevc hdr", "smart")]
)
def test_high_dynamic_range_is_kept(
    name: str, mode: str, source_named: Named, cut, run_program: Program, tmp_path: Path
):
    clip = tmp_path / "clip.mp4"
    _values(cut(source_named(name), 0.5, 2.3, mode=mode))
    facts = MediaFacts.from_dict(_values(run_program("probe", source=str(clip))))
    assert facts.video is not None
    assert (facts.video.bit_depth, facts.video.colour.hdr) == (10, True)
    assert facts.video.colour.primaries == "bt2020"
    before = _first_frame(source_named(name)).side_data
    after = _first_frame(clip).side_data
    for kind in ("MASTERING_DISPLAY_METADATA", "CONTENT_LIGHT_LEVEL"):
        assert kind in {data.type.name for data in before}
        assert kind in {data.type.name for data in after}


def test_every_sound_track_and_its_language_are_kept(
    source_named: Named, cut, run_program: Program, tmp_path: Path
):
    _values(cut(source_named("two tracks"), 0.5, 2.3))
    facts = MediaFacts.from_dict(_values(run_program("probe", source=str(tmp_path / "clip.mp4"))))
    assert [track.language for track in facts.audio] == [None, "fra"]


def test_sound_is_left_out_when_asked(source_named: Named, cut, tmp_path: Path):
    _values(cut(source_named("closed gop"), 0.5, 2.3, output={"audio": "drop"}))
    with av.open(str(tmp_path / "clip.mp4")) as clip:
        assert not clip.streams.audio


@pytest.mark.parametrize("suffix", [".m4a", ".mp3", ".wav", ".flac", ".opus"])
@pytest.mark.parametrize("container", ["m4a", "mp3", "mkv"])
def test_sound_alone_is_cut(suffix: str, container: str, tmp_path: Path, cut):
    source = tmp_path / f"song{suffix}"
    ffmpeg("-f", "lavfi", "-i", "anoisesrc=color=pink:seed=3:r=48000:d=6:a=0.5", str(source))
    values = _values(cut(source, 1.5, 4.25, container=container))
    assert values["frames"] == 0
    verdict = judge(source, tmp_path / f"clip.{container}", 1.5, 4.25)
    assert verdict.faults == []
    assert verdict.sound_shift_ms <= 25


def test_the_sound_of_a_video_can_be_cut_alone(source_named: Named, cut, tmp_path: Path):
    _values(cut(source_named("closed gop"), 0.5, 2.3, container="m4a"))
    with av.open(str(tmp_path / "clip.m4a")) as clip:
        assert not clip.streams.video
        assert clip.duration == pytest.approx(1_800_000, abs=50_000)


def test_a_clip_of_sound_from_a_silent_video_has_no_stream(source_named: Named, cut):
    said = cut(source_named("no audio"), 0.5, 2.3, container="m4a")
    assert isinstance(said, Refusal)
    assert said.code == "no_such_stream"


def test_an_end_past_the_end_is_clamped_and_said(source_named: Named, cut):
    values = _values(cut(source_named("closed gop"), 2.0, 60.0))
    assert values["actual_end"] == pytest.approx(4.0)
    assert any("past the end" in warning for warning in values["warnings"])


@pytest.mark.parametrize(("start", "end"), [(4.5, 5.0), (400.0, 500.0)])
@pytest.mark.parametrize("name", ["closed gop", "transport stream", "matroska", "vp9"])
def test_a_range_without_a_frame_is_refused(
    name: str, start: float, end: float, source_named: Named, cut
):
    said = cut(source_named(name), start, end)
    assert isinstance(said, Refusal)
    assert said.code == "range_outside_media"
    assert "frame" in said.message


@pytest.mark.parametrize("name", ["closed gop", "transport stream", "matroska", "vp9"])
def test_a_range_between_two_frames_shows_the_one_on_display(name: str, source_named: Named, cut):
    values = _values(cut(source_named(name), 1.001, 1.011))
    assert (values["frames"], values["actual_start"]) == (1, 1.001)
    assert values["duration_seconds"] <= 0.04


@pytest.mark.parametrize("mode", ["smart", "encode"])
def test_stills_keep_their_time_and_do_not_outlast_the_range(
    mode: str, tmp_path: Path, cut: Callable[..., Result | Refusal]
):
    source = tmp_path / "stills.mp4"
    pictures = ["-f", "lavfi", "-i", "testsrc2=s=320x180:r=1/2:d=12"]
    sounds = ["-f", "lavfi", "-i", "anoisesrc=color=pink:d=12:a=0.5"]
    ffmpeg(*pictures, *sounds, "-c:v", "libx264", "-g", "2", "-c:a", "aac", str(source))
    values = _values(cut(source, 2.7, 9.0, mode=mode))
    assert (values["frames"], values["actual_start"]) == (4, 2.7)
    with av.open(str(tmp_path / "clip.mp4")) as clip:
        assert clip.duration == pytest.approx(6_300_000, abs=30_000)
        times = [frame.time for frame in clip.decode(video=0)]
    assert times == pytest.approx([0.0, 1.3, 3.3, 5.3], abs=0.002)


def test_sound_whose_packets_overlap_is_missed_aloud(tmp_path: Path, cut):
    """A fragment for each sample, as FFmpeg writes it, gives two packets one time."""
    source = tmp_path / "fragments.mp4"
    pictures = ["-f", "lavfi", "-i", "testsrc2=s=320x180:r=25:d=4"]
    sounds = ["-f", "lavfi", "-i", "anoisesrc=d=4"]
    each = ["-movflags", "frag_every_frame+empty_moov+default_base_moof"]
    ffmpeg(*pictures, *sounds, "-c:v", "libx264", "-g", "25", "-c:a", "aac", *each, str(source))
    warnings = _values(cut(source, 1.0, 3.0))["warnings"]
    assert any("packets of sound overlap others" in warning for warning in warnings)


@pytest.mark.parametrize("change", ["-bf 0 -profile:v baseline", "-s 640x360"])
def test_a_stream_that_changes_in_the_range_is_encoded(change: str, tmp_path: Path, cut):
    made = "-c:v libx264 -preset veryfast -g 25 -threads 1"
    pictures = ["-f", "lavfi", "-i", "testsrc2=s=320x180:r=25:d=2"]
    first, second, both = (tmp_path / f"{name}.ts" for name in ("first", "second", "both"))
    ffmpeg(*pictures, *made.split(), str(first))
    ffmpeg(*pictures, *made.split(), *change.split(), "-output_ts_offset", "2.1", str(second))
    both.write_bytes(first.read_bytes() + second.read_bytes())
    values = _values(cut(both, 0.5, 3.5))
    assert values["mode"] == "encode"
    assert values["frames"] >= 70
    assert _values(cut(both, 0.5, 1.8))["frames"] == 32


def test_a_damaged_source_gives_a_clip_or_a_reason_and_never_a_crash(
    source_named: Named, cut, tmp_path: Path
):
    good = source_named("closed gop").read_bytes()
    for seed in range(4):
        broken = tmp_path / "broken.mp4"
        broken.write_bytes(hostile.with_damage(good, seed))
        said = cut(broken, 0.5, 2.3)
        assert isinstance(said, Result) or said.code in ("corrupt_media", "range_outside_media")


def test_a_full_disk_is_said_as_such(source_named: Named, cut):
    said = cut(source_named("closed gop"), 0.5, 2.3, target="/dev/full")
    assert isinstance(said, Refusal)
    assert said.code == "storage_full"


@pytest.mark.parametrize("container", ["m4a", "mp3", "mkv", "webm"])
@pytest.mark.parametrize("channels", [1, 2])
def test_a_better_quality_gives_encoded_sound_more_bits(
    container: str, channels: int, tmp_path: Path, cut
):
    """FFmpeg's command encodes the same sound beside a picture: tests/integration/worker has it."""
    source = tmp_path / "noise.wav"
    ffmpeg("-f", "lavfi", "-i", noise(channels), str(source))
    encoder = CONTAINERS[container].audio_encoder
    assert encoder is not None
    rates = []
    for quality in ("draft", "standard", "high"):
        _values(cut(source, 0.5, 5.5, container=container, output={"quality": quality}))
        with av.open(str(tmp_path / f"clip.{container}")) as clip:
            written = sum(packet.size for packet in clip.demux(audio=0)) * 8 / 5
        asked = sound_bit_rate(encoder, quality, channels)
        assert written == pytest.approx(asked, rel=0.3), quality
        rates.append(written)
    assert rates[0] * 1.2 < rates[1]
    assert rates[1] * 1.2 < rates[2]
