"""As much of H.264's bitstream as joining needs: units, parameter sets, their identifiers."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import reduce
from operator import and_

SLICE_IDR, SUPPLEMENT, SPS, PPS, DELIMITER = 5, 6, 7, 8, 9
HIGH_444_PREDICTIVE = 244
HIGH_PROFILES = frozenset({100, 110, 122, 144, HIGH_444_PREDICTIVE})
LENGTH_SIZE = 4
HIGHEST_SET_ID = 31


def units(data: bytes, length_size: int | None) -> Iterator[bytes]:
    """The NAL units of a packet; `length_size` None means start codes (Annex B).

    Raises ValueError where the lengths do not fit the data.
    """
    if length_size is None:
        # A unit never ends in a zero byte, so zeros before a start code are padding.
        yield from filter(None, (unit.rstrip(b"\0") for unit in data.split(b"\0\0\1")))
        return
    at = 0
    while at < len(data):
        size = int.from_bytes(data[at : at + length_size])
        at += length_size
        if size == 0 or at + size > len(data):
            raise ValueError("a unit's length does not fit its packet")
        yield data[at : at + size]
        at += size


def kind(unit: bytes) -> int:
    """A unit's nal_unit_type."""
    return unit[0] & 31


def sample(data: bytes, length_size: int | None) -> bytes:
    """A packet as an MP4 sample: four-byte lengths, no parameter sets, no delimiters."""
    kept = (unit for unit in units(data, length_size) if kind(unit) not in (SPS, PPS, DELIMITER))
    return b"".join(len(unit).to_bytes(LENGTH_SIZE) + unit for unit in kept)


@dataclass(frozen=True, slots=True)
class ParameterSets:
    """The sets of one stream, and how its packets carry their units."""

    sps: tuple[bytes, ...]
    pps: tuple[bytes, ...]
    length_size: int | None  # None: start codes

    def ids(self) -> set[int]:
        """Every identifier in use; encoders give both kinds of set the same one."""
        return {_sps_id(unit) for unit in self.sps} | {_pps_id(unit) for unit in self.pps}

    def free_id(self) -> int | None:
        """A free identifier, or None when all are in use."""
        return next((i for i in range(HIGHEST_SET_ID, 0, -1) if i not in self.ids()), None)

    def joined_with(self, other: "ParameterSets") -> "ParameterSets":
        """Both streams' sets, in one list each."""
        return replace(self, sps=self.sps + other.sps, pps=self.pps + other.pps)

    def configuration(self) -> bytes:
        """The avcC record of an MP4 sample entry (ISO 14496-15)."""
        first = self.sps[0]
        level = max(unit[3] for unit in self.sps)
        # A decoder is chosen by the header, so it names the highest profile of all sets, and only
        # those constraints that hold for each of them.
        profile = max(unit[1] for unit in self.sps)
        constraints = reduce(and_, (unit[2] for unit in self.sps))
        record = bytes([1, profile, constraints, level, 0xFC | (LENGTH_SIZE - 1)])
        record += _counted(self.sps, 0xE0) + _counted(self.pps, 0)
        if profile in HIGH_PROFILES:
            chroma, luma_depth, chroma_depth = _sample_format(first)
            record += bytes([0xFC | chroma, 0xF8 | luma_depth, 0xF8 | chroma_depth, 0])
        return record


def _counted(sets: tuple[bytes, ...], marker: int) -> bytes:
    entries = b"".join(len(unit).to_bytes(2) + unit for unit in sets)
    return bytes([marker | len(sets)]) + entries


def parameter_sets(extradata: bytes) -> ParameterSets:
    """The sets in a stream's extradata, avcC or Annex B.

    Raises ValueError when there are none.
    """
    if extradata[:1] == b"\1":
        sets = _from_configuration(extradata)
    else:
        sets = sets_in(list(units(extradata, None)), None)
    if not sets.sps or not sets.pps:
        raise ValueError("the stream declares no parameter sets")
    return sets


def sets_in(all_units: list[bytes], length_size: int | None) -> ParameterSets:
    """The parameter sets among some units."""
    return ParameterSets(
        sps=tuple(unit for unit in all_units if kind(unit) == SPS),
        pps=tuple(unit for unit in all_units if kind(unit) == PPS),
        length_size=length_size,
    )


def _from_configuration(record: bytes) -> ParameterSets:
    at, lists = 5, []
    for mask in (31, 255):
        count, found = record[at] & mask, []
        at += 1
        for _ in range(count):
            size = int.from_bytes(record[at : at + 2])
            found.append(record[at + 2 : at + 2 + size])
            at += 2 + size
        lists.append(tuple(found))
    return ParameterSets(lists[0], lists[1], (record[4] & 3) + 1)


class Bits:
    """Reads a unit's bits, emulation prevention taken out."""

    def __init__(self, unit: bytes, first_byte: int) -> None:
        payload = unit.replace(b"\0\0\3", b"\0\0")[first_byte : first_byte + 32]
        self._bits = "".join(f"{byte:08b}" for byte in payload)
        self._at = 0

    def golomb(self) -> int:
        """An unsigned Exp-Golomb number. Raises ValueError at the end of the bits."""
        one = self._bits.index("1", self._at)
        zeros = one - self._at
        self._at = one + zeros + 1
        return int(self._bits[one : self._at], 2) - 1

    def skip(self, count: int) -> None:
        """Leave out some bits."""
        self._at += count

    def flag(self) -> bool:
        """One bit."""
        self._at += 1
        return self._bits[self._at - 1] == "1"


def _sps_id(unit: bytes) -> int:
    return Bits(unit, 4).golomb()


def _pps_id(unit: bytes) -> int:
    return Bits(unit, 1).golomb()


def _sample_format(sps: bytes) -> tuple[int, int, int]:
    """chroma_format_idc, bit_depth_luma_minus8, bit_depth_chroma_minus8."""
    if sps[1] not in HIGH_PROFILES:
        return 1, 0, 0  # 4:2:0 in eight bits, without saying so
    bits = Bits(sps, 4)
    bits.golomb()
    chroma = bits.golomb()
    if chroma == 3:
        bits.skip(1)  # separate_colour_plane_flag
    return chroma, bits.golomb(), bits.golomb()


def is_lossless(sps: bytes) -> bool:
    """Whether pictures may skip the transform, as those of a quantizer of zero do.

    Such pictures and those of another encoder cannot be decoded in one stream. Raises ValueError or
    IndexError on a broken set.
    """
    if sps[1] != HIGH_444_PREDICTIVE:
        return False
    bits = Bits(sps, 4)
    bits.golomb()
    if bits.golomb() == 3:
        bits.skip(1)
    bits.golomb(), bits.golomb()  # depths
    return bits.flag()


def reference_frames(sps: bytes) -> int | None:
    """max_num_ref_frames; None behind scaling lists, which are hardly used and not read.

    Raises ValueError or IndexError on a broken set.
    """
    bits = Bits(sps, 4)
    bits.golomb()
    if sps[1] in HIGH_PROFILES:
        if bits.golomb() == 3:
            bits.skip(1)
        bits.golomb(), bits.golomb()  # depths
        bits.skip(1)
        if bits.flag():
            return None
    bits.golomb()
    order = bits.golomb()  # how pictures are put in the order of showing
    if order == 0:
        bits.golomb()
    elif order == 1:
        bits.skip(1)
        bits.golomb(), bits.golomb()
        for _ in range(bits.golomb()):
            bits.golomb()
    return bits.golomb()
