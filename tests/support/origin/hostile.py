"""Broken and malicious files, made from a good MP4 or from nothing."""

from __future__ import annotations

import random
import struct
import zlib
from pathlib import Path

from tests.support.media import ffmpeg

HUGE_TAG_BYTES = 100_000_000


def box(kind: bytes, body: bytes) -> bytes:
    """One MP4 box."""
    return struct.pack(">I4s", 8 + len(body), kind) + body


def without_index(good: bytes) -> bytes:
    """An MP4 whose end, with the moov box, was never written."""
    return good[: good.index(b"moov") - 4]


def with_damage(good: bytes, seed: int) -> bytes:
    """One byte in a thousand damaged by one bit, anywhere after the first box."""
    chance, data = random.Random(seed), bytearray(good)
    for _ in range(len(data) // 1000):
        data[chance.randrange(64, len(data))] ^= 1 << chance.randrange(8)
    return bytes(data)


def with_huge_tag(good: bytes) -> bytes:
    """An MP4 with one tag of 100 MB in its index."""
    text = box(b"data", struct.pack(">II", 1, 0) + b"A" * HUGE_TAG_BYTES)
    handler = box(b"hdlr", b"\0" * 8 + b"mdirappl" + b"\0" * 9)
    tags = box(b"meta", b"\0" * 4 + handler + box(b"ilst", box(b"\xa9too", text)))
    extra = box(b"udta", tags)
    at = good.index(b"moov") - 4
    size = struct.unpack_from(">I", good, at)[0]
    index = struct.pack(">I", size + len(extra)) + good[at + 4 : at + size] + extra
    return good[:at] + index + good[at + size :]


def png(width: int, height: int) -> bytes:
    """The beginning of a PNG of that size."""
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + struct.pack(">I", 13)
        + header
        + struct.pack(">I", zlib.crc32(header))
    )


def many_streams(path: Path, source: Path, count: int) -> Path:
    """A file that holds the source's video many times."""
    maps = ["-map", "0:v"] * count
    ffmpeg("-t", "0.2", "-i", str(source), *maps, "-c", "copy", str(path))
    return path


def many_chapters(path: Path, source: Path, count: int) -> Path:
    """A file with many chapters."""
    lines = [";FFMETADATA1"]
    for at in range(count):
        lines += ["[CHAPTER]", "TIMEBASE=1/10000", f"START={at * 3}", f"END={at * 3 + 3}"]
        lines += [f"title=chapter {at}"]
    listed = path.with_suffix(".txt")
    listed.write_text("\n".join(lines))
    ffmpeg(
        "-i",
        str(source),
        "-i",
        str(listed),
        "-map_metadata",
        "1",
        "-map",
        "0",
        "-c",
        "copy",
        str(path),
    )
    return path


def encrypted(path: Path, source: Path) -> Path:
    """An MP4 in common encryption."""
    key = [
        "-encryption_scheme",
        "cenc-aes-ctr",
        "-encryption_key",
        "76a6c65c5ea762046bd749a2e632ccbb",
    ]
    key += ["-encryption_kid", "a7e61c373e219033c21091fa607bf3b8"]
    ffmpeg("-i", str(source), "-c", "copy", *key, str(path))
    return path
