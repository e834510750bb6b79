"""The numbers of the ledger: the account's, which are kept in it, and those that each process gives its scripts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self

from wanimate.contract.cost import Prices, usd

from ..pacing import BASE_SECONDS, CAP_SECONDS, RequestRate

if TYPE_CHECKING:
    from collections.abc import Mapping


#: In a ledger that does not say it yet.
_EVENTS_KEPT: Final = 100_000


@dataclass(frozen=True, slots=True)
class AccountLimits:
    """What the vendor allows the account, what it may cost, and which vendor: in the ledger, one for all.

    Money is in whole micro-dollars; None is no limit, or a price that is not known.

    Args:
        requests_per_minute: Requests in any 60 s, submissions and polls together.
        daily_billed_ms: The most that may be billed in a day (UTC), as an estimate in ms of video; None for no limit.
        retry_transient: How often a job is retried after transient failures, unless it sets that itself.
        api_base_url: Where the vendor of all tasks in this ledger is; empty until a worker has set it.
        daily_billed_micro_usd: The most that may be billed in a day (UTC), as an estimate in money.
        price_480p_micro_usd: What a billed second costs at 480p.
        price_720p_micro_usd: What a billed second costs at 720p.
        balance_warn_micro_usd: A balance below this is warned of.
        balance_hold_micro_usd: No submission begins that would leave less than this of the balance.
        events_kept: How many ends of jobs can be read as events.
        webhook_url: Where webhooks go of jobs that name no address; None for nowhere.
        keep_url: The store to which videos are copied; None where none are.
    """

    max_in_flight: int
    requests_per_minute: int
    daily_billed_ms: int | None = None
    retry_transient: int = 0
    api_base_url: str = ""
    daily_billed_micro_usd: int | None = None
    price_480p_micro_usd: int | None = None
    price_720p_micro_usd: int | None = None
    balance_warn_micro_usd: int | None = None
    balance_hold_micro_usd: int | None = None
    events_kept: int = _EVENTS_KEPT
    webhook_url: str | None = None
    keep_url: str | None = None

    @property
    def daily_billed_seconds(self) -> float | None:
        return None if self.daily_billed_ms is None else self.daily_billed_ms / 1000

    @property
    def daily_billed_usd(self) -> float | None:
        return _usd(self.daily_billed_micro_usd)

    @property
    def price_480p_usd_per_second(self) -> float | None:
        return _usd(self.price_480p_micro_usd)

    @property
    def price_720p_usd_per_second(self) -> float | None:
        return _usd(self.price_720p_micro_usd)

    @property
    def balance_warn_usd(self) -> float | None:
        return _usd(self.balance_warn_micro_usd)

    @property
    def balance_hold_usd(self) -> float | None:
        return _usd(self.balance_hold_micro_usd)

    @property
    def prices(self) -> Prices:
        return Prices(self.price_480p_micro_usd, self.price_720p_micro_usd)

    @property
    def has_prices(self) -> bool:
        return self.price_480p_micro_usd is not None or self.price_720p_micro_usd is not None

    def fields(self) -> dict[str, str | int]:
        """Return them as the scripts read them, with what the request budget follows from them.

        Polls leave a quarter of the burst to submissions, and where they can at least one: a slot that a poll frees is
        used again at once.
        """
        rate = RequestRate(self.requests_per_minute)
        return {
            "max_in_flight": self.max_in_flight,
            "requests_per_minute": self.requests_per_minute,
            "emission_interval_us": rate.emission_interval_us,
            "burst": rate.burst,
            "poll_headroom": max(rate.burst // 4, min(1, rate.burst - 1)),
            "retry_transient": self.retry_transient,
            "events_kept": self.events_kept,
            **self.addresses(),
            **{name: "" if (value := getattr(self, name)) is None else value for name in _OPTIONAL},
            **({"api_base_url": self.api_base_url} if self.api_base_url else {}),
        }

    def addresses(self) -> dict[str, str]:
        """Return where webhooks and videos go, those that are set."""
        set_to = {"webhook_url": self.webhook_url, "keep_url": self.keep_url}
        return {name: address for name, address in set_to.items() if address}

    @classmethod
    def read(cls, fields: Mapping[str, str]) -> Self | None:
        """Build from the account's hash; None where they are missing."""
        if "max_in_flight" not in fields:
            return None
        return cls(
            max_in_flight=int(fields["max_in_flight"]),
            requests_per_minute=int(fields["requests_per_minute"]),
            retry_transient=int(fields.get("retry_transient") or 0),
            api_base_url=fields.get("api_base_url", ""),
            webhook_url=fields.get("webhook_url") or None,
            keep_url=fields.get("keep_url") or None,
            events_kept=int(fields.get("events_kept") or _EVENTS_KEPT),
            **{name: int(value) for name in _OPTIONAL if (value := fields.get(name))},
        )


#: Fields of the account's limits that may be empty.
_OPTIONAL: Final = (
    *("daily_billed_ms", "daily_billed_micro_usd", *Prices._fields),
    *("balance_warn_micro_usd", "balance_hold_micro_usd"),
)


def _usd(micro_usd: int | None) -> float | None:
    return None if micro_usd is None else usd(micro_usd)


@dataclass(frozen=True, slots=True)
class LedgerLimits:
    """The leases of this process, and other numbers of its own.

    Args:
        lease_ms: After this, a job with a slot that was not sent, or a delivery, counts as lost.
        submit_lease_ms: After this, a submission's process counts as dead; longer than the HTTP time-outs.
        poll_lease_ms: After this, a poll batch's process counts as dead.
        unknown_after_ms: How long to wait for news of a submission whose answer was lost.
        result_ttl_ms: How long the record of an ended job is kept.
        failed_ttl_ms: How long failed jobs and dead letters are kept.
        permit_wait_ms: The longest a submitter waits for a request permit before the job is requeued.
        grant_batch: The most slots handed out by one script, so that no script blocks Redis for long.
        backoff_base_ms: The first back-off after a failure of the vendor.
        backoff_max_ms: The longest back-off.
        breaker_base_ms: The first pause of the circuit breaker before a half-open submission.
        refusal_base_ms: For how long a job is parked after its first refusal without a verdict; doubled each time.
        refusal_max_ms: The longest it is parked for that.
        probe_interval_ms: How often a suspended account is probed.
        callback_interval_ms: The shortest time between two checks of a job that callbacks ask for.
        intent_replicas: How many replicas must have an intent before its request is sent.
        intent_timeout_ms: How long to wait for either.
        balance_interval_ms: The shortest time between two requests for the balance.
        balance_max_ms: The longest time between two of them, where the request budget is small.
        keep_lease_ms: After this, a copy of a video that was not prolonged counts as lost.
        webhook_lease_ms: After this, a webhook that was being sent counts as lost; longer than its time-out.
        endpoint_connections: The most webhooks that are sent to one endpoint at once, over all processes.
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
    backoff_max_ms: int = round(CAP_SECONDS * 1000)
    breaker_base_ms: int = 1_000
    refusal_base_ms: int = 2_000
    refusal_max_ms: int = 60_000
    probe_interval_ms: int = 5_000
    callback_interval_ms: int = 1_000
    intent_replicas: int = 0
    intent_timeout_ms: int = 3_000
    balance_interval_ms: int = 60_000
    balance_max_ms: int = 600_000
    keep_lease_ms: int = 30_000
    webhook_lease_ms: int = 45_000
    endpoint_connections: int = 8
