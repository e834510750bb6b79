"""The pages of the reference that are made from the code: the settings, and the vendor's failure codes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pydantic import SecretStr
from pydantic_core import PydanticUndefined
from wanimate.failure_codes import CODES, FailureKind
from wanimate.settings import Settings

from .limit_settings import LimitSettings, MoneySettings, OutputSettings
from .service_settings import (
    CallbackSettings,
    FlowerSettings,
    KeepSettings,
    LogSettings,
    OpsSettings,
    WebhookSettings,
)
from .settings import PollSettings, RecoverySettings, UpstreamSettings, WorkerSettings

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo
    from pydantic_settings import BaseSettings

_SECTIONS: Final[tuple[tuple[str, type[BaseSettings]], ...]] = (
    ("Shared by producers and workers", Settings),
    ("The vendor", UpstreamSettings),
    ("The vendor's limits", LimitSettings),
    ("Money", MoneySettings),
    ("Events, webhooks and kept videos", OutputSettings),
    ("Webhooks", WebhookSettings),
    ("Copies of videos", KeepSettings),
    ("Polling", PollSettings),
    ("Recovery", RecoverySettings),
    ("Callbacks", CallbackSettings),
    ("Flower", FlowerSettings),
    ("Limits page and metrics", OpsSettings),
    ("Logs", LogSettings),
    ("Worker processes", WorkerSettings),
)

_INTRODUCTION: Final = """# Settings

Every setting is an environment variable, a line of a `.env` file in the working directory, or a file in the folder that
`WANIMATE_SECRETS_DIR` names; the first of these that has it counts. A wrong value stops the start with one line that
names the variable.

This page is made by `wanimate-worker settings`.""".splitlines()

_SECRETS: Final = """
## Secrets as files

| Variable | Default | Allowed | What it is |
|---|---|---|---|
| `WANIMATE_SECRETS_DIR` | none | a folder that exists | Read from the environment only. A file there, called like a variable in lower case (`wanimate_api_key`, `wanimate_redis_url`, …), holds its value; white space around it is ignored. The environment and `.env` come first, so unset a variable that moves into a file. |
""".rstrip().splitlines()  # noqa: E501 - a row of a table is one line

_CODES: Final = """# The vendor's failure codes

A task that failed has a code (`failCode`), and a refused submission may have one: it means the same in both. The
vendor's pages spell them in two ways, so they are compared without regard to case and underscores. `error.code` is the
code as it came. The list is not closed: a task that failed with a code that is not here ends as `GenerationFailed`.
Whether the vendor bills a failed task is not documented; a submission that was refused at once was not accepted.

`from wanimate.failure_codes import failure_of` reads this table: `failure_of("NSFW_DETECTED").kind`.

This page is made by `wanimate-worker failure-codes`.

| Code | Kind | Raised as | `field` | What happened | What you can do |
|---|---|---|---|---|---|""".splitlines()

_RAISED: Final = {
    FailureKind.CONTENT: "`ContentViolation`",
    FailureKind.PROMPT: "`InvalidRequest`",
    FailureKind.INPUT: "`InvalidRequest`",
    FailureKind.TRANSIENT: "`GenerationFailed`, `is_transient`",
    FailureKind.ACCOUNT: "nothing: jobs wait",
    FailureKind.GENERIC: "`GenerationFailed`",
}


def failure_codes_page() -> str:
    """Return the reference of the vendor's failure codes, as Markdown."""
    rows = [
        f"| `{each.code}` | {each.kind} | {_RAISED[each.kind]} | {f'`{each.field}`' if each.field else ''} "
        f"| {each.meaning} | {each.advice} |"
        for each in CODES
    ]
    return "\n".join([*_CODES, *rows]) + "\n"


def settings_page() -> str:
    """Return the reference of every `WANIMATE_*` variable, as Markdown."""
    lines = [*_INTRODUCTION]
    seen: set[str] = set()
    for title, model in _SECTIONS:
        own = {name: field for name, field in model.model_fields.items() if name not in seen}
        seen |= own.keys()
        lines += ["", f"## {title}", "", "| Variable | Default | Allowed | What it is |", "|---|---|---|---|"]
        lines += [_row(name, field) for name, field in own.items()]
    lines += _SECRETS
    return "\n".join(lines) + "\n"


def _row(name: str, field: FieldInfo) -> str:
    return f"| `WANIMATE_{name.upper()}` | {_default(field.default)} | {_allowed(field)} | {field.description} |"


def _default(value: Any) -> str:
    if value is None or value is PydanticUndefined:
        return "none"
    if isinstance(value, SecretStr):
        value = value.get_secret_value()
    return "empty" if value == "" else f"`{value}`"


def _allowed(field: FieldInfo) -> str:
    limits = {type(limit).__name__: limit for limit in field.metadata}
    if "Ge" in limits and "Le" in limits:
        return f"{limits['Ge'].ge} to {limits['Le'].le}"
    if "Gt" in limits and "Le" in limits:
        return f"over {limits['Gt'].gt} to {limits['Le'].le}"
    if "Ge" in limits:
        return f"at least {limits['Ge'].ge}"
    choices = getattr(field.annotation, "__args__", ())
    if choices and all(isinstance(choice, str) for choice in choices):
        return " or ".join(f"`{choice}`" for choice in choices)
    return {bool: "true or false"}.get(field.annotation, "") if isinstance(field.annotation, type) else ""
