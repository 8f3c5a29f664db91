"""Deleting what somebody is reading at that moment."""

from __future__ import annotations

import hashlib
import os

import httpx2

from tests.integration.web.test_jobs import submitted
from tests.integration.web.test_submission import JOBS
from tests.support.stack import Api, Hands

CONTENT = os.urandom(30_000_000)  # more than any buffer on the way holds


def test_who_reads_a_file_that_is_deleted_gets_it_whole_and_nobody_else_gets_it(
    client: httpx2.Client, api: Api, hands: Hands
) -> None:
    job_id = submitted(client)
    artifact = hands.finish(hands.take(), CONTENT)
    path = f"/api/v2/artifacts/{artifact.id}"
    digest = hashlib.sha256()
    with client.stream("GET", path) as reading, api.client() as other:
        chunks = reading.iter_bytes(65536)
        digest.update(next(chunks))
        assert other.delete(f"{JOBS}/{job_id}").status_code == 204
        assert not api.storage.has(artifact.storage_key)
        assert other.get(path).status_code in {404, 410}
        for chunk in chunks:
            digest.update(chunk)
    assert digest.hexdigest() == hashlib.sha256(CONTENT).hexdigest()
    assert client.get(f"{JOBS}/{job_id}").status_code == 404
