"""Sources that were put together from several, in every output."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.support.cases.cutting import cut
from tests.support.cases.judging import Range, pictures
from tests.support.cases.table import CASES
from tests.support.media import ffmpeg

JOINT = Range(4.6, 6.4)  # around the joint of both
NUMBERS = {"edits_many.mp4": list(range(120, 160)) + list(range(165, 170)),
           "concat_entries.mp4": list(range(115, 160))}  # fmt: skip


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize(
    "output",
    [{"container": "mp4"}, {"container": "webm"}, {"width": 240}, {"audio": "drop"}],
    ids=str,
)
def test_all_pictures_around_a_joint_are_there_in_every_container(
    name: str, output: dict[str, object], media_folder: Path, tmp_path: Path
) -> None:
    clip = cut(CASES[name].file(media_folder), "encode", JOINT, tmp_path, **output)
    assert [it.number for it in pictures(clip.path)] == NUMBERS[name]
    assert bool(clip.facts.audio) == ("audio" not in output)


@pytest.mark.parametrize("name", NUMBERS)
def test_another_rate_shows_the_nearest_pictures_and_passes_its_check(
    name: str, media_folder: Path, tmp_path: Path
) -> None:
    clip = cut(CASES[name].file(media_folder), "auto", JOINT, tmp_path, fps=12)
    numbers = [it.number for it in pictures(clip.path)]
    assert numbers == sorted(set(numbers))
    assert set(numbers) <= set(NUMBERS[name])
    assert clip.values["verification"].frames_compared == 1


@pytest.mark.parametrize("name", NUMBERS)
def test_sound_alone_goes_over_a_joint(name: str, media_folder: Path, tmp_path: Path) -> None:
    clip = cut(CASES[name].file(media_folder), "auto", JOINT, tmp_path, container="m4a")
    assert clip.facts.duration_seconds == pytest.approx(1.8, abs=0.05)


@pytest.mark.parametrize(
    ("mode", "output"), [("auto", {}), ("encode", {}), ("auto", {"width": 160})]
)
def test_sound_whose_times_collide_is_told_of_in_every_mode(
    mode: str, output: dict[str, Any], tmp_path: Path
) -> None:
    """A fragment for each sample, as FFmpeg's muxer writes it: packets share their times."""
    source = tmp_path / "colliding.mp4"
    pictures = ["-f", "lavfi", "-i", "testsrc2=s=320x180:r=25:d=4"]
    sound = ["-f", "lavfi", "-i", "sine=440:r=48000:d=4", "-c:a", "aac"]
    ffmpeg(*pictures, *sound, "-movflags", "frag_every_frame+empty_moov", str(source))

    clip = cut(source, mode, Range(1.0, 3.0), tmp_path, **output)

    assert [text for text in clip.warnings if "packets of sound overlap others" in text]
