"""Comparing the clip's encoded sound with what was taken from its source."""

from __future__ import annotations

from array import array

from worker.pyav.compare.correlation import correlation
from worker.pyav.compare.record import SOUND_RATE

STEP = SOUND_RATE // 1000  # loudness is compared in steps of a millisecond
MOST_SHIFT_MS = 100
LEAST_LIKENESS = 0.5
QUIET = 60  # loudness, of 32,768, below which there is nothing to compare


def shift_of(source: array[int], clip: array[int]) -> tuple[int, float] | None:
    """By how many milliseconds the clip's sound is late, and how alike the two are, up to 1.

    None where the source is too quiet or too even to tell.
    """
    own, other = _loudness(source), _loudness(clip)
    width = len(own) - 2 * MOST_SHIFT_MS
    if width < MOST_SHIFT_MS or len(other) < len(own) or max(own) < QUIET:
        return None
    middle = own[MOST_SHIFT_MS : MOST_SHIFT_MS + width]
    if max(middle) < 2 * (sum(middle) / width):
        return None  # an even tone looks the same at every shift
    shifts = range(-MOST_SHIFT_MS, MOST_SHIFT_MS + 1)
    found = {it: correlation(middle, other[MOST_SHIFT_MS + it :][:width]) for it in shifts}
    best = max(found, key=lambda it: (found[it], -abs(it)))
    return best, found[best]


def _loudness(samples: array[int]) -> list[float]:
    whole = len(samples) // STEP * STEP
    return [sum(map(abs, samples[at : at + STEP])) / STEP for at in range(0, whole, STEP)]
