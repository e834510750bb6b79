"""Sends messages to Redis and reads jobs and results from it."""

from __future__ import annotations

import os
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, Generic, NamedTuple, TypeVar

from .. import messages
from ..contract import CLAIM_TTL_MS, DATABASE_KEY, AnimateJob, Keys, Stage
from ..contract.cost import Prices
from ..errors import ClientClosed, IdempotencyConflict, QueueUnavailable, SettingsError
from .presence import Presence, find_jobs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from ..messages import Entry, Message
    from ..settings import Settings

T = TypeVar("T")

#: Keys read in one command.
_READ_SIZE: Final = 500


class Standing(NamedTuple):
    """The existence and the outcome of a job in the ledger."""

    #: Whether the job has a record or a slot, or this library has enqueued it.
    is_known: bool
    #: The outcome in its record, once delivered.
    outcome: str | None


class Record(NamedTuple):
    """The stored data of one job, and the data to estimate its end."""

    #: Its hash; empty if it has none.
    fields: Mapping[str, str]
    #: Its zero-based position in the queue; None if it does not wait.
    rank: int | None
    has_slot: bool
    #: Celery's result.
    stored_result: str | None
    #: Whether this library has enqueued it and no worker has recorded it yet.
    is_enqueued: bool
    #: The time of Redis, in Unix ms.
    now_ms: int
    #: Slots in use.
    in_flight: int
    #: As in `JobStatus`.
    blocked_by: str | None
    #: The histogram of durations.
    durations: Mapping[str, str]
    prices: Prices


class PerProcess(Generic[T]):
    """One value per process: a forked child cannot use the threads or connections of its parent."""

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        # The parent's value stays: deleting it in the child might close shared connections.
        self._values: dict[int, T] = {}

    def get(self) -> T:
        """Return the value of this process."""
        value = self._values.get(os.getpid())
        # `setdefault` is atomic: concurrent threads get the same value.
        return self._values.setdefault(os.getpid(), self._make()) if value is None else value


class Store:
    """A connection pool per process, safe to share between threads, that connects on first use.

    Every method raises `QueueUnavailable` if Redis cannot be reached or refuses the command, `ClientClosed` after
    `close()`, and `SettingsError` if the database belongs to another account.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.address = settings.address
        self.is_closed = False
        self.keys = Keys(settings.account)
        self._redis: PerProcess[Any] = PerProcess(self._connect)
        # Imports redis-py now, not in the first call.
        self._redis.get()
        _prepare()
        self._knows_owner = False

    def enqueue(self, entries: list[Entry]) -> None:
        """Bind the idempotency keys of jobs to their requests, then enqueue the jobs with one message.

        A crash between the two steps is safe: a new call enqueues the same ids, and workers drop recorded ids.

        Raises:
            IdempotencyConflict: A key belongs to a different request.
        """
        self._claim([entry for entry in entries if entry.job.idempotency_key is not None])
        self.publish(messages.enqueue(entries))

    def publish(self, message: Message) -> None:
        """Push a message to its queue, and record in the same transaction that its jobs are enqueued.

        Sending it twice after a lost connection is safe: workers drop recorded job ids.
        """
        with self.exchange() as redis, redis.pipeline(transaction=bool(message.job_ids)) as pipeline:
            if message.job_ids:
                pipeline.zadd(self.keys.enqueued, dict.fromkeys(message.job_ids, round(time.time() * 1000)))
                pipeline.expire(self.keys.enqueued, self.settings.result_ttl_seconds)
            pipeline.lpush(message.list_name, message.text)
            pipeline.execute()

    def _claim(self, keyed: list[Entry]) -> None:
        """Bind idempotency keys to their requests; raise an error for keys of other requests.

        A key stays bound until its job's result expires, or for `CLAIM_TTL_MS` if no worker delivers the job.
        """
        if not keyed:
            return
        requests = [entry.job.fingerprint() for entry in keyed]
        with self.exchange() as redis, redis.pipeline(transaction=False) as pipeline:
            for entry, request in zip(keyed, requests, strict=True):
                key = self.keys.idempotency(entry.job_id)
                pipeline.hmget(self.keys.job(entry.job_id), "stage", "fingerprint")
                pipeline.set(key, request, nx=True, px=CLAIM_TTL_MS)
                pipeline.get(key)
            answers = pipeline.execute()
        for entry, request, (stage, recorded), claimed in zip(
            keyed, requests, answers[::3], answers[2::3], strict=True
        ):
            is_at_work = stage not in {None, Stage.DELIVERED.value}
            # A key that expired between the two commands is free.
            if ((recorded if is_at_work else None) or claimed or request) != request:
                raise IdempotencyConflict(
                    f"idempotency key {entry.job.idempotency_key!r} belongs to a different request, of job "
                    f"{entry.job_id}: use a new key for a new request, or send the first request to get its job"
                )

    def results(self, task_ids: Sequence[str]) -> list[str | None]:
        """Return Celery's stored results; None for tasks without one."""
        stored: list[str | None] = []
        with self.exchange() as redis:
            for start in range(0, len(task_ids), _READ_SIZE):
                stored += redis.mget([_result_key(task_id) for task_id in task_ids[start : start + _READ_SIZE]])
        return stored

    def record(self, job_id: str) -> Record:
        """Return the stored data of one job."""
        with self.exchange() as redis, redis.pipeline(transaction=False) as pipeline:
            # Before the record: a worker that records the job removes it from this set.
            pipeline.zscore(self.keys.enqueued, job_id)
            pipeline.hgetall(self.keys.job(job_id))
            pipeline.zrank(self.keys.waiting, job_id)
            pipeline.zscore(self.keys.slots, job_id)
            pipeline.zscore(self.keys.parked, job_id)
            pipeline.get(_result_key(job_id))
            pipeline.time()
            pipeline.zcard(self.keys.slots)
            pipeline.hgetall(self.keys.account)
            pipeline.hgetall(self.keys.durations)
            enqueued, fields, rank, slot, parked, stored_result, *others = pipeline.execute()
        (seconds, micros), in_flight, account, durations = others
        now_ms = int(seconds) * 1000 + int(micros) // 1000
        return Record(
            fields,
            rank,
            slot is not None,
            stored_result,
            enqueued is not None,
            now_ms,
            in_flight,
            _block(account, now_ms) or (None if parked is None else "retry"),
            durations,
            Prices.read(account),
        )

    def standings(self, job_ids: Sequence[str]) -> list[Standing]:
        """Return whether jobs exist, and the outcomes of ended ones, which Celery may not have."""
        rows: list[Any] = []
        for start in range(0, len(job_ids), _READ_SIZE):
            with self.exchange() as redis, redis.pipeline(transaction=False) as pipeline:
                for job_id in job_ids[start : start + _READ_SIZE]:
                    # In this order: a worker that records a job removes it from the first.
                    pipeline.zscore(self.keys.enqueued, job_id)
                    pipeline.zscore(self.keys.slots, job_id)
                    pipeline.hmget(self.keys.job(job_id), "stage", "outcome")
                rows += pipeline.execute()
        return [
            Standing(
                not (enqueued is None and slot is None and stage is None),
                outcome if stage == Stage.DELIVERED else None,
            )
            for enqueued, slot, (stage, outcome) in zip(rows[::3], rows[1::3], rows[2::3], strict=True)
        ]

    def absent(self, job_ids: Sequence[str]) -> list[str]:
        """Return the jobs that certainly do not exist, not even as a message of other Celery code."""
        if not job_ids:
            return []
        with self.exchange() as redis:
            found = find_jobs(redis, self.keys, job_ids)
        return [job_id for job_id, presence in found.items() if presence is Presence.ABSENT]

    def prices(self) -> Prices:
        """Return the prices that the operator has set."""
        with self.exchange() as redis:
            return Prices.read(redis.hgetall(self.keys.account))

    def at_work(self) -> tuple[frozenset[str], frozenset[str]]:
        """Return the ids of the jobs that hold a slot, and of those whose videos are being copied."""
        with self.exchange() as redis, redis.pipeline(transaction=True) as pipeline:
            for key in (self.keys.slots, self.keys.keeping, self.keys.keeping_later):
                pipeline.zrange(key, 0, -1)
            slots, keeping, later = pipeline.execute()
        # A member of the last one is when the vendor stops serving the video, and the job.
        return frozenset(slots), frozenset((*keeping, *(member.partition(" ")[2] for member in later)))

    def delete_result(self, task_id: str) -> None:
        """Delete a stored result."""
        with self.exchange() as redis:
            redis.delete(_result_key(task_id))

    def close(self) -> None:
        """Close all connections; the queue is not affected."""
        self.is_closed = True
        self._redis.get().connection_pool.disconnect()

    def _connect(self) -> Any:
        # Not at the top of the file: importing redis-py takes 0.1 s, which `import wanimate` avoids.
        from redis import Redis
        from redis.backoff import EqualJitterBackoff
        from redis.exceptions import ConnectionError as RedisConnectionError
        from redis.retry import Retry

        from .transport import connection_pool

        # redis-py would retry ten times; the caller should get the error within seconds. One retry for a connection
        # that the server has closed, none after a timeout.
        retry = Retry(EqualJitterBackoff(base=0.05, cap=0.5), 1, supported_errors=(RedisConnectionError,))
        return Redis(connection_pool=connection_pool(self.settings, retry=retry))

    @contextmanager
    def exchange(self) -> Iterator[Any]:
        """Return a redis-py client for a block, and convert its errors."""
        if self.is_closed:
            raise ClientClosed(CLOSED)
        try:
            redis = self._redis.get()
            if not self._knows_owner:
                self._check_owner(redis)
            yield redis
        except Exception as error:
            if self.is_closed:
                # Connections that another thread closes raise various errors.
                raise ClientClosed(CLOSED) from error
            from redis.exceptions import RedisError

            if isinstance(error, (RedisError, OSError)):
                raise QueueUnavailable(self._explain(error)) from error
            raise

    def _check_owner(self, redis: Any) -> None:
        """Check once that this database belongs to our account: its workers submit and pay for all queued jobs."""
        owner, account = redis.get(DATABASE_KEY), self.settings.account
        if owner not in {None, account}:
            raise SettingsError(
                f"WANIMATE_ACCOUNT: the Redis database at {self.address} belongs to the account {owner!r}, not "
                f"{account!r}: correct WANIMATE_ACCOUNT, or use another database in WANIMATE_REDIS_URL"
            )
        # There is no owner before the first worker starts: check again.
        self._knows_owner = owner is not None

    def _explain(self, error: Exception) -> str:
        reason = " ".join(str(error).split()) or type(error).__name__
        reason = self.address.without_secrets(reason)
        return f"cannot reach Redis at {self.address} ({reason}): check WANIMATE_REDIS_URL, the server, and the network"


def _prepare() -> None:
    """Do now what first use does under a lock: a child forked during it would wait for the lock indefinitely."""
    # Imported by connecting.
    import encodings.idna  # noqa: F401

    # pydantic builds the serializer of all models in its first run.
    AnimateJob(image_url="http://host", video_url="http://host").to_kwargs()


#: The message when a client is used after `close()`.
CLOSED: Final = "the client is closed: create a new one"


def _block(account: Mapping[str, str], now_ms: int) -> str | None:
    """Return the first reason that blocks submissions, in the order of `may_submit` in the ledger's Lua."""

    def is_ahead(name: str) -> bool:
        return int(account.get(name, 0)) > now_ms

    is_open, opened_for = "breaker_next_ms" in account, account.get("breaker_for")
    blocks = {
        "suspended": "suspended" in account,
        "paused": "paused" in account,
        "daily_limit": is_ahead("limited_until_ms"),
        "balance": "low_balance_need" in account,
        "back_off": is_ahead("closed_until_ms"),
        "unsafe": is_ahead("unsafe_until_ms"),
        "refused": is_open and opened_for == "refused",
        # After a suspension the first probe is due at once, so that nothing is blocked.
        "probe": is_open and (opened_for != "suspended" or is_ahead("breaker_next_ms")),
    }
    return next((name for name, is_so in blocks.items() if is_so), None)


def _result_key(task_id: str) -> str:
    return f"celery-task-meta-{task_id}"
