"""Subtitles and chapters of a clip: those of its range, at the clip's own time, in every mode."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import av
import imageio_ffmpeg
import pytest

from tests.support.cases.cutting import cut
from tests.support.cases.judging import Range
from tests.support.media import Video, cached_video, ffmpeg

TEXTS = "1\n00:00:01,000 --> 00:00:03,000\nHello\n\n2\n00:00:04,000 --> 00:00:04,500\nBye\n"
CHAPTERS = (
    ";FFMETADATA1\n[CHAPTER]\nTIMEBASE=1/1000\nSTART=0\nEND=2500\ntitle=First\n"
    "[CHAPTER]\nTIMEBASE=1/1000\nSTART=2500\nEND=6000\ntitle=Second\n"
)
ASKED = Range(2.0, 5.0)
MODES: dict[str, tuple[str, dict[str, Any]]] = {
    "smart": ("auto", {}),
    "encoded": ("encode", {}),
    "copied": ("copy", {}),
    "resized": ("auto", {"width": 160}),
    "matroska": ("auto", {"container": "mkv"}),
    "webm": ("auto", {"container": "webm"}),
}


def source_with(texts: str, folder: Path, cache: Path, codec: str = "srt") -> Path:
    """Six seconds with two chapters and these subtitles; a keyframe each second."""
    words, chapters, target = folder / "words.srt", folder / "chapters", folder / "source.mkv"
    words.write_text(texts)
    chapters.write_text(CHAPTERS)
    made = ["-i", str(cached_video(cache, Video(seconds=6))), "-i", str(words), "-i", str(chapters)]
    kept = ["-map", "0", "-map", "1", "-map_chapters", "2", "-c", "copy", "-c:s", codec]
    ffmpeg(*made, *kept, "-metadata:s:s", "language=eng", str(target))
    return target


def texts_of(path: Path) -> list[tuple[float, float, str]]:
    """What FFmpeg reads from the clip's subtitles: begin, end, text."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-i", str(path), "-map", "0:s"]
    command += ["-f", "srt", "-"]
    found = subprocess.run(command, capture_output=True, check=True, timeout=60).stdout.decode()
    blocks = [block.splitlines() for block in found.strip().split("\n\n")]
    return [(*_times(lines[1]), "\n".join(lines[2:])) for lines in blocks if len(lines) > 2]


def _times(line: str) -> tuple[float, float]:
    numbers = [int(it) for it in re.findall(r"\d+", line)]
    begin, end = (h * 3600 + m * 60 + s + ms / 1000 for h, m, s, ms in (numbers[:4], numbers[4:]))
    return begin, end


@pytest.mark.parametrize("mode", MODES)
def test_texts_and_chapters_are_moved_to_the_clip(
    mode: str, media_folder: Path, tmp_path: Path
) -> None:
    source = source_with(TEXTS, tmp_path, media_folder)
    asked, output = MODES[mode]

    clip = cut(source, asked, ASKED, tmp_path, **output)

    (hello, bye) = texts_of(clip.path)
    assert (hello[2], bye[2]) == ("Hello", "Bye")
    assert (hello[0], hello[1]) == pytest.approx((0.0, 1.0), abs=0.002)
    assert (bye[0], bye[1]) == pytest.approx((2.0, 2.5), abs=0.002)
    with av.open(str(clip.path)) as container:
        assert container.streams.subtitles[0].language == "eng"
        chapters = [
            (float(it["start"] * it["time_base"]), it["metadata"]["title"])
            for it in container.chapters()
        ]
    assert chapters == [(0.0, "First"), (pytest.approx(0.5, abs=0.002), "Second")]
    assert list(clip.warnings) == []


def test_dropped_subtitles_are_not_there(media_folder: Path, tmp_path: Path) -> None:
    source = source_with(TEXTS, tmp_path, media_folder)
    clip = cut(source, "auto", ASKED, tmp_path, subtitles="drop")
    assert clip.facts.subtitles == ()


def test_styles_are_kept_where_the_container_has_them(media_folder: Path, tmp_path: Path) -> None:
    text = "1\n00:00:01,000 --> 00:00:03,000\n<i>Hello</i>\n"
    source = source_with(text, tmp_path, media_folder, "ass")
    clip = cut(source, "auto", ASKED, tmp_path, container="mkv")
    assert [track.codec for track in clip.facts.subtitles] == ["ass"]
    assert texts_of(clip.path)[0][2] == "<i>Hello</i>"


@pytest.mark.parametrize("container", ["mp4", "mkv"])
def test_a_thousand_texts_at_one_moment_are_a_clip(
    container: str, media_folder: Path, tmp_path: Path
) -> None:
    texts = "".join(f"{n}\n00:00:02,500 --> 00:00:03,500\ntext {n}\n\n" for n in range(1000))
    source = source_with(texts, tmp_path, media_folder)
    clip = cut(source, "auto", ASKED, tmp_path, container=container)
    found = texts_of(clip.path)
    if container == "mp4":  # one text at a time: as many lines as any screen could show
        ((begin, end, text),) = found
        assert (begin, end) == pytest.approx((0.5, 1.5), abs=0.002)
        assert len(text.splitlines()) == 50
    else:
        assert len(found) == 1000
