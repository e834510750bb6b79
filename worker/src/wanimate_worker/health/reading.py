"""Reads a snapshot: a few dozen commands in a few round trips, however many jobs wait."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from datetime import date, timedelta
from itertools import accumulate
from typing import TYPE_CHECKING, Any, Final

from wanimate.contract import PRIORITY_STEPS, UNACKED_KEY, Keys
from wanimate.contract.durations import Kinds, seconds_until_slot

from ..ledger import AccountLimits, BalanceReading, GateState, Ledger, LedgerLimits, Throttle, Throttles
from ..ledger.counters import Counters, Sample
from ..queues import queue_lengths
from .breakdown import break_down
from .snapshot import Band, Budget, Days, Recent, Slots, Snapshot
from .verdict import is_submitting

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from redis import Redis

    from ..settings import WorkerSettings

#: Redis is read at most once in this time, whatever the number of readers, in seconds.
_FRESH_SECONDS: Final = 1.0
#: Slots that are checked for lost records, those held longest.
_CHECKED_SLOTS: Final = 5_000
_EXISTS_BATCH: Final = 1_000
#: Jobs of a kind that a snapshot names.
_NAMED_JOBS: Final = 5
#: The rank of a waiting job is its band times this, and its arrival in Unix seconds (`rank_of` in queue.lua).
_BAND_WIDTH: Final = 10_000_000_000
#: The pace of requests is measured over at least this time, in seconds.
_MIN_PACE_SECONDS: Final = 15.0
_EPOCH: Final = date(1970, 1, 1)
_DAY_MS: Final = 86_400_000
#: Shown until a worker has set the limits.
_NO_LIMITS: Final = AccountLimits(max_in_flight=0, requests_per_minute=0)


class Reader:
    """Reads snapshots of one account; safe to share between threads.

    Args:
        redis: A connection that decodes responses to `str`.
        settings: The workers' settings.
    """

    def __init__(self, redis: Redis, settings: WorkerSettings) -> None:
        self._redis = redis
        self._settings = settings
        self._keys: Final = Keys(settings.account)
        self._ledger: Final = Ledger(redis, settings.account, LedgerLimits())
        self._reading = threading.Lock()
        self._last: Snapshot | None = None
        self._read_at = 0.0

    def snapshot(self) -> Snapshot:
        """Return a snapshot that is at most a second old.

        Raises:
            RedisError: Redis does not answer.
        """
        with self._reading:
            if self._last is None or time.monotonic() > self._read_at + _FRESH_SECONDS:
                self._last = self.read()
                self._read_at = time.monotonic()
            return self._last

    def read(self) -> Snapshot:
        """Read a snapshot.

        Raises:
            RedisError: Redis does not answer.
        """
        keys, settings = self._keys, self._settings
        with self._redis.pipeline(transaction=False) as pipeline:
            asked = {
                "time": pipeline.time(),
                "account": pipeline.hgetall(keys.account),
                "slots": pipeline.zcard(keys.slots),
                "slot_ids": pipeline.zrange(keys.slots, 0, _CHECKED_SLOTS - 1),
                "due": pipeline.zrange(keys.due, 0, 0, withscores=True),
                "parked": pipeline.zcard(keys.parked),
                "unknown": pipeline.zcard(keys.unknown),
                "first_unknown": pipeline.zrange(keys.unknown, 0, _NAMED_JOBS - 1, withscores=True),
                "failed": pipeline.zcard(keys.failed),
                "dead": pipeline.llen(keys.dead),
                "held": pipeline.hlen(UNACKED_KEY),
                "tick": pipeline.get(keys.tick),
                "counters": pipeline.hgetall(keys.counters),
                "newest": pipeline.zrevrange(keys.samples, 0, 1),
                "oldest": pipeline.zrange(keys.samples, 0, 0),
                "throttles": pipeline.lrange(keys.throttles, 0, -1),
                "answered": pipeline.hgetall(keys.answered),
                "billed": pipeline.hgetall(keys.billed),
                "spent": pipeline.hgetall(keys.spent),
                "balance": pipeline.hgetall(keys.balance),
                "durations": pipeline.hgetall(keys.durations),
            }
            got: dict[str, Any] = dict(zip(asked, pipeline.execute(), strict=True))
        seconds, micros = got["time"]
        now_ms = int(seconds) * 1000 + int(micros) // 1000
        limits, counters = AccountLimits.read(got["account"]) or _NO_LIMITS, Counters.read(got["counters"])
        lost = self._without_record(got["slot_ids"])
        has_money = got["spent"] or limits.has_prices
        snapshot = Snapshot(
            account=settings.account,
            at_ms=now_ms,
            limits=limits,
            slots=Slots(got["slots"], limits.max_in_flight, self._ledger.gate.cap(), len(lost)),
            bands=self._bands(now_ms),
            parked=got["parked"],
            due_lag_seconds=_age(got["due"], now_ms) or 0.0,
            unknown=got["unknown"],
            unknown_ids=tuple(job_id for job_id, _ in got["first_unknown"]),
            unknown_oldest_seconds=_age(got["first_unknown"], now_ms),
            unknown_after_seconds=settings.unknown_after_seconds,
            lost_ids=tuple(lost[:_NAMED_JOBS]),
            failed=got["failed"],
            dead_letters=got["dead"],
            queues=queue_lengths(self._redis),
            held_messages=got["held"],
            gate=GateState.read(got["account"]),
            budget=_budget(limits.requests_per_minute, counters, got["newest"], now_ms),
            recent=_recent(counters, got["oldest"], now_ms),
            fitting=Throttles(map(Throttle.read, got["throttles"]), got["answered"], now_ms).fitting(limits),
            total=counters,
            billed=_days(got["billed"], now_ms, limits.daily_billed_seconds, unit=1000),
            money=_days(got["spent"], now_ms, limits.daily_billed_micro_usd) if has_money else None,
            labels=break_down(
                _labels_of_today(got["billed"], now_ms, unit=1000),
                _labels_of_today(got["spent"], now_ms) if has_money else None,
            ),
            balance=BalanceReading.read(got["balance"]),
            copies=self._ledger.keeps.backlog(),
            webhooks=self._ledger.outbox.backlog(),
            beat_age_seconds=None if got["tick"] is None else max(0, now_ms - int(got["tick"])) / 1000,
            poll_tick_seconds=settings.poll_tick_seconds,
            mean_seconds=Kinds.read(got["durations"]).mean_seconds,
        )
        # While no jobs are submitted there is no ETA.
        return replace(snapshot, bands=_with_eta(snapshot)) if is_submitting(snapshot) else snapshot

    def _bands(self, now_ms: int) -> tuple[Band, ...]:
        with self._redis.pipeline(transaction=False) as pipeline:
            for number in range(len(PRIORITY_STEPS)):
                span = (number * _BAND_WIDTH, f"({(number + 1) * _BAND_WIDTH}")
                pipeline.zcount(self._keys.waiting, *span)
                pipeline.zrangebyscore(self._keys.waiting, *span, start=0, num=1, withscores=True)
            answers = pipeline.execute()
        found = []
        for number, (first, following) in enumerate(zip(PRIORITY_STEPS, [*PRIORITY_STEPS[1:], 10], strict=True)):
            count, head = answers[2 * number : 2 * number + 2]
            priorities = str(first) if following == first + 1 else f"{first}-{following - 1}"
            oldest = max(0.0, now_ms / 1000 - (head[0][1] - number * _BAND_WIDTH)) if head else None
            found.append(Band(priorities, count, oldest))
        return tuple(found)

    def _without_record(self, job_ids: Sequence[str]) -> list[str]:
        with self._redis.pipeline(transaction=False) as pipeline:
            for start in range(0, len(job_ids), _EXISTS_BATCH):
                pipeline.exists(*map(self._keys.job, job_ids[start : start + _EXISTS_BATCH]))
            if len(job_ids) == sum(pipeline.execute()):
                return []
            for job_id in job_ids:
                pipeline.exists(self._keys.job(job_id))
            return [job_id for job_id, exists in zip(job_ids, pipeline.execute(), strict=True) if not exists]


def _with_eta(snapshot: Snapshot) -> tuple[Band, ...]:
    places = accumulate(band.waiting for band in snapshot.bands)
    until = (seconds_until_slot(place, snapshot.slots.used, snapshot.mean_seconds) for place in places)
    return tuple(
        replace(band, eta_seconds=seconds + snapshot.mean_seconds) if band.waiting and seconds is not None else band
        for band, seconds in zip(snapshot.bands, until, strict=True)
    )


def _age(head: Sequence[tuple[str, float]], now_ms: int) -> float | None:
    """Return the age in seconds of the first of a sorted set whose scores are times in ms; None if it is empty."""
    return max(0.0, now_ms - head[0][1]) / 1000 if head else None


def _budget(limit: int, counters: Counters, newest: Sequence[str], now_ms: int) -> Budget:
    """Return the pace of requests since the newest copy of the counts that is old enough for one."""
    samples = [Sample.read(stored) for stored in newest]
    if not samples:
        return Budget(limit, 0.0, 0.0)
    old = (sample for sample in samples if now_ms - sample.at_ms >= _MIN_PACE_SECONDS * 1000)
    sample = next(old, samples[-1])
    new, minutes = counters.since(sample.counters), max(now_ms - sample.at_ms, 1000) / 60_000
    return Budget(limit, new.submits / minutes, new.polls / minutes)


def _recent(counters: Counters, oldest: Sequence[str], now_ms: int) -> Recent | None:
    if not oldest:
        return None
    sample = Sample.read(oldest[0])
    return Recent(max(0, now_ms - sample.at_ms) / 1000, counters.since(sample.counters))


def _days(counts: Mapping[str, str], now_ms: int, limit: float | None, unit: int = 1) -> Days:
    """Return what is billed.

    Args:
        counts: The hash: by day, and by day and label.
        now_ms: The current time, in Redis time.
        limit: The day's, in units.
        unit: How much of what is counted makes one unit.
    """
    days = sorted((int(field) for field in counts if field.isdecimal()), reverse=True)
    by_day = {(_EPOCH + timedelta(day)).isoformat(): max(0, int(counts[str(day)])) / unit for day in days}
    return Days(max(0, int(counts.get(str(now_ms // _DAY_MS), 0))) / unit, limit, by_day)


def _labels_of_today(counts: Mapping[str, str], now_ms: int, unit: int = 1) -> dict[str, float]:
    """Return what is billed today by label."""
    today = f"{now_ms // _DAY_MS} "
    fields = (field for field in counts if field.startswith(today))
    return {field.removeprefix(today): max(0, int(counts[field])) / unit for field in fields}
