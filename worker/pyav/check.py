"""Program: read a finished clip once, without decoding it, and report what it holds.

Spec: {"source": path}. Result: {"facts": MediaFacts, "frames", "begins_with_key"}.
"""

from pathlib import Path
from typing import Any

from av.container import InputContainer

from worker.pyav.opening import open_source
from worker.pyav.probe import facts_of, main_video
from worker.pyav.protocol import serve


def main(spec: dict[str, Any]) -> dict[str, Any]:
    """Check `spec["source"]`."""
    path = str(Path(spec["source"]).absolute())
    with open_source(path) as container:
        facts = facts_of(container, Path(path).stat().st_size).to_dict()
    with open_source(path) as container:  # anew: `facts_of` may have read the first packets
        pictures = _pictures_of(container)
    return {"facts": facts, **pictures}


def _pictures_of(container: InputContainer) -> dict[str, Any]:
    video = main_video(container)
    if video is None:
        return {"frames": 0, "begins_with_key": True}
    keys = [packet.is_keyframe for packet in container.demux(video) if packet.size]
    return {"frames": len(keys), "begins_with_key": keys[:1] == [True]}


if __name__ == "__main__":
    serve(main)
