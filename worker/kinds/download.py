"""download: fetch the media behind a URL as one file."""

from __future__ import annotations

from tasks.kinds import DownloadSpec
from worker.kinds.file_names import file_name
from worker.kinds.interface import Machine, Outcome, ProducedFile

_SOURCE_FIELDS = ("title", "uploader", "duration_seconds", "webpage_url")


def run(spec: DownloadSpec, machine: Machine) -> Outcome:
    """The file, checked to be media, and where it came from."""
    fetched = machine.download(spec)
    source = {field: fetched.info.get(field) for field in _SOURCE_FIELDS}
    source["extractor"] = fetched.info.get("platform")
    if source["duration_seconds"] is None:
        source["duration_seconds"] = fetched.facts.duration_seconds
    name = file_name(str(fetched.info.get("title") or "download"), fetched.path.suffix)
    main = ProducedFile(fetched.path, "main", name, fetched.facts)
    return Outcome([main], {"source": source, "deduplicated": False}, fetched.warnings)
