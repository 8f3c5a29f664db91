"""The containers that a clip can be written into, and the codecs that each of them takes."""

from __future__ import annotations

from dataclasses import dataclass

from tasks.media import MediaFacts
from tasks.specs import SOUND_CONTAINERS

DEFAULT = "mp4"
DEFAULT_OF_SOUND = "m4a"
OF_ANY_CODEC = "mkv"  # for a copy of streams that the default container does not take
# PyAV writes other codecs than these into Matroska not at all, FFmpeg's command all in some way.
_IN_MATROSKA = (
    "h264 hevc vp8 vp9 av1 mpeg4 mpeg1video mpeg2video mjpeg theora prores ffv1 rawvideo "
    "aac ac3 eac3 dts truehd mlp alac flac mp1 mp2 mp3 opus vorbis tta wavpack "
    "pcm_s16le pcm_s16be pcm_s24le pcm_s24be pcm_s32le pcm_s32be pcm_u8 pcm_f32le pcm_f64le"
)
_NOT_IN_NUT = "dnxhd qtrle"  # of the codecs that are decoded here


@dataclass(frozen=True)
class Container:
    """One container.

    `muxer` is the name of its writer, for FFmpeg's command and for PyAV. The encoders make the
    streams that cannot be copied; None where the container has no such streams. `video` and `audio`
    are the codecs that can be copied into it; None stands for all. `exact_audio` are the codecs
    that an exact cut copies; it encodes all others, because an exact cut has to play everywhere and
    to begin on time, where a copy is what the client asked for. `subtitle_encoder` makes its text
    subtitles.
    """

    muxer: str
    video_encoder: str | None
    audio_encoder: str | None
    video: frozenset[str] | None
    audio: frozenset[str] | None
    exact_audio: frozenset[str] = frozenset()
    hides_lead_in: bool = False  # has edit lists, which hide packets before the start
    subtitle_encoder: str | None = None
    chapters: bool = False

    def takes_video(self, codec: str) -> bool:
        """Whether video packets of the codec can be copied into the container."""
        return self.video is None or codec in self.video

    def takes_audio(self, codec: str) -> bool:
        """Whether sound packets of the codec can be copied into the container."""
        return self.audio is None or codec in self.audio


def _codecs(text: str) -> frozenset[str]:
    return frozenset(text.split())


CONTAINERS: dict[str, Container] = {
    "mp4": Container(
        muxer="mp4",
        video_encoder="libx264",
        audio_encoder="aac",
        video=_codecs("h264 hevc av1 vp9 mpeg4"),
        audio=_codecs("aac mp3 opus ac3 eac3 alac flac"),
        exact_audio=_codecs("aac mp3 opus flac"),  # other codecs do not play in browsers
        hides_lead_in=True,
        subtitle_encoder="mov_text",
        chapters=True,
    ),
    "mkv": Container(
        muxer="matroska",
        video_encoder="libx264",
        audio_encoder="aac",
        video=None,
        audio=None,
        # A PCM packet may have any length, and the sound would begin that much too early or late.
        exact_audio=_codecs("aac mp3 opus flac vorbis ac3 eac3 dts"),
        subtitle_encoder="subrip",
        chapters=True,
    ),
    "webm": Container(
        muxer="webm",
        video_encoder="libvpx-vp9",
        audio_encoder="libopus",
        video=_codecs("vp8 vp9 av1"),
        audio=_codecs("opus vorbis"),
        exact_audio=_codecs("opus vorbis"),
        subtitle_encoder="webvtt",
        chapters=True,
    ),
    "gif": Container(
        muxer="gif",
        video_encoder="gif",
        audio_encoder=None,
        video=frozenset(),
        audio=frozenset(),
    ),
    "m4a": Container(
        muxer="ipod",
        video_encoder=None,
        audio_encoder="aac",
        video=frozenset(),
        audio=_codecs("aac alac"),
        exact_audio=_codecs("aac alac"),
        hides_lead_in=True,
        chapters=True,
    ),
    "mp3": Container(
        muxer="mp3",
        video_encoder=None,
        audio_encoder="libmp3lame",
        video=frozenset(),
        audio=_codecs("mp3"),
        # MP3 has no time stamps: whole packets would begin up to 26 ms off.
        exact_audio=frozenset(),
    ),
}


# What a download may be moved into, as FFmpeg's muxers say. A clip is choosier: it has to play.
_MOVED_VIDEO: dict[str, frozenset[str]] = {
    "mp4": _codecs("h264 hevc av1 vp9 mpeg4 mpeg2video mpeg1video mjpeg vc1"),
    "webm": CONTAINERS["webm"].video or frozenset(),
}
_MOVED_AUDIO: dict[str, frozenset[str]] = {
    "mp4": _codecs("aac mp3 mp2 opus ac3 eac3 dts alac flac truehd"),
    "webm": CONTAINERS["webm"].audio or frozenset(),
}


def misfit(container: str, facts: MediaFacts) -> str | None:
    """The first stream that cannot be moved into the container, such as "vp8 video", or None."""
    video, audio = _MOVED_VIDEO.get(container), _MOVED_AUDIO.get(container)
    if video is not None and facts.video is not None and facts.video.codec not in video:
        return f"{facts.video.codec} video"
    if audio is None:
        return None
    return next((f"{track.codec} sound" for track in facts.audio if track.codec not in audio), None)


def intermediate_of(container: str, facts: MediaFacts) -> str | None:
    """The muxer by which a copy has to be written before FFmpeg moves it; None where none is."""
    codecs = {track.codec for track in facts.audio}
    if facts.video is not None:
        codecs.add(facts.video.codec)
    if container != OF_ANY_CODEC or codecs <= _codecs(_IN_MATROSKA):
        return None
    return "nut" if codecs.isdisjoint(_codecs(_NOT_IN_NUT)) else "mov"


def is_sound_alone(container: str) -> bool:
    """Whether the container holds no picture."""
    return container in SOUND_CONTAINERS


def takes_streams(container: str, facts: MediaFacts) -> bool:
    """Whether the streams that a clip keeps can be copied into the container."""
    row = CONTAINERS[container]
    if is_sound_alone(container):
        return facts.main_audio is not None and row.takes_audio(facts.main_audio.codec)
    if facts.video is None or not row.takes_video(facts.video.codec):
        return False
    return facts.main_audio is None or row.takes_audio(facts.main_audio.codec)
