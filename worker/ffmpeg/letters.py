"""The letters of texts that are drawn into pictures: our font, and what it lacks."""

import re
from pathlib import Path

FONTS = Path(__file__).with_name("fonts")
FONT = "DejaVu Sans"  # Latin, Greek, Cyrillic, Arabic, Hebrew and more, on every machine the same
# Letters that no font has are drawn as nothing, or as boxes, and only this level tells of them.
TELLING_OF_LETTERS = "warning"
_MISSING = re.compile(r"failed to find any fallback with glyph 0x([0-9A-Fa-f]+)")
_MOST_NAMED = 5


def missing_letters(stderr_tail: str) -> list[str]:
    """A warning when letters of the texts are in no font of this machine."""
    codes = dict.fromkeys(int(code, 16) for code in _MISSING.findall(stderr_tail))
    if not codes:
        return []
    named = ", ".join(f"U+{code:04X}" for code in [*codes][:_MOST_NAMED])
    return [f"no font here has some letters of the subtitles ({named}): install one that has them"]
