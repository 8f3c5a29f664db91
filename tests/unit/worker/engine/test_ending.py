"""What an error means for the job whose attempt raised it."""

from __future__ import annotations

import pytest

from config.timings import PRODUCTION
from tasks.errors import (
    ArtifactGone,
    CancelRequested,
    ExceedsMemoryBudget,
    InternalError,
    LeaseLost,
    NetworkError,
    SourceFailed,
    StorageFull,
    TooLarge,
)
from tasks.job import Failure, Job, WaitReason
from tasks.result import Result
from tests.support.records import make_job
from worker.engine.budget import NoRoomYet
from worker.engine.ending import (
    Cancelled,
    Ending,
    Failed,
    Lost,
    Postponed,
    Recorded,
    Requeued,
    Retried,
    SourceLost,
    ending_of,
)
from worker.engine.preconditions import Postpone
from worker.process.limits import ProcessEnd, Stopped

QUEUED = make_job()
RUNNING = QUEUED.started(1.0)
DONE = RUNNING.succeeded(2.0, Result())
GONE = SourceFailed("gone")
LATER = Postponed(5.0, ExceedsMemoryBudget.code, WaitReason.MEMORY)


@pytest.mark.parametrize(
    ("error", "job", "ending"),
    [
        (NoRoomYet(7), QUEUED, Requeued(7)),
        (Postpone(5.0, ExceedsMemoryBudget.code, WaitReason.MEMORY), QUEUED, LATER),
        (ArtifactGone("gone"), RUNNING, Requeued()),
        (Stopped(ProcessEnd.SHUTDOWN), RUNNING, Requeued()),
        (Stopped(ProcessEnd.SHUTDOWN), DONE, Recorded()),
        (Stopped(ProcessEnd.CANCELLED), RUNNING, Cancelled()),
        (CancelRequested("stop"), RUNNING, Cancelled()),
        (Stopped(ProcessEnd.LOST), RUNNING, Lost()),
        (LeaseLost("lost"), RUNNING, Lost()),
        (GONE, QUEUED, SourceLost(GONE)),
    ],
)
def test_what_is_no_failure_costs_no_attempt(
    error: BaseException, job: Job, ending: Ending
) -> None:
    assert ending_of(error, job) == ending


def test_a_failure_that_may_pass_is_tried_again_while_attempts_are_left() -> None:
    error = NetworkError("away")
    again = ending_of(error, RUNNING)
    assert isinstance(again, Retried)
    assert again.error is error
    assert 0 < again.seconds < 10
    last = Job(**{**vars(RUNNING), "attempt": RUNNING.max_attempts})
    assert ending_of(error, last) == Failed(error)


def test_a_failure_that_stays_ends_the_job() -> None:
    error = TooLarge("too large")
    assert ending_of(error, RUNNING) == Failed(error)
    assert ending_of(error, QUEUED) == Failed(error)


def test_what_is_away_before_the_attempt_is_waited_for() -> None:
    full = ending_of(StorageFull("no room"), QUEUED)
    assert full == Postponed(PRODUCTION.disk_pause_seconds, StorageFull.code, WaitReason.DISK)


@pytest.mark.parametrize("error", [MemoryError(), SystemExit(3), ValueError("a secret")])
def test_what_nobody_expected_is_a_failure_of_ours(error: BaseException) -> None:
    ending = ending_of(error, RUNNING)
    assert isinstance(ending, Failed | Retried)
    assert isinstance(ending.error, InternalError)
    assert "secret" not in str(Failure.of(ending.error))


@pytest.mark.parametrize("error", [MemoryError(), NetworkError("away")])
def test_what_comes_after_the_end_changes_nothing(error: BaseException) -> None:
    assert ending_of(error, DONE) == Recorded()
