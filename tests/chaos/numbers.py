"""I9: in an idle system the numbers of the API equal those of the records and timelines."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from tests.chaos.load import Promises
from tests.chaos.world import World

Documents = Mapping[str, Any]
Stories = Mapping[str, list[dict[str, Any]]]
Numbers = Counter[tuple[str, ...]]


def number_faults(
    world: World, promises: Promises, documents: Documents, stories: Stories
) -> list[str]:
    """Every number of the API that is wrong."""
    told = told_numbers(_answer(world, "/metrics").text)
    files = [path for path in (world.data / "artifacts").rglob("*") if path.is_file()]
    others: Numbers = Counter({("clipmill_workers",): 3})
    others["clipmill_artifact_bytes",] = sum(path.stat().st_size for path in files)
    return [
        *differences(told, real_numbers(documents, stories) + others),
        *_listing(world, documents),
        *(fault for batch in promises.batches for fault in _batch(world, batch, documents)),
    ]


# A metric of these without a number in the records must be 0.
COMPARED = {
    "clipmill_jobs_total": ("kind", "state"),
    "clipmill_job_failures_total": ("kind", "code"),
    "clipmill_job_retries_total": ("kind", "code"),
    "clipmill_job_queue_seconds_count": ("kind",),
    "clipmill_job_run_seconds_count": ("kind",),
    "clipmill_jobs_running": ("kind",),
    "clipmill_queue_depth": ("kind",),
    "clipmill_memory_reserved_bytes": (),
    "clipmill_artifact_bytes": (),
    "clipmill_workers": (),
}


def told_numbers(text: str) -> Numbers:
    """The metrics, summed over labels that do not matter here."""
    told: Numbers = Counter()
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.name in COMPARED:
                labels = (sample.labels[name] for name in COMPARED[sample.name])
                told[sample.name, *labels] += int(sample.value)
    return told


def real_numbers(documents: Documents, stories: Stories) -> Numbers:
    """The right values: the timeline of a job has its events, the record its end."""
    real: Numbers = Counter()
    for job_id, job in documents.items():
        kind = job["kind"]
        real["clipmill_jobs_total", kind, job["state"]] += 1
        if job["error"]:
            real["clipmill_job_failures_total", kind, job["error"]["code"]] += 1
        if job["started_at"] and job["finished_at"]:
            real["clipmill_job_run_seconds_count", kind] += 1
        for event in stories[job_id]:
            if event["event"] == "running":
                real["clipmill_job_queue_seconds_count", kind] += 1
            why = event.get("why", "given back")
            if event["event"] == "queued" and why != "given back":
                real["clipmill_job_retries_total", kind, why] += 1
    return real


def differences(told: Numbers, real: Numbers) -> list[str]:
    """Where the metrics and the right values differ."""
    return [
        f"I9 {' '.join(name)}: the metrics say {told[name]}, the records {real[name]}"
        for name in sorted(told.keys() | real.keys())
        if told[name] != real[name]
    ]


def _listing(world: World, documents: Documents) -> list[str]:
    """Faults of the list of jobs, read page by page: each job must be there once."""
    listed: Counter[str] = Counter()
    cursor = ""
    while cursor is not None:
        query = {"limit": 100} | ({"cursor": cursor} if cursor else {})
        page = _answer(world, "/api/v2/jobs", params=query).json()
        listed.update(job["id"] for job in page["jobs"])
        cursor = page["next_cursor"]
    return [
        f"I9 listed {listed[job_id]} times: {job_id}"
        for job_id in listed.keys() | documents.keys()
        if listed[job_id] != 1
    ]


def _batch(world: World, batch_id: str, documents: Documents) -> Iterable[str]:
    batch = _answer(world, f"/api/v2/batches/{batch_id}").json()
    states = Counter(job["state"] for job in documents.values() if job["batch_id"] == batch_id)
    told = {state: count for state, count in batch["counts"].items() if count}
    if told != dict(states) or batch["progress"] != 1.0 or not batch["finished_at"]:
        yield f"I9 a batch says {told}, its jobs {dict(states)}: {batch_id}"


def _answer(world: World, path: str, **options: Any) -> Any:
    answer = world.ask("GET", path, 1, **options)
    assert answer is not None, path
    assert answer.status_code == 200, answer.text
    return answer
