"""The video that is cut: like one from the web, made here once and kept."""

from __future__ import annotations

from pathlib import Path

import av
import imageio_ffmpeg

from benchmarks.clips.sizes import FPS, Sizes
from clipmill.stack.processes import run_tool

FFMPEG = imageio_ffmpeg.get_ffmpeg_exe()
VERSION = 1  # raise it when anything here changes, so that no old file is used


def source_video(sizes: Sizes, folder: Path) -> Path:
    """H.264 with B-frames at about 3 Mbit/s for 1080p, and AAC; kept in the folder."""
    name = f"source-{sizes.seconds}s-{sizes.height}p-v{VERSION}.mp4"
    target = folder / name
    if not target.exists():
        part, partial = folder / f"part-{name}", folder / f"partial-{name}"
        run(part_argv(sizes, part), 900)
        run(whole_argv(sizes, part, partial), 300)
        part.unlink()
        check(partial, sizes)
        partial.replace(target)
    return target


def part_argv(sizes: Sizes, target: Path) -> list[str]:
    """Moving shapes, a clock, and noise that differs in each frame. No sound: two streams never
    have quite the same length, and repeating them would tear the picture."""
    picture = f"testsrc2=size={sizes.width}x{sizes.height}:rate={FPS},noise=alls=8:allf=t"
    kilobits = 3000 * sizes.width * sizes.height // (1920 * 1080)
    argv = [FFMPEG, "-v", "error", "-nostdin", "-y", "-f", "lavfi", "-i", picture]
    argv += ["-t", str(sizes.part_seconds), "-pix_fmt", "yuv420p", "-c:v", "libx264"]
    argv += ["-preset", "veryfast", "-bf", "3", "-g", str(sizes.keyframe_frames)]
    argv += ["-b:v", f"{kilobits}k", "-maxrate", f"{2 * kilobits}k", "-bufsize", f"{4 * kilobits}k"]
    return [*argv, str(target)]


def whole_argv(sizes: Sizes, part: Path, target: Path) -> list[str]:
    """The part repeated by copying, with one sound over the whole length."""
    argv = [FFMPEG, "-v", "error", "-nostdin", "-y"]
    argv += ["-stream_loop", str(sizes.seconds // sizes.part_seconds - 1), "-i", str(part)]
    argv += ["-f", "lavfi", "-i", f"anoisesrc=color=pink:amplitude=0.3:duration={sizes.seconds}"]
    argv += ["-map", "0:v", "-map", "1:a", "-c:v", "copy", "-c:a", "aac", "-b:a", "128k"]
    return [*argv, "-movflags", "+faststart", str(target)]


def run(argv: list[str], timeout_seconds: float) -> None:
    """Run FFmpeg. Raises RuntimeError with FFmpeg's message."""
    done = run_tool(argv, timeout_seconds=timeout_seconds)
    if done.status != 0:
        raise RuntimeError(f"FFmpeg failed: {done.text.strip()}")


def check(path: Path, sizes: Sizes) -> None:
    """The judge relies on this: frame N shows at N/25 s, there are B-frames and enough
    keyframes."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert stream.time_base is not None
        stamps = [(it.pts, it.dts) for it in container.demux(stream) if it.pts is not None]
        times = sorted(pts * stream.time_base * FPS for pts, _ in stamps)
        reordered = any(pts != dts for pts, dts in stamps)
    assert times == list(range(sizes.seconds * FPS)), "the frames of the source are irregular"
    assert reordered, "the source has no B-frames"
