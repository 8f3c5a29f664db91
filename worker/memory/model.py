"""How much memory a tool will take at its peak: a model fitted to what was measured. Pure.

Peak resident memory in MiB (FFmpeg 9.0.2, H.264 source of 8 bits, decoder threads = encoder
threads; 1 / 2 threads), all linear in the pixels that are decoded and those that are encoded:

                  640x360    1280x720   1920x1080   3840x2160
    mp4 draft     48 / 49    70 / 76    104 / 120   276 / 323
    mp4 standard  58 / 62   104 / 116   179 / 209   543 / 645
    mp4 high      64 / 68   127 / 142   224 / 255   715 / 818
    webm (all)    75 / 82   140 / 150   241 / 255   776 / 810
    smart cut     46 / 48    61 / 65     86 / 99    205 / 256     (high: 49, 74, 109, 281)
    exact encode  60 / 62   109 / 113   187 / 197   574 / 607     (standard, the PyAV program)
    copy          46         48          51          65
    thumbnail     46         48          63         136
    gif of 4 s    99        107         117         193           (480 wide, 12.5 fps)

Decoding 2160p and encoding 640 wide shows the decoder alone: H.264 143, HEVC 162 (10 bits 245),
AV1 170, VP9 106, ProRes 125, MPEG-2 87. Tone mapping adds 72 at 1080p. The estimates lie between
-10 % and +35 % of these peaks; a source with 16 reference frames of 2160p would take 60 % more.
"""

from tasks.media import MediaFacts, VideoFacts
from tasks.specs import Output
from worker.ffmpeg.gif import gif_wishes, queued_bytes
from worker.ffmpeg.plan import CutPlan
from worker.ffmpeg.shape import shape_of

MIB = 1024**2
MARGIN = 1.05  # the fit lies in the middle of what was measured; running out is the worse fault

# Measured whole, not by size: the tools themselves.
PROBE_BYTES = 64 * MIB  # 39 to 58; the program caps itself 100 MiB above its own start
YTDLP_EXTRACT_BYTES = 125 * MIB  # 61 to 68, and 41 for the JavaScript runtime some sites need
YTDLP_DOWNLOAD_BYTES = 130 * MIB  # the same, and 51 when FFmpeg joins picture and sound after it

_TOOL_MIB = 46.0  # FFmpeg's own pages, with sound and files open
_COPY_MIB = 2.5  # the rest is MiB for each million pixels
_DECODE_MIB = {"h264": 11.5, "hevc": 13.2, "av1": 15.0, "vp9": 8.0, "vp8": 8.0}
_DECODE_MIB |= {"prores": 9.5, "mpeg2video": 6.0, "mpeg1video": 6.0}
_UNKNOWN_DECODE_MIB = 14.0
_WIDE_SAMPLES = 1.8  # more than 8 bits take two bytes, but not of everything
_ALWAYS_WIDE = frozenset({"prores"})
_NARROWING_MIB = 3.0
_TONE_MAPPING_MIB = 38.0
_X264_MIB = {"draft": (16.5, 6.5), "standard": (50.0, 13.0), "high": (72.0, 13.5)}
_VP9_MIB = (78.0, 4.0)
_VP9_FIXED_MIB = (8.0, 5.0)
_SMART_MIB = {"draft": (20.0, 6.5), "standard": (20.0, 6.5), "high": (30.0, 6.5)}
_GIF_MIB = 8.0  # palette and differences, for each million pixels of the GIF
_THUMBNAIL_MIB = 4.0
_MEGA = 1e6


def memory_estimate_bytes(plan: CutPlan) -> int:
    """What encoding a clip takes, by `encode_argv` or by the PyAV program."""
    video = plan.facts.video
    if video is None or not plan.keeps_picture:
        return copy_bytes(plan.facts)
    if plan.container == "gif":
        return _bytes(_decoding_mib(video, 1) + _gif_mib(plan, video)) + queued_bytes(plan, video)
    encoded = _megapixels(shape_of(video, plan.output).size)
    return _bytes(
        _decoding_mib(video, plan.threads)
        + _narrowing_mib(video, encoded)
        + _encoding_mib(plan, encoded)
    )


def smart_estimate_bytes(plan: CutPlan) -> int:
    """What cutting takes that copies most H.264 frames; a fall-back to encoding takes more."""
    video = plan.facts.video
    if video is None or video.codec != "h264" or video.bit_depth > 8:
        return memory_estimate_bytes(plan)
    slope, more = _SMART_MIB[plan.output.quality]
    return _bytes(video.pixels / _MEGA * (slope + more * (plan.threads - 1)))


def copy_bytes(facts: MediaFacts) -> int:
    """What `copy_argv` takes, and whatever else only reads packets."""
    return _bytes(_COPY_MIB * (facts.video.pixels / _MEGA if facts.video else 0))


def thumbnail_bytes(facts: MediaFacts, max_width: int) -> int:
    """What `thumbnail_argv` takes."""
    if facts.video is None:
        return copy_bytes(facts)
    small = _megapixels(shape_of(facts.video, Output(width=max_width)).size)
    return _bytes(
        _decoding_mib(facts.video, 1) + _narrowing_mib(facts.video, small) + _THUMBNAIL_MIB * small
    )


def _bytes(mib: float) -> int:
    return round((_TOOL_MIB + mib) * MARGIN * MIB)


def _megapixels(size: tuple[int, int]) -> float:
    return size[0] * size[1] / _MEGA


def _decoding_mib(video: VideoFacts, threads: int) -> float:
    slope = _DECODE_MIB.get(video.codec, _UNKNOWN_DECODE_MIB)
    if video.bit_depth > 8 and video.codec not in _ALWAYS_WIDE:
        slope *= _WIDE_SAMPLES
    if video.codec == "av1":
        slope += 5.0 * (threads - 1)  # its decoder keeps more pictures for each thread
    return slope * video.pixels / _MEGA


def _narrowing_mib(video: VideoFacts, encoded: float) -> float:
    mib = _NARROWING_MIB * encoded if video.bit_depth > 8 else 0.0
    return mib + (_TONE_MAPPING_MIB * encoded if video.colour.hdr else 0.0)


def _encoding_mib(plan: CutPlan, encoded: float) -> float:
    more_threads = plan.threads - 1
    if plan.container == "webm":
        fixed, more_fixed = _VP9_FIXED_MIB
        slope, more = _VP9_MIB
        return fixed + more_fixed * more_threads + encoded * (slope + more * more_threads)
    slope, more = _X264_MIB[plan.output.quality]
    return encoded * (slope + more * more_threads)


def _gif_mib(plan: CutPlan, video: VideoFacts) -> float:
    return _GIF_MIB * _megapixels(shape_of(video, gif_wishes(plan, video).output).size)
