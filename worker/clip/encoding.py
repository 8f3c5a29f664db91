"""What `draft`, `standard` and `high` mean for each encoder, whichever tool runs it.

FFmpeg's command and PyAV take the same options by the same names, so both read them here.

Measured by FFmpeg's command on ten seconds of 30 fps H.264 without sound (processor seconds with
one thread, size, luma PSNR against the source):

    H.264 (mp4, mkv)                    1280x720                1920x1080
      draft     ultrafast  crf 26       1.9 s   7.0 MB  42 dB    3.8 s  11.0 MB  43 dB
      standard  superfast  crf 22       3.4 s   5.7 MB  45 dB    6.7 s   9.8 MB  46 dB
      high      fast       crf 18       9.8 s   5.3 MB  48 dB   22.8 s  11.3 MB  47 dB
    VP9 (webm)
      draft     realtime 8 crf 40       3.4 s   2.5 MB  39 dB    7.1 s   4.1 MB  41 dB
      standard  realtime 8 crf 28       3.9 s   6.5 MB  44 dB    8.1 s  10.0 MB  45 dB
      high      realtime 6 crf 20       5.5 s   9.4 MB  47 dB   11.6 s  14.9 MB  48 dB

On strong noise, the hardest picture, `standard` H.264 stays at 38 dB. A second thread costs up to
9 % more processor time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from worker.clip.containers import CONTAINERS


@dataclass(frozen=True)
class X264:
    """A whole encode to H.264.

    Each of `savings` keeps fewer pictures than the one before, which saves memory at the same
    quality of the picture. Looking ahead 10 frames instead of 30 halves the memory for 2 % of the
    size. In 1080p `high` takes 244, 181 and 141 MiB, and the last step makes files up to a third
    larger.
    """

    preset: str
    crf: int
    savings: tuple[str, ...]


@dataclass(frozen=True)
class Vp9:
    """A whole encode to VP9: `speed` is libvpx's `cpu-used`, smaller is slower."""

    speed: int
    crf: int


@dataclass(frozen=True)
class Edges:
    """The few pictures that are encoded beside copied ones.

    A fixed quantizer bounds the error of every picture whatever it shows, and needs no look-ahead.
    A whole encode spreads its bits by a rate factor: the file is smaller, but a single picture may
    get worse, and a worse picture is visible beside the source's own. Measured with the cheapest
    search: 21 gives 40.2 dB in luma on the heaviest noise, 43 to 46 dB on ordinary pictures. VP9's
    realtime search needs a finer quantizer; the scale of each codec is its own.
    """

    x264_preset: str
    x264_quantizer: int
    vp9_quantizer: int
    av1_quantizer: int


@dataclass(frozen=True)
class Gif:
    """The size and rate of a GIF for which the client asked nothing.

    A GIF is some twenty times larger than video; these values keep five seconds at a few megabytes.
    A GIF's clock counts hundredths of a second, and at these rates a frame lasts a whole number.
    """

    width: int
    fps: float
    dither: str


@dataclass(frozen=True)
class Quality:
    """One quality; `sound` is bits a second of each channel, by encoder."""

    x264: X264
    vp9: Vp9
    edges: Edges
    gif: Gif
    sound: Mapping[str, int]


QUALITIES: dict[str, Quality] = {
    "draft": Quality(
        x264=X264("ultrafast", 26, ("rc-lookahead=0",)),
        vp9=Vp9(8, 40),
        edges=Edges("ultrafast", x264_quantizer=25, vp9_quantizer=18, av1_quantizer=24),
        gif=Gif(320, 10.0, "bayer"),
        sound={"aac": 48_000, "libopus": 32_000, "libmp3lame": 64_000},
    ),
    "standard": Quality(
        x264=X264(
            "superfast",
            22,
            ("rc-lookahead=0", "rc-lookahead=0:bframes=1", "rc-lookahead=0:bframes=0"),
        ),
        vp9=Vp9(8, 28),
        edges=Edges("ultrafast", x264_quantizer=21, vp9_quantizer=14, av1_quantizer=20),
        gif=Gif(480, 12.5, "bayer"),
        sound={"aac": 80_000, "libopus": 56_000, "libmp3lame": 96_000},
    ),
    "high": Quality(
        x264=X264(
            "fast",
            18,
            (
                "rc-lookahead=10",
                "rc-lookahead=4:bframes=1:ref=1",
                "rc-lookahead=0:bframes=0:ref=1",
            ),
        ),
        vp9=Vp9(6, 20),
        edges=Edges("superfast", x264_quantizer=17, vp9_quantizer=10, av1_quantizer=16),
        gif=Gif(640, 20.0, "sierra2_4a"),
        sound={"aac": 128_000, "libopus": 96_000, "libmp3lame": 160_000},
    ),
}
# A separate look-ahead thread would keep more whole pictures.
_X264_ALWAYS = "sync-lookahead=0:lookahead-threads=1"


@dataclass(frozen=True)
class SoundEncoder:
    """What an encoder of sound takes; any other layout or rate becomes stereo and 48 kHz."""

    layouts: Mapping[int, str]  # by the number of channels
    rates: frozenset[int]


# Opus refuses some surround layouts and MP3 has none; unusual counts have no layout at all.
SOUND_ENCODERS: dict[str, SoundEncoder] = {
    "aac": SoundEncoder(
        {1: "mono", 2: "stereo", 6: "5.1", 8: "7.1"},
        frozenset(
            {8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000, 88_200, 96_000}
        ),
    ),
    "libopus": SoundEncoder({1: "mono", 2: "stereo"}, frozenset({48_000})),
    "libmp3lame": SoundEncoder({1: "mono", 2: "stereo"}, frozenset({32_000, 44_100, 48_000})),
}
OTHER_CHANNELS = 2
OTHER_RATE = 48_000
HIGHEST_SOUND_RATE = max(max(quality.sound.values()) for quality in QUALITIES.values())


def video_encoder_options(container: str, quality: str, saving_level: int) -> dict[str, str]:
    """The options of a whole encode of the pictures, except its threads."""
    if CONTAINERS[container].video_encoder == "libvpx-vp9":
        vp9 = QUALITIES[quality].vp9
        options = {"deadline": "realtime", "cpu-used": str(vp9.speed), "crf": str(vp9.crf)}
        return options | {"lag-in-frames": "0", "row-mt": "1"}
    x264 = QUALITIES[quality].x264
    parameters = f"{x264.savings[saving_level]}:{_X264_ALWAYS}"
    return {"preset": x264.preset, "crf": str(x264.crf), "x264-params": parameters}


def last_saving_level(container: str, quality: str) -> int:
    """How many memory-saving levels there are: VP9 and sound have none."""
    if CONTAINERS[container].video_encoder == "libx264":
        return len(QUALITIES[quality].x264.savings) - 1
    return 1 if container == "gif" else 0


def kept_channels(encoder: str, channels: int) -> int:
    """How many channels of a track an encoder keeps."""
    return channels if channels in SOUND_ENCODERS[encoder].layouts else OTHER_CHANNELS


def sound_bit_rate(encoder: str, quality: str, channels: int) -> int:
    """Bits a second for a track of that many channels, as `kept_channels` says."""
    return QUALITIES[quality].sound[encoder] * channels
