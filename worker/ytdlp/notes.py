"""The notes that yt-dlp writes into the folder: one JSON mapping a line.

They are read from files and not from the output, where a title could imitate any line.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

NOTES_BYTES = 8 * 1024 * 1024  # how large one file of notes may be


def read_notes(path: Path) -> list[dict[str, Any]]:
    """The notes in order; a line that is cut short is left out, a missing file gives none."""
    if not path.is_file():
        return []
    with path.open("rb") as stream:
        lines = stream.read(NOTES_BYTES).splitlines()
    return [note for line in lines if (note := _note_of(line)) is not None]


def _note_of(line: bytes) -> dict[str, Any] | None:
    try:
        note = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(note, dict):
        return None
    item = note.get("item")
    return {**item, "formats": note.get("formats")} if isinstance(item, dict) else note
