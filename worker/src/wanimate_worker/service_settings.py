"""The settings of callbacks, webhooks, Flower, limits page and logs; one class per concern."""

from __future__ import annotations

import re
from base64 import b64decode
from ipaddress import ip_network
from string import Formatter
from typing import TYPE_CHECKING, Annotated, Final, Literal

from pydantic import AfterValidator, Field, SecretStr, ValidationInfo, field_validator
from wanimate.errors import InvalidRequest
from wanimate.settings import Settings

from .telemetry.logs import LogFormat

if TYPE_CHECKING:
    from wanimate.contract import Job

#: In characters: shorter secrets can be guessed.
SHORTEST_CALLBACK_SECRET: Final = 16
#: Standard Webhooks, "Signature scheme": in bytes.
_SHORTEST_WEBHOOK_SECRET: Final = 24
_LONGEST_WEBHOOK_SECRET: Final = 64


def _user_and_password(value: SecretStr | None) -> SecretStr | None:
    login = "" if value is None else value.get_secret_value().strip()
    if not login:
        return None
    user, _, password = login.partition(":")
    if not user or not password or not login.isascii():
        raise ValueError("expected user:password, in ASCII")
    return SecretStr(login)


Login = Annotated[SecretStr | None, AfterValidator(_user_and_password)]


class CallbackSettings(Settings):
    """The address to which the vendor reports the end of tasks."""

    callback_base_url: str | None = Field(
        default=None,
        description="The public address of `wanimate-worker callbacks`, such as `https://callbacks.example.com`; "
        "`http://` needs `WANIMATE_ALLOW_HTTP`. The vendor reports the end of each task to it; without it tasks are "
        "only polled.",
    )
    callback_secret: SecretStr | None = Field(
        default=None,
        validate_default=True,
        description="The secret that signs callback URLs: at least 16 characters, the same for workers and receivers. "
        "Required with `WANIMATE_CALLBACK_BASE_URL`.",
    )

    @field_validator("callback_base_url")
    @classmethod
    def _is_base_url(cls, value: str | None) -> str | None:
        if value is None or not value.strip():
            return None
        if not re.fullmatch(r"(?i:https?)://[A-Za-z0-9.\-\[\]:]+(/[A-Za-z0-9._~/-]*)?", value.strip()):
            raise ValueError("expected an https:// URL without user, query and fragment (http:// for a simulator)")
        scheme, _, rest = value.strip().partition("://")
        return f"{scheme.lower()}://{rest.rstrip('/')}"

    @field_validator("callback_secret")
    @classmethod
    def _is_long_enough(cls, value: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        secret = "" if value is None else value.get_secret_value().strip()
        if not secret and info.data.get("callback_base_url") is not None:
            raise ValueError("required with WANIMATE_CALLBACK_BASE_URL; create one with: openssl rand -hex 32")
        if secret and len(secret) < SHORTEST_CALLBACK_SECRET:
            raise ValueError(f"expected at least {SHORTEST_CALLBACK_SECRET} characters")
        return SecretStr(secret) if secret else None


class WebhookSettings(Settings):
    """How webhooks are sent to backends."""

    webhook_secret: SecretStr | None = Field(
        default=None,
        description="The secret that signs webhooks: `whsec_` and 24 to 64 bytes in base64, as in `echo "
        "whsec_$(openssl rand -base64 32)`. To rotate it, set the new and the old one, separated by a space: webhooks "
        "have a signature of each. Without it jobs cannot have webhooks.",
    )
    webhook_networks: str = Field(
        default="",
        description="Private networks to which webhooks may be sent, also by `http://`, separated by commas, such as "
        "`10.0.0.0/8,127.0.0.1/32`.",
    )
    webhook_timeout_seconds: float = Field(
        default=15.0, gt=0, le=60, description="Time-out for the answer to a webhook, in seconds."
    )
    webhook_connections: int = Field(
        default=8,
        ge=1,
        le=256,
        description="Concurrent webhooks to one endpoint (scheme, host and port), over all workers.",
    )
    webhook_retry_seconds: int = Field(
        default=3 * 86_400,
        ge=1,
        le=30 * 86_400,
        description="How long a failed webhook is retried, in seconds; after that it is given up and kept for the "
        "operator.",
    )

    @field_validator("webhook_secret")
    @classmethod
    def _are_secrets(cls, value: SecretStr | None) -> SecretStr | None:
        secrets = "" if value is None else value.get_secret_value()
        for secret in secrets.split():
            try:
                size = len(b64decode(secret.removeprefix("whsec_"), validate=True))
            except ValueError:
                size = 0
            if not _SHORTEST_WEBHOOK_SECRET <= size <= _LONGEST_WEBHOOK_SECRET:
                raise ValueError(
                    "expected whsec_ and 24 to 64 bytes in base64; create one with: "
                    "echo whsec_$(openssl rand -base64 32)"
                )
        return SecretStr(" ".join(secrets.split())) if secrets.strip() else None

    @field_validator("webhook_networks")
    @classmethod
    def _are_networks(cls, value: str) -> str:
        return ",".join(str(ip_network(name)) for name in value.replace(",", " ").split())

    @property
    def webhook_secrets(self) -> list[str]:
        """The secrets, the newest first."""
        return [] if self.webhook_secret is None else self.webhook_secret.get_secret_value().split()

    def check_webhook(self, job: Job) -> None:
        """Raise `InvalidRequest` if a job has a webhook that cannot be signed, or whose host is not allowed."""
        if job.webhook_url is not None and self.webhook_secret is None:
            raise InvalidRequest(
                "webhook_url: the workers have no secret to sign webhooks: set WANIMATE_WEBHOOK_SECRET for them",
                field="webhook_url",
            )
        super().check_webhook(job)


class KeepSettings(Settings):
    """Copies of finished videos in the account's store."""

    keep_name: str = Field(
        default="{date}/{job_id}.mp4",
        max_length=200,
        description="The name of a copy below `WANIMATE_KEEP_URL`. `{date}` is the day (UTC) on which the vendor "
        "finished the video; `{job_id}` is required; `{task_id}` and `{type}` are optional. The second video of a job "
        "gets `.2` before the extension. In ids, each byte other than ASCII letters, digits, `_` and `-` becomes `=` "
        "and two hexadecimal digits.",
    )
    keep_threads: int = Field(
        default=4,
        ge=0,
        le=64,
        description="Concurrent copies in one worker process; with 0 only `wanimate-worker keep` copies videos.",
    )
    keep_max_bytes: int = Field(
        default=2 * 1024**3,
        ge=1024,
        le=1024**4,
        description="The largest video that is copied, in bytes; the job of a larger one ends at once, with the "
        "vendor's URL.",
    )

    @field_validator("keep_name")
    @classmethod
    def _is_template(cls, value: str) -> str:
        try:
            parts = list(Formatter().parse(value))
        except ValueError:
            parts = []
        names = {f"{name}{form}{conversion or ''}" for _, name, form, conversion in parts if name is not None}
        if "job_id" not in names or not names <= {"date", "job_id", "task_id", "type"}:
            raise ValueError("expected a name with {job_id}, and optionally {date}, {task_id} and {type}")
        is_plain = all(re.fullmatch(r"[A-Za-z0-9._/=+-]*", literal) for literal, *_ in parts)
        if {"", ".", ".."} & set(value.split("/")) or not is_plain:
            raise ValueError(
                "expected a relative path without empty parts, `.` and `..`, of ASCII letters, digits and ._/=+-"
            )
        return value


class FlowerSettings(Settings):
    """Access to Flower."""

    flower_auth: Login = Field(
        default=None,
        description="Login for Flower (`wanimate-worker flower`), as `user:password`. Without it Flower listens on "
        "loopback only and cannot cancel jobs.",
    )


class OpsSettings(Settings):
    """Access to the limits page and the metrics."""

    ops_auth: Login = Field(
        default=None,
        description="Login for the limits page and the metrics (`wanimate-worker ops`), as `user:password`. Without it "
        "they are served on loopback only.",
    )


class LogSettings(Settings):
    """Logs of worker, beat, receiver, limits page and Flower."""

    log_format: LogFormat = Field(
        default="auto",
        description="The format of logs: `json` is one object a line, `console` is readable text; `auto` is `console` "
        "if stderr is a terminal, else `json`.",
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        default="INFO", description="The lowest level that is written; `--loglevel` of `celery` takes precedence."
    )
