"""extract: read the metadata of a page's media, without fetching the media."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from config.values import MIB
from config.ytdlp import program
from tasks.addresses import resolve_and_check
from tasks.kinds import ExtractResult, ExtractSpec
from tasks.media import MediaFacts
from tasks.network import NetworkUse
from worker import ytdlp
from worker.attempt.attempt import Attempt
from worker.attempt.outcome import Outcome, ProducedFile
from worker.kinds.handler import Handler
from worker.kinds.long_info import LONGEST_BYTES, info_bytes, shortened
from worker.memory.capacity import Capacity
from worker.memory.estimate import estimate_site
from worker.memory.need import ResourceNeed
from worker.process.limits import Profile

DEADLINE_SECONDS = 120.0
MOST_BYTES = 64 * MIB  # of pages and manifests
METADATA_FILE = "metadata.json"
LEAST_BYTES = 125 * MIB  # some sites need a JavaScript runtime


class ExtractHandler(Handler[ExtractSpec]):
    """Asks yt-dlp for the metadata of a page."""

    disk_bytes = 16 * MIB

    def need(
        self, spec: ExtractSpec, source: MediaFacts | None, capacity: Capacity
    ) -> ResourceNeed:
        """The need of yt-dlp to read a page."""
        return estimate_site(spec.kind, LEAST_BYTES, capacity)

    def run(self, spec: ExtractSpec, attempt: Attempt) -> Outcome:
        """The public `info` of the page."""
        url = spec.source.url
        assert url is not None  # the planner takes no other source for this kind
        attempt.enter("extracting")
        resolve_and_check(url, attempt.settings.allowed_networks)
        tools = attempt.tools
        with attempt.network(MOST_BYTES) as way:
            info = ytdlp.extract(
                url,
                playlist_items=spec.playlist_items,
                folder=tools.folder,
                run=tools.runner("yt-dlp"),
                limits=tools.limits(DEADLINE_SECONDS, profile=Profile.FETCH),
                proxy=way.url,
                program=program(attempt.settings.data_dir),
            )
        return outcome(info, tools.folder, way.used)


def outcome(info: dict[str, Any], folder: Path, network: NetworkUse | None = None) -> Outcome:
    """The metadata as the result; what is too long for a job's record becomes a file."""
    whole = info_bytes(info)
    if len(whole) <= LONGEST_BYTES:
        return Outcome(ExtractResult(info=info, network=network))
    path = folder / METADATA_FILE
    path.write_bytes(whole)
    short, left_out = shortened(info)
    warning = f"`info` is shortened ({'; '.join(left_out)}): the artifact {METADATA_FILE} has all"
    result = ExtractResult(info=short, warnings=(warning,), network=network)
    return Outcome(result, [ProducedFile(path, "metadata", METADATA_FILE)])


HANDLER = ExtractHandler()
