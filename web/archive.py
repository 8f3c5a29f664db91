"""The main artifacts of a batch as one ZIP file, made while it is sent: no temporary file."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from zipfile import ZIP_STORED

from flask import Response, request
from zipstream import ZipStream

from tasks.errors import ArtifactExpired, NotFound
from tasks.job import JobState
from tasks.store import Batch, Snapshot, StoredArtifact
from web.filenames import unique_names
from web.services import Services


def archive_answer(kit: Services, batch: Batch) -> Response:
    """The archive as a download. Raises NotFound while no job has an artifact."""
    files = list(_files(kit, batch))
    if not files:
        raise NotFound("no job of this batch has an artifact")
    # Media does not get smaller; stored, the length is known beforehand and nothing is computed.
    archive = ZipStream(compress_type=ZIP_STORED, sized=True)
    names = unique_names(artifact.filename for artifact, _ in files)
    for (_, path), name in zip(files, names, strict=True):
        archive.add_path(path, name)
    headers = {
        "Content-Disposition": f'attachment; filename="{batch.id}.zip"',
        "Content-Length": str(len(archive)),
    }
    body = () if request.method == "HEAD" else archive
    return Response(body, headers=headers, content_type="application/zip")


def _files(kit: Services, batch: Batch) -> Iterator[tuple[StoredArtifact, Path]]:
    for snapshot in kit.store.batch_snapshots(batch.id):
        if snapshot.state is JobState.SUCCEEDED:
            for artifact_id in _main_artifacts(snapshot):
                try:
                    artifact = kit.store.artifact(artifact_id)
                    yield artifact, kit.storage.path(artifact.storage_key)
                except (NotFound, ArtifactExpired):
                    continue  # its time was over before this archive began


def _main_artifacts(snapshot: Snapshot) -> Iterator[str]:
    for artifact in json.loads(snapshot.body)["result"]["artifacts"]:
        if artifact["role"] == "main":
            yield artifact["id"]
