"""Reads a snapshot: a few dozen commands in three round trips, however many jobs wait."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime
from itertools import accumulate
from typing import TYPE_CHECKING, Final, cast

from wanimate.contract import PRIORITY_STEPS, UNACKED_KEY, Keys
from wanimate.contract.durations import Kinds, seconds_until_slot

from ..ledger import AccountLimits, BalanceReading, GateState, Throttle, Throttles
from ..ledger.tally import Sample, Tally
from ..queues import queue_lengths
from ..stops import longest_silence_seconds, stops_of, trouble_of
from .money import read_balance, read_cost
from .snapshot import Band, Budget, Recent, Slots, Snapshot

if TYPE_CHECKING:
    from collections.abc import Sequence

    from redis import Redis

    from ..settings import WorkerSettings

#: However many readers there are, Redis is asked once in this time, in seconds.
_FRESH_SECONDS: Final = 1.0
#: Slots that are looked at for lost records, those held longest.
_CHECKED_SLOTS: Final = 5_000
_EXISTS_BATCH: Final = 1_000
#: The rank of a waiting job is its band times this, and its arrival in Unix seconds (`rank_of` in queue.lua).
_BAND_WIDTH: Final = 10_000_000_000
#: The pace of requests is told from so long a time at least, in seconds.
_SHORTEST_PACE_SECONDS: Final = 15.0
#: What is shown where no worker has filled the limits yet.
_NO_LIMITS: Final = AccountLimits(max_in_flight=0, requests_per_minute=0)


class Reader:
    """Reads snapshots of one account; safe to share between threads.

    Args:
        redis: A connection that decodes responses to `str`.
        settings: The limits, which must be those of the workers.
    """

    def __init__(self, redis: Redis, settings: WorkerSettings) -> None:
        self._redis = redis
        self._settings = settings
        self._keys: Final = Keys(settings.account)
        self._reading = threading.Lock()
        self._last: Snapshot | None = None
        self._read_at = 0.0

    def snapshot(self) -> Snapshot:
        """Return a snapshot that is at most a second old.

        Raises:
            RedisError: Redis is away.
        """
        with self._reading:
            if self._last is None or time.monotonic() > self._read_at + _FRESH_SECONDS:
                self._last = self.read()
                self._read_at = time.monotonic()
            return self._last

    def read(self) -> Snapshot:
        """Read a snapshot.

        Raises:
            RedisError: Redis is away.
        """
        settings, keys = self._settings, self._keys
        bands = range(len(PRIORITY_STEPS))
        with self._redis.pipeline(transaction=False) as pipeline:
            pipeline.time()
            for band in bands:
                pipeline.zcount(keys.waiting, band * _BAND_WIDTH, f"({(band + 1) * _BAND_WIDTH}")
            for band in bands:
                span = (band * _BAND_WIDTH, f"({(band + 1) * _BAND_WIDTH}")
                pipeline.zrangebyscore(keys.waiting, *span, start=0, num=1, withscores=True)
            pipeline.zcard(keys.slots)
            pipeline.zrange(keys.slots, 0, _CHECKED_SLOTS - 1)
            pipeline.zrange(keys.due, 0, 0, withscores=True)
            pipeline.zcard(keys.parked)
            pipeline.zcard(keys.unknown)
            pipeline.zrange(keys.unknown, 0, 0, withscores=True)
            pipeline.zcard(keys.failed)
            pipeline.llen(keys.dead)
            pipeline.hlen(UNACKED_KEY)
            pipeline.get(keys.tick)
            hashes = (keys.limits, keys.gate, keys.tally, keys.billed, keys.spent, keys.balance, keys.durations)
            for key in (*hashes, keys.answered):
                pipeline.hgetall(key)
            pipeline.lrange(keys.throttles, 0, -1)
            pipeline.zrevrange(keys.samples, 0, 1)
            pipeline.zrange(keys.samples, 0, 0)
            (seconds, micros), *answers = pipeline.execute()
        counts, heads, rest = answers[: len(bands)], answers[len(bands) : 2 * len(bands)], answers[2 * len(bands) :]
        used, slot_ids, due, parked, unknown, oldest_unknown, failed, dead, held, tick, *stored = rest
        limit_fields, gate_fields, tally_fields, billed, spent, balance, durations, *stored = stored
        answered, throttles, newest, oldest = stored
        now_ms = int(seconds) * 1000 + int(micros) // 1000
        gate, tally = GateState.read(gate_fields), Tally.read(tally_fields)
        limits = AccountLimits.read(limit_fields) or _NO_LIMITS
        seen = Throttles(map(Throttle.read, throttles), answered, now_ms)
        stops = stops_of(gate, now_ms)
        mean_seconds = Kinds.read(durations).mean_seconds
        beat_age = None if tick is None else max(0, now_ms - int(tick)) / 1000
        is_polling = beat_age is not None and beat_age <= longest_silence_seconds(settings.poll_tick_seconds)
        # Nothing can be said about when a waiting job will end while none is sent, however soon that may be over.
        in_flight = used if is_polling and not stops else 0
        return Snapshot(
            account=settings.account,
            at=datetime.fromtimestamp(now_ms / 1000, tz=UTC),
            slots=Slots(
                used, limits.max_in_flight, gate.effective_cap(limits.max_in_flight, now_ms), self._lost(slot_ids)
            ),
            bands=_bands(counts, heads, now_ms, in_flight, mean_seconds),
            parked=parked,
            due_lag_seconds=_age(due, now_ms) or 0.0,
            unknown=unknown,
            unknown_oldest_seconds=_age(oldest_unknown, now_ms),
            failed=failed,
            dead_letters=dead,
            queues=queue_lengths(self._redis),
            held_messages=held,
            stops=tuple(stops),
            trouble=trouble_of(gate, now_ms),
            budget=_budget(limits.requests_per_minute, tally, newest, now_ms),
            recent=_recent(tally, oldest, now_ms),
            fitting=seen.fitting(limits),
            since_ever=tally,
            cost=read_cost(billed, spent, limits, now_ms),
            balance=read_balance(BalanceReading.read(balance), limits, now_ms),
            beat_age_seconds=beat_age,
            is_polling=is_polling,
            mean_seconds=mean_seconds,
        )

    def _lost(self, job_ids: Sequence[str]) -> int:
        """Return how many of these jobs have no record."""
        with self._redis.pipeline(transaction=False) as pipeline:
            for start in range(0, len(job_ids), _EXISTS_BATCH):
                pipeline.exists(*map(self._keys.job, job_ids[start : start + _EXISTS_BATCH]))
            return len(job_ids) - sum(cast("list[int]", pipeline.execute()))


def _bands(
    counts: Sequence[int],
    heads: Sequence[list[tuple[str, float]]],
    now_ms: int,
    in_flight: int,
    mean_seconds: float,
) -> tuple[Band, ...]:
    found = []
    for number, (count, head, place) in enumerate(zip(counts, heads, accumulate(counts), strict=True)):
        first, following = PRIORITY_STEPS[number], [*PRIORITY_STEPS, 10][number + 1]
        until_slot = seconds_until_slot(place, in_flight, mean_seconds) if count else None
        found.append(
            Band(
                priorities=str(first) if following == first + 1 else f"{first}-{following - 1}",
                waiting=count,
                oldest_seconds=max(0.0, now_ms / 1000 - (head[0][1] - number * _BAND_WIDTH)) if head else None,
                eta_seconds=None if until_slot is None else until_slot + mean_seconds,
            )
        )
    return tuple(found)


def _age(head: list[tuple[str, float]], now_ms: int) -> float | None:
    """Return the age in seconds of the first of a sorted set whose scores are times in ms; None if it is empty."""
    return max(0.0, now_ms - head[0][1]) / 1000 if head else None


def _budget(limit: int, tally: Tally, newest: Sequence[str], now_ms: int) -> Budget:
    """Return the pace of requests since the newest copy of the counts that is old enough to tell one."""
    samples = [Sample.read(stored) for stored in newest]
    if not samples:
        return Budget(limit, 0.0, 0.0)
    old = (sample for sample in samples if now_ms - sample.at_ms >= _SHORTEST_PACE_SECONDS * 1000)
    sample = next(old, samples[-1])
    new, minutes = tally.since(sample.tally), max(now_ms - sample.at_ms, 1000) / 60_000
    return Budget(limit, new.submits / minutes, new.polls / minutes)


def _recent(tally: Tally, oldest: Sequence[str], now_ms: int) -> Recent | None:
    if not oldest:
        return None
    sample = Sample.read(oldest[0])
    return Recent(max(0, now_ms - sample.at_ms) / 1000, tally.since(sample.tally))
