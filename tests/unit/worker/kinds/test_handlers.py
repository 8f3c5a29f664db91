"""What the engine asks of every kind, and what it is told."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from config.values import MIB
from tasks.kinds import KINDS, ClipSpec, DownloadSpec, ExtractSpec
from tasks.specs import Output, Source, Spec
from tests.support.records import make_artifact, make_job
from worker.kinds import HANDLERS
from worker.memory.capacity import Capacity

URL = Source(url="https://media.example/v")
CLIP = ClipSpec(URL, 1.0, 2.0)
SPECS: list[Spec] = [ExtractSpec(URL), DownloadSpec(URL), CLIP]


def test_every_kind_has_a_handler_and_every_handler_a_kind() -> None:
    assert list(HANDLERS) == list(KINDS)
    files = {path.stem for path in Path(HANDLERS["clip"].run.__code__.co_filename).parent.iterdir()}
    assert {kind.replace("-", "_") for kind in KINDS} <= files


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.kind)
def test_what_is_needed_is_known_before_anything_of_the_source_is(spec: Spec) -> None:
    handler = HANDLERS[spec.kind]
    assert handler.disk_bytes >= MIB
    assert 64 * MIB < handler.need(spec, None, Capacity(512 * MIB)).memory_bytes <= 512 * MIB


def test_equal_clips_of_equal_bytes_have_one_key_wherever_their_source_is_from() -> None:
    handler, job = HANDLERS["clip"], make_job(CLIP)
    source = make_artifact(make_job(DownloadSpec(URL)))
    named = make_job(replace(CLIP, source=Source(job_id="x")))
    assert handler.cache_key(job, source) == handler.cache_key(named, source)
    others = [
        handler.cache_key(make_job(CLIP, owner="bob"), source),
        handler.cache_key(make_job(replace(CLIP, end=3.0)), source),
        handler.cache_key(make_job(replace(CLIP, output=Output(width=64))), source),
        handler.cache_key(job, replace(source, sha256="1" * 64)),
        handler.cache_key(job, replace(source, filename="another.mp4")),
        None,
    ]
    assert len({handler.cache_key(job, source), *others}) == len(others) + 1
    assert handler.cache_key(job, None) is None


def test_a_download_is_known_by_what_it_fetches_and_an_extract_never() -> None:
    spec = DownloadSpec(URL)
    job = make_job(spec, fingerprint=spec.fingerprint("ann"))
    assert HANDLERS["download"].cache_key(job, None) == f"download:{job.fingerprint}"
    assert HANDLERS["extract"].cache_key(make_job(), None) is None
