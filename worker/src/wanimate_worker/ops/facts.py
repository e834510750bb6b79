"""A snapshot as plain values with their units in their names: `/limits.json` and `wanimate-worker top --json`."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from wanimate.contract.cost import usd

from .money import Days
from .problems import problems_of
from .words import state_of, why_waiting

if TYPE_CHECKING:
    from ..ledger.tally import Histogram, Tally
    from .money import Balance
    from .snapshot import Recent, Snapshot


def facts_of(snapshot: Snapshot) -> dict[str, Any]:
    """Return everything about an account that can be JSON; times in seconds, rounded to milliseconds."""
    budget = snapshot.budget
    facts = {
        "account": snapshot.account,
        "at": snapshot.at.isoformat(timespec="milliseconds"),
        "state": state_of(snapshot),
        "is_submitting": snapshot.is_submitting,
        "is_polling": snapshot.is_polling,
        "stops": [asdict(stop) for stop in snapshot.stops],
        "trouble": snapshot.trouble,
        "slots": asdict(snapshot.slots),
        "waiting": {
            "jobs": snapshot.waiting,
            "parked": snapshot.parked,
            "why": why_waiting(snapshot),
            "bands": [asdict(band) for band in snapshot.bands],
        },
        "budget": {**asdict(budget), "used_ratio": budget.used_ratio},
        "due_lag_seconds": snapshot.due_lag_seconds,
        "beat_age_seconds": snapshot.beat_age_seconds,
        "unknown": {"jobs": snapshot.unknown, "oldest_seconds": snapshot.unknown_oldest_seconds},
        "failed_jobs": snapshot.failed,
        "dead_letters": snapshot.dead_letters,
        "queue_messages": dict(snapshot.queues),
        "held_messages": snapshot.held_messages,
        "recent": None if snapshot.recent is None else _recent(snapshot.recent),
        "since_ever": _counts(snapshot.since_ever),
        "billed": _billed(snapshot.cost.seconds, "_seconds"),
        "mean_task_seconds": snapshot.mean_seconds,
        "problems": [{**asdict(problem), "urgency": problem.urgency.name.lower()} for problem in problems_of(snapshot)],
    }
    rounded: dict[str, Any] = _rounded(facts)
    # Money is not rounded: a micro-dollar is its smallest part.
    money = snapshot.cost.money
    rounded["billed"] |= {"money": None if money is None else _billed(_usd_of(money), "_usd")}
    return {**rounded, "balance": _balance(snapshot.balance)}


def _billed(days: Days, unit: str) -> dict[str, Any]:
    return {
        f"today{unit}": days.today,
        f"limit{unit}": days.limit,
        "by_label": dict(days.by_label),
        f"other_labels{unit}": days.other_labels,
        "by_day": dict(days.by_day),
    }


def _usd_of(days: Days) -> Days:
    return Days(
        usd(days.today),
        None if days.limit is None else usd(days.limit),
        {name: usd(amount) for name, amount in days.by_label.items()},
        usd(days.other_labels),
        {day: usd(amount) for day, amount in days.by_day.items()},
    )


def _balance(balance: Balance) -> dict[str, Any]:
    amounts = {
        "usd": balance.micro_usd,
        "left_usd": balance.left_micro_usd,
        "warn_usd": balance.warn_micro_usd,
        "hold_usd": balance.hold_micro_usd,
    }
    return {
        **{name: None if amount is None else usd(amount) for name, amount in amounts.items()},
        "age_seconds": _rounded(balance.age_seconds),
        "unreadable": balance.why or None,
    }


def _recent(recent: Recent) -> dict[str, Any]:
    return {
        "over_seconds": recent.over_seconds,
        "ended_per_minute": recent.ended_per_minute,
        **_counts(recent.tally),
        "detection_lag": _times(recent.tally.lag),
        "task_duration": {kind: _times(histogram) for kind, histogram in recent.tally.took.items()},
    }


def _counts(tally: Tally) -> dict[str, Any]:
    return {
        "submits": tally.submits,
        "polls": tally.polls,
        "throttled": tally.throttled,
        "lost_answers": tally.lost_answers,
        "retries": tally.retries,
        "ended": tally.ended,
        "billed_seconds": tally.billed_seconds,
        "billed_usd": tally.billed_usd,
    }


def _times(histogram: Histogram) -> dict[str, Any]:
    return {
        "count": histogram.count,
        "mean_seconds": histogram.mean_seconds,
        "median_seconds": histogram.quantile_seconds(0.5),
        "p95_seconds": histogram.quantile_seconds(0.95),
    }


def _rounded(value: Any) -> Any:
    match value:
        case float():
            return round(value, 3)
        case dict():
            return {name: _rounded(each) for name, each in value.items()}
        case list() | tuple():
            return [_rounded(each) for each in value]
        case _:
            return value
