from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from harness import Vendor, eventually, stack_settings, worker_of_caller
from pydantic import SecretStr
from wanimate import Client, Settings
from wanimate_devstack import SIMULATOR_KEY, Stack, StackOptions, leftovers, redis_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from redis import Redis
    from wanimate_devstack import Process

CAP = 5
HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.integration)


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    """One worker, beat, server and simulator for all tests; short times, so that recovery is seen."""
    options = StackOptions(
        has_flower=False,
        has_ops=True,
        simulator={"cap": str(CAP), "speed": "40"},
        settings=stack_settings(CAP, unknown_after_seconds="1"),
        worker_options=("--concurrency", "8"),
    )
    with Stack(options) as stack:
        yield stack
        assert stack.ended() is None, "a process of the stack ended by itself"
        logs = {name: stack.log(name) for name in ("worker1", "beat", "ops")}
        for name, log in logs.items():
            assert SIMULATOR_KEY not in log, f"the API key is in the log of {name}"
            assert "character.png" not in log, f"a job's URL, which may be signed, is in the log of {name}"
            assert "unexpected error" not in log, f"{name}: {log[log.find('unexpected error') - 300 :][:3000]}"


@pytest.fixture(scope="session")
def client(stack: Stack) -> Iterator[Client]:
    with Client(Settings(redis_url=SecretStr(stack.redis.url))) as client:
        yield client


@pytest.fixture(scope="session")
def redis(stack: Stack) -> Iterator[Redis]:
    with redis_of(stack) as redis:
        yield redis


@pytest.fixture
def vendor(stack: Stack) -> Iterator[Vendor]:
    assert stack.simulator_url is not None
    vendor = Vendor(stack.simulator_url)
    vendor.reset()
    yield vendor
    vendor.set_faults()
    vendor.close()


@pytest.fixture(scope="session")
def caller_worker(stack: Stack) -> Iterator[Process]:
    """A worker of the caller's own Celery app."""
    with worker_of_caller(stack) as process:
        yield process


@pytest.fixture(autouse=True)
def _nothing_is_left_behind(request: pytest.FixtureRequest) -> Iterator[None]:
    """After each test on the shared stack no slot is held, and no key or message is without an owner."""
    yield
    if "stack" in request.fixturenames:
        stack: Stack = request.getfixturevalue("stack")
        eventually(lambda: not leftovers(stack), f"nothing left behind, but there is {leftovers(stack)}")
