"""The probe tells what a file holds, and what it refuses to touch."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tasks.media import MediaFacts
from tests.integration.worker.pyav.conftest import ROOT, Program
from tests.support.media import ffmpeg
from tests.support.origin import hostile
from worker.pyav.protocol import Refusal, Result, encode_spec

Named = Callable[[str], Path]
MAX_PROBE_KILOBYTES = 150 * 1024


def _facts(said: Result | Refusal) -> MediaFacts:
    assert isinstance(said, Result), said
    return MediaFacts.from_dict(said.values)


def _code(said: Result | Refusal) -> str:
    assert isinstance(said, Refusal), said
    return said.code


def test_the_facts_of_an_ordinary_file(source_named: Named, run_program: Program):
    path = source_named("two tracks")
    facts = _facts(run_program("probe", source=str(path)))
    assert facts.video is not None
    assert (facts.video.codec, facts.video.width, facts.video.height) == ("h264", 240, 136)
    assert (facts.video.fps, facts.video.bit_depth, facts.video.frame_count) == (25.0, 8, 100)
    assert [(track.codec, track.language) for track in facts.audio] == [
        ("aac", None),
        ("aac", "fra"),
    ]
    assert facts.size_bytes == path.stat().st_size
    assert facts.duration_seconds == pytest.approx(4.0, abs=0.05)


def test_rotation_aspect_depth_colour_and_fields_are_seen(
    source_named: Named, run_program: Program
):
    def video(name: str):
        found = _facts(run_program("probe", source=str(source_named(name)))).video
        assert found is not None
        return found

    assert video("rotated").rotation == 270  # FFmpeg counts against the clock, players with it
    assert video("anamorphic").sample_aspect_ratio != "1:1"
    assert video("interlaced").interlaced
    hdr = video("hdr")
    assert (hdr.bit_depth, hdr.colour.hdr, hdr.colour.primaries) == (10, True, "bt2020")


def test_zero_is_where_the_container_starts(source_named: Named, run_program: Program):
    facts = _facts(run_program("probe", source=str(source_named("transport stream"))))
    assert facts.start_time_seconds > 1


def test_a_cover_picture_is_not_video(tmp_path: Path, run_program: Program):
    song, cover = tmp_path / "song.mp3", tmp_path / "cover.png"
    ffmpeg("-f", "lavfi", "-i", "color=red:s=64x64", "-frames:v", "1", str(cover))
    ffmpeg(
        "-f",
        "lavfi",
        "-i",
        "sine=d=1",
        "-i",
        str(cover),
        "-map",
        "0",
        "-map",
        "1",
        "-disposition:v",
        "attached_pic",
        str(song),
    )
    facts = _facts(run_program("probe", source=str(song)))
    assert facts.video is None
    assert facts.audio[0].codec == "mp3"


@pytest.mark.parametrize(
    "text",
    [
        "#EXTM3U\n#EXTINF:10,\nfile:///etc/passwd\n#EXTINF:10,\nsibling.mp4\n#EXT-X-ENDLIST\n",
        "ffconcat version 1.0\nfile 'sibling.mp4'\n",
        "hello\n" * 100,
        "",
    ],
    ids=["hls", "ffconcat", "text", "empty"],
)
def test_text_called_mp4_is_not_media_and_no_sibling_is_read(
    text: str, tmp_path: Path, source_named: Named, run_program: Program
):
    sibling = tmp_path / "sibling.mp4"
    sibling.write_bytes(source_named("no audio").read_bytes())
    os.utime(sibling, (1, sibling.stat().st_mtime))
    trap = tmp_path / "x.mp4"
    trap.write_text(text)
    assert _code(run_program("probe", source=str(trap))) == "not_media"
    assert sibling.stat().st_atime == 1


def test_a_file_without_its_end_is_corrupt_media(
    tmp_path: Path, source_named: Named, run_program: Program
):
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(hostile.without_index(source_named("closed gop").read_bytes()))
    assert _code(run_program("probe", source=str(broken))) == "corrupt_media"


def test_an_encrypted_file_has_no_stream_for_us(
    tmp_path: Path, source_named: Named, run_program: Program
):
    path = hostile.encrypted(tmp_path / "locked.mp4", source_named("closed gop"))
    assert _code(run_program("probe", source=str(path))) == "no_such_stream"


def test_a_codec_outside_the_list_is_no_stream(tmp_path: Path, run_program: Program):
    path = tmp_path / "old.avi"
    ffmpeg(
        "-f", "lavfi", "-i", "testsrc2=s=64x64:d=0.2", "-c:v", "snow", "-strict", "-2", str(path)
    )
    assert _code(run_program("probe", source=str(path))) == "no_such_stream"


def test_pictures_beyond_the_limits_are_too_large(tmp_path: Path, run_program: Program):
    wide, picture = tmp_path / "wide.mkv", tmp_path / "square.png"
    ffmpeg(
        "-f",
        "lavfi",
        "-i",
        "color=black:s=65534x2:d=0.1",
        "-c:v",
        "ffv1",
        "-frames:v",
        "1",
        str(wide),
    )
    picture.write_bytes(hostile.png(16_000, 16_000) + b"\0" * 4096)
    assert _code(run_program("probe", source=str(wide))) == "too_large"
    assert _code(run_program("probe", source=str(picture))) == "too_large"


# The high-water mark of this program alone: what `wait4` tells includes the parent's memory.
MEASURED = """
import runpy, sys
try:
    runpy.run_module("worker.pyav.probe", run_name="__main__")
finally:
    status = open("/proc/self/status").read()
    print(status.split("VmHWM:")[1].split()[0], file=sys.stderr)
"""


def _measured_probe(path: Path) -> tuple[dict[str, Any], int]:
    """The probe's last word, and its peak of memory in kilobytes."""
    argv = [sys.executable, "-c", MEASURED, encode_spec({"source": str(path)})]
    done = subprocess.run(argv, capture_output=True, text=True, cwd=ROOT, timeout=60)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1]), int(done.stderr)


def test_files_full_of_headers_cost_little(tmp_path: Path, source_named: Named):
    good = source_named("closed gop")
    tagged = tmp_path / "tagged.mp4"
    tagged.write_bytes(hostile.with_huge_tag(good.read_bytes()))
    streams = [
        hostile.many_streams(tmp_path / f"streams{suffix}", good, 1000)
        for suffix in (".mp4", ".mkv")
    ]
    chapters = hostile.many_chapters(tmp_path / "chapters.mp4", good, 10_000)
    for path in (tagged, *streams, chapters):
        said, kilobytes = _measured_probe(path)
        assert kilobytes < MAX_PROBE_KILOBYTES, path.name
        assert said.get("result") or said["error"]["code"] == "too_large", said
