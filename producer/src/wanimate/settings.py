"""The settings shared by producers and workers: `WANIMATE_*` variables, a `.env` file or a folder of secrets."""

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

#: Names a folder with one file per secret, as Docker and Kubernetes mount them: the name of the variable in lower case,
#: such as `wanimate_redis_url`. The environment and `.env` take precedence.
SECRETS_VARIABLE: Final = "WANIMATE_SECRETS_DIR"


class Settings(BaseSettings):
    """The settings of a client: Redis, the account, and how long results are kept.

    Raises:
        SettingsError: A value is missing or invalid; the message names the variable and the expected value.
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
        description="Name of the vendor account whose slots and request budget are shared; part of every key in Redis.",
    )
    result_ttl_seconds: int = Field(
        default=3 * 86_400,
        ge=60,
        le=366 * 86_400,
        description="How long results, records of ended jobs and idempotency keys are kept, in seconds.",
    )
    redis_timeout_seconds: float = Field(
        default=15.0, gt=0, le=300, description="Timeout of one Redis command, in seconds."
    )
    webhook_hosts: str = Field(
        default="",
        description="Allowed hosts for a job's `webhook_url`, separated by commas; `*.example.com` matches all "
        "subdomains. Empty: any host.",
    )

    def __init__(self, **values: Any) -> None:
        try:
            super().__init__(_secrets_dir=_secrets_folder(), **values)
        except ValidationError as error:
            problems = error.errors(include_url=False, include_input=False)
            raise SettingsError("; ".join(map(_problem, problems))) from None
        except (OSError, UnicodeDecodeError, UnreadableSource) as error:
            cause = error.__cause__ or error
            # A decoding error would quote the file's content; an OSError only names the file.
            problem = str(cause) if isinstance(cause, OSError) else "a settings file is unreadable"
            raise SettingsError(
                f"{problem}: .env and the files in {SECRETS_VARIABLE} must be UTF-8 text and readable by this user"
            ) from None

    @field_validator("redis_url")
    @classmethod
    def _canonical_redis_url(cls, value: SecretStr) -> SecretStr:
        return SecretStr(Address.parse(value.get_secret_value()).url)

    @property
    def address(self) -> Address:
        """The address of Redis, in the form of each library."""
        return Address.parse(self.redis_url.get_secret_value())

    def check_webhook(self, job: Job) -> None:
        """Raise `InvalidRequest` if the host of a job's `webhook_url` is not allowed."""
        if job.webhook_url is not None and not is_host_allowed(job.webhook_url, self.webhook_hosts):
            raise InvalidRequest(
                "webhook_url: the host is not allowed: add it to WANIMATE_WEBHOOK_HOSTS or use another one",
                field="webhook_url",
            )

    @classmethod
    def load(cls) -> Self:
        """Read the settings from the environment, then `.env`, then the folder `WANIMATE_SECRETS_DIR`."""
        return cls()


def _secrets_folder() -> str | None:
    """Return the folder of secrets or None; raise an error for a wrong path, which would look like unset secrets."""
    folder = os.environ.get(SECRETS_VARIABLE, "").strip()
    if folder and not Path(folder).is_dir():
        raise SettingsError(f"{SECRETS_VARIABLE}: {folder} is not a folder: mount the secrets there or unset it")
    # Docker creates a folder in place of a file that is missing on the host.
    wrong = [path for path in Path(folder).glob("wanimate_*") if not path.is_file()] if folder else []
    if wrong:
        raise SettingsError(f"{SECRETS_VARIABLE}: {wrong[0]} is not a file: write the secret there or remove it")
    return folder or None


def _problem(problem: ErrorDetails) -> str:
    text = problem["msg"].removeprefix("Value error, ")
    # A problem of several settings names them in its text.
    names = "_".join(str(part) for part in problem["loc"]).upper()
    return f"WANIMATE_{names}: {text}" if names else text
