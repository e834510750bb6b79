"""What workers read of the ledger; nothing here changes it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast

from wanimate.contract.durations import EDGES
from wanimate.presence import look_for

from .base import LedgerBase
from .gate import GateState
from .limits import AccountLimits
from .values import JobFields, Survey

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from wanimate.effects import Presence

#: Records read in one exchange.
_READ_SIZE: Final = 500
#: The ages by which tasks in flight are counted, in ms: every second end of a bin, and 0.
_AGES_MS: Final = (0, *(round(edge * 1000) for edge in EDGES[2::2]))


class ReadingLedger(LedgerBase):
    """The part of the ledger that only looks."""

    def read(self, job_ids: Sequence[str]) -> list[JobFields]:
        """Return what workers act on, for each job in one round trip."""
        if not job_ids:
            return []
        names = list(JobFields.names())
        with self._redis.pipeline(transaction=False) as pipeline:
            for job_id in job_ids:
                pipeline.hmget(self._keys.job(job_id), names)
            rows = cast("list[list[str | None]]", pipeline.execute())
        return [JobFields.read(job_id, row) for job_id, row in zip(job_ids, rows, strict=True)]

    def unsent(self) -> Iterator[tuple[str, str]]:
        """Read the jobs that wait or have a slot, each with the message it is resumed with, as it is stored.

        None that waits all the while is left out: one that gets a slot meanwhile is read with the slots.
        """
        # In the order in which jobs go on, and in scans: pages would shift when jobs leave.
        for names in (self._keys.parked, self._keys.waiting, self._keys.slots):
            job_ids = [job_id for job_id, _ in self._redis.zscan_iter(names, count=_READ_SIZE)]
            for start in range(0, len(job_ids), _READ_SIZE):
                batch = job_ids[start : start + _READ_SIZE]
                with self._redis.pipeline(transaction=False) as pipeline:
                    for job_id in batch:
                        pipeline.hget(self._keys.job(job_id), "message")
                    messages = cast("list[str | None]", pipeline.execute())
                yield from ((job_id, message) for job_id, message in zip(batch, messages, strict=True) if message)

    def presence(self, job_id: str) -> Presence:
        """Return whether there is anything of a job, be it only a message that no worker has recorded."""
        return look_for(self._redis, self._keys, [job_id])[job_id]

    def survey(self, grace_ms: int) -> Survey:
        """Return what polls are planned from.

        Args:
            grace_ms: For how long a due job may be left alone before it counts as late.
        """
        keys = [self._keys.slots, self._keys.waiting, self._keys.due, self._keys.durations, self._keys.budget]
        answer = self._scripts.survey(keys=[*keys, self._keys.limits], args=[grace_ms, *_AGES_MS])
        in_flight, waiting, late, spare, older, durations, cap, interval_us = answer
        counts = dict(zip(durations[::2], durations[1::2], strict=True))
        return Survey(
            in_flight,
            waiting,
            late,
            spare,
            _by_age(older),
            counts,
            max_in_flight=cap,
            requests_per_second=1e6 / interval_us if interval_us else 0.0,
        )

    def account_limits(self) -> AccountLimits | None:
        """Return the account's limits; None where no worker has filled them yet."""
        return AccountLimits.read(cast("dict[str, str]", self._redis.hgetall(self._keys.limits)))

    def in_flight(self) -> int:
        """Return how many slots are held."""
        return int(self._redis.zcard(self._keys.slots))

    def waiting(self) -> int:
        """Return how many jobs wait, in line or parked."""
        return int(self._redis.zcard(self._keys.waiting)) + self.parked()

    def parked(self) -> int:
        """Return how many jobs wait for their next attempt."""
        return int(self._redis.zcard(self._keys.parked))

    def gate(self) -> GateState:
        """Return the shared back-off as last written."""
        return GateState.read(cast("dict[str, str]", self._redis.hgetall(self._keys.gate)))


def _by_age(older: Sequence[int]) -> list[tuple[float, int]]:
    """Return pairs of an age in seconds and how many slots are about that old, from how many are at least so old."""
    younger = [*older[1:], 0]
    middles = ((start + end) / 2000 for start, end in zip(_AGES_MS, (*_AGES_MS[1:], _AGES_MS[-1]), strict=True))
    counts = (here - there for here, there in zip(older, younger, strict=False))
    return [(age, count) for age, count in zip(middles, counts, strict=False) if count]
