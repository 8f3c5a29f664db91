"""Short videos that FFmpeg draws itself, to measure with: any codec, size and depth."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import imageio_ffmpeg

from worker.ffmpeg.options import local

SIZES = {360: (640, 360), 720: (1280, 720), 1080: (1920, 1080), 2160: (3840, 2160)}

# The fastest settings that still make streams like those of real files: three B-frames and three
# references where the codec has them, a key picture every two seconds.
_ENCODERS = {
    "h264": "libx264 -preset ultrafast -bf 3 -refs 3 -x264-params b-pyramid=normal",
    "hevc": "libx265 -preset ultrafast -x265-params log-level=none:bframes=3:ref=3",
    "av1": "libsvtav1 -preset 12 -crf 40 -svtav1-params lp=2",
    "vp9": "libvpx-vp9 -deadline realtime -cpu-used 8 -crf 35 -b:v 0",
    "vp8": "libvpx -deadline realtime -cpu-used 8 -b:v 4M",
    "prores": "prores_ks -profile:v 2",
    "mpeg2video": "mpeg2video -q:v 5 -bf 2",
    "mpeg4": "mpeg4 -q:v 5 -bf 2",
    "mjpeg": "mjpeg -q:v 5",
}
_SUFFIXES = {
    "vp8": ".webm",
    "vp9": ".webm",
    "prores": ".mov",
    "mpeg2video": ".mpg",
    "mjpeg": ".mov",
}
_DRAWN = "640x360"  # the drawing is the slow part; enlarging it is not


@dataclass(frozen=True)
class Sample:
    """One video; `more` are further words for the encoder or the muxer."""

    codec: str = "h264"
    width: int = 1920
    height: int = 1080
    pix_fmt: str = "yuv420p"
    fps: int = 25
    seconds: float = 3.0
    sound: bool = True
    repeated: int = 0  # how often the video is appended to itself, without encoding it again
    more: str = ""

    def __str__(self) -> str:
        fps = "" if self.fps == 25 else f" {self.fps} fps"
        times = f" repeated {self.repeated} times" if self.repeated else ""
        form = f"{self.codec} {self.width}x{self.height} {self.pix_fmt}"
        return f"{form}{fps}{times} {self.more}".strip()

    @property
    def name(self) -> str:
        """A file name that describes the video."""
        words = f"{self.codec}-{self.width}x{self.height}-{self.pix_fmt}-{self.fps}-{self.seconds}"
        words += "" if self.sound else "-silent"
        words += f"-repeated-{self.repeated}" if self.repeated else ""
        marks = "".join(it if it.isalnum() else "-" for it in self.more)
        return words + marks + _SUFFIXES.get(self.codec, ".mp4")


def sample_argv(sample: Sample, target: Path) -> list[str]:
    """The command that makes the video."""
    words = [str(imageio_ffmpeg.get_ffmpeg_exe()), "-nostdin", "-v", "error", "-y"]
    words += ["-f", "lavfi", "-i", f"testsrc2=s={_DRAWN}:r={sample.fps}:d={sample.seconds}"]
    if sample.sound:
        words += ["-f", "lavfi", "-i", f"sine=r=48000:d={sample.seconds}"]
    scaled = f"scale={sample.width}:{sample.height}:flags=neighbor,format={sample.pix_fmt}"
    words += ["-vf", scaled, "-g", str(2 * sample.fps), "-c:v", *_ENCODERS[sample.codec].split()]
    return [*words, *sample.more.split(), local(target)]


def repeated_argv(made: Path, times: int, target: Path) -> list[str]:
    """The command that makes a long video of a short one."""
    words = [str(imageio_ffmpeg.get_ffmpeg_exe()), "-nostdin", "-v", "error", "-y"]
    return [*words, "-stream_loop", str(times), "-i", local(made), "-c", "copy", local(target)]
