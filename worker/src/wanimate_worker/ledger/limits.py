"""The numbers of the ledger: the account's, which are kept in it, and those that each process gives its scripts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from ..pacing import BASE_SECONDS, CAP_SECONDS, RequestRate

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class AccountLimits:
    """What the vendor allows the account, and which vendor: kept in the ledger, where all scripts read it, one for all.

    Args:
        max_in_flight: Upstream slots, over all workers and hosts.
        requests_per_minute: Requests in any 60 s, submissions and polls together.
        daily_billed_ms: The most that may be billed in a day (UTC), as an estimate in ms of video; None for no limit.
        retry_transient: How often a job that says nothing of it is sent again after transient failures.
        api_base_url: Where the vendor of all tasks in this ledger is; empty where nobody has said so.
    """

    max_in_flight: int
    requests_per_minute: int
    daily_billed_ms: int | None = None
    retry_transient: int = 0
    api_base_url: str = ""

    @property
    def daily_billed_seconds(self) -> float | None:
        """The limit of a day in seconds of video; None for no limit."""
        return None if self.daily_billed_ms is None else self.daily_billed_ms / 1000

    def fields(self) -> dict[str, str | int]:
        """Return them as the scripts read them, with what the request budget follows from them.

        Polls leave a quarter of the burst to submissions.
        """
        rate = RequestRate(self.requests_per_minute)
        return {
            "max_in_flight": self.max_in_flight,
            "requests_per_minute": self.requests_per_minute,
            "emission_interval_us": rate.emission_interval_us,
            "burst": rate.burst,
            "poll_headroom": rate.burst // 4,
            "daily_billed_ms": "" if self.daily_billed_ms is None else self.daily_billed_ms,
            "retry_transient": self.retry_transient,
            **({"api_base_url": self.api_base_url} if self.api_base_url else {}),
        }

    @classmethod
    def read(cls, fields: Mapping[str, str]) -> Self | None:
        """Build from the hash; None where it is missing."""
        if not fields:
            return None
        daily_billed_ms = fields.get("daily_billed_ms")
        return cls(
            max_in_flight=int(fields["max_in_flight"]),
            requests_per_minute=int(fields["requests_per_minute"]),
            daily_billed_ms=int(daily_billed_ms) if daily_billed_ms else None,
            retry_transient=int(fields.get("retry_transient") or 0),
            api_base_url=fields.get("api_base_url", ""),
        )


@dataclass(frozen=True, slots=True)
class LedgerLimits:
    """How long this process takes before somebody looks again, and other numbers of its own.

    Args:
        lease_ms: After this, a resume message or a delivery counts as lost.
        submit_lease_ms: After this, a submission's process counts as dead; longer than the HTTP time-outs.
        poll_lease_ms: After this, a poll batch's process counts as dead.
        unknown_after_ms: How long to wait for news of a submission whose answer was lost.
        result_ttl_ms: How long the record of an ended job is kept.
        failed_ttl_ms: How long failed jobs and dead letters are kept.
        permit_wait_ms: The longest a run waits for a request permit before it steps back.
        grant_batch: The most slots handed out by one script, so that no script blocks Redis for long.
        backoff_base_ms: The first back-off after a failure of the vendor.
        backoff_longest_ms: The longest back-off.
        trial_base_ms: The first pause before one more submission is tried after several lost answers.
        probe_interval_ms: How often a paused account is probed.
        callback_interval_ms: The shortest time between two looks at a job that callbacks ask for.
        intent_replicas: How many replicas must have an intent before its request is sent.
        intent_timeout_ms: How long to wait for either.
    """

    lease_ms: int = 15_000
    submit_lease_ms: int = 60_000
    poll_lease_ms: int = 60_000
    unknown_after_ms: int = 600_000
    result_ttl_ms: int = 3 * 86_400_000
    failed_ttl_ms: int = 7 * 86_400_000
    permit_wait_ms: int = 1_000
    grant_batch: int = 100
    backoff_base_ms: int = round(BASE_SECONDS * 1000)
    backoff_longest_ms: int = round(CAP_SECONDS * 1000)
    trial_base_ms: int = 1_000
    probe_interval_ms: int = 5_000
    callback_interval_ms: int = 1_000
    intent_replicas: int = 0
    intent_timeout_ms: int = 3_000
