"""Subtitles drawn into the pictures: at their times, in letters that are on every machine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from tasks.errors import NoSuchStream
from tests.integration.worker.test_side_tracks import source_with
from tests.support.cases.cutting import cut
from tests.support.cases.judging import Range
from tests.support.media import ffmpeg
from worker.cutting.cut import Cut

ASKED = Range(2.0, 5.0)
WHITE = 150
TEXTS = "1\n00:00:01,000 --> 00:00:03,000\nHello Привет\n\n2\n00:00:04,000 --> 00:00:04,500\nBye\n"


def drawn(path: Path) -> list[tuple[float, bool]]:
    """Of each picture, when it is shown and whether something white is in its lowest quarter."""
    with av.open(str(path)) as container:
        found = []
        for frame in container.decode(video=0):
            rows = frame.to_ndarray(format="gray")
            lowest = rows[-frame.height // 4 :]
            found.append((float(frame.time or 0), int(np.count_nonzero(lowest > WHITE)) > 5))
    return found


def dark_source(texts: str, folder: Path, codec: str = "srt") -> Path:
    """Six seconds of black with these subtitles."""
    words, target = folder / "words.srt", folder / "dark.mkv"
    words.write_text(texts)
    black = ["-f", "lavfi", "-i", "color=black:s=320x180:r=25:d=6", "-i", str(words)]
    ffmpeg(*black, "-c:v", "libx264", "-g", "25", "-c:s", codec, str(target))
    return target


def burned(source: Path, folder: Path, mode: str = "auto", **output: Any) -> Cut:
    return cut(source, mode, ASKED, folder, subtitles="burn", **output)


@pytest.mark.parametrize(
    "output", [{}, {"width": 480}, {"container": "webm"}, {"container": "mkv", "fps": 10}]
)
def test_texts_are_in_the_pictures_of_their_time_and_in_no_others(
    output: dict[str, Any], tmp_path: Path
) -> None:
    clip = burned(dark_source(TEXTS, tmp_path), tmp_path, **output)

    shown = drawn(clip.path)
    step = 1 / output.get("fps", 25)
    inside = [time < 1 or 2 <= time < 2.5 for time, _ in shown]
    near = [min(abs(time - it) for it in (1, 2, 2.5)) < step for time, _ in shown]
    assert len(shown) == round(3 / step)
    for (time, is_drawn), is_inside, is_near in zip(shown, inside, near, strict=True):
        assert is_near or is_drawn is is_inside, time
    assert clip.facts.subtitles == ()
    assert clip.values["mode"] == "encode"
    assert clip.values["mode_reason"] == "the subtitles are drawn into the pictures"
    assert list(clip.warnings) == []


def test_the_pictures_without_a_text_are_still_compared(media_folder: Path, tmp_path: Path) -> None:
    clip = burned(source_with(TEXTS, tmp_path, media_folder), tmp_path)
    assert clip.values["verification"].frames_compared == 3


def test_a_clip_that_shows_texts_all_the_time_is_made(media_folder: Path, tmp_path: Path) -> None:
    words = "1\n00:00:00,000 --> 00:00:06,000\nAlways\n"
    clip = burned(source_with(words, tmp_path, media_folder), tmp_path)
    assert clip.values["verification"].frames_compared == 0
    assert clip.values["frames"] == 75


def test_a_gif_shows_them_too(tmp_path: Path) -> None:
    clip = burned(dark_source(TEXTS, tmp_path), tmp_path, container="gif")
    assert any(is_drawn for _, is_drawn in drawn(clip.path))


def test_fonts_that_are_not_there_are_not_needed(tmp_path: Path) -> None:
    words = "1\n00:00:01,000 --> 00:00:05,000\n{\\fnNowhere\\an2}Hello\n"
    clip = burned(dark_source(words, tmp_path, "ass"), tmp_path)
    assert all(is_drawn for _, is_drawn in drawn(clip.path))


def test_letters_that_no_font_has_are_told_of(tmp_path: Path) -> None:
    # A letter of a script that no usual font has: Linear A.
    words = "1\n00:00:01,000 --> 00:00:05,000\nok \U00010600\n"
    clip = burned(dark_source(words, tmp_path), tmp_path)
    assert [it for it in clip.warnings if "U+10600" in it]


def test_a_source_without_texts_is_refused(media_folder: Path, tmp_path: Path) -> None:
    source = tmp_path / "plain.mp4"
    ffmpeg("-f", "lavfi", "-i", "color=black:s=320x180:r=25:d=6", str(source))
    with pytest.raises(NoSuchStream, match="no text subtitles"):
        burned(source, tmp_path)


def test_a_thousand_texts_of_one_moment_end(tmp_path: Path) -> None:
    words = "".join(f"{n}\n00:00:02,000 --> 00:00:02,500\nline {n}\n\n" for n in range(1, 1001))
    clip = burned(dark_source(words, tmp_path), tmp_path)
    assert clip.values["frames"] == 75


def test_a_script_that_names_files_reads_none(tmp_path: Path) -> None:
    secret = tmp_path / "secret.srt"
    secret.write_text("1\n00:00:01,000 --> 00:00:05,000\nSecret\n")
    words = f"1\n00:00:05,500 --> 00:00:06,000\n[Events]\\NDialogue: {secret}\n"
    clip = burned(dark_source(words, tmp_path), tmp_path)
    assert not any(is_drawn for _, is_drawn in drawn(clip.path))
