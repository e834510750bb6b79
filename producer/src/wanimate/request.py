"""The arguments of `animate` and `replace`, for type checkers and editors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Required, TypedDict

if TYPE_CHECKING:
    from .contract import OnUnknown, Provider, Resolution


class JobFields(TypedDict, total=False):
    """The fields of `AnimateJob` and `ReplaceJob`; those describe each of them."""

    image_url: Required[str]
    video_url: Required[str]
    prompt: str | None
    resolution: Resolution
    seed: int
    provider: Provider
    priority: int
    labels: dict[str, str]
    idempotency_key: str | None
    on_unknown: OnUnknown | None
    retry_transient: int | None
    deadline_seconds: float | None
    video_seconds: float | None
