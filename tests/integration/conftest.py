"""A real record store for whoever asks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tasks.store import Store
from tests.support.valkey import ValkeyServer


@pytest.fixture(scope="session")
def valkey_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ValkeyServer]:
    """The server of the whole session; ask for `valkey` to have it empty."""
    with ValkeyServer(tmp_path_factory.mktemp("v")) as server:
        yield server


@pytest.fixture
def valkey(valkey_process: ValkeyServer) -> ValkeyServer:
    """A running server with nothing in it; others use it too, so it must not be stopped."""
    with valkey_process.client() as client:
        client.config_set("maxmemory", "0")
        client.flushall()
    return valkey_process


@pytest.fixture
def own_valkey(tmp_path: Path) -> Iterator[ValkeyServer]:
    """A server of this test alone, to be stopped, killed and started at will."""
    with ValkeyServer(tmp_path) as server:
        yield server


@pytest.fixture
def store(valkey: ValkeyServer) -> Iterator[Store]:
    """A record store on the empty server."""
    store = Store.at(valkey.url)
    yield store
    store.connection.redis.close()
