"""The settings that producers and workers share: `WANIMATE_*` variables, a `.env` file, or a folder of secrets."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict
from pydantic_settings import SettingsError as UnreadableSource

from .contract.urls import is_host_allowed
from .errors import InvalidRequest, SettingsError
from .redis.address import Address

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

    from .contract import Job

#: Names a folder of files, each called like a variable in lower case (`wanimate_redis_url`) and holding its value, as
#: Docker and Kubernetes mount secrets. The environment and `.env` come first.
SECRETS_VARIABLE: Final = "WANIMATE_SECRETS_DIR"


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
        le=366 * 86_400,
        description="How long results, records of ended jobs and idempotency keys are kept, in seconds.",
    )
    redis_timeout_seconds: float = Field(
        default=15.0, gt=0, le=300, description="Bound on one exchange with Redis, in seconds."
    )
    webhook_hosts: str = Field(
        default="",
        description="Hosts that a job's `webhook_url` may name, separated by commas; `*.example.com` stands for all "
        "below that. Empty for any.",
    )

    def __init__(self, **values: Any) -> None:
        try:
            super().__init__(_secrets_dir=_secrets_folder(), **values)
        except ValidationError as error:
            problems = error.errors(include_url=False, include_input=False)
            raise SettingsError("; ".join(map(_problem, problems))) from None
        except (OSError, UnicodeDecodeError, UnreadableSource) as error:
            cause = error.__cause__ or error
            # An error of decoding quotes what the file holds; one of the system names the file.
            problem = str(cause) if isinstance(cause, OSError) else "a settings file cannot be read"
            raise SettingsError(
                f"{problem}: .env and the files in {SECRETS_VARIABLE} must be UTF-8 text that this user may read"
            ) from None

    @field_validator("redis_url")
    @classmethod
    def _canonical_redis_url(cls, value: SecretStr) -> SecretStr:
        return SecretStr(Address.parse(value.get_secret_value()).url)

    @property
    def address(self) -> Address:
        """Where Redis is, in the words of each library."""
        return Address.parse(self.redis_url.get_secret_value())

    def check_webhook(self, job: Job) -> None:
        """Raise `InvalidRequest` if the host of a job's `webhook_url` is not allowed."""
        if job.webhook_url is not None and not is_host_allowed(job.webhook_url, self.webhook_hosts):
            raise InvalidRequest(
                "webhook_url: its host is not among WANIMATE_WEBHOOK_HOSTS: add it there, or name another one",
                field="webhook_url",
            )

    @classmethod
    def load(cls) -> Self:
        """Read the settings from the environment, then `.env`, then the folder `WANIMATE_SECRETS_DIR`."""
        return cls()


def _secrets_folder() -> str | None:
    """Return the folder of secrets, if one is named; a wrong name must not look like secrets that are not set."""
    folder = os.environ.get(SECRETS_VARIABLE, "").strip()
    if folder and not Path(folder).is_dir():
        raise SettingsError(f"{SECRETS_VARIABLE}: {folder} is not a folder; mount the secrets there or unset it")
    # Docker makes a folder of a file that is missing on the host.
    wrong = [path for path in Path(folder).glob("wanimate_*") if not path.is_file()] if folder else []
    if wrong:
        raise SettingsError(f"{SECRETS_VARIABLE}: {wrong[0]} is not a file; put the secret there or remove it")
    return folder or None


def _problem(problem: ErrorDetails) -> str:
    text = problem["msg"].removeprefix("Value error, ")
    # What concerns several settings names them itself.
    names = "_".join(str(part) for part in problem["loc"]).upper()
    return f"WANIMATE_{names}: {text}" if names else text
