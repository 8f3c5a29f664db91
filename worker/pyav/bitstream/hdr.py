"""HDR side data of the source's pictures, carried over to the encoder's pictures."""

import gc
import struct
from fractions import Fraction
from typing import Any

from av import VideoFrame

CHROMATICITY_UNIT, LUMINANCE_UNIT = 50_000, 10_000  # of H.264's mastering display message


LOOK_EVERY = 25  # pictures: where all are keyframes, reading each costs as much as encoding it


class BrightnessNotes:
    """Remembers the side data of keyframes: a range often begins at a picture without any."""

    def __init__(self) -> None:
        self.messages: list[str] = []
        self._unseen = LOOK_EVERY

    def see(self, frame: VideoFrame) -> None:
        """Read the side data of a decoded picture, wanted or not."""
        self._unseen += 1
        if frame.key_frame and self._unseen > LOOK_EVERY:
            # Reading side data keeps the picture in a cycle of references, which only this call
            # frees: ten seconds of ProRes took more than a gigabyte.
            gc.collect()
            self._unseen = 0
            self.messages = hdr_messages(frame) or self.messages


def side_data(frame: VideoFrame, name: str) -> bytes | None:
    """One kind of side data of a decoded picture, or None."""
    try:
        found: Any = frame.side_data.get(name)
    except ValueError:
        return None  # PyAV cannot list side data of which it does not know a kind
    return None if found is None else bytes(found)


def hdr_messages(frame: VideoFrame) -> list[str]:
    """The source's mastering display and light levels as x264 parameters."""
    messages = []
    mastering = side_data(frame, "MASTERING_DISPLAY_METADATA")
    if mastering is not None:
        values = struct.unpack_from("=22i", mastering)
        ratios = [
            Fraction(top, bottom or 1)
            for top, bottom in zip(values[:20:2], values[1:20:2], strict=True)
        ]
        red, green, blue, white = (
            f"({round(x * CHROMATICITY_UNIT)},{round(y * CHROMATICITY_UNIT)})"
            for x, y in zip(ratios[0:8:2], ratios[1:8:2], strict=True)
        )
        low, high = (round(value * LUMINANCE_UNIT) for value in ratios[8:10])
        messages.append(f"mastering-display=G{green}B{blue}R{red}WP{white}L({high},{low})")
    light = side_data(frame, "CONTENT_LIGHT_LEVEL")
    if light is not None:
        brightest, average = struct.unpack_from("=2I", light)
        messages.append(f"cll={brightest},{average}")
    return messages
