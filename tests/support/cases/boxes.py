"""MP4 files taken apart into boxes, changed and put together, for what no muxer writes.

The index must stand behind the media, as FFmpeg writes it: then nothing moves.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

_HOLDERS = frozenset({b"moov", b"trak", b"mdia", b"minf", b"stbl", b"edts"})


@dataclass
class Box:
    """One box: its bytes, or the boxes in it."""

    kind: bytes
    payload: bytes = b""
    inside: list[Box] = field(default_factory=list)

    def __bytes__(self) -> bytes:
        payload = b"".join(map(bytes, self.inside)) or self.payload
        return struct.pack(">I", 8 + len(payload)) + self.kind + payload

    def find(self, *path: bytes) -> Box:
        """The first box at this path."""
        if not path:
            return self
        return next(it for it in self.inside if it.kind == path[0]).find(*path[1:])


def boxes(data: bytes) -> Iterator[Box]:
    """The boxes of a file or of a box."""
    at = 0
    while at < len(data):
        size, kind = struct.unpack(">I4s", data[at : at + 8])
        payload = data[at + 8 : at + size]
        yield Box(kind, payload, list(boxes(payload)) if kind in _HOLDERS else [])
        at += size


def with_index(data: bytes, change: Callable[[Box], None]) -> bytes:
    """The file after a change of its `moov`."""
    found = list(boxes(data))
    assert found[-1].kind == b"moov", "the index is not at the end"
    change(found[-1])
    return b"".join(map(bytes, found))


def track(moov: Box, handler: bytes) -> Box:
    """The first track of a kind: `vide`, `soun`."""
    tracks = (it for it in moov.inside if it.kind == b"trak")
    return next(it for it in tracks if it.find(b"mdia", b"hdlr").payload[8:12] == handler)


def numbers(payload: bytes, each: int = 1) -> list[tuple[int, ...]]:
    """The table of a box that begins with a version and a count: rows of 32-bit numbers."""
    (count,) = struct.unpack(">I", payload[4:8])
    form = f">{each}I"
    return [struct.unpack_from(form, payload, 8 + 4 * each * n) for n in range(count)]


def table(rows: list[tuple[int, ...]], form: str) -> bytes:
    """The payload of such a box; `form` is of one row, as `struct` has it."""
    return struct.pack(">II", 0, len(rows)) + b"".join(struct.pack(form, *it) for it in rows)


def set_edits(moov: Box, kind: bytes, edits: list[tuple[float, int]]) -> None:
    """Give a track an edit list: seconds, and where in the track's own time; -1 is nothing."""
    (timescale,) = struct.unpack(">I", moov.find(b"mvhd").payload[12:16])
    rows = [(round(seconds * timescale), media_time, 1, 0) for seconds, media_time in edits]
    found = track(moov, kind)
    found.inside = [it for it in found.inside if it.kind != b"edts"]
    edits_box = Box(b"edts", inside=[Box(b"elst", table(rows, ">IiHH"))])
    found.inside.insert(1, edits_box)


def add_sample_entry(moov: Box, entry: bytes, first_sample: int) -> None:
    """Give the pictures a second sample entry, which counts from a sample (counted from 0) on."""
    stbl = track(moov, b"vide").find(b"mdia", b"minf", b"stbl")
    stsd, stsc, stco = (stbl.find(kind) for kind in (b"stsd", b"stsc", b"stco"))
    sizes = struct.unpack(f">{(len(stbl.find(b'stsz').payload) - 12) // 4}I",
                          stbl.find(b"stsz").payload[12:])  # fmt: skip
    chunks = [offset for (offset,) in numbers(stco.payload)]
    runs = numbers(stsc.payload, 3)
    rows: list[tuple[int, int, int]] = []  # offset, samples, entry of each chunk
    sample = 0
    for place, offset in enumerate(chunks, 1):
        count = next(it[1] for it in reversed(runs) if it[0] <= place)
        for begin, end, which in (
            (sample, min(sample + count, first_sample), 1),
            (max(sample, first_sample), sample + count, 2),
        ):
            if begin < end:
                rows.append((offset + sum(sizes[sample:begin]), end - begin, which))
        sample += count
    stco.payload = table([(offset,) for offset, _, _ in rows], ">I")
    stsc.payload = table([(n, it[1], it[2]) for n, it in enumerate(rows, 1)], ">III")
    stsd.payload = struct.pack(">II", 0, 2) + stsd.payload[8:] + entry


def sample_entry(data: bytes) -> bytes:
    """The sample entry of the pictures of a file."""
    moov = next(it for it in boxes(data) if it.kind == b"moov")
    return track(moov, b"vide").find(b"mdia", b"minf", b"stbl", b"stsd").payload[8:]
