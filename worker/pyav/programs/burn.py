"""Program: write one text track of a source for FFmpeg to draw into the pictures of a clip.

Spec: {"source": path, "track": index of its stream, "start": seconds, "end": seconds, "target":
path of the ASS file, "font": name}. Result: {"shown": list of [begin, end] in seconds of the clip,
in order and apart, "warnings": list of texts}.
"""

import re
from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
from av.subtitles.subtitle import AssSubtitle

from worker.pyav.opening import open_source
from worker.pyav.serving import serve
from worker.pyav.subtitles import MOST_CUES, Shown, script_of
from worker.pyav.window import seconds

_FIELDS = "Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text"
# Between braces, what names a font: ours is the only one that is surely there.
_FONT_TAG = re.compile(r"\\fn[^\\}]*")
_CENTISECONDS = 100


def main(spec: dict[str, Any]) -> dict[str, Any]:
    """Write `spec["target"]`."""
    with open_source(spec["source"]) as source:
        zero = Fraction(source.start_time or 0, av.time_base)
    begin, end = zero + seconds(spec["start"]), zero + seconds(spec["end"])
    texts, header, damaged = script_of(spec["source"], spec["track"], begin, end)
    kept = texts[:MOST_CUES]
    events = "".join(_event(line, text) for text in kept for line in text.lines)
    script = f"{_head(header, spec['font'])}\n[Events]\nFormat: {_FIELDS}\n{events}"
    Path(spec["target"]).write_text(script)
    warnings = [f"{damaged} damaged subtitle texts were left out"] if damaged else []
    if len(texts) > len(kept):
        warnings.append(f"subtitles after the first {MOST_CUES:,} texts were left out")
    shown = _joined((text.begin, text.end) for text in kept)
    return {"shown": [[float(a), float(b)] for a, b in shown], "warnings": warnings}


def _head(header: bytes | None, font: str) -> str:
    """The head of the track's ASS script with this font in all of its styles."""
    text = (header or b"").decode(errors="replace").replace("\0", "")
    lines, place = [], 1
    for line in text.split("[Events]")[0].splitlines():
        name, _, rest = line.partition(":")
        fields = rest.split(",")
        if name == "Format":
            names = [field.strip().lower() for field in fields]
            place = names.index("fontname") if "fontname" in names else 1
        elif name == "Style" and len(fields) > place:
            fields[place] = font
            line = f"{name}:{','.join(fields)}"
        lines.append(line)
    return "\n".join(lines)


def _event(line: AssSubtitle, shown: Shown) -> str:
    """One line of the script, from a line as FFmpeg's decoders write it; empty for no text."""
    words = line.ass.decode(errors="replace").replace("\0", "")
    fields = words.replace("\r", "").replace("\n", r"\N").split(",", 8)
    if len(fields) < 9 or not fields[8].strip():
        return ""
    _, layer, style, name, *margins, effect, text = fields
    values = [layer, _time(shown.begin), _time(shown.end), style, name, *margins, effect]
    return f"Dialogue: {','.join(values)},{_FONT_TAG.sub('', text)}\n"


def _time(moment: Fraction) -> str:
    whole = round(moment * _CENTISECONDS)
    minutes, rest = divmod(whole, 60 * _CENTISECONDS)
    return f"{minutes // 60}:{minutes % 60:02}:{rest // 100:02}.{rest % 100:02}"


def _joined(shown: Iterable[tuple[Fraction, Fraction]]) -> Iterator[tuple[Fraction, Fraction]]:
    """The times, those that touch or overlap as one."""
    ready: tuple[Fraction, Fraction] | None = None
    for begin, end in sorted(shown):
        if ready is not None and begin <= ready[1]:
            ready = (ready[0], max(ready[1], end))
            continue
        if ready is not None:
            yield ready
        ready = (begin, end)
    if ready is not None:
        yield ready


if __name__ == "__main__":
    serve(main)
