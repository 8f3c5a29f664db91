"""Where the decoding of a source can begin. Pure."""

from __future__ import annotations

from tasks.media import MediaFacts

# How long before the start decoding begins. Half a second covers what sound decoders need and
# B-frames at the start. A seek in a container without an index may land anywhere, so there the
# pre-roll must be longer than a group of pictures.
PREROLL_SECONDS = 0.5
LONG_PREROLL_SECONDS = 12.0
UNINDEXED = frozenset({"mpegts", "mpeg", "mpegvideo", "m4v", "h264", "hevc", "dv"})
UNTIMED = frozenset({"avi"})  # frames have no time of showing, and each reader guesses differently


def is_unindexed(facts: MediaFacts) -> bool:
    """Whether a seek may land where no picture can be decoded."""
    return _is_one_of(UNINDEXED, facts)


def preroll_of(facts: MediaFacts) -> float:
    """Seconds before the start at which decoding must begin so that no wanted frame is lost."""
    return LONG_PREROLL_SECONDS if is_unindexed(facts) else PREROLL_SECONDS


def needs_exact_decoder(facts: MediaFacts) -> bool:
    """Whether the PyAV program should make this source's clips where it can.

    Either a seek may land where decoding cannot begin: FFmpeg's command line loses frames if no key
    picture lies in the long pre-roll, and cannot go back. Or frames have no times of their own: the
    program's guess differs from FFmpeg's by one frame, and all clips should follow one guess.
    """
    return facts.video is not None and (is_unindexed(facts) or is_untimed(facts))


def is_untimed(facts: MediaFacts) -> bool:
    """Whether the file has pictures that are reordered and have no times of their own."""
    return facts.video is not None and facts.video.reorders and _is_one_of(UNTIMED, facts)


def is_in_order(facts: MediaFacts) -> bool:
    """Whether pictures have no times of their own, but show in the order in which they are read."""
    return facts.video is not None and not facts.video.reorders and _is_one_of(UNTIMED, facts)


def _is_one_of(names: frozenset[str], facts: MediaFacts) -> bool:
    return not names.isdisjoint(facts.container.split(","))
