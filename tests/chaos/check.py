"""The invariants, checked from what happened and what exists, not from the system's reports."""

from __future__ import annotations

import hashlib
import json
import traceback
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tasks.store import Store
from tasks.store.packing import unpacked
from tests.chaos.causes import Hit, failure_faults
from tests.chaos.effects import effect_faults
from tests.chaos.load import FINAL, Promises
from tests.chaos.numbers import number_faults
from tests.chaos.told import telling_faults
from tests.chaos.traces import secret_faults, settled
from tests.chaos.work import Work
from tests.chaos.world import World
from tests.support.receiver import Received
from tests.support.records import Records
from tests.support.scripted_worker import read_effects

STATES = FINAL | {"queued", "running"}


def faults_of(
    world: World,
    promises: Promises,
    work: Work,
    hits: Sequence[Hit],
    received: Sequence[Received],
    real: bool,
) -> list[str]:
    """Every invariant that does not hold, as a sentence. The system runs and is idle."""
    with world.valkey.client() as client:
        records = Records(client)
        disagreeing = _disagreeing(records, world)
        documents = {
            job_id: json.loads(unpacked(client.hget(f"clipmill:job:{job_id}", "doc")))
            for job_id in records.jobs
        }
        stories = {
            job_id: [
                json.loads(line) for line in client.lrange(f"clipmill:timeline:{job_id}", 0, -1)
            ]
            for job_id in records.jobs
        }
        leases = client.zcard("clipmill:leases")
        secret = client.hget("clipmill:webhook:secret:client", "current").decode()
    lines = read_effects(world.effects)
    begins = Counter(line["job"] for line in lines if line["event"] == "begin")
    # A worker that drains releases its jobs. A real clip is released once when its encoding needs
    # more memory than was estimated.
    most_returns = sum(hit.name == "drain_a_worker" for hit in hits) + real
    return [
        *disagreeing,
        *_lost(promises, documents),
        *cancel_faults(promises, documents),
        *_files(world, promises, work, documents),
        *effect_faults(lines, documents, stories, most_returns),
        *(fault for job_id, story in stories.items() for fault in story_faults(job_id, story)),
        *_equal_work(documents),
        *failure_faults(documents, stories, hits, begins),
        # A worker reports every two seconds.
        *settled(lambda: number_faults(world, promises, documents, stories), 6),
        *secret_faults(world, documents, stories),
        *telling_faults(received, promises, documents, secret, world.token),
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


def cancel_faults(promises: Promises, documents: Mapping[str, Any]) -> list[str]:
    """Every accepted cancel ends its job, and no job of a client is cancelled without a request.

    A download that was made for clips is cancelled when no clip needs it.
    """
    states = {id_: documents[id_]["state"] for id_ in promises.accepted if id_ in documents}
    refused = [
        f"I1 the cancel was accepted: {job_id} {states[job_id]}"
        for job_id, answers in promises.cancels.items()
        if 202 in answers and states.get(job_id, "cancelled") != "cancelled"
    ]
    # A request without a response, or with an uncertain one, may have been done.
    asked = {
        job_id
        for job_id, answers in promises.cancels.items()
        if any(answer in {None, 202, 503} for answer in answers)
    }
    return refused + [
        f"I1 cancelled though nobody asked for it: {job_id}"
        for job_id, state in states.items()
        if state == "cancelled" and job_id not in asked
    ]


def _files(world: World, promises: Promises, work: Work, documents: Mapping[str, Any]) -> list[str]:
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
        item = shown[name]
        if hashlib.sha256(there[name].read_bytes()).hexdigest() != item["sha256"]:
            found.append(f"I2 not what was recorded: {name}")
        answer = world.ask("GET", item["url"])
        if answer is None or hashlib.sha256(answer.content).hexdigest() != item["sha256"]:
            found.append(f"I2 not what is delivered: {name}")
    return found + content_faults(there, promises, work, documents)


def content_faults(
    there: Mapping[str, Path], promises: Promises, work: Work, documents: Mapping[str, Any]
) -> list[str]:
    """Jobs without the one file that was asked for, compared byte for byte."""
    found = []
    urls = {body["source"]["url"] for body in promises.asked.values()}
    for job_id, job in documents.items():
        url = job["spec"]["source"]["url"]
        body = promises.asked.get(job_id, {"kind": "download", "source": {"url": url}})
        if url not in urls or (job["kind"], url) != (body["kind"], body["source"]["url"]):
            found.append(f"I1 nobody asked for it: {job_id} {job['spec']}")
        elif job["state"] == "succeeded" and job["kind"] != "extract":
            names = [item["id"] for item in job["result"]["artifacts"]]
            files = [there[name].read_bytes() for name in names if name in there]
            content = work.content(body)
            if content is not None and files != [content]:
                found.append(f"I2 not what was asked for: {job_id} {list(map(len, files))}")
    return found


def story_faults(job_id: str, story: list[dict[str, Any]]) -> list[str]:
    """No event follows the end, and no event of an attempt follows the begin of the next; each
    attempt begins once, and its number counts those up to it that were not given back."""
    found, attempt, ended, state, counted = [], 0, False, "", 0
    for event in story:
        now, name = event.get("attempt", 0), event["event"]
        returned = name == "queued" and event.get("why") == "given back"
        if ended:
            found.append(f"I1 after its end: {job_id} {event}")
        if now < attempt and not returned:
            found.append(f"I8 a write of attempt {now} after {attempt} began: {job_id} {event}")
        if name == state == "running":
            found.append(f"I8 claimed while it ran: {job_id} {event}")
        if name == "succeeded" and state != "running":
            found.append(f"I8 succeeded while it did not run: {job_id} {event}")
        counted += (name == "running") - returned
        if now != counted:
            found.append(f"I8 attempt {now} is number {counted}: {job_id} {event}")
        attempt, ended = now, name in FINAL
        state = name if name in STATES else state
    return found


def _equal_work(documents: dict[str, Any]) -> list[str]:
    by_url: dict[str, set[str]] = defaultdict(set)
    for job in documents.values():
        if job["kind"] == "download" and job["state"] == "succeeded":
            by_url[job["spec"]["source"]["url"]] |= {i["id"] for i in job["result"]["artifacts"]}
    return [f"I2 {len(ids)} results of {url}" for url, ids in by_url.items() if len(ids) > 1]
