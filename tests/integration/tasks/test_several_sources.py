"""A job that needs what several others deliver: it waits for all, and fails with any of them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import pytest

from tasks.job import Job, JobState, WaitReason
from tasks.kinds import KINDS, ClipSpec, DownloadSpec
from tasks.specs import Source
from tests.support.house import House, messages
from tests.support.records import Records, at_once
from tests.support.valkey import ValkeyServer

URL = "https://media.example/v.mp4"
OTHER_URL = URL + "?other"


@dataclass(frozen=True)
class JoinSpec(ClipSpec):
    """A clip that takes media from a second source too."""

    other: Source = Source(url=OTHER_URL)  # noqa: RUF009

    @property
    def sources(self) -> tuple[Source, ...]:
        return (self.source, self.other)

    def to_dict(self) -> dict[str, Any]:
        return {**super().to_dict(), "other": self.other.to_dict()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        return super().from_dict({**values, "other": Source(**values["other"])})


@pytest.fixture
def house(valkey: ValkeyServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    """One in which a clip may have two sources."""
    with monkeypatch.context() as patch:
        patch.setitem(KINDS, "clip", replace(KINDS["clip"], spec_type=JoinSpec))  # type: ignore[arg-type]
        house = House(valkey.url, tmp_path)
        yield house
        with valkey.client() as client:
            Records(client).check(house.store)


@pytest.fixture
def join(house: House) -> Job:
    """A job of two URLs, submitted."""
    return house.submit(JoinSpec(Source(url=URL), 0.0, 1.0), priority=9)


def test_a_job_of_two_sources_waits_for_both_and_shows_both(house: House, join: Job) -> None:
    first, second = house.downloads()
    assert join.depends_on == (first.id, second.id)
    assert [job.spec.source.url for job in (first, second)] == [URL, OTHER_URL]
    assert sorted(messages(house, "download")) == [first.id, second.id]
    shown = json.loads(house.store.jobs.snapshot(join.id, "ann").body)
    assert (shown["depends_on"], shown["dependencies"]) == (first.id, [first.id, second.id])
    house.end(house.start("download"), JobState.SUCCEEDED)
    assert house.store.jobs.get(join.id).wait_reason is WaitReason.DEPENDENCY
    assert messages(house, "clip") == []
    for download in (first, second):
        assert house.store.dependents.any_of(download.id)  # its file is kept until the job ends
    house.end(house.start("download"), JobState.SUCCEEDED)
    assert messages(house, "clip") == [join.id]
    lease = house.start("clip")
    assert lease.job.depends_on == (first.id, second.id)
    house.end(lease, JobState.SUCCEEDED)
    assert not any(house.store.dependents.any_of(download.id) for download in (first, second))


def test_two_sources_that_end_at_once_release_their_job_once(house: House, join: Job) -> None:
    leases = [house.start("download") for _ in range(2)]
    at_once(lambda number: house.end(leases[number], JobState.SUCCEEDED), 2)
    assert house.start("clip").job.id == join.id
    assert house.store.leases.take("clip") is None


def test_one_failed_source_fails_the_job_and_stops_the_other(house: House, join: Job) -> None:
    lease = house.start("download")
    house.end(lease, JobState.FAILED)
    failed = house.store.jobs.get(join.id)
    assert failed.error is not None
    assert (failed.error.code, failed.error.detail["job_id"]) == ("source_failed", lease.job.id)
    assert house.states(house.downloads()) == {"failed": 1, "cancelled": 1}


def test_a_cancelled_source_of_two_is_fetched_anew(house: House, join: Job) -> None:
    first, second = house.downloads()
    house.dispatcher.cancel(first.id, "ann")
    again = house.store.jobs.get(join.id)
    assert again.depends_on[1] == second.id
    assert again.depends_on[0] not in {first.id, second.id}
    for _ in range(2):
        house.end(house.start("download"), JobState.SUCCEEDED)
    assert house.start("clip").job.id == join.id


def test_a_cancelled_job_that_was_named_is_not_fetched_anew(house: House) -> None:
    named = house.submit(DownloadSpec(Source(url=URL)))
    job = house.submit(JoinSpec(Source(job_id=named.id), 0.0, 1.0))
    house.dispatcher.cancel(named.id, "ann")
    failed = house.store.jobs.get(job.id)
    assert failed.error is not None
    assert failed.error.detail == {"job_id": named.id, "code": "cancelled"}
    assert house.states(house.downloads()) == {"cancelled": 2}


def test_urgency_is_lent_to_every_source(house: House) -> None:
    low = [house.submit(DownloadSpec(Source(url=url)), priority=0) for url in (URL, OTHER_URL)]
    for number in range(5):
        house.submit(DownloadSpec(Source(url=f"{URL}&{number}")), priority=5)
    house.submit(JoinSpec(Source(url=URL), 0.0, 1.0), priority=9)
    assert {house.start("download").job.id for _ in low} == {job.id for job in low}


def test_the_download_that_no_job_of_two_sources_needs_any_more_stops(
    house: House, join: Job
) -> None:
    house.dispatcher.cancel(join.id, "ann")
    assert house.states(house.downloads()) == {"cancelled": 2}
