"""The queue's limit holds for all API processes together."""

from __future__ import annotations

from collections import Counter
from contextlib import ExitStack
from pathlib import Path

from tests.integration.web.test_jobs import DOWNLOAD
from tests.integration.web.test_submission import JOBS
from tests.support.records import at_once
from tests.support.stack import Api
from tests.support.valkey import ValkeyServer


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
