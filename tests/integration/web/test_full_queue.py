"""The queue's limit holds for all API processes together."""

from __future__ import annotations

from collections import Counter
from contextlib import ExitStack
from hashlib import sha256
from pathlib import Path

import httpx2

from tests.integration.web.test_jobs import DOWNLOAD
from tests.integration.web.test_submission import JOBS
from tests.support.records import at_once
from tests.support.stack import Api
from tests.support.valkey import ValkeyServer


def test_one_key_cannot_fill_the_queue_for_all(tmp_path: Path, valkey: ValkeyServer) -> None:
    names = ("ann", "bob")
    (tmp_path / "keys").write_text(
        "".join(f"{name}:submit:{sha256(name.encode()).hexdigest()}\n" for name in names)
    )
    settings = {"api_keys_file": str(tmp_path / "keys"), "max_queued_jobs": "8"}
    with Api(tmp_path, valkey.url, **settings) as api, api.client() as client:

        def ask(name: str) -> httpx2.Response:
            return client.post(JOBS, json=DOWNLOAD, headers={"X-API-Key": name})

        answers = [ask("ann") for _ in range(10)]
        assert Counter(answer.status_code for answer in answers) == {202: 6, 503: 4}
        assert "of this key" in answers[-1].json()["detail"]
        assert [ask("bob").status_code for _ in range(3)] == [202, 202, 503]
        assert "of this key" not in ask("bob").json()["detail"]


def test_two_processes_together_never_take_more_than_the_queue_holds(
    tmp_path: Path, valkey: ValkeyServer
) -> None:
    folders = [tmp_path / "one", tmp_path / "two"]
    for folder in folders:
        folder.mkdir()
    with ExitStack() as open_:
        apis = [Api(folder, valkey.url, max_queued_jobs="10") for folder in folders]
        clients = [open_.enter_context(open_.enter_context(api).client()) for api in apis]

        def ask(number: int) -> int:
            return clients[number % 2].post(JOBS, json=DOWNLOAD).status_code

        assert Counter(at_once(ask, 40)) == {202: 10, 503: 30}
        assert apis[0].store.counters.queued_total() == 10
