"""What is billed, and what is left: the part of a snapshot that is about money. Amounts are micro-dollars."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ..ledger import AccountLimits, BalanceReading

_DAY_SECONDS: Final = 86_400
#: Labels that have a figure of their own in a snapshot.
_SHOWN_LABELS: Final = 20
#: A reading that is older than this is marked as old, in seconds: a small request budget asks each ten minutes.
_OLD_SECONDS: Final = 1_200.0


@dataclass(frozen=True, slots=True)
class Days:
    """An estimate of what the vendor bills, in one unit; days are UTC.

    Args:
        today: Today.
        limit: The most that may be billed in a day; None for no limit.
        by_label: Today, by `name=value`; a job with several labels counts under each.
        other_labels: Today, under labels that have no figure of their own.
        by_day: By date, as `2026-11-24`, the latest first.
    """

    today: float
    limit: float | None
    by_label: Mapping[str, float]
    other_labels: float
    by_day: Mapping[str, float]

    @property
    def used_ratio(self) -> float:
        """The share of the limit that is used; 0 without one."""
        return self.today / self.limit if self.limit else 0.0


@dataclass(frozen=True, slots=True)
class Cost:
    """What the vendor bills, as an estimate.

    Args:
        seconds: In seconds of video; the largest labels first.
        money: In micro-dollars, for the same labels, in the same order; None where no price was ever set. What was sent
            while none was set is not in it.
    """

    seconds: Days
    money: Days | None

    @property
    def has_limit(self) -> bool:
        """Whether a day has a limit, in seconds or in money."""
        return self.seconds.limit is not None or (self.money is not None and self.money.limit is not None)


@dataclass(frozen=True, slots=True)
class Balance:
    """The account's balance.

    Args:
        micro_usd: As the vendor told it last, in micro-dollars; None if it never did.
        left_micro_usd: The same, less what was sent since, as far as prices are known.
        age_seconds: How long ago it did; None if it never did.
        why: Why the last reading failed; empty if it did not, or none was made.
        warn_micro_usd: Below this it is warned of; None for never.
        hold_micro_usd: No submission may take it below this; None for no such threshold.
    """

    micro_usd: int | None
    left_micro_usd: int | None
    age_seconds: float | None
    why: str
    warn_micro_usd: int | None
    hold_micro_usd: int | None

    @property
    def is_below_warning(self) -> bool:
        """Whether it is below the threshold that warns."""
        left, warn = self.left_micro_usd, self.warn_micro_usd
        return left is not None and warn is not None and left < warn

    @property
    def is_old(self) -> bool:
        """Whether the vendor has not told it for long."""
        return self.age_seconds is not None and self.age_seconds > _OLD_SECONDS

    @property
    def has_threshold(self) -> bool:
        """Whether anything depends on it."""
        return self.warn_micro_usd is not None or self.hold_micro_usd is not None


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
    largest = sorted((name for name, value in in_ms.items() if name and value > 0), key=_by_size(in_ms))
    shown = largest[:_SHOWN_LABELS]
    money = None
    if spent or limits.has_prices:
        money = _days(spent, today, shown, limits.daily_billed_micro_usd, lambda micro_usd: micro_usd)
    daily_seconds = limits.daily_billed_seconds
    return Cost(_days(billed, today, shown, daily_seconds, lambda ms: ms / 1000), money)


def read_balance(reading: BalanceReading, limits: AccountLimits, now_ms: int) -> Balance:
    """Return the balance.

    Args:
        reading: What the ledger knows.
        limits: The account's.
        now_ms: The current time, in Redis time.
    """
    return Balance(
        micro_usd=reading.micro_usd,
        left_micro_usd=reading.left_micro_usd,
        age_seconds=None if reading.micro_usd is None else max(0, now_ms - reading.at_ms) / 1000,
        why=reading.why,
        warn_micro_usd=limits.balance_warn_micro_usd,
        hold_micro_usd=limits.balance_hold_micro_usd,
    )


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
        by_day={_date(day): unit(by_day[day]) for day in sorted(by_day, reverse=True)},
    )


def _by_size(counts: Mapping[str, int]) -> Callable[[str], Any]:
    return lambda name: (-counts[name], name)


def _date(day: int) -> str:
    return datetime.fromtimestamp(day * _DAY_SECONDS, tz=UTC).date().isoformat()
