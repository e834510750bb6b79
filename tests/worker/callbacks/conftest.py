"""A receiver over a real ledger, called in process."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import httpx
import pytest
from pydantic import SecretStr
from redis import Redis
from wanimate.contract import Keys
from wanimate_devstack import RedisServer
from wanimate_worker.callbacks.receiver import Receiver
from wanimate_worker.engine.signature import Signer
from wanimate_worker.ledger import AccountLimits, Entry, Ledger, LedgerLimits, Submit

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

ACCOUNT = "acct"
BASE_URL = "http://receiver"
BODY = b'{"code": 200, "data": {"taskId": "task-a", "state": "success"}}'
SECRET = SecretStr("a-secret-of-thirty-two-characters")
OWN = LedgerLimits(callback_interval_ms=600_000)
LIMITS = AccountLimits(max_in_flight=100, requests_per_minute=60_000)


async def eventually(condition: Callable[[], object]) -> None:
    """Wait until something is true; fail after a deadline."""
    async with asyncio.timeout(10):
        while True:
            if condition():
                return
            await asyncio.sleep(0.001)


@dataclass
class Place:
    """What a test of the receiver works with."""

    redis: Redis
    ledger: Ledger
    signer: Signer = field(default_factory=lambda: Signer(SECRET))

    def start(self, job_id: str) -> Submit:
        """Bring a job to where the vendor has its task, to be polled in ten minutes."""
        submit = self.begin(job_id)
        self.ledger.jobs.accept(job_id, submit.nonce, task_id=f"task-{job_id}", first_poll_ms=600_000, begun_at_ms=0)
        return submit

    def begin(self, job_id: str) -> Submit:
        self.ledger.jobs.admit([Entry(job_id, 0, {}, {"type": "animate"})])
        step = self.ledger.jobs.begin(job_id)
        assert isinstance(step, Submit)
        return step

    def url(self, job_id: str, nonce: str, account: str = ACCOUNT) -> str:
        return self.signer.url(BASE_URL, account, job_id, nonce)

    def due(self) -> list[str]:
        return sorted(self.ledger.polls.claim(1000).job_ids)

    def wakes(self) -> int:
        """How many looks are asked for."""
        return self.redis.llen(Keys(ACCOUNT).wake)

    @contextlib.asynccontextmanager
    async def serve(
        self, redis: Redis | None = None, limits: LedgerLimits = OWN
    ) -> AsyncIterator[tuple[httpx.AsyncClient, Receiver]]:
        """Run a receiver, on this place's server or on another, and give a client of it."""
        ledger = Ledger(redis or self.redis, ACCOUNT, limits)
        receiver = Receiver(redis or self.redis, ledger, ACCOUNT, self.signer)
        transport = httpx.ASGITransport(receiver)
        async with receiver._lifespan(receiver._app), httpx.AsyncClient(transport=transport) as client:
            yield client, receiver


def post(place: Place, url: str, body: bytes | AsyncIterator[bytes] = BODY, **headers: str) -> httpx.Response:
    """Send one callback to a receiver that lives as long as the request."""

    async def send() -> httpx.Response:
        async with asyncio.timeout(10), place.serve() as (client, _):
            return await client.post(url, content=body, headers=headers)

    return asyncio.run(send())


@pytest.fixture(scope="session")
def server() -> Iterator[RedisServer]:
    with RedisServer(is_durable=False) as server:
        yield server


@pytest.fixture
def place(server: RedisServer) -> Iterator[Place]:
    with Redis.from_url(server.url, decode_responses=True) as redis:
        redis.flushdb()
        ledger = Ledger(redis, ACCOUNT, OWN)
        ledger.limits.fill(LIMITS)
        yield Place(redis, ledger)
