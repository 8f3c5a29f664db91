"""The invariants, checked from what happened and what is there, not from the system's own word."""

from __future__ import annotations

import hashlib
import json
import traceback
from collections import defaultdict
from typing import Any

from tasks.store import Store
from tests.chaos.load import FINAL, Promises
from tests.chaos.numbers import number_faults
from tests.chaos.traces import secret_faults, settled
from tests.chaos.world import World
from tests.support.records import Records
from tests.support.scripted_worker import read_effects

MOST_ATTEMPTS = 3


def faults_of(world: World, promises: Promises) -> list[str]:
    """Every invariant that does not hold, in words; with the system quiet and still running."""
    with world.valkey.client() as client:
        records = Records(client)
        disagreeing = _disagreeing(records, world)
        documents = {
            job_id: json.loads(client.hget(f"clipmill:job:{job_id}", "doc"))
            for job_id in records.jobs
        }
        stories = {
            job_id: [
                json.loads(line) for line in client.lrange(f"clipmill:timeline:{job_id}", 0, -1)
            ]
            for job_id in records.jobs
        }
        leases = client.zcard("clipmill:leases")
    return [
        *disagreeing,
        *_lost(promises, documents),
        *_files(world, documents),
        *_attempts(world, documents),
        *(fault for job_id, story in stories.items() for fault in story_faults(job_id, story)),
        *_equal_work(documents),
        *failure_faults(documents),
        # A worker tells how it does every two seconds.
        *settled(lambda: number_faults(world, promises, documents, stories), 6),
        *secret_faults(world, documents, stories),
        *([f"I3 {leases} leases are open"] if leases else []),
    ]


def _disagreeing(records: Records, world: World) -> list[str]:
    try:
        records.check(Store.at(world.valkey.url))
    except AssertionError:
        return [f"I9 the records and their indexes do not agree: {traceback.format_exc()}"]
    return []


def _lost(promises: Promises, documents: dict[str, Any]) -> list[str]:
    found = [f"I1 lost: {job_id}" for job_id in promises.accepted if job_id not in documents]
    open_jobs = [
        f"I1 not final: {job_id} {job['state']}"
        for job_id, job in documents.items()
        if job["state"] not in {"succeeded", "failed", "cancelled"}
    ]
    now = [
        f"I1 changed: {job_id} {end} is {documents[job_id]['state']}"
        for job_id, end in promises.ends.items()
        if job_id in documents and documents[job_id]["state"] != end
    ]
    doubled = [f"I1 one key, two jobs: {key}" for key in promises.doubled]
    return found + open_jobs + now + doubled + [f"I1 {line}" for line in promises.changed]


def _files(world: World, documents: dict[str, Any]) -> list[str]:
    shown = {
        item["id"]: item
        for job in documents.values()
        if job["state"] == "succeeded"
        for item in job["result"].get("artifacts", [])
    }
    there = {path.stem: path for path in (world.data / "artifacts").glob("*/*")}
    found = [f"I2 missing: {name}" for name in shown.keys() - there.keys()]
    found += [f"I7 stray: {there[name]}" for name in there.keys() - shown.keys()]
    for name in shown.keys() & there.keys():
        if hashlib.sha256(there[name].read_bytes()).hexdigest() != shown[name]["sha256"]:
            found.append(f"I2 not what was recorded: {name}")
        answer = world.ask("GET", shown[name]["url"])
        if answer is None or hashlib.sha256(answer.content).hexdigest() != shown[name]["sha256"]:
            found.append(f"I2 not what is delivered: {name}")
    return found


def _attempts(world: World, documents: dict[str, Any]) -> list[str]:
    runs: dict[str, set[str]] = defaultdict(set)
    found = []
    for line in read_effects(world.effects):
        if line["event"] == "begin":
            runs[line["job"]].add(line["token"])
            if line["attempt"] > MOST_ATTEMPTS:
                found.append(f"I8 attempt {line['attempt']} of {line['job']}")
    for job_id in runs.keys() - documents.keys():
        found.append(f"I1 ran without a record: {job_id}")
    return found


def story_faults(job_id: str, story: list[dict[str, Any]]) -> list[str]:
    """Nothing comes after the end, and nothing of an attempt after the next one has begun."""
    found, attempt, ended = [], 0, False
    for event in story:
        now = event.get("attempt", 0)
        if ended:
            found.append(f"I1 after its end: {job_id} {event}")
        if now < attempt and event.get("why") != "given back":
            found.append(f"I8 a write of attempt {now} after {attempt} began: {job_id} {event}")
        attempt, ended = now, event["event"] in FINAL
    return found


# A job that a fault has met again and again may end so; any other failure is to be asked for.
OF_FAULTS = {"worker_lost", "tool_failed", "storage_full", "source_failed"}
ASKED_FOR = {"internal_error": "raise=", "unavailable": "unavailable", "network_error": "sometimes"}


def failure_faults(documents: dict[str, Any]) -> list[str]:
    """Jobs that were harmed by what should not have concerned them."""
    failed = {id_: job for id_, job in documents.items() if job["state"] == "failed"}
    return [
        f"I5 failed for no good reason: {job_id} {job['error']}"
        for job_id, job in failed.items()
        if (code := job["error"]["code"]) not in OF_FAULTS
        and ASKED_FOR.get(code, "nothing") not in job["spec"]["source"]["url"]
    ]


def _equal_work(documents: dict[str, Any]) -> list[str]:
    by_url: dict[str, set[str]] = defaultdict(set)
    for job in documents.values():
        if job["kind"] == "download" and job["state"] == "succeeded":
            by_url[job["spec"]["source"]["url"]] |= {i["id"] for i in job["result"]["artifacts"]}
    return [f"I2 {len(ids)} results of {url}" for url, ids in by_url.items() if len(ids) > 1]
