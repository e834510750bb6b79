"""The settings of what listens and writes: callbacks, Flower, limits page, logs; one class per concern."""

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

#: Shorter secrets can be guessed, in characters.
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
        raise ValueError("user:password is expected, in ASCII")
    return SecretStr(login)


Login = Annotated[SecretStr | None, AfterValidator(_user_and_password)]


class CallbackSettings(Settings):
    """Where the vendor reports that a task has ended."""

    callback_base_url: str | None = Field(
        default=None,
        description="Where the vendor reaches `wanimate-worker callbacks`, such as `https://callbacks.example.com`; "
        "`http://` only as `WANIMATE_ALLOW_HTTP` says. "
        "With it the vendor reports the end of each task; without it tasks are only polled.",
    )
    callback_secret: SecretStr | None = Field(
        default=None,
        validate_default=True,
        description="What callback URLs are signed with: at least 16 characters, the same for workers and receivers. "
        "Needed when `WANIMATE_CALLBACK_BASE_URL` is set.",
    )

    @field_validator("callback_base_url")
    @classmethod
    def _is_base_url(cls, value: str | None) -> str | None:
        if value is None or not value.strip():
            return None
        if not re.fullmatch(r"(?i:https?)://[A-Za-z0-9.\-\[\]:]+(/[A-Za-z0-9._~/-]*)?", value.strip()):
            raise ValueError("an https:// URL without user, query and fragment is expected (http:// for a simulator)")
        scheme, _, rest = value.strip().partition("://")
        return f"{scheme.lower()}://{rest.rstrip('/')}"

    @field_validator("callback_secret")
    @classmethod
    def _is_long_enough(cls, value: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        secret = "" if value is None else value.get_secret_value().strip()
        if not secret and info.data.get("callback_base_url") is not None:
            raise ValueError("needed when WANIMATE_CALLBACK_BASE_URL is set; make one with: openssl rand -hex 32")
        if secret and len(secret) < SHORTEST_CALLBACK_SECRET:
            raise ValueError(f"at least {SHORTEST_CALLBACK_SECRET} characters are expected")
        return SecretStr(secret) if secret else None


class WebhookSettings(Settings):
    """How webhooks are sent to backends."""

    webhook_secret: SecretStr | None = Field(
        default=None,
        description="What webhooks are signed with: `whsec_` and 24 to 64 bytes in base64, as in `echo whsec_$(openssl "
        "rand -base64 32)`. While a secret is replaced, the new and the old one, separated by a space: webhooks carry "
        "a signature of each. Without it no job may have a webhook.",
    )
    webhook_networks: str = Field(
        default="",
        description="Networks that are not public and that webhooks may go to, also as `http://`, separated by commas, "
        "such as `10.0.0.0/8,127.0.0.1/32`.",
    )
    webhook_timeout_seconds: float = Field(
        default=15.0, gt=0, le=60, description="How long a receiver may take to answer a webhook, in seconds."
    )
    webhook_connections: int = Field(
        default=8,
        ge=1,
        le=256,
        description="Webhooks that are sent to one endpoint (scheme, host and port) at once, over all workers.",
    )
    webhook_retry_seconds: int = Field(
        default=3 * 86_400,
        ge=1,
        le=30 * 86_400,
        description="How long a webhook that is not taken is sent again, in seconds; then it is kept for the operator.",
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
                    "whsec_ and 24 to 64 bytes in base64 are expected; make one with: "
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
                "webhook_url: the workers have no secret to sign webhooks with: set WANIMATE_WEBHOOK_SECRET for them",
                field="webhook_url",
            )
        super().check_webhook(job)


class KeepSettings(Settings):
    """How finished videos are copied to the account's store."""

    keep_name: str = Field(
        default="{date}/{job_id}.mp4",
        max_length=200,
        description="What copies are called below `WANIMATE_KEEP_URL`. `{date}` is the day (UTC) on which the vendor "
        "finished the video; `{job_id}` must be there; `{task_id}` and `{type}` may be. A further video of a job gets "
        "`.2` before the extension. In ids, each byte that is no ASCII letter, digit, `_` or `-` becomes `=` and two "
        "hexadecimal digits.",
    )
    keep_threads: int = Field(
        default=4,
        ge=0,
        le=64,
        description="Videos that one worker process copies at once; with 0 only `wanimate-worker keep` copies.",
    )
    keep_max_bytes: int = Field(
        default=2 * 1024**3,
        ge=1024,
        le=1024**4,
        description="A larger video is not copied, in bytes; its job ends at once, with the vendor's URL.",
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
            raise ValueError("a name with {job_id} is expected, and perhaps {date}, {task_id} and {type}")
        is_plain = all(re.fullmatch(r"[A-Za-z0-9._/=+-]*", literal) for literal, *_ in parts)
        if {"", ".", ".."} & set(value.split("/")) or not is_plain:
            raise ValueError(
                "a relative path without empty parts, `.` and `..` is expected, of ASCII letters, digits and ._/=+-"
            )
        return value


class FlowerSettings(Settings):
    """Who may open Flower."""

    flower_auth: Login = Field(
        default=None,
        description="Who may open Flower (`wanimate-worker flower`), as `user:password`. Without it Flower listens on "
        "this machine only and cancels nothing.",
    )


class OpsSettings(Settings):
    """Who may see the account's figures."""

    ops_auth: Login = Field(
        default=None,
        description="Who may open the limits page and the metrics (`wanimate-worker ops`), as `user:password`. Without "
        "it they are served to this machine only.",
    )


class LogSettings(Settings):
    """What worker, beat, receiver, limits page and Flower write."""

    log_format: LogFormat = Field(
        default="auto",
        description="How log lines look: `json` is one object a line, `console` is for people; `auto` is `console` "
        "when stderr is a terminal, else `json`.",
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        default="INFO", description="The least level that is written; `--loglevel` of `celery` comes first."
    )
