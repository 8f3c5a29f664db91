"""The filters between decoder and encoder: which frames, how big, in which colours."""

from fractions import Fraction
from math import ceil
from pathlib import Path
from typing import Any

from tasks.media import ColourFacts, VideoFacts
from worker.clip.picture_size import RGB_NAMES, Shape
from worker.clip.plan import GRACE_SECONDS, ClipPlan
from worker.ffmpeg.letters import FONTS

FINEST_TICKS = 90_000
PADDING_SAMPLES = 1024
_NEEDING_MATRIX = (*RGB_NAMES, "pal8")  # a palette's entries are RGB as well


def ticks_per_second(fps: float | None) -> int:
    """A clock of at least 90 kHz; a frame of a usual rate lasts a whole number of its ticks."""
    if not fps:
        return FINEST_TICKS
    numerator = Fraction(fps).limit_denominator(1001).numerator
    return max(1, ceil(FINEST_TICKS / numerator)) * numerator


def frame_rate(fps: float) -> str:
    """A rate as an exact fraction: 29.97 means 30000/1001."""
    ntsc = Fraction(round(fps) * 1000, 1001)
    exact = ntsc if abs(ntsc - Fraction(fps)) < Fraction(1, 1000) else Fraction(fps)
    exact = exact.limit_denominator(1001)
    return f"{exact.numerator}/{exact.denominator}"


def cut_picture(stream: Any, plan: ClipPlan, video: VideoFacts, *, deinterlaced: bool) -> Any:
    """Exactly the frames of the range, counted from its start; the first may begin before it.

    The clock is made finer before: in a clock of 25 ticks a second the limits would be rounded to
    whole frames. Deinterlacing reads the neighbours and halves the clock, so it comes first.
    """
    rate = ticks_per_second(video.fps)
    first, end = (ceil((plan.at(t) - GRACE_SECONDS) * rate) for t in (plan.first, plan.end))
    if deinterlaced:
        stream = stream.filter("bwdif", mode="send_frame", deint="interlaced")
    stream = stream.filter("settb", f"1/{rate}")
    stream = stream.filter("trim", start_pts=first, end_pts=end)
    return stream.filter("setpts", f"max(PTS-{round(plan.at(plan.start) * rate)},0)")


def at_rate(stream: Any, plan: ClipPlan, fps: float) -> Any:
    """As many pictures a second from the clip's zero on; the last one stays to the end."""
    pictures = plan.pictures
    if pictures is None:
        return stream.filter("fps", frame_rate(fps), start_time=0)
    seconds = min(plan.seconds, pictures.end)
    if pictures.count == 1:  # `fps` needs a second one to know how long the first is shown
        stream = stream.filter("loop", loop=-1, size=1)
        stream = stream.filter("setpts", f"N/({frame_rate(fps)})/TB").filter("fps", frame_rate(fps))
    else:
        stream = stream.filter("fps", frame_rate(fps), start_time=0)
        stream = stream.filter("tpad", stop_mode="clone", stop_duration=f"{seconds:.6f}")
    return stream.filter("trim", end_frame=max(1, round(seconds * fps)))


def cut_sound(stream: Any, plan: ClipPlan) -> Any:
    """The sound of the range to the sample; silence where it begins late or has gaps.

    A range after the sound's end gets one frame of silence: an encoder that receives no sound fails
    the whole command.
    """
    start = plan.at(plan.start)
    stream = stream.filter("atrim", start=f"{start:.6f}", end=f"{plan.at(plan.end):.6f}")
    stream = stream.filter("asetpts", f"PTS-{start:.6f}/TB")
    stream = stream.filter("aresample", **{"async": 1, "first_pts": 0})
    return stream.filter("apad", pad_len=PADDING_SAMPLES).filter("atrim", end=f"{plan.seconds:.6f}")


def resized(stream: Any, shape: Shape) -> Any:
    """The picture cropped, scaled and padded; pixels are square afterwards if it was scaled."""
    if shape.crop:
        stream = stream.filter("crop", *shape.crop)
    if shape.scale:
        stream = stream.filter("scale", *shape.scale).filter("setsar", 1)
    if shape.pad:
        stream = stream.filter("pad", *shape.pad, "(ow-iw)/2", "(oh-ih)/2")
    return stream


def with_texts(stream: Any, texts: Path) -> Any:
    """The script's texts drawn into the pictures, in our font and others of this machine."""
    return stream.filter("ass", filename=str(texts), fontsdir=str(FONTS), shaping="complex")


def playable_colours(stream: Any, video: VideoFacts) -> Any:
    """Eight bits, 4:2:0, and no dynamic range beyond what every screen shows."""
    if video.colour.hdr:
        stream = _tone_mapped(stream, video.colour)
    elif (video.pix_fmt or "").startswith(_NEEDING_MATRIX):
        stream = stream.filter("scale", out_color_matrix="bt709", out_range="tv")
    return stream.filter("format", "yuv420p")


def _tone_mapped(stream: Any, colour: ColourFacts) -> Any:
    """BT.709 from PQ or HLG; values that the file does not declare are taken as BT.2020."""
    stream = stream.filter(
        "zscale",
        tin=colour.transfer,
        pin=colour.primaries or "bt2020",
        min=colour.matrix or "bt2020nc",
        rin=colour.range or "tv",
        t="linear",
        npl=100,
    )
    stream = stream.filter("format", "gbrpf32le").filter("zscale", p="bt709")
    stream = stream.filter("tonemap", "hable", desat=0)
    stream = stream.filter("zscale", t="bt709", m="bt709", r="tv")
    # Without this the clip would keep the mastering display's light levels.
    return stream.filter("sidedata", mode="delete")
