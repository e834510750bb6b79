"""A snapshot for programs: `/limits.json`, `wanimate-worker top --json`, and Prometheus metrics."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from itertools import accumulate
from typing import TYPE_CHECKING, Any, Final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector
from wanimate.contract.cost import usd

from .finding import Blocker, BlockReason
from .formatting import capitalize
from .rules import blockers_of, is_polling, problems_of
from .verdict import is_submitting, state_of, why_waiting

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from prometheus_client import Metric

    from ..ledger.counters import Counters, Histogram
    from .breakdown import LabelCost
    from .finding import Finding
    from .snapshot import Days, Snapshot

#: Times and money in JSON are rounded to so many decimals: a micro-dollar is its smallest part.
_DECIMALS: Final = 6


def to_json(now: Snapshot) -> dict[str, Any]:
    """Return a snapshot as JSON; times in seconds, money in US dollars."""
    recent, balance, limits = now.recent, now.balance, now.limits
    rounded: dict[str, Any] = _rounded(
        {
            "account": now.account,
            "at": now.at.isoformat(timespec="milliseconds"),
            "state": state_of(now),
            "is_submitting": is_submitting(now),
            "is_polling": is_polling(now),
            "blockers": [finding_to_json(blocker) for blocker in blockers_of(now)],
            "slots": asdict(now.slots),
            "waiting": {
                "jobs": now.waiting,
                "parked": now.parked,
                "why": why_waiting(now),
                "bands": [asdict(band) for band in now.bands],
            },
            "budget": {**asdict(now.budget), "used_ratio": now.budget.used_ratio},
            "due_lag_seconds": now.due_lag_seconds,
            "beat_age_seconds": now.beat_age_seconds,
            "unknown": {"jobs": now.unknown, "oldest_seconds": now.unknown_oldest_seconds},
            "failed_jobs": now.failed,
            "dead_letters": now.dead_letters,
            "copies": {
                "jobs": now.copies.jobs,
                "expiry_seconds": now.expiry_seconds,
                "tries": now.copies.tries,
                "why": now.copies.why or None,
            },
            "webhooks": {
                "undelivered": now.webhooks.undelivered,
                "oldest_seconds": now.webhook_age_seconds,
                "oldest_endpoint": now.webhooks.oldest and now.webhooks.oldest.endpoint,
                "given_up": now.webhooks.given_up,
            },
            "queue_messages": now.queues,
            "held_messages": now.held_messages,
            "recent": None
            if recent is None
            else {
                "over_seconds": recent.over_seconds,
                "ended_per_minute": recent.ended_per_minute,
                **_counts(recent.counters),
                "detection_lag": _times(recent.counters.lag),
                "webhook_delivery": _times(recent.counters.webhook),
                "task_duration": {kind: _times(histogram) for kind, histogram in recent.counters.took.items()},
            },
            "total": _counts(now.total),
            "billed": {
                **_days(now.billed, "seconds"),
                **_by_label({row: row.seconds for row in now.labels}),
                "money": now.money
                and {
                    **_days(now.money, "usd", usd),
                    **_by_label({row: usd(row.micro_usd or 0) for row in now.labels}),
                },
            },
            "balance": {
                "usd": _usd(balance.micro_usd),
                "left_usd": _usd(balance.left_micro_usd),
                "warn_usd": _usd(limits.balance_warn_micro_usd),
                "hold_usd": _usd(limits.balance_hold_micro_usd),
                "age_seconds": now.balance_age_seconds,
                "unreadable": balance.why or None,
            },
            "mean_task_seconds": now.mean_seconds,
            "problems": [finding_to_json(problem) for problem in problems_of(now)],
        }
    )
    return rounded


def finding_to_json(finding: Finding) -> dict[str, Any]:
    """Return a finding as JSON, without empty fields."""
    facts = {
        "check": finding.check,
        "severity": finding.severity.name.lower(),
        "text": capitalize(finding.text),
        "advice": capitalize(finding.advice),
        "command": finding.command,
        "page": finding.page,
    }
    shown: dict[str, Any] = {name: value for name, value in facts.items() if value}
    if isinstance(finding, Blocker):
        shown |= {"reason": finding.reason.value, "for_seconds": finding.for_seconds}
    return shown


def _days(days: Days, unit: str, of: Callable[[float], float] = float) -> dict[str, Any]:
    return {
        f"today_{unit}": of(days.today),
        f"limit_{unit}": None if days.limit is None else of(days.limit),
        "by_day": {day: of(amount) for day, amount in days.by_day.items()},
    }


def _by_label(amounts: Mapping[LabelCost, float]) -> dict[str, dict[str, float]]:
    """Return the rows of single labels by label, and the folded ones by the labels' name."""
    return {
        "by_label": {row.text: amount for row, amount in amounts.items() if not row.is_folded},
        "other_labels": {row.name: amount for row, amount in amounts.items() if row.is_folded},
    }


def _counts(counters: Counters) -> dict[str, Any]:
    requests = ("submits", "polls", "throttled", "lost_answers", "retries")
    ends = ("ended", "webhook_tries", "copies", "copied_bytes", "billed_seconds", "billed_usd")
    return {name: getattr(counters, name) for name in (*requests, *ends)}


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
            return round(value, _DECIMALS)
        case Mapping():
            return {name: _rounded(each) for name, each in value.items()}
        case list():
            return [_rounded(each) for each in value]
        case _:
            return value


def _usd(micro_usd: float | None) -> float | None:
    return None if micro_usd is None else usd(micro_usd)


class SnapshotCollector(Collector):
    """The metrics of one snapshot. They are the account's: one exporter is enough for all workers."""

    def __init__(self, now: Snapshot) -> None:
        self._now = now

    def collect(self) -> Iterator[Metric]:
        """Yield every metric."""
        now = self._now
        for family_class, rows in ((GaugeMetricFamily, _gauges(now)), (CounterMetricFamily, _counters(now))):
            for name, text, figures, *label in rows:
                if figures is None:
                    continue
                family = family_class(f"wanimate_{name}", text, labels=["account", *label])
                for key, value in figures.items() if isinstance(figures, Mapping) else [("", figures)]:
                    family.add_metric([now.account, key][: 1 + len(label)], value)
                yield family
        text = "Seconds from the vendor's completion of a task until its job was settled."
        yield self._histogram("detection_lag_seconds", text, {"": now.total.lag})
        text = "Seconds from the end of a job until its webhook was delivered."
        yield self._histogram("webhook_delivery_seconds", text, {"": now.total.webhook})
        text = "Duration of ended tasks at the vendor, in seconds."
        yield self._histogram("task_duration_seconds", text, now.total.took, "type", "resolution")

    def _histogram(self, name: str, text: str, values: Mapping[str, Histogram], *labels: str) -> Metric:
        family = HistogramMetricFamily(f"wanimate_{name}", text, labels=["account", *labels])
        for kind, histogram in values.items():
            # Prometheus buckets are cumulative.
            edges = (*(str(float(edge)) for edge in histogram.edges_seconds), "+Inf")
            buckets = list(zip(edges, map(float, accumulate(histogram.counts)), strict=True))
            type_, _, resolution = kind.partition(":")
            family.add_metric([self._now.account, type_, resolution][: 1 + len(labels)], buckets, histogram.sum_seconds)
        return family


#: The name, the help, the figure (None if there is none), and the label if there is a figure for each of its values.
_Row = tuple[str, str, float | Mapping[str, float] | None, *tuple[str, ...]]


def _gauges(now: Snapshot) -> list[_Row]:
    slots, billed, money, balance, limits = now.slots, now.billed, now.money, now.balance, now.limits
    beat_age = float("inf") if now.beat_age_seconds is None else now.beat_age_seconds
    reasons = {blocker.reason for blocker in blockers_of(now)}
    closed = {reason.value: int(reason in reasons) for reason in BlockReason}
    waiting = {band.priorities: band.waiting for band in now.bands}
    oldest = {band.priorities: band.oldest_seconds or 0.0 for band in now.bands}
    return [
        ("slots_used", "Slots in use: tasks at the vendor, and submissions without an answer.", slots.used),
        ("slots_cap", "The limit of slots.", slots.cap),
        ("slots_effective_cap", "The limit of slots now: lower after a 429.", slots.effective_cap),
        ("slots_without_record", "Slots of jobs whose record is missing.", slots.without_record),
        ("parked_jobs", "Jobs waiting for their next attempt.", now.parked),
        ("due_lag_seconds", "Seconds by which the longest overdue job is overdue.", now.due_lag_seconds),
        ("unknown_jobs", "Jobs whose submission got no answer.", now.unknown),
        ("failed_jobs", "Failed jobs kept for the operator.", now.failed),
        ("keeping_jobs", "Jobs whose video is not copied yet.", now.copies.jobs),
        (
            "keeping_seconds_to_expiry",
            "Seconds until the first video that is not copied yet expires.",
            now.expiry_seconds,
        ),
        ("webhooks_undelivered", "Webhooks being retried.", now.webhooks.undelivered),
        (
            "webhooks_oldest_seconds",
            "Age of the oldest undelivered webhook in seconds; 0 if none.",
            now.webhook_age_seconds,
        ),
        ("webhooks_given_up", "Webhooks no longer retried.", now.webhooks.given_up),
        ("dead_letters", "Messages that workers could not process.", now.dead_letters),
        ("held_messages", "Messages taken by workers and not acknowledged yet.", now.held_messages),
        ("beat_age_seconds", "Seconds since the last polling tick.", beat_age),
        (
            "budget_used_ratio",
            "Share of the request budget used in the last one to two minutes.",
            now.budget.used_ratio,
        ),
        ("day_billed_seconds", "Seconds of video billed today (UTC), estimated.", billed.today),
        ("day_billed_seconds_limit", "Daily limit in seconds of video.", billed.limit),
        ("day_billed_usd", "US dollars billed today (UTC), estimated.", _usd(money.today) if money else None),
        ("day_billed_usd_limit", "Daily limit in US dollars.", _usd(money.limit) if money else None),
        ("balance_usd", "Last balance reported by the vendor.", _usd(balance.micro_usd)),
        ("balance_age_seconds", "Age of the last balance in seconds.", now.balance_age_seconds),
        ("balance_warn_usd", "Balance below which there is a warning.", _usd(limits.balance_warn_micro_usd)),
        ("balance_hold_usd", "Balance below which there are no submissions.", _usd(limits.balance_hold_micro_usd)),
        ("waiting_jobs", "Jobs waiting for a slot, by priority.", waiting, "band"),
        ("oldest_waiting_seconds", "Seconds that the next job has waited; 0 if none.", oldest, "band"),
        ("queue_messages", "Messages that no worker has taken yet.", now.queues, "queue"),
        ("gate_closed", "1 while there are no submissions for this reason.", closed, "reason"),
    ]


def _counters(now: Snapshot) -> list[_Row]:
    total = now.total
    return [
        ("submits", "Submissions begun.", total.submits),
        ("polls", "Status requests permitted.", total.polls),
        ("throttled", "Answers 429 from the vendor.", total.throttled),
        ("lost_answers", "Submissions without an answer.", total.lost_answers),
        ("retries", "Retries after a transient failure of a task.", total.retries),
        ("billed_seconds", "Seconds of video billed, estimated.", total.billed_seconds),
        ("billed_usd", "US dollars billed, estimated.", total.billed_usd if now.money else None),
        ("webhook_tries", "Attempts to deliver webhooks, by result.", total.webhook_tries, "result"),
        ("copies", "Copies of videos, by result.", total.copies, "result"),
        ("copied_bytes", "Bytes of copied videos.", total.copied_bytes),
        ("jobs_ended", "Ended jobs, by outcome.", total.ended, "outcome"),
    ]
