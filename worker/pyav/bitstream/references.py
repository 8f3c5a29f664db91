"""How many pictures a stream's frames may refer to: a decoder keeps them beside the current one."""

from collections.abc import Iterator

from worker.pyav.bitstream import h264

HEVC_SPS = 33
_HEVC_ARRAYS = 22  # where hvcC counts its arrays of units
_HEVC_PROFILE_BITS = 96


def references_in(codec: str, extradata: bytes) -> int | None:
    """The number that the parameter sets declare; None where there are none, or unreadable ones."""
    try:
        if codec == "h264":
            return h264.reference_frames(h264.parameter_sets(extradata).sps[0])
        if codec == "hevc":
            return _hevc_references(next(_hevc_sets(extradata)))
    except (ValueError, IndexError, StopIteration):
        return None
    return None


def _hevc_sets(extradata: bytes) -> Iterator[bytes]:
    found = _configured(extradata) if extradata[:1] == b"\1" else h264.units(extradata, None)
    return (unit for unit in found if (unit[0] >> 1) & 63 == HEVC_SPS)


def _configured(record: bytes) -> Iterator[bytes]:
    """The units of an hvcC record."""
    at = _HEVC_ARRAYS + 1
    for _ in range(record[_HEVC_ARRAYS]):
        count = int.from_bytes(record[at + 1 : at + 3])
        at += 3
        for _ in range(count):
            size = int.from_bytes(record[at : at + 2])
            yield record[at + 2 : at + 2 + size]
            at += 2 + size


def _hevc_references(sps: bytes) -> int | None:
    """`sps_max_dec_pic_buffering` less the current picture, without temporal layers."""
    if (sps[2] >> 1) & 7:
        return None
    bits = h264.Bits(sps, 3)
    bits.skip(_HEVC_PROFILE_BITS)
    bits.golomb()  # its identifier
    if bits.golomb() == 3:
        bits.skip(1)  # separate_colour_plane_flag
    bits.golomb(), bits.golomb()  # width and height
    if bits.flag():
        for _ in range(4):
            bits.golomb()  # the part that is shown
    bits.golomb(), bits.golomb(), bits.golomb()  # depths, and how many bits a picture's number has
    bits.skip(1)  # whether every layer has its own
    return bits.golomb()
