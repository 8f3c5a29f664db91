"""Small videos made with FFmpeg, each frame carrying its own number as a bar code.

Every picture moves, has noise, and shows its frame number in sixteen boxes along the top (white is
one, least significant bit first), so that a test can say which frame it looks at after any
re-encode. The tone of the sound rises four times a second.
"""

from __future__ import annotations

import hashlib
import subprocess
from dataclasses import asdict, dataclass
from pathlib import Path

import av
import imageio_ffmpeg

from tests.support.shared import made_once

BITS = 16


@dataclass(frozen=True)
class Video:
    """What to make; two equal values are the same file."""

    seconds: float = 3.0
    width: int = 320
    height: int = 180
    fps: str = "25"
    video: str | None = "libx264"
    audio: str | None = "aac"
    suffix: str = ".mp4"
    keyframe_seconds: float = 1.0
    pix_fmt: str = "yuv420p"
    options: tuple[str, ...] = ()  # more FFmpeg output options, last in the command

    @property
    def name(self) -> str:
        """A file name that differs for different videos."""
        digest = hashlib.sha256(repr(asdict(self)).encode()).hexdigest()[:16]
        return f"{self.width}x{self.height}-{digest}{self.suffix}"


def ffmpeg(*arguments: str, timeout_seconds: float = 120) -> None:
    """Run FFmpeg to its end; the error of a failure holds its messages."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-hide_banner", "-nostdin", "-y", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=timeout_seconds)
    if done.returncode:
        raise RuntimeError(f"ffmpeg {' '.join(arguments)}\n{done.stderr[-2000:]}")


def noise(channels: int) -> str:
    """A lavfi graph: six seconds of sound that compresses badly, different in each channel."""
    one = "anoisesrc=color=pink:r=48000:d=6:seed"
    if channels == 1:
        return f"{one}=1"
    drawn = [f"{one}={seed}[{seed}]" for seed in range(channels)]
    inputs = "".join(f"[{seed}]" for seed in range(channels))
    return f"{';'.join(drawn)};{inputs}amerge=inputs={channels}"


def make_video(path: Path, wanted: Video | None = None) -> Path:
    """Make a video at `path`, unless it is there already."""
    video = wanted or Video()
    return made_once(path, lambda target: ffmpeg(*_inputs(video), *_outputs(video), str(target)))


def cached_video(folder: Path, wanted: Video | None = None) -> Path:
    """The video of this kind in a folder that a whole test run shares."""
    wanted = wanted or Video()
    return make_video(folder / wanted.name, wanted)


def _inputs(wanted: Video) -> list[str]:
    inputs: list[str] = []
    if wanted.video:
        size = f"{wanted.width}x{wanted.height}"
        inputs += [
            "-f",
            "lavfi",
            "-i",
            f"testsrc2=size={size}:rate={wanted.fps},{_barcode(wanted)}",
        ]
    if wanted.audio:
        tone = "0.3*sin(2*PI*t*(200+50*floor(4*t)))"
        inputs += ["-f", "lavfi", "-i", f"aevalsrc={tone}|{tone}:sample_rate=48000"]
    return inputs


def _barcode(wanted: Video) -> str:
    """Filters that lay the boxes over the noisy picture; `n` is FFmpeg's frame count."""
    box_width, box_height = wanted.width // BITS, box_height_of(wanted.height)
    filters = [
        "noise=alls=6:allf=t",
        f"drawbox=x=0:y=0:w=iw:h={box_height}:color=black:t=fill",
    ]
    filters += [
        f"drawbox=x={bit * box_width}:y=0:w={box_width}:h={box_height}:color=white:t=fill"
        f":enable='gt(mod(floor(n/{2**bit}),2),0)'"
        for bit in range(BITS)
    ]
    return ",".join(filters)


def box_height_of(height: int) -> int:
    """How much of the picture the bar code takes, in pixels from the top."""
    return max(8, height // 12 // 2 * 2)


def _outputs(wanted: Video) -> list[str]:
    outputs = ["-t", str(wanted.seconds)]
    if wanted.video:
        outputs += ["-c:v", wanted.video, "-pix_fmt", wanted.pix_fmt]
        outputs += ["-force_key_frames", f"expr:gte(t,n_forced*{wanted.keyframe_seconds})"]
    if wanted.video in ("libx264", "libx265"):
        outputs += ["-preset", "veryfast"]
    if wanted.audio:
        outputs += ["-c:a", wanted.audio, "-b:a", "96k"]
    return [*outputs, *wanted.options]


def frame_number(frame: av.VideoFrame) -> int:
    """The number that a decoded picture carries (planar YUV, 8 bits or more)."""
    plane = frame.planes[0]
    depth = frame.format.components[0].bits
    sample_bytes = 1 if depth == 8 else 2
    data = memoryview(plane)
    row = box_height_of(frame.height) // 2 * plane.line_size
    box_width = frame.width // BITS
    number = 0
    for bit in range(BITS):
        at = row + (bit * box_width + box_width // 2) * sample_bytes
        sample = int.from_bytes(bytes(data[at : at + sample_bytes]), "little")
        number |= (sample >> (depth - 8) > 127) << bit
    return number


def frame_numbers(path: Path) -> list[int]:
    """The numbers of all pictures of a file, in the order they are shown."""
    with av.open(str(path)) as container:
        return [frame_number(frame) for frame in container.decode(video=0)]
