"""What attempts took is counted however they end, and only once."""

from __future__ import annotations

import pytest

from tasks.errors import NetworkError, SiteThrottled, TooLarge
from tasks.job import Failure
from tasks.store import Store
from tasks.store.keys import key
from tests.support.engine import URL, Engine, Work
from worker.engine.preconditions import Preconditions

PEAK = "subprocess_peak_bytes_count{tool=yt-dlp}"
WAIT = "admission_wait_seconds_count"


def run_a_tool(work: Work) -> None:
    work.leased.observer.tool_finished("yt-dlp", 1000)


@pytest.mark.parametrize("error", [None, TooLarge("no"), NetworkError("again"), ValueError("?")])
def test_what_an_attempt_took_is_counted_whether_it_succeeds_fails_or_is_tried_again(
    engine: Engine, error: Exception | None
) -> None:
    def work(work: Work) -> None:
        run_a_tool(work)
        if error is not None:
            raise error

    engine.work = work
    engine.submit()
    engine.runner.run_next("extract")
    found = engine.store.counters.read()
    assert (found[PEAK], found[WAIT]) == (1, 1)
    assert found.get("job_retries_total{code=network_error,kind=extract}", 0) == (
        1 if isinstance(error, NetworkError) else 0
    )


def test_an_attempt_that_lost_its_lease_is_counted_by_nobody(engine: Engine) -> None:
    def work(work: Work) -> None:
        run_a_tool(work)
        engine.store.connection.redis.hset(key("job", work.job.id), "token", "another")

    engine.work = work
    job_id = engine.submit()
    engine.runner.run_next("extract")
    assert PEAK not in engine.store.counters.read()
    engine.store.connection.redis.hset(key("job", job_id), "lease_until", 0)  # as when it expires


def test_a_lost_worker_is_counted_as_a_recovery_and_as_a_retry(engine: Engine) -> None:
    engine.submit()
    lease = engine.store.leases.take("extract")
    assert lease is not None
    engine.store.jobs.hold(lease, lease.job.started(1.0), 0.0)
    engine.housekeeper.round()
    found = engine.store.counters.read()
    assert found["recovered_jobs_total{reason=lease}"] == 1
    assert found["job_retries_total{code=worker_lost,kind=extract}"] == 1
    assert engine.store.counters.gauges().housekeeper_age_seconds < 10


def test_a_site_that_throttles_is_told_until_it_answers(engine: Engine) -> None:
    engine.submit()
    lease = engine.store.leases.take("extract")
    assert lease is not None
    preconditions = Preconditions(engine.store, engine.disk)
    preconditions.failed(lease.job, NetworkError("no"))
    assert preconditions.throttled_sites == ()
    preconditions.failed(lease.job, SiteThrottled("slower, please"))
    assert preconditions.throttled_sites == ("media.example",)
    preconditions.succeeded(lease.job)
    assert preconditions.throttled_sites == ()
    failed = lease.job.started(1.0).failed(2.0, Failure("x", URL))
    engine.store.jobs.release(lease, failed)


def test_adding_nothing_makes_no_number(engine: Engine) -> None:
    store: Store = engine.store
    store.counters.add({})
    assert store.counters.read() == {}


def test_a_number_that_the_catalogue_lacks_is_not_kept(engine: Engine) -> None:
    with pytest.raises(ValueError, match="surprises_total"):
        engine.store.counters.add({"stray_files_total": 1, "surprises_total{kind=clip}": 1})
    assert engine.store.counters.read() == {}
