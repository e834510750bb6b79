"""The figures of an account at one moment, without a verdict. All times are Redis time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..ledger import AccountLimits, BalanceReading, CopyBacklog, Fitting, GateState, WebhookBacklog
    from ..ledger.counters import Counters
    from .breakdown import LabelCost


@dataclass(frozen=True, slots=True)
class Slots:
    """The vendor's concurrent tasks.

    Args:
        effective_cap: The most there may be now: lower than `cap` after a 429 for concurrency.
        without_record: Slots whose job has lost its record, among the longest held.
    """

    used: int
    cap: int
    effective_cap: int
    without_record: int

    @property
    def used_ratio(self) -> float:
        return _share(self.used, self.cap)


@dataclass(frozen=True, slots=True)
class Band:
    """Waiting jobs of a few priorities.

    Args:
        priorities: Which, as `0-2`.
        oldest_seconds: How long the job that is next has waited; None if none waits.
        eta_seconds: In how many seconds the vendor will probably have finished all of them, and those before them;
            None if none waits, or while nothing is submitted.
    """

    priorities: str
    waiting: int
    oldest_seconds: float | None
    eta_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Budget:
    """The request budget, and the pace of requests over the last minute or two."""

    per_minute_limit: int
    submits_per_minute: float
    polls_per_minute: float

    @property
    def used_ratio(self) -> float:
        return self.submits_ratio + self.polls_ratio

    @property
    def submits_ratio(self) -> float:
        return _share(self.submits_per_minute, self.per_minute_limit)

    @property
    def polls_ratio(self) -> float:
        return _share(self.polls_per_minute, self.per_minute_limit)


@dataclass(frozen=True, slots=True)
class Recent:
    """What was counted in the last hour.

    Args:
        over_seconds: How far back it reaches: about an hour, or as long as there are figures.
    """

    over_seconds: float
    counters: Counters

    @property
    def ended(self) -> int:
        return sum(self.counters.ended.values())

    @property
    def ended_per_minute(self) -> float:
        return 60 * _share(self.ended, self.over_seconds)

    @property
    def task_mean_seconds(self) -> float | None:
        """How long the vendor had a task on average; None if none has ended."""
        took = self.counters.took.values()
        count = sum(histogram.count for histogram in took)
        return sum(histogram.sum_seconds for histogram in took) / count if count else None

    @property
    def throttled_ratio(self) -> float:
        return _share(self.counters.throttled, self.counters.submits + self.counters.polls)


@dataclass(frozen=True, slots=True)
class Days:
    """An estimate of what the vendor bills, in seconds of video or in micro-dollars; days are UTC.

    Args:
        by_day: By date, as `2026-11-24`, the latest first.
    """

    today: float
    limit: float | None
    by_day: Mapping[str, float]

    @property
    def used_ratio(self) -> float:
        """The share of the limit that is used; 0 without one."""
        return _share(self.today, self.limit or 0)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything about one account.

    Args:
        bands: Waiting jobs by priority, the most urgent first.
        parked: Jobs that wait for their next attempt, and are in none of the bands.
        due_lag_seconds: By how long the most overdue job is overdue.
        unknown: Jobs whose submission's answer was lost.
        unknown_ids: The first of them.
        unknown_after_seconds: After how long `on_unknown` applies to them.
        lost_ids: The first of the jobs that hold a slot without a record.
        queues: Messages that no worker has taken, by queue.
        held_messages: Messages that workers hold.
        recent: The last hour; None before the first tick of beat.
        fitting: Limits that would fit, where the vendor's 429s show that those that are set are too large; else None.
        billed: In seconds of video.
        money: The same in micro-dollars; None where no price was ever set. What was sent without a price is not in it.
        labels: Today's cost by label; a job with several labels counts under each.
        copies: The videos that are to be copied to the account's store.
        webhooks: Those that are not delivered.
        beat_age_seconds: How long ago a poll began; None if none did in the last day.
        poll_tick_seconds: How often beat starts one.
        mean_seconds: How long the vendor has a task on average.
    """

    account: str
    at_ms: int
    limits: AccountLimits
    slots: Slots
    bands: tuple[Band, ...]
    parked: int
    due_lag_seconds: float
    unknown: int
    unknown_ids: tuple[str, ...]
    unknown_oldest_seconds: float | None
    unknown_after_seconds: float
    lost_ids: tuple[str, ...]
    failed: int
    dead_letters: int
    queues: Mapping[str, int]
    held_messages: int
    gate: GateState
    budget: Budget
    recent: Recent | None
    fitting: Fitting | None
    total: Counters
    billed: Days
    money: Days | None
    labels: tuple[LabelCost, ...]
    balance: BalanceReading
    copies: CopyBacklog
    webhooks: WebhookBacklog
    beat_age_seconds: float | None
    poll_tick_seconds: float
    mean_seconds: float

    @property
    def at(self) -> datetime:
        return datetime.fromtimestamp(self.at_ms / 1000, tz=UTC)

    @property
    def waiting(self) -> int:
        """How many jobs wait, parked ones included."""
        return sum(band.waiting for band in self.bands) + self.parked

    @property
    def balance_age_seconds(self) -> float | None:
        """How long ago the vendor reported the balance; None if it never did."""
        return None if self.balance.micro_usd is None else max(0, self.at_ms - self.balance.at_ms) / 1000

    @property
    def expiry_seconds(self) -> float | None:
        """In how long the vendor stops serving the first video that is to be copied; None if there is none."""
        return (self.copies.expires_at_ms - self.at_ms) / 1000 if self.copies.jobs else None

    @property
    def uncopied_seconds(self) -> float:
        """For how long that video has waited for its copy; 0 if there is none."""
        rendered_ms = self.copies.rendered_at_ms or self.at_ms
        return max(0, self.at_ms - rendered_ms) / 1000

    @property
    def webhook_age_seconds(self) -> float:
        """How long ago the job ended whose webhook is undelivered for longest; 0 if there is none."""
        oldest = self.webhooks.oldest
        return 0.0 if oldest is None else max(0, self.at_ms - oldest.written_ms) / 1000

    @property
    def has_balance_threshold(self) -> bool:
        return self.limits.balance_warn_micro_usd is not None or self.limits.balance_hold_micro_usd is not None


def _share(part: float, whole: float) -> float:
    return part / whole if whole else 0.0
