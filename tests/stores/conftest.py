"""A store of each kind."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from redis import Redis
from support.redis_server import serving
from support.store_place import Place

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from support.redis_server import RedisServer


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with serving(tmp_path_factory.mktemp("redis") / "data") as server:
        yield server


@pytest.fixture(params=["sqlite", "redis"])
async def place(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Place]:
    url = f"sqlite://{tmp_path}/store/revocations.sqlite"
    if request.param == "redis":
        url = request.getfixturevalue("redis_server").url
        with Redis.from_url(url) as direct:
            direct.flushall()
    found = Place(url)
    yield found
    for store in found.opened:
        await store.aclose()
