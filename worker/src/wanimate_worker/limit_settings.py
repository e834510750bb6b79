"""The initial limits of an account, which the first worker stores in the ledger.

After that the ledger's values apply, and `wanimate-worker limits` shows and changes them.
"""

from __future__ import annotations

import re
from typing import Final, Self

from pydantic import Field, field_validator, model_validator
from wanimate.contract import MAX_RETRIES
from wanimate.contract.cost import MAX_BILLED_SECONDS, to_micro_usd
from wanimate.contract.urls import check_http_url
from wanimate.settings import Settings

_STORE: Final = re.compile(r"((s3|gs|az)://[A-Za-z0-9][A-Za-z0-9._-]*|file:///[^?#@\s]*)(/[^?#@\s]*)?")


class LimitSettings(Settings):
    """What the vendor allows the account."""

    max_in_flight: int = Field(
        default=1000,
        ge=1,
        le=1_000_000,
        description='Tasks at the vendor at once, over all workers and hosts (vendor document, "Rate Limits").',
    )
    requests_per_minute: int = Field(
        default=10_000,
        ge=1,
        le=10_000_000,
        description='Requests in any 60 s, submissions and polls together (vendor document, "Rate Limits").',
    )
    retry_transient: int = Field(
        default=0,
        ge=0,
        le=MAX_RETRIES,
        description="Retries of a job whose task failed with a code that the vendor documents as transient "
        "(`PROCESSING_TIMEOUT`, `MODEL_UNAVAILABLE`). Each retry is a new task that may be billed. A job's own "
        "`retry_transient` takes precedence.",
    )
    daily_billed_seconds: float | None = Field(
        default=None,
        ge=120,
        le=1e9,
        description="Limit of the video billed in a day (UTC), as an estimate in seconds: submissions stop until the "
        "next day. A job without `video_seconds` counts as 120 s.",
    )


class OutputSettings(Settings):
    """Where results are sent, the same for all workers of the account."""

    webhook_url: str | None = Field(
        default=None,
        description="Webhook URL of jobs without their own `webhook_url`. Needs `WANIMATE_WEBHOOK_SECRET`.",
    )
    keep_url: str | None = Field(
        default=None,
        description="The store to which finished videos are copied: `s3://BUCKET/PREFIX`, `gs://BUCKET/PREFIX`, "
        "`az://CONTAINER/PREFIX` or `file:///FOLDER`. Without it videos stay at the vendor, which deletes "
        "them after a day.",
    )
    events_kept: int = Field(
        default=100_000,
        ge=1_000,
        le=100_000_000,
        description="How many events of ended jobs are kept; each takes about half a kilobyte of Redis.",
    )

    @field_validator("webhook_url")
    @classmethod
    def _can_be_called(cls, value: str | None) -> str | None:
        if value is None or not value.strip():
            return None
        check_http_url(value.strip())
        return value.strip()

    @field_validator("keep_url")
    @classmethod
    def _is_store(cls, value: str | None) -> str | None:
        if value is None or not value.strip():
            return None
        if not _STORE.fullmatch(value.strip()):
            raise ValueError(
                "expected s3://BUCKET/PREFIX, gs://BUCKET/PREFIX, az://CONTAINER/PREFIX or file:///FOLDER, without "
                "credentials: set the usual variables of the store, such as AWS_ACCESS_KEY_ID"
            )
        return value.strip().rstrip("/")


class MoneySettings(Settings):
    """Prices and spending limits in US dollars; all but the interval are limits of the account."""

    daily_billed_usd: float | None = Field(
        default=None,
        ge=0.01,
        le=1e9,
        description="The same limit in US dollars, instead of or in addition to the one in seconds. Needs both prices.",
    )
    price_480p_usd_per_second: float | None = Field(
        default=None,
        ge=1e-6,
        le=1e3,
        description="Price of a billed second at 480p, in US dollars. With prices, billed seconds are also shown in "
        "dollars.",
    )
    price_720p_usd_per_second: float | None = Field(default=None, ge=1e-6, le=1e3, description="The same at 720p.")
    balance_warn_usd: float | None = Field(
        default=None,
        ge=0.01,
        le=1e9,
        description="Warn when the account's balance at the vendor is below this, in US dollars.",
    )
    balance_hold_usd: float | None = Field(
        default=None,
        ge=0.01,
        le=1e9,
        description="Submit no job that would leave less of the balance than this, in US dollars; at most "
        "`WANIMATE_BALANCE_WARN_USD` if both are set.",
    )

    balance_interval_seconds: float = Field(
        default=60.0,
        ge=0.1,
        le=600,
        description="The shortest time between two requests for the balance, in seconds; longer if the request budget "
        "is small.",
    )

    @model_validator(mode="after")
    def _money_fits(self) -> Self:
        prices = (self.price_480p_usd_per_second, self.price_720p_usd_per_second)
        if self.daily_billed_usd is not None and None in prices:
            raise ValueError(
                "WANIMATE_DAILY_BILLED_USD needs WANIMATE_PRICE_480P_USD_PER_SECOND and "
                "WANIMATE_PRICE_720P_USD_PER_SECOND"
            )
        dearest = MAX_BILLED_SECONDS * max(price or 0.0 for price in prices)
        if self.daily_billed_usd is not None and self.daily_billed_usd < dearest:
            raise ValueError(
                f"WANIMATE_DAILY_BILLED_USD must be at least {dearest:g}, the cost of {MAX_BILLED_SECONDS:g} s at "
                "the higher price: a job that costs more would never be submitted"
            )
        warn, hold = self.balance_warn_usd, self.balance_hold_usd
        if warn is not None and hold is not None and hold > warn:
            raise ValueError(
                "WANIMATE_BALANCE_HOLD_USD must not be above WANIMATE_BALANCE_WARN_USD: the warning comes before "
                "submissions stop"
            )
        return self

    def money_limits(self) -> dict[str, int | None]:
        """Return them in the form of the ledger, in micro-dollars."""
        return {
            f"{name.removesuffix('_per_second').removesuffix('_usd')}_micro_usd": _micro_usd(getattr(self, name))
            for name in _MONEY_LIMITS
        }


_MONEY_LIMITS: Final = tuple(name for name in MoneySettings.model_fields if "_usd" in name)
#: The account's limits, by the names of their settings.
LIMIT_NAMES: Final = (
    *(name for name in LimitSettings.model_fields if name not in Settings.model_fields),
    *_MONEY_LIMITS,
    *(name for name in OutputSettings.model_fields if name not in Settings.model_fields),
)
#: Those that a worker stores if the account has none; a worker without them accepts the account's.
ADDRESS_NAMES: Final = ("webhook_url", "keep_url")


def _micro_usd(usd: float | None) -> int | None:
    return None if usd is None else to_micro_usd(usd)
