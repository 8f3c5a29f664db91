"""Encoder settings by container and quality; why these is measured in the package's docstring."""

from tasks.media import AudioFacts
from worker.clip.plan import CutPlan

MUXERS = {
    "mp4": "mp4",
    "mkv": "matroska",
    "webm": "webm",
    "gif": "gif",
    "m4a": "ipod",
    "mp3": "mp3",
}
# The index comes first, so that playing begins before all is loaded. Pictures out of order are
# placed by an edit list: with `negative_cts_offsets` instead, FFmpeg's own reader finds the last
# ones shown before they are decoded in every third clip of a few frames.
MP4_FLAGS = "+faststart"

_X264 = {"draft": ("ultrafast", 26), "standard": ("superfast", 22), "high": ("fast", 18)}
# How each quality spares memory, a step further each time, at the same quality of the picture:
# by keeping fewer pictures. Looking ahead 10 frames instead of 30 halves the memory for 2 % of the
# size; the thread that would look ahead on its own keeps more whole pictures. In 1080p `high`
# takes 244, 181 and 141 MiB, and the last step makes files up to a third larger.
_X264_SAVINGS = {
    "draft": ("rc-lookahead=0",),
    "standard": ("rc-lookahead=0", "rc-lookahead=0:bframes=1", "rc-lookahead=0:bframes=0"),
    "high": (
        "rc-lookahead=10",
        "rc-lookahead=4:bframes=1:ref=1",
        "rc-lookahead=0:bframes=0:ref=1",
    ),
}
_X264_ALWAYS = "sync-lookahead=0:lookahead-threads=1"
_VP9 = {"draft": (8, 40), "standard": (8, 28), "high": (6, 20)}
_AUDIO = {
    "aac": {"draft": "96k", "standard": "160k", "high": "256k"},
    "libopus": {"draft": "64k", "standard": "112k", "high": "192k"},
    "libmp3lame": {"draft": "128k", "standard": "192k", "high": "320k"},
}
_AUDIO_ENCODERS = {"webm": "libopus", "mp3": "libmp3lame"}
_AAC_LAYOUTS = frozenset({1, 2, 6, 8})


def muxer_options(container: str) -> dict[str, object]:
    """The container, by its muxer's name, and nothing of the source's tags or chapters."""
    options: dict[str, object] = {"f": MUXERS[container], "map_metadata": -1, "map_chapters": -1}
    if container in ("mp4", "m4a"):
        options["movflags"] = MP4_FLAGS
    return options


def leanest(plan: CutPlan) -> int:
    """The last step of `lean` that there is: VP9 and sound offer none."""
    if plan.container in ("mp4", "mkv"):
        return len(_X264_SAVINGS[plan.output.quality]) - 1
    return 1 if plan.container == "gif" else 0


def video_options(plan: CutPlan, *, interlaced: bool) -> dict[str, object]:
    """The encoder of the pictures, which keep the time stamps that the filters gave them."""
    options: dict[str, object] = {"fps_mode": "passthrough", "enc_time_base": "filter"}
    if plan.container == "gif":
        return options
    codec = _vp9_options(plan) if plan.container == "webm" else _x264_options(plan)
    if interlaced:
        codec["flags:v"] = "+ildct+ilme"
    return {**options, **codec, "threads:v": plan.threads}


def _x264_options(plan: CutPlan) -> dict[str, object]:
    preset, crf = _X264[plan.output.quality]
    params = f"{_X264_SAVINGS[plan.output.quality][plan.lean]}:{_X264_ALWAYS}"
    return {"c:v": "libx264", "preset": preset, "crf": crf, "x264-params": params}


def _vp9_options(plan: CutPlan) -> dict[str, object]:
    speed, crf = _VP9[plan.output.quality]
    return {
        "c:v": "libvpx-vp9",
        "deadline": "realtime",
        "cpu-used": speed,
        "crf": crf,
        "b:v": 0,  # constant quality
        "lag-in-frames": 0,
        "row-mt": 1,
    }


def audio_options(plan: CutPlan) -> dict[str, object]:
    """The encoder of the sound."""
    codec = _AUDIO_ENCODERS.get(plan.container, "aac")
    track = plan.facts.audio[0]
    options: dict[str, object] = {"c:a": codec, "b:a": _AUDIO[codec][plan.output.quality]}
    if not _keeps_channels(codec, track):
        options["ac"] = 2
    return options


def _keeps_channels(codec: str, track: AudioFacts) -> bool:
    """Opus refuses some surround layouts and MP3 has none; unusual counts have no layout."""
    return track.channels in (_AAC_LAYOUTS if codec == "aac" else (1, 2))
