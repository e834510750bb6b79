"""The metrics that the exporter gives, for the tests of what reads them: rules, dashboard, documentation."""

from __future__ import annotations

from typing import Final

GAUGES: Final[dict[str, frozenset[str]]] = {
    "slots_used": frozenset(),
    "slots_cap": frozenset(),
    "slots_effective_cap": frozenset(),
    "slots_without_record": frozenset(),
    "waiting_jobs": frozenset({"band"}),
    "oldest_waiting_seconds": frozenset({"band"}),
    "due_lag_seconds": frozenset(),
    "unknown_jobs": frozenset(),
    "parked_jobs": frozenset(),
    "keeping_jobs": frozenset(),
    "keeping_seconds_to_expiry": frozenset(),
    "webhooks_undelivered": frozenset(),
    "webhooks_oldest_seconds": frozenset(),
    "webhooks_given_up": frozenset(),
    "failed_jobs": frozenset(),
    "dead_letters": frozenset(),
    "queue_messages": frozenset({"queue"}),
    "held_messages": frozenset(),
    "gate_closed": frozenset({"reason"}),
    "budget_used_ratio": frozenset(),
    "beat_age_seconds": frozenset(),
    "day_billed_seconds": frozenset(),
    "day_billed_seconds_limit": frozenset(),
    "day_billed_usd": frozenset(),
    "day_billed_usd_limit": frozenset(),
    "balance_usd": frozenset(),
    "balance_age_seconds": frozenset(),
    "balance_warn_usd": frozenset(),
    "balance_hold_usd": frozenset(),
}
COUNTERS: Final[dict[str, frozenset[str]]] = {
    "submits_total": frozenset(),
    "polls_total": frozenset(),
    "throttled_total": frozenset(),
    "lost_answers_total": frozenset(),
    "retries_total": frozenset(),
    "webhook_tries_total": frozenset({"result"}),
    "copies_total": frozenset({"result"}),
    "copied_bytes_total": frozenset(),
    "jobs_ended_total": frozenset({"outcome"}),
    "billed_seconds_total": frozenset(),
    "billed_usd_total": frozenset(),
}
HISTOGRAMS: Final[dict[str, frozenset[str]]] = {
    "detection_lag_seconds": frozenset(),
    "webhook_delivery_seconds": frozenset(),
    "task_duration_seconds": frozenset({"type", "resolution"}),
}
GATE_REASONS: Final = frozenset(
    {"suspended", "paused", "back_off", "unsafe", "refused", "probe", "daily_limit", "balance"}
)

#: Every metric by its whole name, with its labels besides `account`.
METRICS: Final = {f"wanimate_{name}": labels for name, labels in {**GAUGES, **COUNTERS, **HISTOGRAMS}.items()}


def series() -> dict[str, frozenset[str]]:
    """Return every name that a query may ask for, with its labels; histograms have theirs."""
    names = {f"wanimate_{name}": labels | {"account"} for name, labels in {**GAUGES, **COUNTERS}.items()}
    for name, labels in HISTOGRAMS.items():
        for suffix, more in (("bucket", {"le"}), ("sum", set()), ("count", set())):
            names[f"wanimate_{name}_{suffix}"] = labels | {"account"} | more
    return names
