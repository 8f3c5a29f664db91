"""How big the picture gets: sizes are even, in pixels, after rotation and with square pixels."""

from dataclasses import dataclass
from fractions import Fraction

from tasks.media import VideoFacts
from tasks.specs import Output

Size = tuple[int, int]

THUMBNAIL_WIDTH = 640
RGB_NAMES = ("gbr", "rgb", "bgr", "argb", "abgr", "0rgb", "0bgr")  # how RGB's formats begin


@dataclass(frozen=True)
class Shape:
    """Steps from the rotated source picture to the wanted one; None: not needed."""

    crop: Size | None  # the middle of the source, in its own pixels
    scale: Size | None  # to this size with square pixels
    pad: Size | None  # black around it up to this size
    size: Size  # what comes out


def shape_of(video: VideoFacts, output: Output) -> Shape:
    """The steps that `output` asks for.

    `contain` fits the picture into the box and never enlarges it; `cover` fills the box and crops
    the rest; `pad` fits the picture in and fills up with black. `cover` and `pad` give exactly the
    box and enlarge if they must. If one side is given, the other follows; nothing is cropped or
    padded.
    """
    turned, aspect = _turned(video)
    if output.width is None and output.height is None:
        return _unchanged(turned)
    if output.width is None or output.height is None or output.fit == "contain":
        return _contained(turned, aspect, output)
    box = (_even_below(output.width), _even_below(output.height))
    if output.fit == "cover":
        return Shape(_cover_crop(turned, aspect, Fraction(*box)), box, None, box)
    return _padded(turned, aspect, box)


def shape_of_whole(video: VideoFacts | None) -> str | None:
    """The shape of the stored picture as a player shows it, such as 16:9."""
    if video is None:
        return None
    width, _, height = video.sample_aspect_ratio.partition(":")
    shape = Fraction(video.width * int(width), video.height * max(1, int(height)))
    return f"{shape.numerator}:{shape.denominator}" if shape else None


def _turned(video: VideoFacts) -> tuple[Size, Fraction]:
    """The stored size and the shape of a pixel after rotation."""
    width, _, height = video.sample_aspect_ratio.partition(":")
    aspect = Fraction(int(width), int(height))
    if aspect <= 0:
        aspect = Fraction(1)
    if video.rotation % 180:
        return (video.height, video.width), 1 / aspect
    return (video.width, video.height), aspect


def _unchanged(turned: Size) -> Shape:
    """The source's size, less an odd last line or column, which 4:2:0 cannot hold."""
    size = (_even_below(turned[0]), _even_below(turned[1]))
    return Shape(size if size != turned else None, None, None, size)


def _contained(turned: Size, aspect: Fraction, output: Output) -> Shape:
    shown = (turned[0] * aspect, Fraction(turned[1]))
    factors = [
        Fraction(limit) / side
        for limit, side in zip((output.width, output.height), shown, strict=True)
        if limit is not None
    ]
    factor = min(factors) if output.fit != "contain" else min(*factors, Fraction(1))
    if factor == 1 and aspect == 1:
        return _unchanged(turned)
    size = _scaled(shown, factor, (output.width, output.height))
    return Shape(None, size, None, size)


def _cover_crop(turned: Size, aspect: Fraction, wanted: Fraction) -> Size | None:
    width, height = turned
    if Fraction(width, height) * aspect > wanted:
        crop = (_even(height * wanted / aspect, width), _even_below(height))
    else:
        crop = (_even_below(width), _even(width * aspect / wanted, height))
    return crop if crop != turned else None


def _padded(turned: Size, aspect: Fraction, box: Size) -> Shape:
    shown = (turned[0] * aspect, Fraction(turned[1]))
    factor = min(Fraction(box[0]) / shown[0], Fraction(box[1]) / shown[1])
    size = _scaled(shown, factor, box)
    return Shape(None, size, box if box != size else None, box)


def _scaled(
    shown: tuple[Fraction, Fraction], factor: Fraction, limits: tuple[int | None, int | None]
) -> Size:
    return _even(shown[0] * factor, limits[0]), _even(shown[1] * factor, limits[1])


def _even(value: Fraction, limit: int | None) -> int:
    """The nearest even number, at least 2 and not over an even-rounded limit."""
    nearest = max(2, round(value / 2) * 2)
    return nearest if limit is None else min(nearest, _even_below(limit))


def _even_below(value: int) -> int:
    return max(2, value // 2 * 2)
