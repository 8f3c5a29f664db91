"""One broker and one API for all tests of the web; each test finds them empty."""

from __future__ import annotations

from collections.abc import Iterator

import httpx2
import pytest

from tests.support.stack import Api, Hands
from tests.support.valkey import ValkeyServer


@pytest.fixture(scope="session")
def shared_valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ValkeyServer]:
    with ValkeyServer(tmp_path_factory.mktemp("v")) as server:
        yield server


@pytest.fixture(scope="session")
def shared_api(
    shared_valkey: ValkeyServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Api]:
    with Api(tmp_path_factory.mktemp("api"), shared_valkey.url) as api:
        yield api


@pytest.fixture
def api(shared_api: Api) -> Api:
    """The API with nothing in its store."""
    shared_api.store.connection.redis.flushall()
    return shared_api


@pytest.fixture
def client(api: Api) -> Iterator[httpx2.Client]:
    with api.client() as client:
        yield client


@pytest.fixture
def hands(api: Api) -> Hands:
    return Hands(api)
