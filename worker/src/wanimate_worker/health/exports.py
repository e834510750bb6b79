"""A snapshot for programs: `/limits.json`, `wanimate-worker top --json`, and Prometheus metrics."""

from __future__ import annotations

from dataclasses import asdict
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector, CollectorRegistry
from wanimate.contract.cost import usd

from .finding import Blocker, BlockReason
from .formatting import capitalize
from .rules import blockers_of, is_polling, problems_of
from .verdict import is_submitting, state_of, why_waiting

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from prometheus_client import Metric

    from ..ledger.tally import Histogram, Tally
    from .finding import Finding
    from .snapshot import Days, Snapshot


def to_json(now: Snapshot) -> dict[str, Any]:
    """Return everything about an account that can be JSON; times in seconds, rounded to milliseconds."""
    recent, money, balance = now.recent, now.cost.money, now.balance
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
            "queue_messages": dict(now.queues),
            "held_messages": now.held_messages,
            "recent": None
            if recent is None
            else {
                "over_seconds": recent.over_seconds,
                "ended_per_minute": recent.ended_per_minute,
                **_counts(recent.tally),
                "detection_lag": _times(recent.tally.lag),
                "task_duration": {kind: _times(histogram) for kind, histogram in recent.tally.took.items()},
            },
            "total": _counts(now.total),
            "billed": _billed(now.cost.seconds, "_seconds"),
            "mean_task_seconds": now.mean_seconds,
            "problems": [finding_to_json(problem) for problem in problems_of(now)],
        }
    )
    # Money is not rounded: a micro-dollar is its smallest part.
    rounded["billed"] |= {"money": None if money is None else _billed(money, "_usd", usd)}
    amounts = {
        "usd": balance.micro_usd,
        "left_usd": balance.left_micro_usd,
        "warn_usd": balance.warn_micro_usd,
        "hold_usd": balance.hold_micro_usd,
    }
    rounded["balance"] = {
        **{name: None if amount is None else usd(amount) for name, amount in amounts.items()},
        "age_seconds": _rounded(balance.age_seconds),
        "unreadable": balance.why or None,
    }
    return rounded


def finding_to_json(finding: Finding) -> dict[str, Any]:
    """Return a finding as `doctor --json` and the page's JSON have it; what is empty is left out."""
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


def _billed(days: Days, unit: str, of: Callable[[Any], float] = lambda amount: amount) -> dict[str, Any]:
    return {
        f"today{unit}": of(days.today),
        f"limit{unit}": None if days.limit is None else of(days.limit),
        "by_label": {name: of(amount) for name, amount in days.by_label.items()},
        f"other_labels{unit}": of(days.other_labels),
        "by_day": {day: of(amount) for day, amount in days.by_day.items()},
    }


def _counts(tally: Tally) -> dict[str, Any]:
    names = ("submits", "polls", "throttled", "lost_answers", "retries", "ended", "billed_seconds", "billed_usd")
    return {name: getattr(tally, name) for name in names}


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


def _usd(micro_usd: float | None) -> float | None:
    return None if micro_usd is None else usd(micro_usd)


def registry_of(now: Snapshot) -> CollectorRegistry:
    """Return a registry that holds this snapshot and nothing else."""
    registry = CollectorRegistry()
    registry.register(SnapshotCollector(now))
    return registry


class SnapshotCollector(Collector):
    """The metrics of one snapshot. All figures are the account's, so one exporter speaks for all workers."""

    def __init__(self, now: Snapshot) -> None:
        self._now = now

    def collect(self) -> Iterator[Metric]:
        """Yield every metric."""
        now = self._now
        for name, (text, value) in _gauges(now).items():
            if value is not None:
                yield self._family(GaugeMetricFamily, name, text, {"": value})
        for name, (text, label, values) in _labelled_gauges(now).items():
            yield self._family(GaugeMetricFamily, name, text, values, label)
        for name, (text, value) in _counters(now).items():
            if value is not None:
                yield self._family(CounterMetricFamily, name, text, {"": value})
        text = "Jobs that have ended, by kind of outcome."
        yield self._family(CounterMetricFamily, "jobs_ended", text, now.total.ended, "outcome")
        text = "From the vendor's completion of a task until its job was settled."
        yield self._histogram("detection_lag_seconds", text, {"": now.total.lag})
        text = "How long the vendor had tasks that have ended."
        yield self._histogram("task_duration_seconds", text, now.total.took, "type", "resolution")

    def _family(
        self,
        family_class: type[GaugeMetricFamily | CounterMetricFamily],
        name: str,
        text: str,
        values: Mapping[str, float],
        *labels: str,
    ) -> Metric:
        family = family_class(f"wanimate_{name}", text, labels=["account", *labels])
        for key, value in values.items():
            family.add_metric([self._now.account, key][: 1 + len(labels)], value)
        return family

    def _histogram(self, name: str, text: str, values: Mapping[str, Histogram], *labels: str) -> Metric:
        family = HistogramMetricFamily(f"wanimate_{name}", text, labels=["account", *labels])
        for kind, histogram in values.items():
            # Prometheus wants how often it took at most so long.
            edges = (*(str(float(edge)) for edge in histogram.edges_seconds), "+Inf")
            buckets = list(zip(edges, map(float, accumulate(histogram.counts)), strict=True))
            type_, _, resolution = kind.partition(":")
            family.add_metric([self._now.account, type_, resolution][: 1 + len(labels)], buckets, histogram.sum_seconds)
        return family


def _gauges(now: Snapshot) -> dict[str, tuple[str, float | None]]:
    """Return the help and the figure of each; None leaves the metric out."""
    slots, seconds, money, balance = now.slots, now.cost.seconds, now.cost.money, now.balance
    beat_age = float("inf") if now.beat_age_seconds is None else now.beat_age_seconds
    return {
        "slots_used": ("Upstream slots that are held.", slots.used),
        "slots_cap": ("The most slots there may be, as set.", slots.cap),
        "slots_effective_cap": ("The most slots there may be now.", slots.effective_cap),
        "slots_without_record": ("Slots whose job has lost its record.", slots.without_record),
        "parked_jobs": ("Jobs that wait for their next attempt.", now.parked),
        "due_lag_seconds": ("How long the job that is due longest was left alone.", now.due_lag_seconds),
        "unknown_jobs": ("Jobs whose submission's answer was lost.", now.unknown),
        "failed_jobs": ("Failed jobs that are kept.", now.failed),
        "dead_letters": ("Messages that no worker could use.", now.dead_letters),
        "held_messages": ("Messages that workers hold.", now.held_messages),
        "beat_age_seconds": ("How long ago a poll began.", beat_age),
        "budget_used_ratio": ("The share of the request budget used in the last minute.", now.budget.used_ratio),
        "day_billed_seconds": ("Estimate of what is billed today (UTC), of video.", seconds.today),
        "day_billed_seconds_limit": ("The most that may be billed in a day.", seconds.limit),
        "day_billed_usd": ("Estimate of what is billed today (UTC).", _usd(money.today if money else None)),
        "day_billed_usd_limit": ("The most that may be billed in a day.", _usd(money.limit if money else None)),
        "balance_usd": ("The balance as the vendor reported it last.", _usd(balance.micro_usd)),
        "balance_age_seconds": ("How long ago the vendor reported the balance.", balance.age_seconds),
        "balance_warn_usd": ("A balance below this is warned of.", _usd(balance.warn_micro_usd)),
        "balance_hold_usd": ("What no submission may take the balance below.", _usd(balance.hold_micro_usd)),
    }


def _labelled_gauges(now: Snapshot) -> dict[str, tuple[str, str, Mapping[str, float]]]:
    """Return the help, the label and the figures of each."""
    waiting = {band.priorities: band.waiting for band in now.bands}
    oldest = {band.priorities: band.oldest_seconds or 0.0 for band in now.bands}
    reasons = {blocker.reason for blocker in blockers_of(now)}
    closed = {reason.value: int(reason in reasons) for reason in BlockReason}
    return {
        "waiting_jobs": ("Jobs that wait for a slot, by priority.", "band", waiting),
        "oldest_waiting_seconds": ("How long the next job has waited; 0 if none.", "band", oldest),
        "queue_messages": ("Messages that no worker has taken.", "queue", now.queues),
        "gate_closed": ("Whether nothing is submitted for this reason.", "reason", closed),
    }


def _counters(now: Snapshot) -> dict[str, tuple[str, float | None]]:
    """Return the help and the figure of each; None leaves the metric out."""
    total = now.total
    return {
        "submits": ("Submissions begun.", total.submits),
        "polls": ("Status requests that were permitted.", total.polls),
        "throttled": ("Answers 429.", total.throttled),
        "lost_answers": ("Submissions whose answer was lost.", total.lost_answers),
        "retries": ("Tasks that failed with a transient code and were sent again.", total.retries),
        "billed_seconds": ("Estimate of what was billed, in seconds of video.", total.billed_seconds),
        "billed_usd": ("Estimate of what was billed, in US dollars.", total.billed_usd if now.cost.money else None),
    }
