"""What a picture says about its brightness, carried over to the encoder's pictures."""

import gc
import struct
from fractions import Fraction
from typing import Any

from av import VideoFrame

CHROMATICITY_UNIT, LUMINANCE_UNIT = 50_000, 10_000  # of H.264's mastering display message


LOOK_EVERY = 25  # pictures: where all are keyframes, to look at each takes as long as to encode it


class BrightnessNotes:
    """Remembers what keyframes say; a range often begins at a picture that says nothing."""

    def __init__(self) -> None:
        self.messages: list[str] = []
        self._unseen = LOOK_EVERY

    def see(self, frame: VideoFrame) -> None:
        """Look at a decoded picture, wanted or not."""
        self._unseen += 1
        if frame.key_frame and self._unseen > LOOK_EVERY:
            # Who has looked at a picture's side data holds it in a ring of references, which
            # nothing but this frees: ten seconds of ProRes took more than a gigabyte.
            gc.collect()
            self._unseen = 0
            self.messages = hdr_messages(frame) or self.messages


def side_data(frame: VideoFrame, name: str) -> bytes | None:
    """One kind of a decoded picture's side data."""
    try:
        found: Any = frame.side_data.get(name)
    except ValueError:
        return None  # PyAV cannot list a picture that carries a kind it does not know
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
