"""One engine for each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from config.timings import PRODUCTION, Timings
from tests.support.engine import Engine
from tests.support.records import Records
from tests.support.valkey import ValkeyServer


@pytest.fixture
def timings() -> Timings:
    """Those of production, unless a module or the parameters of a test say otherwise."""
    return PRODUCTION


@pytest.fixture
def engine(valkey: ValkeyServer, tmp_path: Path, timings: Timings) -> Iterator[Engine]:
    """An engine whose records are checked when the test is over."""
    with Engine(valkey.url, tmp_path, timings=timings) as engine:
        yield engine
        with valkey.client() as client:
            Records(client).check(engine.store)
