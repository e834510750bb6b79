"""An account on a real server, and its figures over real HTTP."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import uvicorn
from pydantic import SecretStr
from wanimate.contract import Keys
from wanimate_devstack import RedisServer, free_port
from wanimate_worker.database import open_database
from wanimate_worker.health.page import make_ops
from wanimate_worker.health.reading import Reader
from wanimate_worker.ledger import Bill, Entry, Ledger, Submit
from wanimate_worker.settings import WorkerSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from redis import Redis


class Account:
    """One account with few slots, and what workers would do with it."""

    def __init__(self, url: str, **values: Any) -> None:
        limits = {"max_in_flight": 3, "requests_per_minute": 600, **values}
        self.settings = WorkerSettings(_env_file=None, redis_url=SecretStr(url), **limits)
        self.redis: Redis
        self.ledger: Ledger
        self.redis, self.ledger = open_database(self.settings)
        self.reader = Reader(self.redis, self.settings)
        self.ledger.limits.fill(self.settings.account_limits())

    def tick(self) -> None:
        self.ledger.polls.tick(self.settings.account_limits())

    def admit(self, *job_ids: str, priority: int = 0) -> None:
        self.ledger.jobs.admit([Entry(job_id, priority, {"seen": True}, {"type": "animate"}) for job_id in job_ids])

    def begin(self, job_id: str, seconds: float = 10, *labels: str) -> Submit:
        self.redis.hset(Keys(self.settings.account).job(job_id), "bill", Bill(seconds, labels).to_json())
        step = self.ledger.jobs.begin(job_id)
        assert isinstance(step, Submit)
        return step

    def start(self, job_id: str, seconds: float = 10, *labels: str) -> Submit:
        self.admit(job_id)
        submit = self.begin(job_id, seconds, *labels)
        self.ledger.jobs.accept(job_id, submit.nonce, task_id=f"t-{job_id}", first_poll_ms=60_000, begun_at_ms=0)
        return submit


@pytest.fixture(scope="session")
def server() -> Iterator[RedisServer]:
    with RedisServer(is_durable=False) as server:
        yield server


@pytest.fixture
def open_account(server: RedisServer) -> Iterator[Callable[..., Account]]:
    opened = []

    def open_account(**values: Any) -> Account:
        opened.append(Account(server.url, **values))
        return opened[-1]

    first = open_account()
    first.redis.flushdb()
    yield open_account
    for account in opened:
        account.redis.close()
        account.redis.connection_pool.disconnect()


@pytest.fixture
def account(open_account: Callable[..., Account]) -> Account:
    return open_account()


@contextlib.contextmanager
def served(settings: WorkerSettings) -> Iterator[httpx.Client]:
    """Serve the figures of these settings and return a client of that server."""
    port = free_port()
    server = uvicorn.Server(
        uvicorn.Config(make_ops(settings), port=port, http="h11", ws="none", loop="asyncio", log_config=None)
    )
    thread = threading.Thread(target=lambda: asyncio.run(server.serve()))
    thread.start()
    try:
        deadline = time.monotonic() + 20
        while not server.started:
            assert time.monotonic() < deadline, "the server does not start"
            time.sleep(0.01)
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=20) as client:
            yield client
    finally:
        server.should_exit = True
        thread.join()
