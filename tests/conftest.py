"""What every test may ask for; larger helpers live in `tests.support`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.origin import Origin


@pytest.fixture(scope="session")
def media_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of the whole session, for videos that several tests use (`cached_video`)."""
    return tmp_path_factory.mktemp("media")


@pytest.fixture
def origin() -> Iterator[Origin]:
    """A web server of this test alone, with nothing on it yet."""
    with Origin() as server:
        yield server
