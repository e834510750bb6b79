"""What polls need of the ledger: due jobs, request permits, and what they are planned from."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, cast

from wanimate.contract.durations import EDGES

from .limits import AccountLimits
from .script import Concern, script
from .values import Claim, Survey, Tick

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


#: The time of the last tick expires after this, in milliseconds.
_TICK_TTL_MS: Final = 86_400_000
#: Between two copies of the counts, and what they shall reach back, in milliseconds.
SAMPLE_MS: Final = 60_000
SPAN_MS: Final = 3_600_000
#: For so many days is known what was probably billed, today among them, and for so many by label.
BILLED_DAYS: Final = 31
BILLED_LABEL_DAYS: Final = 7
#: The ages by which tasks in flight are counted, in ms: every second end of a bin, and 0.
_AGES_MS: Final = (0, *(round(edge * 1000) for edge in EDGES[2::2]))


@dataclass(slots=True)
class News:
    """What the answers to polls mean, until it is recorded with the next claim.

    Args:
        plans: For each job that is polled again its claim's token, the moment (ms), and the job.
        answered: How many requests the vendor answered, and not with a 429.
        answered_since_ms: When the youngest claim was made of those with a conclusive answer.
    """

    plans: list[str | int] = field(default_factory=list)
    answered: int = 0
    answered_since_ms: int | None = None


class Polls(Concern):
    """The clock, and what a tick does."""

    def claim(self, limit: int, *, takes_permits: bool = False, news: News | None = None) -> Claim:
        """Claim at most `limit` jobs whose time has come.

        Args:
            limit: How many.
            takes_permits: Whether to take a request permit for each, as far as the budget has them now.
            news: What is recorded before.
        """
        token, next_ms, permits, _, *job_ids = self._look(limit, news or News(), takes_permits=takes_permits)
        due_in_ms = None if next_ms == "" else int(next_ms)
        return Claim(token, int(token) - self._limits.poll_lease_ms, job_ids, due_in_ms, permits)

    def plan(self, token: str, delays_ms: Mapping[str, int], **answers: int) -> int:
        """Set when claimed jobs are checked next, and return for how many the claim still held.

        Args:
            token: The claim's fencing token.
            delays_ms: For each job, the delay from the claim.
            answers: What else there is to record, as `News` has it.
        """
        claimed_at_ms = int(token) - self._limits.poll_lease_ms
        plans = [part for job_id, ms in delays_ms.items() for part in (token, claimed_at_ms + ms, job_id)]
        return self.write(News(plans, **answers))

    def write(self, news: News) -> int:
        """Record what answers mean, and return for how many of the jobs the claims still held."""
        return int(self._look(0, news)[3])

    def _look(self, limit: int, news: News, *, takes_permits: bool = False) -> list[Any]:
        return self._claim(limit, news.answered_since_ms, news.answered, news.plans, takes_permits=takes_permits)

    @script(list)
    def _claim(
        self,
        limit: int,
        answered_since_ms: int | None,
        answers: int,
        plans: Sequence[str | int],
        *,
        takes_permits: bool,
    ) -> list[Any]: ...

    @script(int)
    def permit(self, wanted: int) -> int:
        """Take request permits for polls, as many of those wanted as the budget has now."""

    @script(list)
    def grant(self) -> list[str]:
        """Hand out slots that are free although jobs wait, and return the jobs that got one."""

    @script(int)
    def repair(self) -> int:
        """Give slots and parked jobs without a due time one, and return how many there were."""

    def survey(self, grace_ms: int) -> Survey:
        """Return what polls are planned from.

        Args:
            grace_ms: For how long a due job may be left alone before it counts as late.
        """
        in_flight, waiting, late, spare, older, durations, cap, interval_us = self._survey(grace_ms, _AGES_MS)
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

    @script(list)
    def _survey(self, grace_ms: int, ages_ms: Sequence[int]) -> list[Any]: ...

    def tick(self, limits: AccountLimits) -> Tick:
        """Record that a poll has begun, and repair what a clock that was set back leaves; now and then copy the counts.

        Args:
            limits: What to fill the account's limits with if Redis has lost them.
        """
        return self._tick(_TICK_TTL_MS, SAMPLE_MS, SPAN_MS, _pairs(limits.fields()))

    @script(lambda answer: Tick(*answer))
    def _tick(self, ttl_ms: int, sample_ms: int, span_ms: int, fields: Sequence[str | int]) -> Tick: ...

    @script(int)
    def trim(self, days: int = BILLED_DAYS, label_days: int = BILLED_LABEL_DAYS) -> int:
        """Take jobs off the list of failed ones whose records have expired, and return how many.

        What was billed long ago, and what was enqueued long ago, is dropped, too.

        Args:
            days: For how many days is known what was probably billed, today among them.
            label_days: The same by label.
        """


class Limits(Concern):
    """The account's limits, one for all workers."""

    def read(self) -> AccountLimits | None:
        """Return the account's limits; None where no worker has filled them yet."""
        return AccountLimits.read(cast("dict[str, str]", self._redis.hgetall(self._keys.account)))

    def fill(self, limits: AccountLimits) -> bool:
        """Fill the account's limits where none are known; True if they were filled."""
        return self._set_limits(limits.api_base_url, _pairs(limits.fields()), fills=True)

    def set(self, limits: AccountLimits) -> bool:
        """Change the account's limits for everyone, at once; free slots are handed out by the next `grant`.

        Returns:
            Whether they were changed: the vendor's address is not while submissions are not paused or a slot is held.
        """
        none = {"webhook_url": "", "keep_url": ""}
        return self._set_limits(limits.api_base_url, _pairs({**none, **limits.fields()}))

    @script(bool)
    def _set_limits(self, address: str, fields: Sequence[str | int], *, fills: bool = False) -> bool: ...


def _by_age(older: Sequence[int]) -> list[tuple[float, int]]:
    """Return pairs of an age in seconds and how many slots are about that old, from how many are at least so old."""
    younger = [*older[1:], 0]
    middles = ((start + end) / 2000 for start, end in zip(_AGES_MS, (*_AGES_MS[1:], _AGES_MS[-1]), strict=True))
    counts = (here - there for here, there in zip(older, younger, strict=False))
    return [(age, count) for age, count in zip(middles, counts, strict=False) if count]


def _pairs(values: Mapping[str, str | int] | Mapping[str, int]) -> list[str | int]:
    return [part for pair in values.items() for part in pair]
