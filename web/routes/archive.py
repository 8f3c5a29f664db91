"""The main artifacts of a batch as one ZIP file, made while it is sent: no temporary file."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from typing import BinaryIO, Self
from zipfile import ZIP_STORED

from flask import Response
from zipstream import ZipStream

from tasks.artifact import StoredArtifact
from tasks.errors import ArtifactExpired, NotFound, StorageUnavailable, StoreUnavailable
from tasks.store import Batch
from web.http.services import Services
from web.http.transfers import BLOCK_BYTES, begin_transfer
from web.schemas.filenames import unique_names

log = logging.getLogger(__name__)

MISSING_NOTE = "MISSING.txt"
# The first files are opened before the first byte is sent: what is open can be removed and is not
# lost. More would take the descriptors of others; those count as used from time to time.
_MOST_OPEN = 12
_USE_SECONDS = 30.0


def archive_answer(services: Services, batch: Batch) -> Response:
    """The archive as a download.

    Raises NotFound while no job has an artifact, ArtifactExpired when not one is still kept.
    """
    sending, lost = _Sending(services), []
    for job_id, artifact_id, name in _finished(services, batch):
        try:
            sending.add(services.store.artifacts.get(artifact_id))
        except (NotFound, ArtifactExpired):
            lost.append(f"{name} (job {job_id})")
        except BaseException:
            sending.close()
            raise
    if not sending.files and lost:
        raise ArtifactExpired(f"no file of this batch is still kept: {', '.join(lost)}")
    if not sending.files:
        raise NotFound("no job of this batch has an artifact")
    sending.begin(lost)
    headers = {
        "Content-Disposition": f'attachment; filename="{batch.id}.zip"',
        "Content-Length": str(sending.size_bytes),
    }
    return begin_transfer(
        services, Response(sending, headers=headers, content_type="application/zip")
    )


def _finished(services: Services, batch: Batch) -> Iterator[tuple[str, str, str]]:
    """Of every main artifact that was made: its job, its id, its name."""
    for job in services.store.batches.jobs(batch.id):
        if job.result is not None and job.result.main is not None:
            yield job.id, job.result.main.id, job.result.main.name


def _note(lost: Sequence[str]) -> str:
    head = "These files of the batch are no longer kept, so they are not in this archive:\n\n"
    return head + "".join(f"{line}\n" for line in lost)


class _Sending:
    """The bytes of one archive. Its files count as used from `add` until they were sent."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._opened = ExitStack()
        self._handles: dict[str, BinaryIO] = {}
        self._used_at = time.monotonic()
        # Media does not get smaller; stored, the length is known beforehand, nothing is computed.
        self._archive = ZipStream(compress_type=ZIP_STORED, sized=True)
        self._blocks: Iterator[bytes] = iter(())
        self.files: deque[StoredArtifact] = deque()
        self.size_bytes = 0

    def add(self, artifact: StoredArtifact) -> None:
        """Take a file in. Raises ArtifactExpired when it is gone, or StorageUnavailable."""
        storage = self._services.storage
        self._services.store.artifacts.used(artifact.id)
        if len(self.files) < _MOST_OPEN:
            handle = self._opened.enter_context(storage.open(artifact.storage_key))
            self._handles[artifact.id] = handle
        elif not storage.has(artifact.storage_key):
            raise ArtifactExpired("the file is no longer kept")
        self.files.append(artifact)

    def begin(self, lost: Sequence[str]) -> None:
        """All files are in; a note tells of those that could not be."""
        notes = [MISSING_NOTE] if lost else []
        names = unique_names([*notes, *(artifact.filename for artifact in self.files)])
        if lost:
            self._archive.add(_note(lost), next(names))
        for artifact, name in zip(self.files, names, strict=True):
            self._archive.add(self._blocks_of(artifact), name, size=artifact.size_bytes)
        self.size_bytes = len(self._archive)
        self._blocks = iter(self._archive)

    def _blocks_of(self, artifact: StoredArtifact) -> Iterator[bytes]:
        self._use([artifact])
        handle = self._handles.pop(artifact.id, None)
        if handle is None:
            stored = self._services.storage.open(artifact.storage_key)
            handle = self._opened.enter_context(stored)
        with handle:
            while block := handle.read(BLOCK_BYTES):
                yield block
                self._use_now_and_then()
        self.files.popleft()

    def _use_now_and_then(self) -> None:
        """Keep what is being sent and what is still to come."""
        if time.monotonic() - self._used_at < _USE_SECONDS:
            return
        self._used_at = time.monotonic()
        self._use(self.files)

    def _use(self, artifacts: Iterable[StoredArtifact]) -> None:
        try:
            for artifact in artifacts:
                self._services.store.artifacts.used(artifact.id)
        except StoreUnavailable as error:
            # Nobody can give files up meanwhile either.
            log.warning("the files of an archive could not be marked as used: %s", error.message)

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> bytes:
        try:
            return next(self._blocks)
        except (OSError, ArtifactExpired, StorageUnavailable) as error:
            # The client sees it by the length, which this does not reach.
            log.warning("an archive ends early, a file of it cannot be read: %s", error)
            raise StopIteration from error

    def close(self) -> None:
        """Close the files that are open."""
        self._opened.close()
