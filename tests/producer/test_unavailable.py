from __future__ import annotations

import socket
import time
from typing import TYPE_CHECKING, Any

import pytest
import redis
from wanimate import AnimateJob, Client, QueueUnavailable, Settings

from .conftest import FIELDS, Database, Server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

OPERATIONS: list[Callable[[Client], Any]] = [
    lambda client: client.animate(**FIELDS),
    lambda client: client.animate(**FIELDS, idempotency_key="k"),
    lambda client: client.submit_many([AnimateJob(**FIELDS)]),
    lambda client: client.job("job-1").status(),
    lambda client: client.job("job-1").wait(timeout=30),
    lambda client: client.job("job-1").cancel(),
]
NAMES = ["animate", "animate with key", "submit_many", "status", "wait", "cancel"]


@pytest.fixture
def deaf_port() -> Iterator[int]:
    """A port that accepts connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def assert_unavailable(operation: Callable[[Client], Any], settings: Settings, within_seconds: float) -> str:
    started = time.monotonic()
    with Client(settings) as client, pytest.raises(QueueUnavailable) as caught:
        operation(client)
    assert time.monotonic() - started < within_seconds
    return str(caught.value)


@pytest.mark.parametrize("operation", OPERATIONS, ids=NAMES)
def test_an_unreachable_redis_is_reported_soon_without_the_password(
    operation: Callable[[Client], Any], closed_port: int
) -> None:
    settings = Settings(redis_url=f"redis://user:hunter2@127.0.0.1:{closed_port}/0")

    message = assert_unavailable(operation, settings, within_seconds=8)

    assert f"127.0.0.1:{closed_port}" in message
    assert "WANIMATE_REDIS_URL" in message
    assert "hunter2" not in message


@pytest.mark.parametrize("operation", OPERATIONS[2:4], ids=NAMES[2:4])
def test_a_server_that_never_answers_is_given_up_after_the_configured_time(
    operation: Callable[[Client], Any], deaf_port: int
) -> None:
    settings = Settings(redis_url=f"redis://127.0.0.1:{deaf_port}/0", redis_timeout_seconds=0.5)

    assert_unavailable(operation, settings, within_seconds=8)


@pytest.mark.parametrize("operation", OPERATIONS[:4], ids=NAMES[:4])
def test_a_wrong_password_is_told_without_repeating_it(operation: Callable[[Client], Any], own_server: Server) -> None:
    with redis.Redis(port=own_server.port) as admin:
        admin.config_set("requirepass", "right")

    message = assert_unavailable(operation, Settings(redis_url=f"redis://:hunter2@127.0.0.1:{own_server.port}/0"), 8)

    assert "hunter2" not in message


def test_a_full_redis_refuses_the_job_and_says_why(own_server: Server) -> None:
    with redis.Redis(port=own_server.port) as admin:
        admin.config_set("maxmemory", "1")

    assert "maxmemory" in assert_unavailable(OPERATIONS[0], Settings(redis_url=own_server.url()), 8)


def test_nothing_is_left_behind_by_a_job_that_could_not_be_sent(own_server: Server) -> None:
    own_server.stop()
    with Client(Settings(redis_url=own_server.url())) as client:
        with pytest.raises(QueueUnavailable):
            client.animate(**FIELDS)
        own_server.start()
        left = Database(own_server.url())

        assert left.messages() == []
        left.redis.close()
