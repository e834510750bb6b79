"""Sends the account's webhooks: one event loop in a thread of each worker process."""

from __future__ import annotations

import asyncio
import random
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeVar

import orjson
from redis.exceptions import RedisError
from wanimate.contract import Event
from wanimate.errors import SettingsError

from ..stopwatch import Stopwatch
from ..telemetry import get_logger
from .client import MAX_SENDS, Answer, WebhookClient, shown
from .retries import next_delay_ms

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..engine.runtime import Runtime
    from ..ledger import Delivery
    from ..ledger.outbox import Outbox

log = get_logger(__name__)

_T = TypeVar("_T")

#: How often webhooks are looked for that no job of this process has brought about, in seconds.
_POLL_SECONDS: Final = 1.0
#: Endpoints that are checked in one round.
_MAX_ENDPOINTS: Final = 1000
#: Exchanges with Redis at once.
_REDIS_THREADS: Final = 2
#: Endpoints whose last webhook failed get one at a time, and all of them together this many.
_MAX_FAILING_SENDS: Final = MAX_SENDS // 2
#: More endpoints than this are not remembered as failing.
_MAX_FAILING: Final = 10_000


class Sender:
    """Claims webhooks that are due and sends them; each that is not taken is sent again later.

    Without `WANIMATE_WEBHOOK_SECRET` it does nothing.

    Args:
        runtime: The ledger and the settings; `wake_sender` of it is set while this runs.
        make_client: What posts them.
    """

    def __init__(self, runtime: Runtime, make_client: Callable[[], WebhookClient] | None = None) -> None:
        self._runtime = runtime
        self._make_client = make_client or (lambda: WebhookClient(runtime.settings))
        self._connections = runtime.settings.webhook_connections
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._executor = ThreadPoolExecutor(_REDIS_THREADS, "webhook-ledger")
        # What follows belongs to the loop's thread.
        self._woken = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        #: Webhooks under way, by endpoint.
        self._under_way: Counter[str] = Counter()
        #: Endpoints whose last webhook failed.
        self._failing: set[str] = set()

    def start(self) -> None:
        """Start to send."""
        if self._runtime.settings.webhook_secrets:
            client = self._make_client()
            self._thread = threading.Thread(target=self._run, args=(client,), name="webhooks", daemon=True)
            self._thread.start()
            self._runtime.wake_sender = self.wake

    def wake(self) -> None:
        """Look for webhooks now; any thread may call this."""
        self._call(self._woken.set)

    def stop(self, *, waits: bool = True) -> None:
        """Claim no more webhooks.

        Args:
            waits: Whether to wait for the answers of those under way, each of which has a time-out. Without it they are
                dropped, and sent again when their leases end.
        """
        self._stopping.set()
        self.wake()
        if not waits:
            self._call(self._drop)
        elif self._thread is not None:
            self._thread.join()

    def _run(self, client: WebhookClient) -> None:
        asyncio.run(self._work(client))

    def _call(self, work: Callable[[], object]) -> None:
        # It has not begun, or has ended meanwhile: then there is nothing to tell it.
        if self._loop is not None:
            with suppress(RuntimeError):
                self._loop.call_soon_threadsafe(work)

    def _drop(self) -> None:
        for task in self._tasks:
            task.cancel()

    # -- in the loop --------------------------------------------------------------------------------------------

    async def _work(self, client: WebhookClient) -> None:
        self._loop, is_failing = asyncio.get_running_loop(), False
        while not self._stopping.is_set():
            self._woken.clear()
            found = False
            try:
                found = await self._round(client)
                is_failing = False
            except Exception as error:
                # Said once, not once a second.
                if isinstance(error, RedisError | SettingsError) and not is_failing:
                    log.warning("Redis is unavailable; webhooks are sent later", cause=error)
                elif not is_failing:
                    log.exception("unexpected error; webhooks are sent later")
                is_failing = True
            if not found:
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._woken.wait(), _POLL_SECONDS)
        if self._tasks:
            await asyncio.wait(self._tasks)
        client.close()
        self._executor.shutdown(wait=False)

    async def _round(self, client: WebhookClient) -> bool:
        """Begin to send what is due and there is room for, and return whether there was any."""
        found = False
        for endpoint in await self._in_thread(self._due_endpoints):
            room = self._room_for(endpoint)
            if room <= 0 or self._stopping.is_set():
                continue
            asked = Stopwatch()
            claimed = await self._in_thread(self._outbox().claim, endpoint, room)
            for delivery in claimed.deliveries:
                task = asyncio.create_task(self._send(client, delivery, claimed.claimed_at_ms, asked))
                self._tasks.add(task)
                self._under_way[endpoint] += 1
                task.add_done_callback(partial(self._ended, endpoint))
                found = True
        return found

    def _ended(self, endpoint: str, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._under_way[endpoint] -= 1
        if not self._under_way[endpoint]:
            del self._under_way[endpoint]
        self._woken.set()

    def _room_for(self, endpoint: str) -> int:
        """Return how many webhooks of an endpoint may be sent now; those that fail leave room for the others."""
        room = MAX_SENDS - len(self._tasks)
        if endpoint not in self._failing:
            return room
        of_failing = sum(count for name, count in self._under_way.items() if name in self._failing)
        return min(room, 1 - self._under_way[endpoint], _MAX_FAILING_SENDS - of_failing)

    async def _send(self, client: WebhookClient, delivery: Delivery, claimed_at_ms: int, asked: Stopwatch) -> None:
        if asked.seconds > self._runtime.settings.lease_seconds:
            # Another process may have delivered it, and a later one of the same job.
            log.warning("this worker was frozen; another worker sends the webhook", event_id=delivery.event_id)
            return
        try:
            answer = await client.post(delivery.url, delivery.event_id, _body_of(delivery))
        except Exception as error:
            log.exception("unexpected error; the webhook is retried", event_id=delivery.event_id)
            answer = Answer(f"unexpected error: {type(error).__name__}", 0)
        try:
            await self._record(delivery, answer, claimed_at_ms, asked)
        except RedisError as error:
            event = "Redis is away; the webhook is sent again when its lease ends"
            log.warning(event, event_id=delivery.event_id, job_id=delivery.job_id, cause=error)

    async def _record(self, delivery: Delivery, answer: Answer, claimed_at_ms: int, asked: Stopwatch) -> None:
        outbox, endpoint, now_ms = self._outbox(), delivery.endpoint, claimed_at_ms + round(asked.seconds * 1000)
        first_ms = claimed_at_ms if delivery.first_ms is None else delivery.first_ms
        tried = replace(delivery, attempts=delivery.attempts + 1, first_ms=first_ms, why=answer.why)
        if not answer.why:
            self._failing.discard(endpoint)
            await self._in_thread(outbox.finish, tried)
            _log_delivered(tried, answer)
            return
        if len(self._failing) < _MAX_FAILING:
            self._failing.add(endpoint)
        delay_ms = None
        if not answer.is_gone:
            retry_ms = self._runtime.settings.webhook_retry_seconds * 1000
            chance = random.random()  # noqa: S311 - a delay is no secret
            delay_ms = next_delay_ms(tried.attempts, now_ms - first_ms, retry_ms, answer.retry_after_seconds, chance)
        if await self._in_thread(outbox.fail, tried, delay_ms):
            _log_failed(tried, delay_ms)

    def _outbox(self) -> Outbox:
        return self._runtime.ledger.outbox

    def _due_endpoints(self) -> list[str]:
        outbox = self._outbox()
        outbox.sort()
        return outbox.due_endpoints(_MAX_ENDPOINTS)

    async def _in_thread(self, work: Callable[..., _T], *args: Any) -> _T:
        return await asyncio.get_running_loop().run_in_executor(self._executor, work, *args)


def _body_of(delivery: Delivery) -> bytes:
    """Return the body, which is the same on each try."""
    return orjson.dumps(Event.read(delivery.event_id, delivery.fields).to_webhook())


def _facts(delivery: Delivery) -> dict[str, Any]:
    return {
        "job_id": delivery.job_id,
        "event_id": delivery.event_id,
        "url": shown(delivery.url),
        "attempt": delivery.attempts,
    }


def _log_delivered(delivery: Delivery, answer: Answer) -> None:
    log.info("webhook delivered", **_facts(delivery), seconds=round(answer.seconds, 3))


def _log_failed(delivery: Delivery, delay_ms: int | None) -> None:
    facts = {**_facts(delivery), "cause": delivery.why}
    if delay_ms is None:
        event = "webhook given up; correct its receiver, then run wanimate-worker webhooks replay"
        log.error(event, **facts)
    elif delivery.attempts == 1:
        log.warning("webhook failed; it is retried", **facts, next_try_seconds=round(delay_ms / 1000))
    else:
        log.info("webhook failed again", **facts, next_try_seconds=round(delay_ms / 1000))
