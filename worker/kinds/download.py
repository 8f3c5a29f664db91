"""download: fetch the media behind a URL as one file."""

from __future__ import annotations

from tasks.kinds import DownloadResult, DownloadSpec, Origin
from worker.kinds.file_names import file_name
from worker.kinds.interface import Fetched, Machine, Outcome, ProducedFile


def run(spec: DownloadSpec, machine: Machine) -> Outcome:
    """The file, checked to be media, and where it came from."""
    fetched = machine.download(spec)
    result = DownloadResult(source=_origin(fetched), warnings=tuple(fetched.warnings))
    name = file_name(str(fetched.info.get("title") or "download"), fetched.path.suffix)
    return Outcome(result, [ProducedFile(fetched.path, "main", name, fetched.facts)])


def _origin(fetched: Fetched) -> Origin:
    info = fetched.info
    duration_seconds = info.get("duration_seconds")
    if duration_seconds is None:
        duration_seconds = fetched.facts.duration_seconds
    return Origin(
        title=info.get("title"),
        uploader=info.get("uploader"),
        duration_seconds=duration_seconds,
        webpage_url=info.get("webpage_url"),
        extractor=info.get("platform"),
    )
