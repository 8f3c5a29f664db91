"""What takes memory in a tool, counted: how many MiB of pictures of which kind it handles. Pure.

A step of a job (FFmpeg's encode, a program's cut, the check after it …) is described by its terms:
what each of them takes for one unit stands in the table (worker/memory/table.py), measured by
`clipmill calibrate`. A peak is linear in them: so much for the tool itself, so many pictures that
the decoder keeps, so many that the encoder keeps. docs/memory.md shows how well that holds.
"""

from __future__ import annotations

from collections.abc import Mapping

from tasks.media import MediaFacts, VideoFacts
from tasks.specs import Output
from worker.ffmpeg.gif import gif_wishes, queued_bytes
from worker.ffmpeg.plan import CutPlan
from worker.ffmpeg.shape import shape_of

MIB = 1024**2
Terms = Mapping[str, float]  # name: how many units, nearly always MiB of one picture

JOINED_CODECS = frozenset({"h264", "vp9", "av1"})  # whose edges the program encodes as they are
_REFERRING_CODECS = frozenset({"h264", "hevc"})  # others always keep room for eight pictures
_USUAL_REFERENCES = 4
_RGB_NAMES = ("gbr", "rgb", "bgr", "argb", "abgr", "0rgb", "0bgr")


def encode_terms(plan: CutPlan) -> Terms:
    """FFmpeg's encode of everything, `encode_argv`."""
    video = plan.facts.video
    if video is None or not plan.keeps_picture:
        return sound_terms()
    if plan.container == "gif":
        return {"ffmpeg": 1, **_decoding(video, 1), **_gif(plan, video)}
    encoded = _common_picture(shape_of(video, plan.output).size)
    terms = {"ffmpeg": 1, **_decoding(video, plan.threads), **_converting(video, encoded)}
    if video.interlaced:
        kept = not plan.output.changes_picture and plan.container != "webm"
        terms |= {"interlaced": encoded} if kept else {"deinterlaced": _picture(video)}
    return terms | _encoding("x264", plan, encoded)


def exact_terms(plan: CutPlan) -> Terms:
    """The program's encode of everything, `worker.media.whole`."""
    video = plan.facts.video
    if video is None or not plan.keeps_picture:
        return sound_terms()
    keeps_form = video.codec == "h264" or video.colour.hdr
    common = _common_picture((video.width, video.height))
    encoded = max(_picture(video), common) if keeps_form else common
    terms = {"program": 1, **_decoding(video, plan.threads)}
    if video.interlaced:
        terms |= {"interlaced": encoded}
    return terms | _encoding("exact", plan, encoded)


def smart_terms(plan: CutPlan) -> Terms:
    """The program's cut that copies most frames; where it cannot, `exact_terms` hold."""
    video = plan.facts.video
    if video is None or not plan.keeps_picture:
        return sound_terms()
    if video.codec not in JOINED_CODECS or video.interlaced:
        return exact_terms(plan)
    kept, way = _picture(video), f"smart {video.codec}"
    terms = {"program": 1.0, way: 1.0, f"{way} picture": kept}
    terms[f"{way} thread"] = kept * (plan.threads - 1)
    if video.codec == "h264":
        terms["smart references"] = kept * _references(video)
        terms["smart high"] = kept if plan.output.quality == "high" else 0.0
    return terms


def copy_terms(facts: MediaFacts) -> Terms:
    """FFmpeg's copy of packets, `copy_argv`."""
    return {"copy": 1, "copy picture": _picture(facts.video) if facts.video else 0}


def looking_terms(facts: MediaFacts) -> Terms:
    """The programs that read packets and decode none to speak of: probe, check, keyframe."""
    return {"program": 1, "program picture": _picture(facts.video) if facts.video else 0}


def thumbnail_terms(facts: MediaFacts, max_width: int) -> Terms:
    """One picture of a file, `thumbnail_argv`."""
    if facts.video is None:
        return {"copy": 1}
    small = _common_picture(shape_of(facts.video, Output(width=max_width)).size)
    return {"thumbnail": 1, **_decoding(facts.video, 1), **_converting(facts.video, small)}


def sound_terms() -> Terms:
    """The program's cut of sound alone."""
    return {"sound": 1}


def site_terms(kind: str) -> Terms:
    """yt-dlp alone, as most sites need it."""
    return {f"yt-dlp {kind}": 1}


def _picture(video: VideoFacts) -> float:
    """MiB of one decoded picture."""
    name = video.pix_fmt or ""
    samples = 3.0 if "444" in name or name.startswith(_RGB_NAMES) else 2.0 if "422" in name else 1.5
    if name.startswith(("yuva", "gbrap")):
        samples += 1
    return video.pixels * samples * (2 if video.bit_depth > 8 else 1) / MIB


def _common_picture(size: tuple[int, int]) -> float:
    """MiB of one picture as every player shows it: 8 bits, 4:2:0."""
    return size[0] * size[1] * 1.5 / MIB


def _references(video: VideoFacts) -> int:
    return _USUAL_REFERENCES if video.references is None else video.references


def _decoding(video: VideoFacts, threads: int) -> dict[str, float]:
    kept = _picture(video)
    terms = {f"decode {video.codec}": kept}
    if video.codec in _REFERRING_CODECS:
        terms["references"] = kept * _references(video)
    if video.codec == "av1":
        terms["decode av1 thread"] = kept * (threads - 1)
    return terms


def _converting(video: VideoFacts, made: float) -> dict[str, float]:
    if video.colour.hdr:
        return {"tone mapping": made}
    usual = video.bit_depth <= 8 and (video.pix_fmt or "yuv420p").endswith("420p")
    return {} if usual else {"conversion": made}


def _encoding(encoder: str, plan: CutPlan, encoded: float) -> dict[str, float]:
    more = encoded * (plan.threads - 1)
    if plan.container == "webm":
        return {"vp9": 1, "vp9 picture": encoded, "vp9 thread": more}
    quality = plan.output.quality
    return {f"{encoder} {quality} lean {plan.lean}": encoded, f"{encoder} {quality} thread": more}


def _gif(plan: CutPlan, video: VideoFacts) -> dict[str, float]:
    small = _common_picture(shape_of(video, gif_wishes(plan, video).output).size)
    return {"gif picture": small, "gif queue": queued_bytes(plan, video) / MIB}
