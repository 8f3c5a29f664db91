"""How many pictures a source's frames refer to, as the probe says."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.media import ffmpeg
from worker.pyav.probe import facts_of_file

X264, X265 = "-c:v libx264 -preset ultrafast", "-c:v libx265 -preset ultrafast"


@pytest.mark.parametrize(
    ("words", "suffix", "references"),
    [
        (f"{X264} -refs 1 -bf 0", ".mp4", 1),
        (f"{X264} -refs 6 -bf 0", ".mp4", 6),
        (f"{X264} -refs 16 -bf 0", ".ts", 16),
        (f"{X264} -refs 5 -bf 0 -pix_fmt yuv444p", ".mkv", 5),
        (f"{X265} -x265-params ref=6:bframes=0:log-level=none", ".mp4", 6),
        (f"{X265} -x265-params ref=6:bframes=0:log-level=none", ".ts", 6),
        ("-c:v mpeg4", ".mp4", None),
    ],
)
def test_the_probe_tells_what_the_parameter_sets_declare(
    words: str, suffix: str, references: int | None, tmp_path: Path
) -> None:
    path = tmp_path / f"video{suffix}"
    ffmpeg("-f", "lavfi", "-i", "testsrc2=s=320x180:d=1", *words.split(), str(path))

    video = facts_of_file(str(path)).video

    assert video is not None
    assert video.references == references
