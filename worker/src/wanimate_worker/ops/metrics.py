"""A snapshot as Prometheus reads it. All figures are the account's, so one exporter speaks for all workers."""

from __future__ import annotations

from itertools import accumulate
from typing import TYPE_CHECKING, Final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector, CollectorRegistry
from wanimate.contract.cost import usd

from ..stops import StopReason

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from prometheus_client import Metric

    from ..ledger.tally import Histogram
    from .snapshot import Snapshot

_PREFIX: Final = "wanimate_"


def registry_of(snapshot: Snapshot) -> CollectorRegistry:
    """Return a registry that holds this snapshot and nothing else."""
    registry = CollectorRegistry()
    registry.register(SnapshotCollector(snapshot))
    return registry


class SnapshotCollector(Collector):
    """The metrics of one snapshot.

    Args:
        snapshot: What they tell.
    """

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        self._account = snapshot.account

    def collect(self) -> Iterator[Metric]:
        """Yield every metric."""
        yield from self._of_work()
        yield from self._of_requests()
        yield from self._of_cost()
        yield from self._of_balance()
        yield from self._of_times()

    def _of_work(self) -> Iterator[Metric]:
        snapshot, slots = self._snapshot, self._snapshot.slots
        yield self._gauge("slots_used", "Upstream slots that are held.", slots.used)
        yield self._gauge("slots_cap", "The most slots there may be, as set.", slots.cap)
        yield self._gauge("slots_effective_cap", "The most slots there may be now.", slots.effective_cap)
        yield self._gauge("slots_without_record", "Slots whose job has lost its record.", slots.without_record)
        bands = snapshot.bands
        waiting = {band.priorities: band.waiting for band in bands}
        yield self._gauges("waiting_jobs", "Jobs that wait for a slot, by priority.", "band", waiting)
        oldest = {band.priorities: band.oldest_seconds or 0.0 for band in bands}
        yield self._gauges("oldest_waiting_seconds", "How long the next job has waited; 0 if none.", "band", oldest)
        yield self._gauge("parked_jobs", "Jobs that wait for their next attempt.", snapshot.parked)
        lag = snapshot.due_lag_seconds
        yield self._gauge("due_lag_seconds", "How long the job that is due longest was left alone.", lag)
        yield self._gauge("unknown_jobs", "Jobs whose submission's answer was lost.", snapshot.unknown)
        yield self._gauge("failed_jobs", "Failed jobs that are kept.", snapshot.failed)
        yield self._gauge("dead_letters", "Messages that nobody could use.", snapshot.dead_letters)
        yield self._gauges("queue_messages", "Messages that no worker has taken.", "queue", snapshot.queues)
        yield self._gauge("held_messages", "Messages that workers hold.", snapshot.held_messages)
        held = {stop.reason for stop in snapshot.stops}
        closed = {reason.value: int(reason in held) for reason in StopReason}
        yield self._gauges("gate_closed", "Whether nothing is submitted for this reason.", "reason", closed)
        age = float("inf") if snapshot.beat_age_seconds is None else snapshot.beat_age_seconds
        yield self._gauge("beat_age_seconds", "How long ago a poll began.", age)

    def _of_requests(self) -> Iterator[Metric]:
        tally = self._snapshot.since_ever
        used = self._snapshot.budget.used_ratio
        yield self._gauge("budget_used_ratio", "The share of the request budget that is used, of late.", used)
        yield self._counter("submits", "Submissions begun.", tally.submits)
        yield self._counter("polls", "Status requests that were permitted.", tally.polls)
        yield self._counter("throttled", "Answers 429.", tally.throttled)
        yield self._counter("lost_answers", "Submissions whose answer was lost.", tally.lost_answers)
        yield self._counter("retries", "Tasks that failed with a transient code and were sent again.", tally.retries)
        ended = CounterMetricFamily(
            f"{_PREFIX}jobs_ended", "Jobs that have ended, by kind of outcome.", labels=["account", "outcome"]
        )
        for outcome, count in tally.ended.items():
            ended.add_metric([self._account, outcome], count)
        yield ended

    def _of_cost(self) -> Iterator[Metric]:
        cost, tally = self._snapshot.cost, self._snapshot.since_ever
        seconds, money = cost.seconds, cost.money
        yield self._gauge("day_billed_seconds", "Estimate of what is billed today (UTC), of video.", seconds.today)
        if seconds.limit is not None:
            yield self._gauge("day_billed_seconds_limit", "The most that may be billed in a day.", seconds.limit)
        yield self._counter("billed_seconds", "Estimate of what was billed, in seconds of video.", tally.billed_seconds)
        if money is not None:
            yield self._gauge("day_billed_usd", "Estimate of what is billed today (UTC).", usd(money.today))
            yield self._counter("billed_usd", "Estimate of what was billed, in US dollars.", tally.billed_usd)
        if money is not None and money.limit is not None:
            yield self._gauge("day_billed_usd_limit", "The most that may be billed in a day.", usd(money.limit))

    def _of_balance(self) -> Iterator[Metric]:
        balance = self._snapshot.balance
        if balance.micro_usd is not None:
            yield self._gauge("balance_usd", "The balance as the vendor told it last.", usd(balance.micro_usd))
        if balance.age_seconds is not None:
            yield self._gauge("balance_age_seconds", "How long ago the vendor told the balance.", balance.age_seconds)
        if balance.warn_micro_usd is not None:
            warn = usd(balance.warn_micro_usd)
            yield self._gauge("balance_warn_usd", "A balance below this is warned of.", warn)
        if balance.hold_micro_usd is not None:
            hold = usd(balance.hold_micro_usd)
            yield self._gauge("balance_hold_usd", "What no submission may take the balance below.", hold)

    def _of_times(self) -> Iterator[Metric]:
        tally = self._snapshot.since_ever
        lag = HistogramMetricFamily(
            f"{_PREFIX}detection_lag_seconds",
            "From the vendor's completion of a task until its job was settled.",
            labels=["account"],
        )
        lag.add_metric([self._account], *_buckets(tally.lag))
        yield lag
        took = HistogramMetricFamily(
            f"{_PREFIX}task_duration_seconds",
            "How long the vendor had tasks that have ended.",
            labels=["account", "type", "resolution"],
        )
        for kind, histogram in tally.took.items():
            type_, _, resolution = kind.partition(":")
            took.add_metric([self._account, type_, resolution], *_buckets(histogram))
        yield took

    def _gauge(self, name: str, text: str, value: float) -> Metric:
        family = GaugeMetricFamily(_PREFIX + name, text, labels=["account"])
        family.add_metric([self._account], value)
        return family

    def _gauges(self, name: str, text: str, label: str, values: Mapping[str, float]) -> Metric:
        family = GaugeMetricFamily(_PREFIX + name, text, labels=["account", label])
        for key, value in values.items():
            family.add_metric([self._account, key], value)
        return family

    def _counter(self, name: str, text: str, value: float) -> Metric:
        family = CounterMetricFamily(_PREFIX + name, text, labels=["account"])
        family.add_metric([self._account], value)
        return family


def _buckets(histogram: Histogram) -> tuple[list[tuple[str, float]], float]:
    """Return the buckets with how often it took at most so long, and the sum, as Prometheus wants them."""
    edges: Iterable[str] = (*(str(float(edge)) for edge in histogram.edges_seconds), "+Inf")
    return list(zip(edges, map(float, accumulate(histogram.counts)), strict=True)), histogram.sum_seconds
