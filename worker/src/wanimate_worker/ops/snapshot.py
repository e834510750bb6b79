"""What is known about an account at one moment, as plain values; all times are Redis time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from ..ledger import Fitting
    from ..ledger.tally import Tally
    from ..stops import Stop
    from .money import Balance, Cost

#: The share of requests answered 429 that is worth a look (as the alert `WanimateThrottled` has it).
_THROTTLED_RATIO: Final = 0.01


@dataclass(frozen=True, slots=True)
class Slots:
    """The vendor's concurrent tasks.

    Args:
        used: Slots that are held.
        cap: The most there may be, as set.
        effective_cap: The most there may be now: lower after a 429 for concurrency.
        without_record: Slots whose job has lost its record, among the longest held.
    """

    used: int
    cap: int
    effective_cap: int
    without_record: int

    @property
    def used_ratio(self) -> float:
        """The share of the cap that is used."""
        return self.used / self.cap if self.cap else 0.0


@dataclass(frozen=True, slots=True)
class Band:
    """Waiting jobs of a few priorities.

    Args:
        priorities: Which, as `0-2`.
        waiting: How many wait.
        oldest_seconds: How long the one that is next has waited; None if none waits.
        eta_seconds: In how many seconds the vendor will probably have finished all of them, and those before them;
            None if none waits, or nothing can be said.
    """

    priorities: str
    waiting: int
    oldest_seconds: float | None
    eta_seconds: float | None


@dataclass(frozen=True, slots=True)
class Budget:
    """The request budget.

    Args:
        per_minute_limit: Requests in any minute, as set.
        submits_per_minute: Submissions a minute of late.
        polls_per_minute: Status requests a minute of late.
    """

    per_minute_limit: int
    submits_per_minute: float
    polls_per_minute: float

    @property
    def used_ratio(self) -> float:
        """The share of the limit that is used."""
        return self.submits_ratio + self.polls_ratio

    @property
    def submits_ratio(self) -> float:
        """The share of the limit that submissions use."""
        return self.submits_per_minute / self.per_minute_limit if self.per_minute_limit else 0.0

    @property
    def polls_ratio(self) -> float:
        """The share of the limit that status requests use."""
        return self.polls_per_minute / self.per_minute_limit if self.per_minute_limit else 0.0


@dataclass(frozen=True, slots=True)
class Recent:
    """What happened of late.

    Args:
        over_seconds: How far back it reaches: about an hour, or as long as there are figures.
        tally: What was counted in that time.
    """

    over_seconds: float
    tally: Tally

    @property
    def ended(self) -> int:
        """How many jobs have ended."""
        return sum(self.tally.ended.values())

    @property
    def task_mean_seconds(self) -> float | None:
        """How long the vendor had a task on average; None if none has ended."""
        took = self.tally.took.values()
        count = sum(histogram.count for histogram in took)
        return sum(histogram.sum_seconds for histogram in took) / count if count else None

    @property
    def throttled_ratio(self) -> float:
        """The share of requests that the vendor answered with 429."""
        requests = self.tally.submits + self.tally.polls
        return self.tally.throttled / requests if requests else 0.0

    @property
    def is_throttled(self) -> bool:
        """Whether that share is worth a look."""
        return self.throttled_ratio > _THROTTLED_RATIO

    @property
    def ended_per_minute(self) -> float:
        """How many jobs have ended a minute."""
        return 60 * self.ended / self.over_seconds if self.over_seconds else 0.0


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything about one account.

    Args:
        account: Its name.
        at: When this was read.
        slots: The vendor's concurrent tasks.
        bands: Waiting jobs by priority, the most urgent first.
        parked: Jobs that wait for their next attempt, and are in none of the bands.
        due_lag_seconds: For how long the job that is due longest has been left alone.
        unknown: Jobs whose submission's answer was lost.
        unknown_oldest_seconds: For how long the oldest of them has been so.
        failed: Failed jobs that are kept.
        dead_letters: Messages that nobody could use.
        queues: Messages that no worker has taken, by queue.
        held_messages: Messages that workers hold.
        stops: Why nothing is submitted; empty while jobs are.
        trouble: Why requests have come to nothing for a while, also between two back-offs; None if they have not.
        budget: The request budget.
        recent: The last hour; None before the first tick of beat.
        fitting: Limits that would fit, where the vendor's 429s show that those that are set are too large; else None.
        since_ever: What was counted since the counts began.
        cost: An estimate of what is billed.
        balance: What is left of the account's credit.
        beat_age_seconds: How long ago a poll began; None if none did in the last day.
        is_polling: Whether polls begin; if not, beat or the workers are missing, and no slot is freed.
        mean_seconds: How long the vendor has a task on average.
    """

    account: str
    at: datetime
    slots: Slots
    bands: tuple[Band, ...]
    parked: int
    due_lag_seconds: float
    unknown: int
    unknown_oldest_seconds: float | None
    failed: int
    dead_letters: int
    queues: Mapping[str, int]
    held_messages: int
    stops: tuple[Stop, ...]
    trouble: str | None
    budget: Budget
    recent: Recent | None
    fitting: Fitting | None
    since_ever: Tally
    cost: Cost
    balance: Balance
    beat_age_seconds: float | None
    is_polling: bool
    mean_seconds: float

    @property
    def is_submitting(self) -> bool:
        """Whether waiting jobs are sent as slots become free."""
        return self.is_polling and not self.stops

    @property
    def needs_somebody(self) -> bool:
        """Whether nothing is sent until somebody acts."""
        return not self.is_polling or (bool(self.stops) and self.stops[0].is_failure)

    @property
    def waiting(self) -> int:
        """How many jobs wait, in line or parked."""
        return sum(band.waiting for band in self.bands) + self.parked
