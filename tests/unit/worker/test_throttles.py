"""Sites that throttle are remembered, for a while and not without end."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tasks.errors import NetworkError, SiteThrottled
from tasks.job import Job
from tasks.specs import ExtractSpec, Source
from worker import throttles
from worker.throttles import MOST_SITES, Throttles

JOB = Job("1" * 26, ExtractSpec(Source(url="https://video.example/a?b")), "ann", 1.0, 1.0)


def job_of(host: str) -> Job:
    return replace(JOB, spec=ExtractSpec(Source(url=f"https://{host}/v")))


def test_only_a_site_that_throttles_is_remembered() -> None:
    seen = Throttles()
    seen.note(JOB, NetworkError("no"))
    assert seen.sites() == ()
    seen.note(JOB, SiteThrottled("slower, please"))
    seen.note(JOB, SiteThrottled("slower, please"))
    assert seen.sites() == ("video.example",)


def test_it_is_forgotten_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(throttles, "MEMORY_SECONDS", 0.0)
    seen = Throttles()
    seen.note(JOB, SiteThrottled("slower, please"))
    assert seen.sites() == ()


def test_of_many_the_latest_are_told() -> None:
    seen = Throttles()
    for number in range(MOST_SITES + 5):
        seen.note(job_of(f"site{number}.example"), SiteThrottled("slower"))
    assert len(seen.sites()) == MOST_SITES
    assert seen.sites()[0] == f"site{MOST_SITES + 4}.example"
