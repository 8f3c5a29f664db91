"""Opening a media file safely: named formats and codecs only, local files only, bounded."""

import struct

import av
from av.container import InputContainer

from tasks.errors import CorruptMedia, NotMedia, TooLarge
from worker.clip.allowlists import DECODERS, FORMATS, SIGNATURES, TEXT_DECODERS

MAX_SIDE_PIXELS = 16_384
MAX_FRAME_PIXELS = 100_000_000
MAX_STREAMS = 64  # each takes about 1 MB before anything is read; real files have a dozen
OPEN_SECONDS = 8.0
PNG_SIZE_AT = 16  # width and height follow the signature and the first chunk's head


def open_source(path: str) -> InputContainer:
    """Open a local media file for reading.

    Raises NotMedia (no known format), CorruptMedia (a known format that cannot be read).
    """
    options = {
        "protocol_whitelist": "file",
        "format_whitelist": FORMATS,
        "codec_whitelist": ",".join(sorted(DECODERS | TEXT_DECODERS)),
        "max_pixels": str(MAX_FRAME_PIXELS),
        "max_streams": str(MAX_STREAMS),
        "threads": "1",  # looking for stream facts needs no frame threads and their memory
    }
    try:
        return av.open(
            f"file:{path}", options=options, metadata_errors="replace", timeout=OPEN_SECONDS
        )
    except FileNotFoundError:
        raise
    except MemoryError as error:
        raise TooLarge("the file's headers or its number of streams are too large") from error
    except (av.FFmpegError, ValueError, OSError) as error:
        if looks_like_media(path):
            raise CorruptMedia("the file is damaged or incomplete and cannot be read") from error
        raise NotMedia("the file is not a video or audio file of a known format") from error


def looks_like_media(path: str) -> bool:
    """Whether the file begins as a known container does."""
    with open(path, "rb") as file:  # noqa: PTH123  (a plain read; paths come as text in the spec)
        head = file.read(380)
    transport_stream = any(
        len(head) > first + 188 and head[first] == 0x47 and head[first + 188] == 0x47
        for first in (0, 4)
    )
    return transport_stream or any(
        head[offset : offset + len(mark)] == mark for offset, mark in SIGNATURES
    )


def png_size(path: str) -> tuple[int, int]:
    """The width and height that a PNG file's head declares."""
    with open(path, "rb") as file:  # noqa: PTH123  (as above)
        head = file.read(PNG_SIZE_AT + 8)
    width, height = struct.unpack_from(">II", head, PNG_SIZE_AT)
    return width, height


def refuse_huge_pictures(width: int, height: int) -> None:
    """Raise TooLarge before a decoder allocates for a picture beyond the limits."""
    if max(width, height) > MAX_SIDE_PIXELS or width * height > MAX_FRAME_PIXELS:
        raise TooLarge(
            f"the picture is {width}x{height}; the limits are {MAX_SIDE_PIXELS} pixels a side "
            f"and {MAX_FRAME_PIXELS // 1_000_000} megapixels"
        )
