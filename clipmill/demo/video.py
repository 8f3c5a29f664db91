"""The video of the demonstration, made here so that nothing has to be fetched."""

from __future__ import annotations

from pathlib import Path

import imageio_ffmpeg

from clipmill.stack.processes import run_tool

# `testsrc2` moves, has a patch of noise and shows time and frame number in a font of its own,
# so that a viewer can see whether a clip begins and ends where it should.
PICTURE = "testsrc2=size=1280x720:rate=25"
# A tone that climbs each second and starts again after eight.
SOUND = "aevalsrc=0.3*sin(2*PI*t*(220+110*mod(floor(t)\\,8))):s=44100"
KEYFRAME_FRAMES = 125  # a keyframe each five seconds, as on the web: few clips begin at one


class NoVideo(Exception):
    """FFmpeg could not make the video; the message is FFmpeg's."""


def make_video(path: Path, seconds: float) -> None:
    """Write a 720p H.264 and AAC file; takes a seventeenth of its length on two cores."""
    argv = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-nostdin", "-y"]
    for source in (PICTURE, SOUND):
        argv += ["-f", "lavfi", "-i", source]
    argv += ["-t", f"{seconds:g}", "-c:v", "libx264", "-preset", "ultrafast", "-crf", "30"]
    argv += ["-g", str(KEYFRAME_FRAMES), "-pix_fmt", "yuv420p", "-c:a", "aac", "-b:a", "96k"]
    argv += ["-movflags", "+faststart", str(path)]
    done = run_tool(argv, timeout_seconds=60 + 4 * seconds)
    if done.status != 0:
        raise NoVideo(done.text.strip())
