"""The settings that producers and workers share, read from `WANIMATE_*` variables or a `.env` file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from .address import check_url
from .errors import SettingsError

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails


class Settings(BaseSettings):
    """Where the queue lives and how long results are kept.

    Raises:
        SettingsError: A value is missing or wrong; one line names the variable and what would be right.
    """

    model_config = SettingsConfigDict(
        env_prefix="WANIMATE_", env_file=".env", extra="ignore", frozen=True, hide_input_in_errors=True
    )

    redis_url: SecretStr = Field(
        default=SecretStr("redis://127.0.0.1:6379/0"),
        description="Redis or Valkey >= 6.2: broker, ledger and results. `redis://`, `rediss://` (TLS), `unix://`, or "
        "`sentinel://HOST:26379,HOST:26379/0?service=NAME` (`sentinel+tls://`).",
    )
    account: str = Field(
        default="default",
        pattern=r"^[A-Za-z0-9_-]{1,64}$",
        description="The vendor account whose slots and request budget are shared; part of every ledger key.",
    )
    result_ttl_seconds: int = Field(
        default=3 * 86_400,
        ge=60,
        description="How long results, records of ended jobs and idempotency keys are kept, in seconds.",
    )
    redis_timeout_seconds: float = Field(
        default=15.0, gt=0, le=300, description="Bound on one exchange with Redis, in seconds."
    )

    def __init__(self, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise SettingsError(_explain(error)) from None

    @field_validator("redis_url")
    @classmethod
    def _is_redis_url(cls, value: SecretStr) -> SecretStr:
        check_url(value.get_secret_value())
        return value

    @classmethod
    def load(cls) -> Self:
        """Read the settings from the environment and `.env`."""
        return cls()


def _explain(error: ValidationError) -> str:
    return "; ".join(_problem(problem) for problem in error.errors(include_url=False, include_input=False))


def _problem(problem: ErrorDetails) -> str:
    told = problem["msg"].removeprefix("Value error, ")
    # What concerns several settings names them itself.
    names = "_".join(str(part) for part in problem["loc"]).upper()
    return f"WANIMATE_{names}: {told}" if names else told
