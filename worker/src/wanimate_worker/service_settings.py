"""The settings of what listens and writes: callbacks, Flower, limits page, logs; one class per concern."""

from __future__ import annotations

import re
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, Field, SecretStr, ValidationInfo, field_validator
from wanimate.settings import Settings

from .telemetry.logs import LogFormat

#: Shorter secrets can be guessed, in characters.
SHORTEST_CALLBACK_SECRET: Final = 16


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
