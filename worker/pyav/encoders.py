"""Video encoders, set so that their pictures can be joined with the source's."""

from dataclasses import dataclass
from fractions import Fraction

from av import CodecContext, VideoCodecContext, VideoFrame
from av.codec.context import Flags
from av.video.stream import VideoStream

from worker.pyav.packets import VideoPacket

UNSPECIFIED_KIND = 0  # AV_PICTURE_TYPE_NONE: the encoder chooses, not the source's picture types
INTRA_KIND = 1  # AV_PICTURE_TYPE_I
DEFAULT_RATE = Fraction(25)


@dataclass(frozen=True, slots=True)
class Picture:
    """The form of the pictures that go into an encoder."""

    width: int
    height: int
    pix_fmt: str
    time_base: Fraction
    rate: Fraction
    aspect: Fraction
    colour: tuple[int, int, int, int]  # primaries, transfer, matrix, range: FFmpeg's numbers
    interlaced: bool = False


def picture_of(stream: VideoStream, time_base: Fraction, interlaced: bool = False) -> Picture:
    """The form of a stream's own pictures."""
    context = stream.codec_context
    return Picture(
        width=context.width,
        height=context.height,
        pix_fmt=context.pix_fmt or "yuv420p",
        time_base=time_base,
        rate=stream.average_rate or stream.guessed_rate or DEFAULT_RATE,
        aspect=stream.sample_aspect_ratio or Fraction(1),
        colour=(
            int(context.color_primaries),
            int(context.color_trc),
            int(context.colorspace),
            int(context.color_range),
        ),
        interlaced=interlaced,
    )


def open_encoder(
    codec: str, picture: Picture, options: dict[str, str], threads: int
) -> VideoCodecContext:
    """An open encoder whose parameter sets are in its extradata."""
    encoder = CodecContext.create(codec, "w")
    assert isinstance(encoder, VideoCodecContext)
    encoder.flags |= Flags.global_header
    configure(encoder, picture, options, threads)
    encoder.open()
    return encoder


def configure(
    encoder: VideoCodecContext, picture: Picture, options: dict[str, str], threads: int
) -> None:
    """Set an encoder that is not open yet."""
    encoder.width, encoder.height = picture.width, picture.height
    encoder.pix_fmt = picture.pix_fmt
    encoder.time_base = picture.time_base
    encoder.framerate = picture.rate
    encoder.sample_aspect_ratio = picture.aspect
    (
        encoder.color_primaries,
        encoder.color_trc,
        encoder.colorspace,
        encoder.color_range,
    ) = picture.colour
    encoder.thread_count = threads
    encoder.flags |= Flags.frame_duration  # packets last as long as their pictures
    if picture.interlaced:
        encoder.flags |= Flags.interlaced_dct | Flags.interlaced_me
    encoder.options = options


def encode(
    encoder: VideoCodecContext, frame: VideoFrame | None, *, forces_key: bool = False
) -> list[VideoPacket]:
    """The packets of the encoder for one more picture; None flushes it at the end."""
    if frame is not None:
        frame.pict_type = INTRA_KIND if forces_key else UNSPECIFIED_KIND
    return encoder.encode(frame)
