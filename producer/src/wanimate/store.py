"""Sends messages and reads jobs and results, straight to and from Redis."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

from redis import Redis
from redis.backoff import EqualJitterBackoff
from redis.exceptions import ConnectionError  # noqa: A004 - not the builtin, which redis-py does not raise
from redis.retry import Retry

from .contract import CLAIM_TTL_MS, DATABASE_KEY, Keys, Stage
from .contract.cost import Prices
from .effects import Presence, Record, Standing
from .presence import look_for
from .transport import connection_pool

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .messages import Message
    from .settings import Settings

_READ_SIZE: Final = 500
#: What tells in the gate's hash why nothing is submitted, in the order of `_block`.
_GATE_FIELDS: Final = (
    *("paused", "held", "limited_until_ms", "low_balance_need", "closed_until_ms", "unsafe_until_ms"),
    *("trial_at_ms", "trial_for"),
)


class Store:
    """One pool of connections to Redis; safe to share between threads."""

    def __init__(self, settings: Settings) -> None:
        self._keys = Keys(settings.account)
        self._result_ttl_seconds = settings.result_ttl_seconds
        pool = connection_pool(
            settings,
            # redis-py would try ten times: a caller is told within seconds instead. One retry, for a connection that
            # the server has closed; none after a time-out, which has taken long enough.
            retry=Retry(EqualJitterBackoff(base=0.05, cap=0.5), 1, supported_errors=(ConnectionError,)),
        )
        # Redis(connection_pool=…) leaves the pool to its maker, who closes it.
        self._pool = pool
        self._redis: Any = Redis(connection_pool=pool)

    def publish(self, message: Message) -> None:
        """Put a message into its queue, and note in the same transaction that its jobs are enqueued.

        Sending it twice, after a lost connection, is harmless: workers drop a job id that they have recorded.
        """
        with self._redis.pipeline(transaction=bool(message.job_ids)) as pipeline:
            if message.job_ids:
                pipeline.zadd(self._keys.enqueued, dict.fromkeys(message.job_ids, round(time.time() * 1000)))
                pipeline.expire(self._keys.enqueued, self._result_ttl_seconds)
            pipeline.lpush(message.list_name, message.text)
            pipeline.execute()

    def owner(self) -> str | None:
        """Return the account that this database belongs to; None until its first worker has started."""
        owner: str | None = self._redis.get(DATABASE_KEY)
        return owner

    def remember(self, fingerprints: Sequence[tuple[str, str]]) -> list[str]:
        """Remember the requests of keys that are not in use yet, and return what each key is used for.

        A key is in use from here until its job's result expires, which workers see to. Should no worker ever see the
        job, it is for `CLAIM_TTL_MS`.
        """
        pipeline = self._redis.pipeline(transaction=False)
        for job_id, fingerprint in fingerprints:
            key = self._keys.idempotency(job_id)
            pipeline.hmget(self._keys.job(job_id), "stage", "fingerprint")
            pipeline.set(key, fingerprint, nx=True, px=CLAIM_TTL_MS)
            pipeline.get(key)
        answers = pipeline.execute()
        used: list[str] = []
        for (stage, recorded), claimed, (_, ours) in zip(answers[::3], answers[2::3], fingerprints, strict=True):
            # A claim that expired between the two commands was for this very request to make.
            is_at_work = stage not in {None, Stage.DELIVERED.value}
            used.append((recorded if is_at_work else None) or claimed or ours)
        return used

    def results(self, task_ids: Sequence[str]) -> list[str | None]:
        """Return Celery's stored results, None where there is none."""
        stored: list[str | None] = []
        for start in range(0, len(task_ids), _READ_SIZE):
            stored += self._redis.mget([_result_key(task_id) for task_id in task_ids[start : start + _READ_SIZE]])
        return stored

    def record(self, job_id: str) -> Record:
        """Return everything that is stored about one job, read in one exchange."""
        pipeline = self._redis.pipeline(transaction=False)
        # Before the record: a worker that records the job takes it out of this set.
        pipeline.zscore(self._keys.enqueued, job_id)
        pipeline.hgetall(self._keys.job(job_id))
        pipeline.zrank(self._keys.waiting, job_id)
        pipeline.zscore(self._keys.slots, job_id)
        pipeline.zscore(self._keys.parked, job_id)
        pipeline.get(_result_key(job_id))
        pipeline.time()
        pipeline.zcard(self._keys.slots)
        pipeline.hmget(self._keys.gate, *_GATE_FIELDS)
        pipeline.hgetall(self._keys.durations)
        pipeline.hmget(self._keys.limits, *Prices.names())
        enqueued, fields, rank, slot, parked, stored_result, *others = pipeline.execute()
        time, in_flight, stops, durations, prices = others
        seconds, micros = time
        now_ms = int(seconds) * 1000 + int(micros) // 1000
        return Record(
            fields,
            rank,
            slot is not None,
            stored_result,
            is_enqueued=enqueued is not None,
            now_ms=now_ms,
            in_flight=in_flight,
            blocked_by=_block(stops, now_ms) or (None if parked is None else "retry"),
            durations=durations,
            prices=Prices.read(dict(zip(Prices.names(), prices, strict=True))),
        )

    def standings(self, job_ids: Sequence[str]) -> list[Standing]:
        """Return whether jobs are known, and how those ended whose results Celery may not have."""
        rows: list[Any] = []
        for start in range(0, len(job_ids), _READ_SIZE):
            pipeline = self._redis.pipeline(transaction=False)
            for job_id in job_ids[start : start + _READ_SIZE]:
                # In this order: a worker that records a job takes it out of the first.
                pipeline.zscore(self._keys.enqueued, job_id)
                pipeline.zscore(self._keys.slots, job_id)
                pipeline.hmget(self._keys.job(job_id), "stage", "outcome")
            rows += pipeline.execute()
        return [_standing(*row) for row in zip(rows[::3], rows[1::3], rows[2::3], strict=True)]

    def look_for(self, job_ids: Sequence[str]) -> dict[str, Presence]:
        """Return for each job whether there is anything of it, be it a message that other Celery code has sent."""
        return look_for(self._redis, self._keys, job_ids)

    def prices(self) -> Prices:
        """Return what a billed second costs, as far as the operator has said."""
        amounts = self._redis.hmget(self._keys.limits, *Prices.names())
        return Prices.read(dict(zip(Prices.names(), amounts, strict=True)))

    def slots(self) -> frozenset[str]:
        """Return the ids of the jobs that hold an upstream slot."""
        return frozenset(self._redis.zrange(self._keys.slots, 0, -1))

    def forget(self, task_id: str) -> None:
        """Delete a stored result."""
        self._redis.delete(_result_key(task_id))

    def close(self) -> None:
        """Close every connection."""
        self._redis.close()
        self._pool.disconnect()


def _block(stops: Sequence[str | None], now_ms: int) -> str | None:
    paused, held, limited_until_ms, low_balance_need, closed_until_ms, unsafe_until_ms, trial_at_ms, trial_for = stops
    blocks = {
        "paused": paused is not None,
        "held": held is not None,
        "daily_limit": int(limited_until_ms or 0) > now_ms,
        "balance": low_balance_need is not None,
        "back_off": int(closed_until_ms or 0) > now_ms,
        "unsafe": int(unsafe_until_ms or 0) > now_ms,
        "refused": trial_at_ms is not None and trial_for == "refused",
        # After a suspension the first one is tried at once: it blocks nothing that would be sent now.
        "trial": trial_at_ms is not None and (trial_for != "suspended" or int(trial_at_ms) > now_ms),
    }
    return next((name for name, is_so in blocks.items() if is_so), None)


def _standing(enqueued: float | None, slot: float | None, fields: Sequence[str | None]) -> Standing:
    stage, outcome = fields
    is_known = not (enqueued is None and slot is None and stage is None)
    return Standing(is_known, outcome if stage == Stage.DELIVERED else None)


def _result_key(task_id: str) -> str:
    return f"celery-task-meta-{task_id}"
