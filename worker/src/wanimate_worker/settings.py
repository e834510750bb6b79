"""The settings of workers, read as the shared ones are; one class per concern."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, Self
from urllib.parse import urlsplit, urlunsplit

from pydantic import Field, SecretStr, field_validator, model_validator
from wanimate.contract import RESULT_URLS_TTL_SECONDS
from wanimate.errors import SettingsError
from wanimate.settings import Settings

from .addresses import is_loopback
from .ledger import AccountLimits, LedgerLimits
from .limit_settings import ADDRESS_NAMES, LIMIT_NAMES, LimitSettings, MoneySettings, OutputSettings
from .service_settings import (
    CallbackSettings,
    FlowerSettings,
    KeepSettings,
    LogSettings,
    OpsSettings,
    WebhookSettings,
)
from .vendor import Timeouts

if TYPE_CHECKING:
    from pydantic_settings import BaseSettings, PydanticBaseSettingsSource

_VENDOR: Final = "https://api.apixo.ai"


class UpstreamSettings(Settings):
    """The vendor."""

    api_key: SecretStr | None = Field(
        default=None,
        description="The vendor's API key. Workers, `resolve` and `doctor` need it; beat and Flower do not.",
    )
    api_base_url: str = Field(
        default=_VENDOR,
        pattern=r"^(?i:https?)://[^\s/]+(/[^\s]*)?$",
        description="The address of the vendor's API, or of the simulator. The first worker stores it in Redis; after "
        "that, `wanimate-worker limits` changes it.",
    )
    allow_http: bool = Field(
        default=False,
        description="Whether `WANIMATE_API_BASE_URL`, which receives the API key, and `WANIMATE_CALLBACK_BASE_URL` "
        "may be `http://` addresses of other machines, such as a simulator in a container network. Loopback is always "
        "allowed.",
    )
    connect_timeout_seconds: float = Field(
        default=5.0, gt=0, le=60, description="Time-out for connecting to the vendor, in seconds."
    )
    submit_timeout_seconds: float = Field(
        default=30.0,
        gt=0,
        le=300,
        description="Time-out for the answer to a submission, in seconds. A submission without an answer may have been "
        "billed and is not repeated, so use a long time-out.",
    )
    poll_timeout_seconds: float = Field(
        default=10.0, gt=0, le=300, description="Time-out for the answer to a status request, in seconds."
    )

    result_urls_ttl_seconds: float = Field(
        default=RESULT_URLS_TTL_SECONDS,
        gt=0,
        le=366 * 86_400,
        description="How long the vendor serves the URLs of a result after the end of the task, in seconds; documented "
        "are 24 hours. Results have the time as `urls_expire_at`.",
    )
    trust_env: bool = Field(
        default=False, description="Whether to use HTTPS_PROXY and SSL_CERT_FILE for requests to the vendor."
    )

    @field_validator("api_base_url")
    @classmethod
    def _as_one_spelling(cls, value: str) -> str:
        """Normalize the address: addresses are compared."""
        parts = urlsplit(value)
        host = parts.netloc.lower().removesuffix({"http": ":80", "https": ":443"}[parts.scheme])
        return urlunsplit(parts._replace(netloc=host)).rstrip("/")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 - pydantic's signature
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Refuse a `.env` file that sends a key of somewhere else to an address of its own."""
        own, strong = dotenv_settings(), {**env_settings(), **init_settings()}
        is_redirected = str(own.get("api_base_url", _VENDOR)).rstrip("/") != _VENDOR and "api_base_url" not in strong
        has_key_of_its_own = "api_key" in own and "api_key" not in strong
        if is_redirected and not has_key_of_its_own and "api_key" in {**file_secret_settings(), **strong}:
            raise SettingsError(
                "WANIMATE_API_BASE_URL: the .env file of this folder would send an API key that it does not contain to "
                "its own address. Put both in one place, or remove the line"
            )
        return init_settings, env_settings, dotenv_settings, file_secret_settings

    @field_validator("api_key")
    @classmethod
    def _not_blank(cls, value: SecretStr | None) -> SecretStr | None:
        return value if value is not None and value.get_secret_value().strip() else None


class PollSettings(Settings):
    """When finished tasks are noticed."""

    poll_tick_seconds: float = Field(
        default=1.0,
        ge=0.05,
        le=60,
        description="How often beat sends a tick, in seconds. The worker that receives it polls due tasks until the "
        "next tick.",
    )
    poll_floor_seconds: float = Field(
        default=0.5, ge=0.01, le=60, description="The shortest time between two polls of one task, in seconds."
    )
    poll_batch_size: int = Field(
        default=16, ge=1, le=1000, description="The most due tasks that a worker process claims at once."
    )
    poll_concurrency: int = Field(
        default=16,
        ge=1,
        le=64,
        description="Status requests in flight at once in one worker process.",
    )


class RecoverySettings(Settings):
    """When unfinished steps are taken again, and what happens then."""

    lease_seconds: float = Field(
        default=15.0,
        ge=1,
        le=600,
        description="After this time without progress, another worker takes over a job that was not sent, or delivers "
        "an outcome again, in seconds.",
    )
    unknown_after_seconds: float = Field(
        default=600.0,
        ge=1,
        le=366 * 86_400,
        description="How long a submission with a lost answer keeps its slot before `on_unknown` applies, in seconds.",
    )
    on_unknown: Literal["fail", "resubmit"] = Field(
        default="fail",
        description="What happens then: `fail` with SubmissionUnknown (never billed twice) or `resubmit` (may be "
        "billed twice). A job's own `on_unknown` takes precedence.",
    )
    run_deadline_seconds: float = Field(
        default=3600.0,
        ge=1,
        le=366 * 86_400,
        description="After this time since the vendor accepted a task, its job fails as DeadlineExceeded, in seconds; "
        "a last status request is sent first.",
    )
    probe_interval_seconds: float = Field(
        default=5.0, ge=0.1, le=3600, description="How often a suspended account is probed, in seconds."
    )
    failed_ttl_seconds: int = Field(
        default=7 * 86_400,
        ge=60,
        le=366 * 86_400,
        description="How long failed jobs and dead letters are kept, in seconds; at least as long as results.",
    )
    housekeeping_seconds: float = Field(
        default=30.0, ge=0.1, le=3600, description="How often beat starts housekeeping, in seconds."
    )


class IntentSettings(Settings):
    """Replication in Redis that is required before a submission."""

    intent_replicas: int = Field(
        default=0,
        ge=0,
        le=100,
        description="How many replicas of Redis must confirm a submission before its request is sent, and a callback "
        "before it is accepted. With 0, a fail-over may lose the last submissions, whose jobs are then submitted and "
        "billed again.",
    )
    intent_timeout_seconds: float = Field(
        default=3.0,
        ge=0.1,
        le=60,
        description="How long to wait for the replicas, in seconds. After that the job is requeued and submissions "
        "pause for a few seconds.",
    )


class WorkerSettings(
    UpstreamSettings,
    LimitSettings,
    MoneySettings,
    PollSettings,
    RecoverySettings,
    IntentSettings,
    OutputSettings,
    WebhookSettings,
    KeepSettings,
    CallbackSettings,
    FlowerSettings,
    OpsSettings,
    LogSettings,
):
    """Everything a worker reads, validated once at its start."""

    worker_threads: int = Field(
        default=16,
        ge=1,
        le=256,
        description="Concurrent submissions in one worker process, and threads for Celery's tasks; `celery worker -c` "
        "takes precedence.",
    )

    @model_validator(mode="after")
    def _fit_together(self) -> Self:
        if self.poll_floor_seconds >= self.run_deadline_seconds:
            raise ValueError("WANIMATE_POLL_FLOOR_SECONDS must be shorter than WANIMATE_RUN_DEADLINE_SECONDS")
        if self.intent_replicas and self.intent_timeout_seconds >= self.redis_timeout_seconds:
            raise ValueError("WANIMATE_INTENT_TIMEOUT_SECONDS must be shorter than WANIMATE_REDIS_TIMEOUT_SECONDS")
        url = urlsplit(self.callback_base_url or "")
        if url.scheme == "http" and not (self.allow_http or is_loopback(url.hostname or "")):
            raise ValueError(
                "WANIMATE_CALLBACK_BASE_URL: the vendor calls public https:// URLs only, and a signed URL would be "
                f"sent in clear to {url.hostname}; use https://, or set WANIMATE_ALLOW_HTTP=true for a simulator in a "
                "network of its own"
            )
        return self

    def timeouts(self) -> Timeouts:
        """Return the bounds on one request to the vendor."""
        return Timeouts(
            connect_seconds=self.connect_timeout_seconds,
            submit_read_seconds=self.submit_timeout_seconds,
            status_read_seconds=self.poll_timeout_seconds,
        )

    def account_limits(self) -> AccountLimits:
        """Return what the first worker of an account fills the account's limits with."""
        return AccountLimits(
            max_in_flight=self.max_in_flight,
            requests_per_minute=self.requests_per_minute,
            daily_billed_ms=None if self.daily_billed_seconds is None else round(self.daily_billed_seconds * 1000),
            retry_transient=self.retry_transient,
            api_base_url=self.api_base_url,
            webhook_url=self.webhook_url,
            keep_url=self.keep_url,
            events_kept=self.events_kept,
            **self.money_limits(),
        )

    def disagreements(self, limits: AccountLimits) -> list[str]:
        """Return how this environment's limits differ from the account's, which apply; as text.

        Args:
            limits: The account's, from the ledger.
        """
        mine = self.account_limits()
        return [
            f"WANIMATE_{name.upper()} is {_formatted(here)} here, the account's is {_formatted(there)}"
            for name in LIMIT_NAMES
            if (here := getattr(mine, name)) != (there := getattr(limits, name))
            and not (here is None and name in ADDRESS_NAMES)
        ]

    def ledger_limits(self) -> LedgerLimits:
        """Return what this process gives the ledger's scripts."""
        timeouts = self.timeouts()
        # How long a request may take: the pool, the connection, the request, the answer's head and its body.
        submit_seconds = 2 * timeouts.connect_seconds + timeouts.write_seconds + 2 * timeouts.submit_read_seconds
        # Not the longest that polls may take: when a claim ends too early, a task is polled twice, which is harmless;
        # when it ends late, the tasks of a dead worker go unnoticed for as long.
        rounds = -(-self.poll_batch_size // self.poll_concurrency)
        poll_seconds = rounds * (timeouts.connect_seconds + timeouts.status_read_seconds)
        return LedgerLimits(
            lease_ms=round(self.lease_seconds * 1000),
            submit_lease_ms=round((submit_seconds + self.lease_seconds) * 1000),
            poll_lease_ms=round(poll_seconds * 1000),
            unknown_after_ms=round(self.unknown_after_seconds * 1000),
            result_ttl_ms=self.result_ttl_seconds * 1000,
            failed_ttl_ms=max(self.failed_ttl_seconds, self.result_ttl_seconds) * 1000,
            probe_interval_ms=round(self.probe_interval_seconds * 1000),
            intent_replicas=self.intent_replicas,
            intent_timeout_ms=round(self.intent_timeout_seconds * 1000),
            balance_interval_ms=round(self.balance_interval_seconds * 1000),
            webhook_lease_ms=round((self.webhook_timeout_seconds + self.lease_seconds) * 1000),
            endpoint_connections=self.webhook_connections,
        )


def _formatted(limit: float | str | None) -> str:
    return "not set" if limit is None else limit if isinstance(limit, str) else f"{limit:g}"
