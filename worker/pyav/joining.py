"""How each codec's encoded pieces and copied packets become one stream."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from av import VideoCodecContext
from av.codec import Codec
from av.video.stream import VideoStream

from worker.clip.encoding import QUALITIES
from worker.clip.strategy import no_smart_cut
from worker.pyav.bitstream import h264
from worker.pyav.encoders import Picture, open_encoder
from worker.pyav.index import Joints
from worker.pyav.packets import VideoPacket

PIECE_PARAMETERS = ("bframes=0", "scenecut=0", "rc-lookahead=0")


class CannotJoin(Exception):
    """Why the source's packets cannot be copied beside encoded ones; becomes `mode_reason`."""


# From the pictures' form, a quality, a number of threads and x264 parameters of the pictures.
OpenPieceEncoder = Callable[[Picture, str, int, list[str]], VideoCodecContext]


@dataclass(frozen=True, slots=True)
class Joining:
    """How one source can be copied in part."""

    joints: Joints
    open_piece_encoder: OpenPieceEncoder
    extradata: Callable[[bytes | None], bytes | None]  # the clip's, from the encoder's if any
    copied: Callable[[bytes], bytes] | None  # a source packet for the clip; None: unchanged
    encoded: Callable[[bytes], bytes] | None
    skips_unreferenced: bool  # the decoder may leave out pictures to which no other refers
    tag: str | None = None  # the sample entry's name, where the muxer's own choice is wrong


def joining_of(stream: VideoStream) -> Joining:
    """How to copy from this stream. Raises CannotJoin with the reason."""
    codec = stream.codec_context.codec.canonical_name
    if (reason := no_smart_cut(codec, interlaced=False)) is not None:
        raise CannotJoin(reason)
    return MAKERS[codec](stream)


def copying_of(stream: VideoStream) -> Joining:
    """How to copy from this stream with nothing encoded beside it; any codec can be."""
    tag = "hvc1" if stream.codec_context.codec.canonical_name == "hevc" else None

    def open_piece_encoder(*_: object) -> VideoCodecContext:
        raise CannotJoin("a copy encodes nothing")

    joints = replace(_key_joints(stream), closed=False)
    return Joining(joints, open_piece_encoder, lambda _: None, None, None, False, tag=tag)


def whole_joints() -> Joints:
    """For encoding everything: decoding may begin at any key packet."""
    return Joints(is_entry=lambda packet: False, trouble=lambda packet: None)


def joints_of(stream: VideoStream) -> Joints:
    """Where this stream can safely be decoded from, even when it cannot be joined."""
    try:
        return joining_of(stream).joints
    except CannotJoin:
        return whole_joints()


def _require_pixels(stream: VideoStream, encoder: str) -> None:
    formats = Codec(encoder, "w").video_formats or []
    if stream.codec_context.pix_fmt not in {known.name for known in formats}:
        raise CannotJoin(f"no encoder for pixel format {stream.codec_context.pix_fmt}")


def _h264(stream: VideoStream) -> Joining:
    try:
        source = h264.parameter_sets(stream.codec_context.extradata or b"")
        lossless = any(map(h264.is_lossless, source.sps))
    except (ValueError, IndexError) as error:
        raise CannotJoin("its parameter sets cannot be read") from error
    if lossless:
        raise CannotJoin("lossless video is encoded as a whole")
    free_id = source.free_id()
    if free_id is None:
        raise CannotJoin("its parameter sets use every identifier")
    _require_pixels(stream, "libx264")
    size, declared = source.length_size, stream.codec_context.extradata

    def open_piece_encoder(
        picture: Picture, quality: str, threads: int, messages: list[str]
    ) -> VideoCodecContext:
        edges = QUALITIES[quality].edges
        options = {
            "preset": edges.x264_preset,
            "qp": str(edges.x264_quantizer),
            "x264-params": ":".join([f"sps-id={free_id}", *PIECE_PARAMETERS, *messages]),
        }
        return open_encoder("libx264", picture, options, threads)

    def extradata(encoder: bytes | None) -> bytes:
        own = h264.parameter_sets(encoder) if encoder else None
        return (source.joined_with(own) if own else source).configuration()

    return Joining(
        joints=Joints(
            is_entry=lambda packet: _has_unit(packet, size, h264.SLICE_IDR),
            trouble=lambda packet: (
                _changed_extradata(packet, declared) or _changed_sets(packet, source)
            ),
        ),
        open_piece_encoder=open_piece_encoder,
        extradata=extradata,
        copied=None if size == h264.LENGTH_SIZE else lambda data: h264.sample(data, size),
        encoded=lambda data: h264.sample(data, None),
        skips_unreferenced=True,
    )


def _has_unit(packet: VideoPacket, length_size: int | None, kind: int) -> bool:
    try:
        return any(h264.kind(unit) == kind for unit in h264.units(bytes(packet), length_size))
    except ValueError:
        return False


def _changed_sets(packet: VideoPacket, source: h264.ParameterSets) -> str | None:
    """Whether a packet brings parameter sets that the stream did not declare."""
    if not packet.is_keyframe:
        return None
    try:
        own = h264.sets_in(list(h264.units(bytes(packet), source.length_size)), source.length_size)
    except ValueError:
        return "its packets are damaged"
    if set(own.sps) <= set(source.sps) and set(own.pps) <= set(source.pps):
        return None
    return "its parameter sets change in the range"


def _changed_extradata(packet: VideoPacket, declared: bytes | None) -> str | None:
    if not packet.has_sidedata("new_extradata"):
        return None
    same = bytes(packet.get_sidedata("new_extradata")) == declared
    return None if same else "its parameters change in the range"


def _key_joints(stream: VideoStream) -> Joints:
    declared = stream.codec_context.extradata
    return Joints(
        is_entry=lambda packet: packet.is_keyframe,
        trouble=lambda packet: _changed_extradata(packet, declared),
    )


def _hevc(stream: VideoStream) -> Joining:
    """HEVC is copied only where nothing needs encoding: Apple's players want all parameter sets
    in the sample entry, and no encoder offers other identifiers than the source's."""
    declared = stream.codec_context.extradata or b""
    # hvcC keeps the size of its lengths in byte 21; anything else has start codes.
    size = (declared[21] & 3) + 1 if declared[:1] == b"\1" and len(declared) > 21 else None

    def open_piece_encoder(*_: object) -> VideoCodecContext:
        raise CannotJoin("hevc pieces are not encoded")

    def is_entry(packet: VideoPacket) -> bool:
        try:
            return any(hevc_random_access(unit) for unit in h264.units(bytes(packet), size))
        except ValueError:
            return False

    # Pictures that follow a CRA may be shown before it.
    joints = Joints(is_entry, lambda packet: _changed_extradata(packet, declared), closed=False)
    return Joining(joints, open_piece_encoder, lambda _: None, None, None, False, tag="hvc1")


def hevc_random_access(unit: bytes) -> bool:
    """Whether a unit belongs to a picture that decoding can begin at (BLA, IDR or CRA)."""
    return 16 <= (unit[0] >> 1) & 63 <= 21


def _vp9(stream: VideoStream) -> Joining:
    _require_pixels(stream, "libvpx-vp9")

    def open_piece_encoder(
        picture: Picture, quality: str, threads: int, messages: list[str]
    ) -> VideoCodecContext:
        quantizer = str(QUALITIES[quality].edges.vp9_quantizer)
        options = {"deadline": "realtime", "cpu-used": "7", "lag-in-frames": "0", "b": "0"}
        options |= {"crf": quantizer, "qmin": "2", "qmax": quantizer, "auto-alt-ref": "0"}
        return open_encoder("libvpx-vp9", picture, options, threads)

    return Joining(_key_joints(stream), open_piece_encoder, lambda encoder: None, None, None, False)


def _av1(stream: VideoStream) -> Joining:
    _require_pixels(stream, "libsvtav1")

    def open_piece_encoder(
        picture: Picture, quality: str, threads: int, messages: list[str]
    ) -> VideoCodecContext:
        options = {"preset": "11", "crf": str(QUALITIES[quality].edges.av1_quantizer)}
        # Without reordering and look-ahead: a piece is short, and this takes a third of the memory.
        options["svtav1-params"] = f"lp={threads}:pred-struct=1:lookahead=0"
        return open_encoder("libsvtav1", picture, options, threads)

    return Joining(_key_joints(stream), open_piece_encoder, lambda encoder: None, None, None, False)


MAKERS = {"h264": _h264, "hevc": _hevc, "vp9": _vp9, "av1": _av1}
