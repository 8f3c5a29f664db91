"""What is learned from the peaks of jobs, on a real store."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from config.values import MIB
from tasks.errors import MemoryExceeded, UnsupportedUrl
from tasks.kinds import ClipSpec, DownloadSpec, ExtractSpec
from tasks.media import MediaFacts, VideoFacts
from tasks.specs import Output, Source, Spec
from tasks.store import Store
from tasks.store.keys import PEAKS
from tasks.store.peaks import KEPT_SECONDS, LEAST, MOST, PATIENCE, SHAPES_KEPT
from tests.support.engine import Engine
from tests.support.origin import Origin, answers
from tests.support.records import at_once
from tests.support.valkey import ValkeyServer
from worker.attempt.machine import Machine
from worker.engine.attempts import AttemptFactory
from worker.kinds import HANDLERS
from worker.memory.capacity import Capacity, Factor, uncorrected
from worker.memory.estimate import GUARD_BYTES
from worker.memory.need import ResourceNeed
from worker.memory.peaks import Peaks
from worker.memory.table import Table, shipped_table

NEED = ResourceNeed(
    memory_bytes=115 * MIB, model_bytes=100 * MIB, estimate_bytes=100 * MIB, shape="a"
)
URL = Source(url="https://example.org/v")
FACTS = MediaFacts(
    "mov,mp4", 0.0, 60.0, 1_000_000, VideoFacts("h264", None, 1920, 1080, "yuv420p", 8, 25.0)
)
SPECS: tuple[Spec, ...] = (
    ExtractSpec(URL),
    DownloadSpec(URL),
    ClipSpec(URL, 0.0, 10.0, "smart", Output()),
    ClipSpec(URL, 0.0, 10.0, "encode", Output(quality="draft")),
    ClipSpec(URL, 0.0, 10.0, "encode", Output(container="webm")),
)


def need_of(
    spec: Spec, budget_bytes: int, factor: Factor = uncorrected, table: Table | None = None
) -> ResourceNeed:
    """The need of a job of any kind."""
    capacity = Capacity(budget_bytes, factor=factor, table=table or shipped_table())
    return HANDLERS[spec.kind].need(spec, FACTS, capacity)


def note(peaks: Peaks, mib: float, times: int = 1, *, stopped: bool = False) -> None:
    for _ in range(times):
        peaks.note(NEED, round(mib * MIB), stopped=stopped)


def test_a_peak_above_the_estimate_raises_it_at_once_and_for_its_shape_alone(store: Store) -> None:
    peaks = Peaks(store.peaks)
    note(peaks, 130)

    assert peaks.factor("a") == pytest.approx(1.3)
    assert peaks.factor("b") == 1.0


def test_peaks_below_lower_it_only_after_several_and_slowly(store: Store) -> None:
    peaks = Peaks(store.peaks)
    note(peaks, 200)
    note(peaks, 100, PATIENCE)
    assert peaks.factor("a") == pytest.approx(2.0)

    note(peaks, 100)
    assert peaks.factor("a") == pytest.approx(1.9)
    note(peaks, 100, 50)
    assert peaks.factor("a") == pytest.approx(1.0, abs=0.02)


def test_a_job_stopped_for_memory_took_at_least_what_was_seen_which_lowers_nothing(
    store: Store,
) -> None:
    peaks = Peaks(store.peaks)
    note(peaks, 120, stopped=True)
    assert peaks.factor("a") == pytest.approx(1.2)

    note(peaks, 50, 2 * PATIENCE, stopped=True)
    assert peaks.factor("a") == pytest.approx(1.2)


@pytest.mark.parametrize("budget_mib", [340, 388])
@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: f"{spec.kind} {vars(spec).get('mode')}")
def test_however_many_jobs_were_stopped_the_next_of_their_kind_may_run_and_show_what_it_takes(
    store: Store, spec: Spec, budget_mib: int
) -> None:
    peaks = Peaks(store.peaks, fresh_seconds=0)
    plain = need_of(spec, budget_bytes=budget_mib * MIB)
    assert plain.memory_bytes < budget_mib * MIB

    def need() -> ResourceNeed:
        return need_of(spec, budget_bytes=budget_mib * MIB, factor=peaks.factor)

    for _ in range(4):  # each in its last attempt, with all there is
        all_of_it = replace(need(), memory_bytes=budget_mib * MIB)
        peaks.note(all_of_it, all_of_it.memory_bytes, stopped=True)
        assert need().memory_bytes <= budget_mib * MIB
    assert peaks.factor(plain.shape) > 1.2

    for _ in range(60):
        peaks.note(need(), plain.model_bytes, stopped=False)
    assert need().memory_bytes == pytest.approx(plain.memory_bytes, rel=0.02)


def test_only_an_attempt_that_was_stopped_for_its_weight_teaches_that_it_needs_more(
    valkey: ValkeyServer, origin: Origin, tmp_path: Path
) -> None:
    said = origin.add("/std::bad_alloc", answers.content(b"<!DOCTYPE html>no", "text/html"))
    with Engine(valkey.url, tmp_path, allowed_networks="127.0.0.0/8") as engine:
        peaks = Peaks(engine.store.peaks, fresh_seconds=0)
        machine = Machine(
            engine.settings, engine.store, engine.storage, lambda: 1, peaks=peaks,
            egress=engine.egress,
        )  # fmt: skip
        attempts = AttemptFactory(machine)
        engine.submit(said)
        lease = engine.store.leases.take("extract")
        assert lease is not None
        usual = attempts.need_of(lease.job)
        scant = replace(usual, memory_bytes=usual.model_bytes // 2 + GUARD_BYTES, model_bytes=MIB)
        with engine.heartbeat.holding(lease) as leased:
            leased.change(lambda job: job.started(1.0))
            enough = attempts.attempt(leased, tmp_path, usual, lambda need, seconds: None)
            with pytest.raises(UnsupportedUrl):
                HANDLERS["extract"].run(lease.job.spec, enough)
            assert enough.account(stopped=True).peak_bytes > 0
            assert peaks.factor(usual.shape) == 1.0

            less = attempts.attempt(leased, tmp_path, scant, lambda need, seconds: None)
            with pytest.raises(MemoryExceeded):
                HANDLERS["extract"].run(lease.job.spec, less)
            less.account(stopped=True)
            assert peaks.factor(usual.shape) == MOST


def test_no_peak_makes_an_estimate_absurd(store: Store) -> None:
    peaks = Peaks(store.peaks)
    note(peaks, 100_000)
    assert peaks.factor("a") == MOST

    note(peaks, 1, 200)
    assert peaks.factor("a") == LEAST


def test_workers_learn_from_each_other(store: Store) -> None:
    one, other = Peaks(store.peaks), Peaks(store.peaks, fresh_seconds=0)
    assert other.factor("a") == 1.0

    note(one, 140)

    assert other.factor("a") == pytest.approx(1.4)


def test_peaks_noted_at_the_same_moment_are_all_counted(store: Store) -> None:
    peaks = Peaks(store.peaks)
    note(peaks, 300)
    at_once(lambda _: note(peaks, 100), PATIENCE)
    assert peaks.factor("a") == pytest.approx(3.0)

    note(peaks, 100)
    assert peaks.factor("a") == pytest.approx(2.8)


def test_no_more_shapes_are_kept_than_fit(store: Store) -> None:
    for number in range(SHAPES_KEPT + 20):
        store.peaks.note(f"shape {number}", 2.0)

    found = store.peaks.factors()
    assert len(found) == SHAPES_KEPT
    assert f"shape {SHAPES_KEPT + 19}" in found


def test_what_nobody_has_run_for_days_is_forgotten(store: Store) -> None:
    now = int(store.server.now())
    store.peaks.note("new", 2.0)
    store.connection.redis.hset(PEAKS, "old", f"3.0 0 {now - KEPT_SECONDS - 1}")
    store.connection.redis.hset(PEAKS, "recent", f"3.0 0 {now - KEPT_SECONDS + 60}")
    assert store.peaks.factors() == {"new": 2.0, "recent": 3.0}

    assert store.peaks.note("old", 1.5) == 1.5
    assert store.peaks.note("recent", 1.5) == 3.0
    assert store.peaks.factors() == {"new": 2.0, "recent": 3.0, "old": 1.5}


def test_what_is_forgotten_makes_room_before_anything_else_does(store: Store) -> None:
    old = int(store.server.now()) - KEPT_SECONDS - 1
    for number in range(SHAPES_KEPT - 10):
        store.connection.redis.hset(PEAKS, f"old {number}", f"3.0 0 {old}")
    new = [f"new {number}" for number in range(30)]
    for name in new:
        store.peaks.note(name, 2.0)
    assert store.peaks.factors() == dict.fromkeys(new, 2.0)


def test_what_was_learned_beside_one_table_says_nothing_beside_another(store: Store) -> None:
    peaks = Peaks(store.peaks, fresh_seconds=0)
    other = replace(shipped_table(), margin=1.2)
    again = Table(
        dict(reversed(shipped_table().mib.items())), shipped_table().margin, {"at": "now"}
    )

    def need(spec: Spec, table: Table) -> ResourceNeed:
        return need_of(spec, budget_bytes=4096 * MIB, factor=peaks.factor, table=table)

    for spec in SPECS:
        plain = need(spec, other)
        learned = need(spec, shipped_table())
        peaks.note(learned, 3 * learned.model_bytes, stopped=False)
        anew = need(spec, shipped_table())
        assert anew.estimate_bytes == pytest.approx(3 * learned.model_bytes)
        assert need(spec, again) == anew
        assert need(spec, other) == plain


def test_without_the_store_what_was_read_last_holds(own_valkey: ValkeyServer) -> None:
    peaks = Peaks(Store.at(own_valkey.url).peaks, fresh_seconds=0)
    note(peaks, 150)
    assert peaks.factor("a") == pytest.approx(1.5)

    own_valkey.kill()

    note(peaks, 400)
    assert peaks.factor("a") == pytest.approx(1.5)
