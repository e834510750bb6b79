"""The numbers that the ledger's scripts are given."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..pacing import BASE_SECONDS, CAP_SECONDS

if TYPE_CHECKING:
    from ..pacing import RequestRate


@dataclass(frozen=True, slots=True)
class LedgerLimits:
    """How many, how fast, and how long before somebody looks again.

    Args:
        max_in_flight: Upstream slots, over all workers and hosts.
        request_rate: The request budget.
        lease_ms: After this, a resume message or a delivery counts as lost.
        submit_lease_ms: After this, a submission's process counts as dead; longer than the HTTP time-outs.
        poll_lease_ms: After this, a poll batch's process counts as dead.
        unknown_after_ms: How long to wait for news of a submission whose answer was lost.
        result_ttl_ms: How long the record of an ended job is kept.
        failed_ttl_ms: How long failed jobs and dead letters are kept.
        permit_wait_ms: The longest a run waits for a request permit before it steps back.
        poll_headroom: How much of the burst polls leave to submissions, in requests.
        grant_batch: The most slots handed out by one script, so that no script blocks Redis for long.
        backoff_base_ms: The first back-off after a failure of the vendor.
        backoff_longest_ms: The longest back-off.
        trial_base_ms: The first pause before one more submission is tried after several lost answers.
        probe_interval_ms: How often a paused account is probed.
        callback_interval_ms: The shortest time between two looks at a job that callbacks ask for.
        intent_replicas: How many replicas must have an intent before its request is sent.
        intent_timeout_ms: How long to wait for either.
        daily_billed_ms: The most that may be billed in a day (UTC), as an estimate in ms of video; None for no limit.
    """

    max_in_flight: int
    request_rate: RequestRate
    lease_ms: int = 15_000
    submit_lease_ms: int = 60_000
    poll_lease_ms: int = 60_000
    unknown_after_ms: int = 600_000
    result_ttl_ms: int = 3 * 86_400_000
    failed_ttl_ms: int = 7 * 86_400_000
    permit_wait_ms: int = 1_000
    poll_headroom: int = 0
    grant_batch: int = 100
    backoff_base_ms: int = round(BASE_SECONDS * 1000)
    backoff_longest_ms: int = round(CAP_SECONDS * 1000)
    trial_base_ms: int = 1_000
    probe_interval_ms: int = 5_000
    callback_interval_ms: int = 1_000
    intent_replicas: int = 0
    intent_timeout_ms: int = 3_000
    daily_billed_ms: int | None = None
