"""Events of ended jobs, as webhooks and the event stream deliver them."""

from __future__ import annotations

import json
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, Self

from pydantic import BaseModel, ConfigDict, Field

from ..errors import WebhookInvalid
from .cost import billed_seconds, usd
from .record import Outcome, Result, moment, moment_of
from .states import JobState

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ..errors import JobFailed

_PREFIX: Final = "job."


class EventError(BaseModel):
    """The error of a job.

    Args:
        type: The class of the error, such as `ContentViolation`.
        message: What happened and what to do next.
        code: The vendor's code.
        task_id: The vendor's task id.
        field: The invalid field of the request.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    type: str
    message: str
    code: str | None = None
    task_id: str | None = None
    field: str | None = None


class Event(BaseModel):
    """The end of a job.

    A failed job that an operator retries ends again, with another event.

    Args:
        id: The id of the event: the cursor for `Client.events`, and the `webhook-id` of every delivery attempt.
        job_id: The id of the job.
        state: `succeeded`, `failed` or `cancelled`.
        labels: The caller's labels.
        type: `animate` or `replace`; None if the job was never recorded completely.
        resolution: `480p` or `720p`.
        attempts: How many times the job was submitted to the vendor.
        waiting_at: When a worker recorded the job.
        submitted_at: When the vendor accepted the job.
        settled_at: When the job ended.
        billed_seconds: Estimated billed seconds per submission; None without `video_seconds`.
        billed_usd: The same in US dollars, if the operator has set prices.
        result: The result, if the job succeeded.
        error: The error, if it did not.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    id: str
    job_id: str
    state: JobState
    labels: dict[str, str] = Field(default_factory=dict)
    type: str | None = None
    resolution: str | None = None
    attempts: int = 0
    waiting_at: datetime | None = None
    submitted_at: datetime | None = None
    settled_at: datetime
    billed_seconds: float | None = None
    billed_usd: float | None = None
    result: Result | None = None
    error: EventError | None = None

    def exception(self) -> JobFailed | None:
        """Return the error of the job; None if it succeeded."""
        if self.error is None:
            return None
        error = self.error.model_dump()
        return Outcome(kind=self.state, error=error.pop("type"), **error).exception()

    @classmethod
    def read(cls, event_id: str, fields: Mapping[str, str]) -> Self:
        """Read an event from the ledger."""
        outcome = Outcome.model_validate_json(fields["outcome"])
        request: dict[str, Any] = json.loads(fields.get("request") or "{}")
        video_seconds, spent = request.get("video_seconds"), fields.get("billed_micro_usd")
        error = None
        if outcome.result is None:
            failure = outcome.exception()
            error = EventError(
                type=type(failure).__name__,
                message=failure.message,
                code=failure.code,
                task_id=failure.task_id,
                field=failure.field,
            )
        return cls(
            id=event_id,
            job_id=fields["job_id"],
            state=outcome.kind,
            labels=request.get("labels") or {},
            type=request.get("type"),
            resolution=request.get("resolution", "480p") if request else None,
            attempts=int(fields.get("attempts") or 0),
            waiting_at=moment(fields.get("waiting_at_ms")),
            submitted_at=moment(fields.get("submitted_at_ms")),
            settled_at=moment_of(fields["settled_at_ms"]),
            billed_seconds=None if video_seconds is None else billed_seconds(video_seconds),
            billed_usd=usd(int(spent)) if spent else None,
            result=outcome.result,
            error=error,
        )

    def to_webhook(self) -> dict[str, Any]:
        """Return the body of a webhook: `type`, `timestamp` and `data` (Standard Webhooks, "Payload structure")."""
        data = self.model_dump(mode="json", exclude={"id", "job_id"})
        return {
            "type": f"{_PREFIX}{self.state}",
            "timestamp": data["settled_at"],
            "data": {"id": self.job_id, **data},
        }

    @classmethod
    def of_webhook(cls, event_id: str, body: Mapping[str, Any]) -> Self:
        """Read an event from the body of a webhook with a verified signature, and its `webhook-id`."""
        data = dict(body["data"])
        return cls(id=event_id, job_id=data.pop("id"), **data)

    @classmethod
    def from_webhook(cls, body: bytes | str, headers: Mapping[str, str], secret: str | Iterable[str]) -> Self:
        """Verify the signature of a webhook and return its event; needs `wanimate[webhooks]`.

        Args:
            body: The unchanged body of the request.
            headers: The headers of the request, in upper or lower case.
            secret: The value of WANIMATE_WEBHOOK_SECRET, or several secrets during a rotation.

        Raises:
            WebhookInvalid: The signature is invalid, the webhook is older than five minutes, or its version is newer.
            InvalidArgument: The secret is empty or malformed.
            WanimateError: The library standardwebhooks is not installed.
        """
        from ..webhooks import verified  # not needed to read events without webhooks

        event_id, content = verified(body, headers, secret)
        try:
            return cls.of_webhook(event_id, content)
        except (ValueError, LookupError, TypeError, AttributeError):
            raise WebhookInvalid(
                f"this version of wanimate cannot read webhook {event_id} (its signature is valid): upgrade wanimate"
            ) from None
