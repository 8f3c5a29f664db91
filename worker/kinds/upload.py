"""upload: check that a file which a client has sent is media, and keep it."""

from __future__ import annotations

import re
from pathlib import PurePath

from config.values import MIB
from tasks.errors import SourceFailed, TooLong
from tasks.kinds import UploadResult, UploadSpec
from tasks.media import MediaFacts
from tasks.storage.incoming import Incoming
from worker.attempt.attempt import Attempt
from worker.attempt.outcome import Outcome, ProducedFile
from worker.kinds.file_names import file_name, suffix_of
from worker.kinds.handler import Handler
from worker.memory.capacity import Capacity
from worker.memory.need import ResourceNeed

_SUFFIX = re.compile(r"\.[A-Za-z0-9]{1,8}")
NEED_BYTES = 96 * MIB  # of the probe, for nearly all files; one that needs more is tried with more


class UploadHandler(Handler[UploadSpec]):
    """Probes a file where it arrived, and lets it be published."""

    disk_bytes = 16 * MIB

    def need(self, spec: UploadSpec, source: MediaFacts | None, capacity: Capacity) -> ResourceNeed:
        """The need of the probe."""
        need_bytes = min(NEED_BYTES, capacity.budget_bytes)
        return ResourceNeed(need_bytes, estimate_bytes=need_bytes)

    def run(self, spec: UploadSpec, attempt: Attempt) -> Outcome:
        """The file, checked to be media and not too long."""
        attempt.enter("checking")
        incoming = Incoming(attempt.settings.data_dir)
        name = PurePath(spec.filename)
        claimed = name.suffix if _SUFFIX.fullmatch(name.suffix) else ".bin"
        try:
            # Publishing moves this name away; the file stays for an attempt after this one.
            path = incoming.link(attempt.job.id, f"attempt-{attempt.job.attempt}")
        except OSError as error:
            raise SourceFailed("the uploaded file is gone") from error
        facts = attempt.probe(path)
        longest = attempt.settings.max_duration_seconds
        if facts.duration_seconds is not None and facts.duration_seconds > longest:
            raise TooLong("the file is longer than allowed", {"max_seconds": longest})
        suffix = suffix_of(facts, claimed)
        path = path.rename(path.with_suffix(suffix))
        file = ProducedFile(path, "main", file_name(name.stem, suffix), facts)
        return Outcome(UploadResult(), [file])


HANDLER = UploadHandler()
