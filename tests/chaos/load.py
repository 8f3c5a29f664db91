"""Clients that submit, cancel and poll jobs, and record what the API promised."""

from __future__ import annotations

import random
import threading
import time
import uuid
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

import httpx2

from tests.chaos.work import Work
from tests.chaos.world import World

FINAL = {"succeeded", "failed", "cancelled"}


@dataclass
class Promises:
    """What the API said, in the order in which it was said."""

    accepted: list[str] = field(default_factory=list)
    ends: dict[str, str] = field(default_factory=dict)  # the first final state seen of each
    codes: dict[str, str] = field(default_factory=dict)  # why it failed, if it did
    changed: list[str] = field(default_factory=list)  # final states that did not stay
    doubled: list[str] = field(default_factory=list)  # keys that made two jobs
    batches: list[str] = field(default_factory=list)
    asked: dict[str, dict[str, Any]] = field(default_factory=dict)  # the request for each job
    # The status of each cancel; None without a response.
    cancels: defaultdict[str, list[int | None]] = field(default_factory=lambda: defaultdict(list))

    def see(self, job: dict[str, Any]) -> None:
        """Record a job as the API shows it now."""
        if job["state"] in FINAL:
            first = self.ends.setdefault(job["id"], job["state"])
            self.codes[job["id"]] = job["error"]["code"] if job["error"] else job["state"]
            if first != job["state"]:
                self.changed.append(f"{job['id']}: {first}, then {job['state']}")
        elif job["id"] in self.ends:
            self.changed.append(f"{job['id']}: {self.ends[job['id']]}, then {job['state']}")


class Clients:
    """One thread that submits jobs, about `count` in `seconds`, and one that polls them."""

    def __init__(
        self, world: World, work: Work, canary: str, hook: str, seed: int, count: int,
        seconds: float,
    ) -> None:  # fmt: skip
        self._world = world
        self._work = work
        self._canary = canary
        self._hook = hook
        self._chance = random.Random(seed)
        self._count = count
        self._pause = seconds / count
        self._seed = seed
        self._enough = threading.Event()
        self._quiet = threading.Event()
        self.promises = Promises()
        self._submitting = threading.Thread(target=self._submit_all, daemon=True)
        self._looking = threading.Thread(target=self._look, daemon=True)

    def warm_up(self, count: int) -> None:
        """Run a few jobs to their end, before the first fault."""
        made = self._ask("POST", "/api/v2/webhooks", json={"url": self._hook})
        assert made is not None
        assert made.status_code == 201, made.text
        for url in self._forbidden():
            answer = self._ask_for(url)
            assert answer is not None, "nobody answers"
            assert answer.status_code == 422, answer.text
        self._submit_batch(count)
        assert not self.wait_for_all(120), "not even a few jobs come to their end"

    def start(self) -> None:
        self._submitting.start()
        self._looking.start()

    def finish_submitting(self) -> None:
        """Wait until `count` jobs are accepted: until then every fault has jobs to meet."""
        self._enough.set()
        self._submitting.join()

    def stop(self) -> None:
        self._quiet.set()
        self._looking.join()

    def wait_for_all(self, within_seconds: float) -> list[str]:
        """The accepted jobs that are not final after this time."""
        end = time.monotonic() + within_seconds
        open_jobs = list(self.promises.accepted)
        while open_jobs and time.monotonic() < end:
            for job_id in list(open_jobs):
                job = self._ask("GET", f"/api/v2/jobs/{job_id}")
                if job is not None and job.status_code == 200:
                    self.promises.see(job.json())
                    if job.json()["state"] in FINAL:
                        open_jobs.remove(job_id)
            time.sleep(0.2)
        return open_jobs

    def wait_until_told(self, within_seconds: float) -> list[str]:
        """Messages that were not delivered in this time."""
        end = time.monotonic() + within_seconds
        path = "/api/v2/webhooks/deliveries"
        while True:
            found = [self._ask("GET", path, params={"state": it}) for it in ("waiting", "sending")]
            if all(it is not None and it.status_code == 200 for it in found):
                left = [it["id"] for page in found if page for it in page.json()["deliveries"]]
                if not left or time.monotonic() > end:
                    return left
            assert time.monotonic() < end + 60, "nobody answers"
            time.sleep(0.5)

    def _submit_all(self) -> None:
        left = self._count
        while left > 0 or not self._enough.is_set():
            if self._chance.random() < 0.1:
                left -= self._submit_batch(self._chance.randint(2, 12))
            else:
                left -= self._submit("/api/v2/jobs", self._body(), 1)
            if self._chance.random() < 0.06 and self.promises.accepted:
                self._cancel(self._chance.choice(self.promises.accepted[-6:]))
            if self._chance.random() < 0.04:
                answer = self._ask_for(self._chance.choice(self._forbidden()))
                assert answer is None or answer.status_code in {422, 503}, answer.text
            time.sleep(self._pause * self._chance.uniform(0, 2))

    def _submit_batch(self, size: int) -> int:
        body = {"jobs": [self._body() for _ in range(size)]}
        return self._submit("/api/v2/batches", body, size)

    def _submit(self, path: str, body: dict[str, Any], size: int) -> int:
        """Repeat a request under one key until a response; then once more, without effect."""
        key = uuid.UUID(int=self._chance.getrandbits(128)).hex
        answer = None
        while answer is None or answer.status_code != 202:
            answer = self._ask("POST", path, json=body, headers={"Idempotency-Key": key})
            assert answer is None or answer.status_code in {202, 503}, answer.text
        made = answer.json()
        jobs = made.get("jobs", [made])
        assert len(jobs) == size, answer.text
        self.promises.accepted += [job["id"] for job in jobs]
        for job, asked in zip(jobs, body.get("jobs", [body]), strict=True):
            self.promises.asked[job["id"]] = asked
        if "jobs" in made:
            self.promises.batches.append(made["id"])
        if self._chance.random() < 0.2:
            again = self._ask("POST", path, json=body, headers={"Idempotency-Key": key})
            if again is not None and again.status_code == 202 and again.json()["id"] != made["id"]:
                self.promises.doubled.append(key)
        return size

    def _body(self) -> dict[str, Any]:
        return {**self._work.body(self._chance), "priority": self._chance.randrange(10)}

    def _cancel(self, job_id: str) -> None:
        answer = self._ask("POST", f"/api/v2/jobs/{job_id}/cancel")
        self.promises.cancels[job_id].append(answer.status_code if answer is not None else None)

    def _forbidden(self) -> list[str]:
        """A URL with a forbidden address, and a URL with a password."""
        token = self._world.token
        return [f"http://{self._canary}/{token}", f"http://u:{token}@127.0.0.1/"]

    def _ask_for(self, url: str) -> httpx2.Response | None:
        return self._ask("POST", "/api/v2/jobs", json={"kind": "extract", "source": {"url": url}})

    def _look(self) -> None:
        chance = random.Random(self._seed + 1)
        while not self._quiet.wait(0.05):
            if self.promises.accepted:
                job_id = chance.choice(self.promises.accepted)
                job = self._ask("GET", f"/api/v2/jobs/{job_id}")
                if job is not None and job.status_code == 200:
                    self.promises.see(job.json())

    def _ask(self, method: str, path: str, **options: Any) -> httpx2.Response | None:
        """One request to one of the two API processes; None without a response."""
        answer = self._world.ask(method, path, random.randrange(2), **options)
        if answer is None:
            time.sleep(0.05)
        return answer
