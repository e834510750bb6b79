"""A real server, a ledger on it, and a check that no test leaves work behind."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from redis import Redis
from wanimate_devstack import RedisServer

# Before they are imported, so that their assertions say what they compared.
pytest.register_assert_rewrite(
    *(f"{__package__}.{name}" for name in ("bench", "machine", "machine_account", "machine_outputs", "model_outputs"))
)

from .bench import Bench, leaks  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "leaves(*names): this test leaves these keys on purpose: waiting, slots, due, account, job"
    )


@pytest.fixture(scope="session")
def server() -> Iterator[RedisServer]:
    with RedisServer(is_durable=False) as server:
        yield server


@pytest.fixture
def connect(server: RedisServer) -> Iterator[Callable[..., Redis]]:
    """Make further clients; all are closed at the end."""
    clients: list[Redis] = []

    def connect(**options: object) -> Redis:
        client = Redis.from_url(server.url, **{"decode_responses": True, **options})
        clients.append(client)
        return client

    yield connect
    for client in clients:
        client.close()


@pytest.fixture
def redis(connect: Callable[..., Redis]) -> Redis:
    client = connect()
    client.flushdb()
    return client


@pytest.fixture
def make_bench(redis: Redis) -> Callable[..., Bench]:
    return lambda **limits: Bench(redis, **limits)


@pytest.fixture
def bench(make_bench: Callable[..., Bench]) -> Bench:
    """Two slots, leases that do not end by themselves, a budget that is never spent."""
    return make_bench()


@pytest.fixture(autouse=True)
def no_leaks(request: pytest.FixtureRequest, redis: Redis) -> Iterator[None]:
    yield
    allowed = {name for mark in request.node.iter_markers("leaves") for name in mark.args}
    found = leaks(redis, allowed)
    assert not found, f"left behind: {found}"
