"""Encoders and muxers as FFmpeg's command takes them, with the values of `worker.clip`."""

from worker.clip.containers import CONTAINERS
from worker.clip.encoding import kept_channels, sound_bit_rate, video_encoder_options
from worker.clip.plan import ClipPlan

# The index comes first, so that playing begins before all is loaded. An edit list places pictures
# that are out of order: with `negative_cts_offsets` instead, FFmpeg's own reader finds in every
# third clip of a few frames that the last pictures are shown before they are decoded.
MP4_FLAGS = "+faststart"


def muxer_options(container: str) -> dict[str, object]:
    """The container by its muxer's name, without the source's tags and chapters."""
    row = CONTAINERS[container]
    options: dict[str, object] = {"f": row.muxer, "map_metadata": -1, "map_chapters": -1}
    if row.hides_lead_in:
        options["movflags"] = MP4_FLAGS
    return options


def video_options(plan: ClipPlan, *, interlaced: bool) -> dict[str, object]:
    """The encoder of the pictures, which keep the time stamps that the filters gave them."""
    options: dict[str, object] = {"fps_mode": "passthrough", "enc_time_base": "filter"}
    if plan.container == "gif":
        return options
    options["c:v"] = CONTAINERS[plan.container].video_encoder
    options |= video_encoder_options(plan.container, plan.output.quality, plan.memory_saving_level)
    if plan.container == "webm":
        options["b:v"] = 0  # constant quality
    if interlaced:
        options["flags:v"] = "+ildct+ilme"
    return {**options, "threads:v": plan.threads}


def audio_options(plan: ClipPlan) -> dict[str, object]:
    """The encoder of each sound track, and what the tracks are called."""
    encoder = CONTAINERS[plan.container].audio_encoder
    assert encoder is not None
    options: dict[str, object] = {"c:a": encoder}
    for number, track in enumerate(plan.sounds):
        channels = kept_channels(encoder, track.channels)
        options[f"b:a:{number}"] = sound_bit_rate(encoder, plan.output.quality, channels)
        if channels != track.channels:
            options[f"ac:a:{number}"] = channels
    return options | track_options(plan)


def track_options(plan: ClipPlan) -> dict[str, object]:
    """Language, title and disposition of each sound track as in the source."""
    options: dict[str, object] = {}
    before = 1 if plan.keeps_picture else 0
    for number, track in enumerate(plan.sounds):
        # Both are the same option, which needs two spellings to be there twice.
        if track.language:
            options[f"metadata:s:a:{number}"] = f"language={track.language}"
        if track.title:
            options[f"metadata:s:{before + number}"] = f"title={track.title}"
        main = track == plan.facts.main_audio
        options[f"disposition:a:{number}"] = "default" if main else "0"
    return options
