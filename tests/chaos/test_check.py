"""The checker of the storms itself: it must find each fault."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks import Webhook as Verifier

from tasks.signing import new_secret
from tests.chaos.causes import Hit, failure_faults
from tests.chaos.check import cancel_faults, content_faults, story_faults
from tests.chaos.effects import effect_faults, run_faults
from tests.chaos.load import Promises
from tests.chaos.numbers import differences, real_numbers, told_numbers
from tests.chaos.told import telling_faults
from tests.chaos.traces import Look, creeping, grown, leaks
from tests.chaos.work import ScriptedWork
from tests.support.receiver import Received

Lines = list[dict[str, Any]]

GOOD: Lines = [
    {"event": "queued"},
    {"event": "running", "attempt": 1},
    {"event": "queued", "attempt": 1, "why": "worker_lost"},
    {"event": "running", "attempt": 2},
    {"event": "queued", "attempt": 1, "why": "given back"},
    {"event": "running", "attempt": 2},
    {"event": "phase", "phase": "storing", "attempt": 2},
    {"event": "succeeded", "attempt": 2},
]


def effects(*told: str) -> Lines:
    """`1a+` is the begin of attempt 1 under lease a, `1a-` its end, `1a!` its failure."""
    events = {"+": "begin", "-": "end", "!": "failed"}
    return [
        {"event": events[it[2]], "job": "job", "attempt": int(it[0]), "token": it[1]} for it in told
    ]


# As in that timeline: killed in the first run, drained in the second, done in the third.
GOOD_WORK = effects("1a+", "2b+", "2b!", "2c+", "2c-")


def test_a_story_with_a_lost_worker_and_a_drain_is_good() -> None:
    assert story_faults("job", GOOD) == []


def test_work_that_agrees_with_its_story_is_good() -> None:
    assert run_faults("job", GOOD_WORK, GOOD, most_returns=1) == []


@pytest.mark.parametrize(
    ("lines", "story", "word"),
    [
        (effects("1a+", "1a!", "1a+", "1a-"), GOOD, "begun twice under one lease"),
        (effects("1a+", "1a-", "1a-"), GOOD, "ended more often than begun"),
        (effects("2c-"), GOOD, "ended more often than begun"),
        (effects("1a+", "1a!", "1b+", "1b-"), GOOD[:2], "begun under 2 leases, claimed 1 times"),
        (
            effects(*(f"1{token}{event}" for token in "abcde" for event in "+!")),
            GOOD,
            "begun 5 times, given back 1 times",
        ),
        ([], GOOD[:3] * 4, "claimed 4 times, given back 0 times"),
        (GOOD_WORK, GOOD + GOOD[4:6], "given back 2 times, for which 1 reasons were given"),
        (effects("1a+", "2b+", "2b-"), [*GOOD[:2], *GOOD[3:4]], "begun 1 times beside itself"),
        (
            effects("1a+", "1b+", "1c+", "1d+", "1e+"),
            GOOD,
            "begun 4 times beside itself, recovered 2 times",
        ),
    ],
    ids=[
        "a lease used twice",
        "an end too many",
        "an end of nothing",
        "work without a claim",
        "too many runs",
        "too many claims",
        "given back for nothing",
        "two at once",
        "five at once",
    ],
)
def test_work_that_was_done_too_often_is_found(lines: Lines, story: Lines, word: str) -> None:
    assert any(word in fault for fault in run_faults("job", lines, story, most_returns=1))


def test_the_same_attempt_given_back_nine_times_is_found() -> None:
    story: Lines = [{"event": "queued"}]
    for _ in range(9):
        story += [GOOD[1], {"event": "queued", "why": "given back"}]
    lines = effects(*(f"1{token}{event}" for token in "abcdefghi" for event in "+!"))
    assert story_faults("job", story) == []
    assert run_faults("job", lines, story, most_returns=9) == []
    found = run_faults("job", lines, story, most_returns=8)
    assert found == ["I8 given back 9 times, for which 8 reasons were given: job"]


def succeeded(kind: str, query: str = "bytes=9", attempt: int = 1, **spec: Any) -> dict[str, Any]:
    source = {"url": f"https://127.0.0.1/media/1?{query}"}
    spec = {"kind": kind, "source": source, **spec}
    return {"state": "succeeded", "kind": kind, "attempt": attempt, "spec": spec}


@pytest.mark.parametrize("lines", [[], effects("1a+", "1a!"), effects("1a+", "1a-", "2b+")])
def test_a_job_that_succeeded_without_the_end_of_its_last_run_is_found(lines: Lines) -> None:
    jobs = {"job": succeeded("download", attempt=2)}
    found = effect_faults(lines, jobs, {"job": GOOD}, 1)
    assert found == ["I2 succeeded without its work: job"]


@pytest.mark.parametrize(
    ("other", "found"),
    [
        (succeeded("clip", "seconds=1&bytes=9", start=1, end=2.0), []),
        (succeeded("clip", start=1, end=3), ["I2 succeeded without its work: other"]),
        (succeeded("clip", "bytes=8", start=1, end=2), ["I2 succeeded without its work: other"]),
        (succeeded("extract"), ["I2 succeeded without its work: other"]),
    ],
    ids=["the same cut", "another range", "another source", "an extract"],
)
def test_only_equal_work_answers_for_a_job(other: dict[str, Any], found: list[str]) -> None:
    jobs = {"job": succeeded("clip", start=1, end=2, attempt=2), "other": other}
    stories = {"job": GOOD, "other": GOOD[:2]}
    assert effect_faults(GOOD_WORK, jobs, stories, 1) == found


def test_work_for_nobody_is_found() -> None:
    assert effect_faults(GOOD_WORK, {}, {}, 1) == ["I1 ran without a record: job"]


@pytest.mark.parametrize(
    ("late", "where", "word"),
    [
        ({"event": "phase", "phase": "storing", "attempt": 1}, 6, "I8"),
        ({"event": "succeeded", "attempt": 1}, 6, "I8"),
        ({"event": "succeeded", "attempt": 2}, 8, "I1"),
        ({"event": "running", "attempt": 3}, 8, "I1"),
        ({"event": "running", "attempt": 1}, 2, "I8 claimed while it ran"),
        ({"event": "running", "attempt": 2}, 2, "I8 claimed while it ran"),
        ({"event": "succeeded", "attempt": 1}, 3, "I8 succeeded while it did not run"),
        ({"event": "phase", "attempt": 3}, 6, "I8 attempt 3 is number 2"),
    ],
    ids=[
        "a phase of a lost lease",
        "an end of a lost lease",
        "two ends",
        "a run after the end",
        "two claims of one attempt",
        "two claims in a row",
        "an end without a run",
        "an attempt that nobody began",
    ],
)
def test_a_write_too_late_is_found(late: dict[str, object], where: int, word: str) -> None:
    found = story_faults("job", [*GOOD[:where], late, *GOOD[where:]])
    assert found[0].startswith(word)


def test_a_retry_that_the_metrics_do_not_know_of_is_found() -> None:
    job = {"kind": "clip", "state": "succeeded", "error": None, "started_at": 1, "finished_at": 2}
    told = told_numbers(
        'clipmill_jobs_total{kind="clip",state="succeeded"} 1\n'
        'clipmill_job_run_seconds_count{kind="clip"} 1\n'
        'clipmill_job_queue_seconds_count{kind="clip"} 3\n'
        'clipmill_jobs_running{kind="clip"} 0\n'
    )
    found = differences(told, real_numbers({"job": job}, {"job": GOOD}))
    name = "clipmill_job_retries_total clip worker_lost"
    assert found == [f"I9 {name}: the metrics say 0, the records 1"]


def test_descriptors_that_stay_are_found_and_pooled_connections_are_not() -> None:
    before = Counter({"socket": 5, "pipe": 2})
    assert grown(before, Counter({"socket": 9, "pipe": 1, "/etc/hosts": 0})) == {}
    assert grown(before, Counter({"socket": 5, "pipe": 3, "/tmp/a": 1})) == {"pipe": 3, "/tmp/a": 1}


def looks(*counts: int) -> list[Look]:
    return [Look(10 * number, {7: Counter(socket=count)}) for number, count in enumerate(counts)]


def test_connections_that_grow_with_the_faults_are_found_and_full_pools_are_not() -> None:
    full = looks(9, 14, 30, 15, 15, 16, 16)
    leaking = looks(9, 14, 30, 19, 22, 25, 28)
    assert creeping(full[:-1], full[-1]) == []
    assert creeping(leaking[:-1], leaking[-1]) == ["I3 process 7 had 19 of socket, and has 28"]


def test_a_secret_in_a_log_is_found() -> None:
    assert leaks({"api.log": "key abc", "worker.log": "key"}, {"the key": "abc"}) == [
        "I6 api.log tells the key"
    ]


def failed(code: str, query: str = "seconds=1", **values: Any) -> dict[str, Any]:
    source = {"url": f"https://127.0.0.1/media/1?{query}"}
    rest = {"spec": {"source": source}, "error": {"code": code}, "depends_on": None}
    return {"state": "failed", **rest, **values}


def story_of(*whys: str) -> Lines:
    """A timeline with a run of ten seconds for each reason of its end; the last end is final."""
    story: Lines = [{"event": "queued", "at": 0.0}]
    for number, why in enumerate(whys):
        story += [
            {"event": "running", "attempt": number + 1, "at": 20.0 * number},
            {"event": "queued", "attempt": number + 1, "at": 20.0 * number + 10, "why": why},
        ]
    code = story[-1].pop("why")
    return [*story[:-1], {**story[-1], "event": "failed", "code": code}]


MANY = {f"good{number}": succeeded("download") for number in range(20)}
LOST = story_of(*["worker_lost"] * 3)
KILLS = [Hit("kill_a_worker", at, at) for at in (5.0, 25.0, 45.0)]


def reasons(job: dict[str, Any], story: Lines, hits: list[Hit], begins: int = 3) -> list[str]:
    documents = {"bad": job, **MANY}
    found = failure_faults(documents, {"bad": story}, hits, {"bad": begins})
    return [line.partition("(")[2].partition(")")[0] for line in found]


def test_failures_that_were_asked_for_or_caused_are_fair() -> None:
    full = [Hit("fill_the_disk", 0.0, 12.0), Hit("fill_the_disk", 22.0, 60.0)]
    assert reasons(failed("internal_error", "raise=MemoryError"), LOST, [], 1) == []
    assert reasons(failed("worker_lost"), LOST, KILLS) == []
    assert reasons(failed("storage_full"), story_of(*["storage_full"] * 3), full) == []
    once = story_of("network_error", "worker_lost", "tool_failed")
    assert reasons(failed("tool_failed"), once, [*KILLS, Hit("kill_a_tool", 41.0, 41.0)]) == []
    mute = [Hit("hang_a_link", 0.0, 50.0)]
    assert reasons(failed("worker_lost"), LOST, mute, begins=1) == []


@pytest.mark.parametrize(
    ("code", "story", "hits", "begins", "reason"),
    [
        ("internal_error", LOST, [], 1, "it asked for nothing"),
        ("network_error", LOST, KILLS, 3, "no fault does that"),
        ("worker_lost", story_of("worker_lost"), KILLS, 1, "after 1 attempts"),
        ("worker_lost", LOST, KILLS[:2], 3, "nothing was done that ends an attempt as worker_lost"),
        ("worker_lost", LOST, KILLS, 1, "begun 1 times"),
        (
            "storage_full",
            story_of(*["storage_full"] * 3),
            [Hit("hang_a_link", 0.0, 60.0)],
            3,
            "nothing was done that ends an attempt as storage_full",
        ),
        (
            "tool_failed",
            story_of(*["tool_failed"] * 3),
            KILLS,
            3,
            "nothing was done that ends an attempt as tool_failed",
        ),
        ("source_failed", [], [], 0, "its source is succeeded"),
    ],
)
def test_a_failure_without_a_cause_is_found(
    code: str, story: Lines, hits: list[Hit], begins: int, reason: str
) -> None:
    assert reasons(failed(code, depends_on="good1"), story, hits, begins) == [reason]


def test_too_many_failures_are_found_whatever_caused_them() -> None:
    for count, found in [(2, []), (3, ["I5 only 20 of 23 jobs succeeded"])]:
        bad = {f"bad{number}": failed("worker_lost") for number in range(count)}
        stories, begins = dict.fromkeys(bad, LOST), dict.fromkeys(bad, 3)
        assert failure_faults(bad | MANY, stories, KILLS, begins) == found


@pytest.mark.parametrize(
    ("answers", "state", "found"),
    [
        ([202], "cancelled", []),
        ([202], "succeeded", ["I1 the cancel was accepted: job succeeded"]),
        ([409], "succeeded", []),
        ([409], "cancelled", ["I1 cancelled though nobody asked for it: job"]),
        ([], "cancelled", ["I1 cancelled though nobody asked for it: job"]),
        ([None], "cancelled", []),
        ([None, 503], "failed", []),
    ],
)
def test_a_cancel_that_was_accepted_and_it_alone_is_the_end(
    answers: list[int | None], state: str, found: list[str]
) -> None:
    promises = Promises(accepted=["job"])
    promises.cancels["job"] += answers
    documents = {"job": {"state": state}, "its own download": {"state": "cancelled"}}
    assert cancel_faults(promises, documents) == found


def delivered(kind: str, artifact: str, **spec: Any) -> dict[str, Any]:
    job = succeeded(kind, "bytes=3", **spec)
    return {**job, "result": {"artifacts": [{"id": artifact}]}}


@pytest.mark.parametrize(
    ("video", "clip", "found"),
    [
        (b"mmm", b"mmm1.0-2.0", []),
        (b"mm", b"mmm1.0-2.0", ["I2 not what was asked for: implied [2]"]),
        (b"mmm", b"mmm1.0-3.0", ["I2 not what was asked for: job [10]"]),
        (b"mmm", None, ["I2 not what was asked for: job []"]),
    ],
    ids=["good", "a part", "another range", "none"],
)
def test_a_file_that_was_not_asked_for_is_found(
    tmp_path: Path, video: bytes, clip: bytes | None, found: list[str]
) -> None:
    there = {}
    for name, content in {"video": video, "clip": clip}.items():
        if content is not None:
            there[name] = tmp_path / name
            there[name].write_bytes(content)
    job = delivered("clip", "clip", start=1.0, end=2.0)
    documents = {"job": job, "implied": delivered("download", "video")}
    promises = Promises(asked={"job": {**job["spec"], "start": 1, "end": 2}})
    work = ScriptedWork(1, 1, "", 1.0)
    assert content_faults(there, promises, work, documents) == found
    assert content_faults(there, Promises(), work, documents)[0].startswith("I1 nobody asked")


def message(job_id: str, state: str, id: str, secret: str, **data: Any) -> Received:
    body = json.dumps({"type": f"job.{state}", "data": {"id": job_id, **data}})
    at = datetime.fromtimestamp(1_700_000_000, UTC)
    headers = {
        "webhook-id": id,
        "webhook-timestamp": "1700000000",
        "webhook-signature": Verifier(secret).sign(id, at, body),
    }
    return Received(0.0, "/", headers, body.encode())


def test_what_webhooks_tell_is_compared_with_what_happened() -> None:
    secret = new_secret()
    promises = Promises(accepted=["a", "b"])
    documents = {"a": {"state": "failed"}, "b": {"state": "succeeded"}}
    good = [message("a", "failed", "1", secret), message("b", "succeeded", "2", secret)]

    def faults(*received: Received) -> list[str]:
        found = telling_faults(received, promises, documents, secret, "t0ken")
        return [line.partition(":")[0] for line in found]

    assert faults(*good, *good) == []
    assert faults(good[0]) == ["W never told"]
    assert faults(*good, message("a", "succeeded", "3", secret)) == ["W told what was not"]
    assert faults(*good, message("a", "failed", "1", secret, x=1)) == ["W one id, two messages"]
    leaking = message("a", "failed", "4", secret, url="?t0ken")
    assert faults(*good, leaking) == ["W the token of a URL"]
    assert faults(*good, message("a", "failed", "5", new_secret())) == [
        "W the signature does not fit"
    ]
    promises.batches.append("c")
    assert faults(*good) == ["W never told"]
