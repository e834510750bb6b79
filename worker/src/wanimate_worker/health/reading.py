"""Reads a snapshot: a few dozen commands in three round trips, however many jobs wait."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from datetime import UTC, datetime
from itertools import accumulate
from typing import TYPE_CHECKING, Final, cast

from wanimate.contract import PRIORITY_STEPS, UNACKED_KEY, Keys
from wanimate.contract.durations import Kinds, seconds_until_slot

from ..ledger import AccountLimits, BalanceReading, GateState, Ledger, LedgerLimits, Throttle, Throttles
from ..ledger.tally import Sample, Tally
from ..queues import queue_lengths
from .snapshot import Balance, Band, Budget, Cost, Days, Recent, Slots, Snapshot
from .verdict import is_submitting

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from redis import Redis

    from ..settings import WorkerSettings

#: However many readers there are, Redis is asked once in this time, in seconds.
_FRESH_SECONDS: Final = 1.0
#: Slots that are checked for lost records, those held longest.
_CHECKED_SLOTS: Final = 5_000
_EXISTS_BATCH: Final = 1_000
#: Jobs of a kind that a snapshot names.
_NAMED_JOBS: Final = 5
#: Labels that have a figure of their own in a snapshot.
_SHOWN_LABELS: Final = 20
#: The rank of a waiting job is its band times this, and its arrival in Unix seconds (`rank_of` in queue.lua).
_BAND_WIDTH: Final = 10_000_000_000
#: The pace of requests is measured over at least this time, in seconds.
_MIN_PACE_SECONDS: Final = 15.0
_DAY_SECONDS: Final = 86_400
#: What is shown where no worker has filled the limits yet.
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
        settings, keys = self._settings, self._keys
        spans = [(band * _BAND_WIDTH, f"({(band + 1) * _BAND_WIDTH}") for band in range(len(PRIORITY_STEPS))]
        with self._redis.pipeline(transaction=False) as pipeline:
            pipeline.time()
            for span in spans:
                pipeline.zcount(keys.waiting, *span)
            for span in spans:
                pipeline.zrangebyscore(keys.waiting, *span, start=0, num=1, withscores=True)
            pipeline.zcard(keys.slots)
            pipeline.zrange(keys.slots, 0, _CHECKED_SLOTS - 1)
            pipeline.zrange(keys.due, 0, 0, withscores=True)
            pipeline.zcard(keys.parked)
            pipeline.zcard(keys.unknown)
            pipeline.zrange(keys.unknown, 0, _NAMED_JOBS - 1, withscores=True)
            pipeline.zcard(keys.failed)
            pipeline.llen(keys.dead)
            pipeline.hlen(UNACKED_KEY)
            pipeline.get(keys.tick)
            hashes = (keys.account, keys.tally, keys.billed, keys.spent, keys.balance, keys.durations)
            for key in (*hashes, keys.answered):
                pipeline.hgetall(key)
            pipeline.lrange(keys.throttles, 0, -1)
            pipeline.zrevrange(keys.samples, 0, 1)
            pipeline.zrange(keys.samples, 0, 0)
            (seconds, micros), *answers = pipeline.execute()
        counts, heads, rest = answers[: len(spans)], answers[len(spans) : 2 * len(spans)], answers[2 * len(spans) :]
        used, slot_ids, due, parked, unknown, first_unknown, failed, dead, held, tick, *stored = rest
        account, tally_fields, billed, spent, balance, durations, *stored = stored
        answered, throttles, newest, oldest = stored
        now_ms = int(seconds) * 1000 + int(micros) // 1000
        gate, tally = GateState.read(account), Tally.read(tally_fields)
        limits = AccountLimits.read(account) or _NO_LIMITS
        lost = self._without_record(slot_ids)
        snapshot = Snapshot(
            account=settings.account,
            at_ms=now_ms,
            slots=Slots(used, limits.max_in_flight, self._ledger.gate.cap(), len(lost)),
            bands=_bands(counts, heads, now_ms),
            parked=parked,
            due_lag_seconds=_age(due, now_ms) or 0.0,
            unknown=unknown,
            unknown_ids=tuple(job_id for job_id, _ in first_unknown),
            unknown_oldest_seconds=_age(first_unknown, now_ms),
            lost_ids=tuple(lost[:_NAMED_JOBS]),
            failed=failed,
            dead_letters=dead,
            queues=queue_lengths(self._redis),
            held_messages=held,
            gate=gate,
            budget=_budget(limits.requests_per_minute, tally, newest, now_ms),
            recent=_recent(tally, oldest, now_ms),
            fitting=Throttles(map(Throttle.read, throttles), answered, now_ms).fitting(limits),
            total=tally,
            cost=read_cost(billed, spent, limits, now_ms),
            balance=read_balance(BalanceReading.read(balance), limits, now_ms),
            beat_age_seconds=None if tick is None else max(0, now_ms - int(tick)) / 1000,
            poll_tick_seconds=settings.poll_tick_seconds,
            mean_seconds=Kinds.read(durations).mean_seconds,
        )
        # While nothing is submitted, nothing can be said about when a waiting job will end.
        return replace(snapshot, bands=_with_eta(snapshot)) if is_submitting(snapshot) else snapshot

    def _without_record(self, job_ids: Sequence[str]) -> list[str]:
        with self._redis.pipeline(transaction=False) as pipeline:
            for start in range(0, len(job_ids), _EXISTS_BATCH):
                pipeline.exists(*map(self._keys.job, job_ids[start : start + _EXISTS_BATCH]))
            if len(job_ids) == sum(cast("list[int]", pipeline.execute())):
                return []
            for job_id in job_ids:
                pipeline.exists(self._keys.job(job_id))
            return [job_id for job_id, exists in zip(job_ids, pipeline.execute(), strict=True) if not exists]


def _bands(counts: Sequence[int], heads: Sequence[list[tuple[str, float]]], now_ms: int) -> tuple[Band, ...]:
    found = []
    for number, (count, head) in enumerate(zip(counts, heads, strict=True)):
        first, following = PRIORITY_STEPS[number], [*PRIORITY_STEPS, 10][number + 1]
        priorities = str(first) if following == first + 1 else f"{first}-{following - 1}"
        oldest = max(0.0, now_ms / 1000 - (head[0][1] - number * _BAND_WIDTH)) if head else None
        found.append(Band(priorities, count, oldest))
    return tuple(found)


def _with_eta(snapshot: Snapshot) -> tuple[Band, ...]:
    places = accumulate(band.waiting for band in snapshot.bands)
    until = (seconds_until_slot(place, snapshot.slots.used, snapshot.mean_seconds) for place in places)
    return tuple(
        replace(band, eta_seconds=seconds + snapshot.mean_seconds) if band.waiting and seconds is not None else band
        for band, seconds in zip(snapshot.bands, until, strict=True)
    )


def _age(head: list[tuple[str, float]], now_ms: int) -> float | None:
    """Return the age in seconds of the first of a sorted set whose scores are times in ms; None if it is empty."""
    return max(0.0, now_ms - head[0][1]) / 1000 if head else None


def _budget(limit: int, tally: Tally, newest: Sequence[str], now_ms: int) -> Budget:
    """Return the pace of requests since the newest copy of the counts that is old enough for one."""
    samples = [Sample.read(stored) for stored in newest]
    if not samples:
        return Budget(limit, 0.0, 0.0)
    old = (sample for sample in samples if now_ms - sample.at_ms >= _MIN_PACE_SECONDS * 1000)
    sample = next(old, samples[-1])
    new, minutes = tally.since(sample.tally), max(now_ms - sample.at_ms, 1000) / 60_000
    return Budget(limit, new.submits / minutes, new.polls / minutes)


def _recent(tally: Tally, oldest: Sequence[str], now_ms: int) -> Recent | None:
    if not oldest:
        return None
    sample = Sample.read(oldest[0])
    return Recent(max(0, now_ms - sample.at_ms) / 1000, tally.since(sample.tally))


def read_balance(reading: BalanceReading, limits: AccountLimits, now_ms: int) -> Balance:
    """Return the balance beside its thresholds."""
    return Balance(
        micro_usd=reading.micro_usd,
        left_micro_usd=reading.left_micro_usd,
        age_seconds=None if reading.micro_usd is None else max(0, now_ms - reading.at_ms) / 1000,
        why=reading.why,
        warn_micro_usd=limits.balance_warn_micro_usd,
        hold_micro_usd=limits.balance_hold_micro_usd,
    )


def read_cost(billed: Mapping[str, str], spent: Mapping[str, str], limits: AccountLimits, now_ms: int) -> Cost:
    """Return what is billed.

    Args:
        billed: The hash of ms of video.
        spent: The hash of micro-dollars.
        limits: The account's.
        now_ms: The current time, in Redis time.
    """
    today = now_ms // 1000 // _DAY_SECONDS
    in_ms = _labels(billed, today)
    named = (name for name, value in in_ms.items() if name and value > 0)
    shown = sorted(named, key=lambda name: (-in_ms[name], name))[:_SHOWN_LABELS]
    money = None
    if spent or limits.has_prices:
        money = _days(spent, today, shown, limits.daily_billed_micro_usd, lambda micro_usd: micro_usd)
    return Cost(_days(billed, today, shown, limits.daily_billed_seconds, lambda ms: ms / 1000), money)


def _labels(counts: Mapping[str, str], today: int) -> dict[str, int]:
    """Return the counts of today by label, '' for those beyond the first."""
    fields = ((field.partition(" "), value) for field, value in counts.items() if not field.endswith("#"))
    return {name: max(0, int(value)) for (day, space, name), value in fields if space and day == str(today)}


def _days(
    counts: Mapping[str, str], today: int, shown: list[str], limit: float | None, unit: Callable[[int], float]
) -> Days:
    by_day = {int(field): max(0, int(value)) for field, value in counts.items() if field.isdecimal()}
    labels = _labels(counts, today)
    return Days(
        today=unit(by_day.get(today, 0)),
        limit=limit,
        by_label={name: unit(labels.get(name, 0)) for name in shown},
        other_labels=unit(sum(value for name, value in labels.items() if name not in set(shown))),
        by_day={
            datetime.fromtimestamp(day * _DAY_SECONDS, tz=UTC).date().isoformat(): unit(by_day[day])
            for day in sorted(by_day, reverse=True)
        },
    )
