"""What takes memory in a tool, counted: how many MiB of which pictures the tool keeps. Pure.

A step of a job (FFmpeg's encode, a PyAV program's cut, the check after it …) is described by its
terms. The table (worker/memory/table.py), measured by `clipmill calibrate`, has the MiB of one unit
of each term. A peak is linear in the terms: a fixed part for the tool itself, the pictures that the
decoder keeps, the pictures that the encoder keeps. docs/memory.md shows how well the model holds.
"""

from __future__ import annotations

from collections.abc import Mapping

from config.values import MIB
from tasks.media import MediaFacts, VideoFacts
from tasks.specs import Output
from worker.clip.containers import CONTAINERS
from worker.clip.gif import gif_output, queued_bytes
from worker.clip.picture_size import RGB_NAMES, shape_of
from worker.clip.plan import ClipPlan

Terms = Mapping[str, float]  # name: how many units, nearly always MiB of one picture

_REFERRING_CODECS = frozenset({"h264", "hevc"})  # other decoders always keep eight pictures
_OWN_THREADS = frozenset({"h264", "av1"})  # other decoders keep as many pictures for each thread
_SLICED_CODECS = frozenset({"mpeg2video", "mpeg1video"})  # their threads share one picture
_USUAL_REFERENCES = 4
_USUAL_RATE = 30.0
_LISTED = frozenset({"mov", "mp4", "m4a", "avi"})  # containers that list all their packets


def encode_terms(plan: ClipPlan) -> Terms:
    """FFmpeg's encode of everything, `encode_argv`."""
    video = plan.facts.video
    assert video is not None
    if plan.container == "gif":
        return {**_ffmpeg(plan), **_decoding(video, 1), **_gif(plan, video), **_lists(plan)}
    encoded = _common_picture(shape_of(video, plan.output).size)
    terms = {**_ffmpeg(plan), **_decoding(video, plan.threads), **_converting(video, encoded)}
    terms |= _lists(plan)
    if video.interlaced:
        kept = not plan.output.changes_picture and plan.container != "webm"
        terms |= _interlaced(plan, encoded) if kept else {"deinterlaced": _picture(video)}
    return terms | _encoding("x264", plan, encoded)


def _ffmpeg(plan: ClipPlan) -> dict[str, float]:
    """The program itself; a font and its drawn letters take 10 MiB at every size of picture."""
    return {"ffmpeg": 1.25 if plan.output.subtitles == "burn" else 1.0}


def exact_terms(plan: ClipPlan) -> Terms:
    """The PyAV program's encode of everything, `worker.pyav.full_encode`."""
    video = plan.facts.video
    assert video is not None
    keeps_form = video.codec == "h264" or video.colour.hdr
    common = _common_picture((video.width, video.height))
    encoded = max(_picture(video), common) if keeps_form else common
    terms = {"program": 1, **_decoding(video, plan.threads), **_noted_frames(plan)}
    if video.interlaced:
        terms |= _interlaced(plan, encoded)
    return terms | _encoding("exact", plan, encoded)


def smart_terms(plan: ClipPlan) -> Terms:
    """The PyAV program's cut that copies most frames, of one of `JOINED_CODECS`."""
    video = plan.facts.video
    assert video is not None
    kept, cut = _picture(video), f"smart {video.codec}"
    terms = {"program": 1.0, cut: 1.0, f"{cut} picture": kept, **_noted_frames(plan)}
    terms[f"{cut} thread"] = kept * (plan.threads - 1)
    if video.codec == "h264":
        terms["smart references"] = kept * _references(video)
        terms["smart high"] = kept if plan.output.quality == "high" else 0.0
    return terms


def copy_terms(plan: ClipPlan) -> Terms:
    """The PyAV program's copy of packets, of which it decodes some keyframes."""
    video = plan.facts.video
    assert video is not None
    return {"program": 1, f"copy {video.codec}": _picture(video), **_noted_frames(plan)}


def looking_terms(facts: MediaFacts) -> Terms:
    """The PyAV programs that read packets and decode hardly any: probe, look, check."""
    picture = _picture(facts.video) if facts.video else 0
    return {"program": 1, "program picture": picture, **_source_index(facts)}


def checking_terms(plan: ClipPlan, made: MediaFacts) -> Terms:
    """The check of FFmpeg's encode, which decodes a few pictures of the clip and of its source."""
    source, clip = plan.facts.video, made.video
    assert source is not None
    assert clip is not None
    larger = max((source, clip), key=_picture)
    return {"program": 1, **_decoding(larger, 1), **_source_index(plan.facts)}


def thumbnail_terms(facts: MediaFacts, max_width: int) -> Terms:
    """One picture of a file, `thumbnail_argv`."""
    assert facts.video is not None
    small = _common_picture(shape_of(facts.video, Output(width=max_width)).size)
    terms = {"thumbnail": 1, **_decoding(facts.video, 1), **_converting(facts.video, small)}
    return terms | _source_index(facts)


def sound_terms(plan: ClipPlan) -> Terms:
    """The PyAV program's cut of sound alone."""
    return {"sound": 1, **_lists(plan)}


def site_terms(kind: str) -> Terms:
    """yt-dlp alone, as most sites need it."""
    return {f"yt-dlp {kind}": 1}


def _lists(plan: ClipPlan) -> dict[str, float]:
    """The lists of packets that MP4 keeps, for reading and for writing; hours of media count."""
    terms = _source_index(plan.facts)
    if plan.container in _LISTED:
        terms["clip index"] = _kilopackets(plan.facts, seconds_made(plan))
    return terms


def _source_index(facts: MediaFacts) -> dict[str, float]:
    if _LISTED.isdisjoint(facts.container.split(",")):
        return {}
    return {"source index": _kilopackets(facts, facts.duration_seconds or 0.0)}


def _noted_frames(plan: ClipPlan) -> dict[str, float]:
    """The records that the PyAV program keeps of each frame of the range, beside those lists."""
    rate = (plan.facts.video.fps if plan.facts.video else None) or _USUAL_RATE
    return {"noted frames": rate * seconds_made(plan) / 1000, **_lists(plan)}


def seconds_made(plan: ClipPlan) -> float:
    """How long the clip gets: no longer than there is media."""
    return max(0.0, min(plan.end, plan.facts.duration_seconds or plan.end) - plan.start)


def _kilopackets(facts: MediaFacts, seconds: float) -> float:
    """Thousands of packets in some seconds of a file; a sound packet has about 1000 samples."""
    video = [facts.video.fps or _USUAL_RATE] if facts.video else []
    sound = [track.sample_rate / 1024 for track in facts.audio]
    return seconds * sum([*video, *sound]) / 1000


def _picture(video: VideoFacts) -> float:
    """MiB of one decoded picture."""
    name = video.pix_fmt or ""
    samples = 3.0 if "444" in name or name.startswith(RGB_NAMES) else 2.0 if "422" in name else 1.5
    if name.startswith(("yuva", "gbrap")):
        samples += 1
    return video.pixels * samples * (2 if video.bit_depth > 8 else 1) / MIB


def _common_picture(size: tuple[int, int]) -> float:
    """MiB of one picture in the format that every player shows: 8 bits, 4:2:0."""
    return size[0] * size[1] * 1.5 / MIB


def _references(video: VideoFacts) -> int:
    return _USUAL_REFERENCES if video.references is None else video.references


def _decoding(video: VideoFacts, threads: int) -> dict[str, float]:
    kept = _picture(video)
    terms = {f"decode {video.codec}": kept}
    if video.codec in _REFERRING_CODECS:
        terms["references"] = kept * _references(video)
    if video.codec not in _SLICED_CODECS:
        own = video.codec if video.codec in _OWN_THREADS else "other"
        terms[f"decode {own} thread"] = kept * (threads - 1)
    return terms


def _converting(video: VideoFacts, made: float) -> dict[str, float]:
    if video.colour.hdr:
        return {"tone mapping": made}
    usual = video.bit_depth <= 8 and (video.pix_fmt or "yuv420p").endswith("420p")
    return {} if usual else {"conversion": made}


def _encoding(encoder: str, plan: ClipPlan, encoded: float) -> dict[str, float]:
    more = encoded * (plan.threads - 1)
    if CONTAINERS[plan.container].video_encoder == "libvpx-vp9":
        return {"vp9": 1, "vp9 picture": encoded, "vp9 thread": more}
    setting = f"{encoder} {plan.output.quality}"
    # `lean` is the term's name in the tables, also in those that machines measured themselves.
    return {f"{setting} lean {plan.memory_saving_level}": encoded, f"{setting} thread": more}


def _interlaced(plan: ClipPlan, encoded: float) -> dict[str, float]:
    return {f"interlaced {plan.output.quality}": encoded}


def _gif(plan: ClipPlan, video: VideoFacts) -> dict[str, float]:
    small = _common_picture(shape_of(video, gif_output(plan, video).output).size)
    # Whole pictures wait for the filters; two or three more on a busy machine than on a quiet one.
    waiting = {"gif waiting": _picture(video)}
    return {"gif picture": small, "gif queue": queued_bytes(plan, video) / MIB, **waiting}
