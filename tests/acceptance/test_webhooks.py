"""Webhooks of the whole system: a message outlives its sender, and others can verify it."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.support.npm import VERIFY
from tests.support.receiver import Received, Receiver, Reply
from tests.support.system import System

SITE = "https://127.0.0.1/media"  # allowed here, and never asked
QUICK: dict[str, Any] = {"scripted": True, "options": ["--quick"]}
DENO = Path(sys.executable).with_name("deno")


def submit(system: System, hook: str, query: str = "") -> str:
    source = {"url": f"{SITE}/a?{query}"}
    return str(system.submit(kind="extract", source=source, webhook={"url": hook})["id"])


def deliveries(system: System) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = system.client.get("/api/v2/webhooks/deliveries").json()[
        "deliveries"
    ]
    return found


@pytest.mark.parametrize("moment", ["before the answer", "after the answer"])
def test_w_a_worker_killed_while_it_sends_loses_no_message(tmp_path: Path, moment: str) -> None:
    with System(tmp_path / "s", **QUICK) as system, Receiver() as receiver:

        def script(came: Received) -> Reply:
            if len(receiver.received) > 1:
                return Reply()
            if moment == "before the answer":
                system.workers[0].kill()
                return Reply(0)
            # So long that the kill strikes between the answer's head and its record.
            system.valkey.client().client_pause(1500)
            return Reply()

        receiver.script = script
        job_id = submit(system, receiver.url)
        receiver.wait_for(1)
        time.sleep(0.3)
        system.workers[0].kill()
        system.start_worker()
        first, second = receiver.wait_for(2, 30)
        assert (first.id, first.body) == (second.id, second.body)
        end = time.monotonic() + 10
        while (states := [it["state"] for it in deliveries(system)]) != ["delivered"]:
            assert time.monotonic() < end, states
            time.sleep(0.1)
        assert len(receiver.received) == 2
        assert system.job(job_id)["state"] == "succeeded"


def test_w_a_receiver_in_javascript_verifies_messages_and_refuses_others(tmp_path: Path) -> None:
    with System(tmp_path / "s", **QUICK) as system, Receiver() as receiver:
        secret = system.client.get("/api/v2/webhooks/secret").json()["secret"]
        submit(system, receiver.url, "raise=MemoryError")
        (came,) = receiver.wait_for(1, 30)
        body = came.body.decode()
        assert in_javascript(secret, body, came.headers) == {"verified": came.message}
        changed = in_javascript(secret, body.replace("failed", "fine"), came.headers)
        assert "No matching signature" in changed["refused"]
        old = in_javascript(secret, body, {**came.headers, "webhook-timestamp": "1700000000"})
        assert "too old" in old["refused"]


def in_javascript(secret: str, body: str, headers: dict[str, str]) -> dict[str, Any]:
    asked = json.dumps({"secret": secret, "body": body, "headers": headers})
    argv = [DENO, "run", "--no-prompt", "--allow-read", "--allow-env", "--no-remote", VERIFY]
    done = subprocess.run(argv, input=asked, capture_output=True, text=True, timeout=60, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_w03_receivers_without_an_end_take_no_place_of_a_job(tmp_path: Path) -> None:
    with System(tmp_path / "s", **QUICK) as system, Receiver(lambda _: Reply(drip=True)) as dead:
        for number in range(40):
            submit(system, dead.url, f"n={number}")
        dead.wait_for(1)
        began = time.monotonic()
        assert system.until(submit(system, dead.url, "n=40"))["state"] == "succeeded"
        assert time.monotonic() - began < 5
