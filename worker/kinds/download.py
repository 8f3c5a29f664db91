"""download: fetch the media behind a URL as one file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from config.values import MIB
from config.ytdlp import program
from tasks.addresses import resolve_and_check
from tasks.errors import TooLong
from tasks.kinds import DownloadResult, DownloadSpec, Origin
from tasks.media import MediaFacts
from worker import ytdlp
from worker.attempt.attempt import Attempt
from worker.attempt.outcome import Outcome, ProducedFile
from worker.kinds.file_names import file_name, suffix_of
from worker.kinds.handler import Handler
from worker.kinds.remuxing import best_joined, remuxed
from worker.memory.capacity import Capacity
from worker.memory.estimate import estimate_site
from worker.memory.need import ResourceNeed
from worker.process.limits import Profile

# Some sites need a JavaScript runtime, and FFmpeg joins the picture and the sound of some files.
LEAST_BYTES = 130 * MIB
SHARE_OF_FETCH = 0.98  # the probe and the storing come after the last byte


class DownloadHandler(Handler[DownloadSpec]):
    """Runs yt-dlp to fetch a file, and checks that the file is media."""

    disk_bytes = 64 * MIB

    def need(
        self, spec: DownloadSpec, source: MediaFacts | None, capacity: Capacity
    ) -> ResourceNeed:
        """The need of yt-dlp to fetch a file, and of FFmpeg to join it."""
        return estimate_site(spec.kind, LEAST_BYTES, capacity)

    def run(self, spec: DownloadSpec, attempt: Attempt) -> Outcome:
        """The file, checked to be media and not too long, and where it came from."""
        attempt.enter("downloading")
        found = _fetch(spec, attempt)
        facts = attempt.probe(found.path)
        _check_duration(facts, attempt.settings.max_duration_seconds)
        path = found.path.rename(found.path.with_suffix(suffix_of(facts, found.path.suffix)))
        container = spec.container or (best_joined(facts) if found.joined else None)
        if spec.quality == "audio" or container in (None, path.suffix.lstrip(".")):
            return outcome(path, facts, found)
        path, warnings = remuxed(path, facts, str(container), attempt.tools)
        found = replace(found, warnings=(*found.warnings, *warnings))
        return outcome(path, attempt.probe(path), found)


def outcome(path: Path, facts: MediaFacts, found: ytdlp.Download) -> Outcome:
    """The outcome for a file that the probe accepted."""
    info = found.info
    seconds = info.get("duration_seconds")
    origin = Origin(
        title=info.get("title"),
        uploader=info.get("uploader"),
        duration_seconds=facts.duration_seconds if seconds is None else seconds,
        webpage_url=info.get("webpage_url"),
        extractor=info.get("platform"),
    )
    name = file_name(str(info.get("title") or "download"), path.suffix)
    result = DownloadResult(source=origin, warnings=tuple(found.warnings), network=found.network)
    return Outcome(result, [ProducedFile(path, "main", name, facts)])


def _fetch(spec: DownloadSpec, attempt: Attempt) -> ytdlp.Download:
    url = spec.source.url
    assert url is not None  # the planner takes no other source for this kind
    settings, tools = attempt.settings, attempt.tools
    resolve_and_check(url, settings.allowed_networks)

    def on_progress(fraction: float | None, speed: float | None, eta: float | None) -> None:
        attempt.progress(SHARE_OF_FETCH * (fraction or 0.0), speed, eta)

    with attempt.network(settings.max_download_bytes) as way:
        found = ytdlp.download(
            url,
            quality=spec.quality,
            container=spec.container,
            folder=tools.folder,
            run=tools.runner("yt-dlp"),
            limits=tools.limits(profile=Profile.FETCH),
            max_bytes=settings.max_download_bytes,
            max_duration_seconds=settings.max_duration_seconds,
            on_progress=on_progress,
            proxy=way.url,
            program=program(settings.data_dir),
        )
    return replace(found, network=way.used)


def _check_duration(facts: MediaFacts, longest_seconds: float) -> None:
    # Direct files and some manifests do not declare their duration beforehand.
    if facts.duration_seconds is not None and facts.duration_seconds > longest_seconds:
        raise TooLong("the source is longer than allowed", {"max_seconds": longest_seconds})


HANDLER = DownloadHandler()
