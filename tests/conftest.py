"""What every test may ask for, and the order of tests; larger helpers live in `tests.support`."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.order import in_order, shuffled
from tests.support.origin import Origin
from tests.support.priority import keep_usual_priority
from tests.support.shared import shared_folder


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--shuffle", type=int, metavar="SEED", help="run in any order, by this seed")


def pytest_configure() -> None:
    keep_usual_priority()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """None of the tests needs another before it; what is long begins first."""
    seed = config.getoption("--shuffle")
    items[:] = in_order(items) if seed is None else shuffled(items, seed)


def pytest_collection_finish() -> None:
    """Modules and thousands of tests stay to the end: no collection has to look at them again."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def media_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of the whole run, for videos that several tests use (`cached_video`)."""
    return shared_folder(tmp_path_factory, "media")


@pytest.fixture
def origin() -> Iterator[Origin]:
    """A web server of this test alone, with nothing on it yet."""
    with Origin() as server:
        yield server
