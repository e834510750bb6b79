"""The end of a job as an event: what webhooks and the stream of events tell."""

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
    """What a job failed with.

    Args:
        type: The class of the error, such as `ContentViolation`.
        message: What happened, and what to do.
        code: The vendor's code.
        task_id: The vendor's task id.
        field: The field of the request that is wrong.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    type: str
    message: str
    code: str | None = None
    task_id: str | None = None
    field: str | None = None


class Event(BaseModel):
    """How one job has ended.

    A job that is run again after a failure ends again, with another event.

    Args:
        id: Names the event: the cursor for `Client.events`, and the `webhook-id` of every try to deliver it.
        job_id: The job.
        state: `succeeded`, `failed` or `cancelled`.
        labels: The caller's labels.
        type: `animate` or `replace`; None if the job was never recorded in full.
        resolution: `480p` or `720p`.
        attempts: How many times it was sent to the vendor.
        waiting_at: When a worker recorded it.
        submitted_at: When the vendor accepted it.
        settled_at: When it ended.
        billed_seconds: An estimate of what one submission is billed for, in seconds of video; None if the job does not
            say how long its video is.
        billed_usd: The same in US dollars, where the price was known.
        result: The result of a job that succeeded.
        error: The error of one that did not.
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
        """Return the error that the job ended with; None if it succeeded."""
        if self.error is None:
            return None
        error = self.error.model_dump()
        return Outcome(kind=self.state, error=error.pop("type"), **error).exception()

    @classmethod
    def read(cls, event_id: str, fields: Mapping[str, str]) -> Self:
        """Build from what the ledger keeps of an event."""
        outcome = Outcome.model_validate_json(fields["outcome"])
        request: dict[str, Any] = json.loads(fields.get("request") or "{}")
        video_seconds, spent = request.get("video_seconds"), fields.get("billed_micro_usd")
        error = None
        if outcome.result is None:
            told = outcome.exception()
            error = EventError(
                type=type(told).__name__,
                message=told.message,
                code=told.code,
                task_id=told.task_id,
                field=told.field,
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
        """Build from the body of a webhook whose signature is checked, and its `webhook-id`."""
        data = dict(body["data"])
        return cls(id=event_id, job_id=data.pop("id"), **data)

    @classmethod
    def from_webhook(cls, body: bytes | str, headers: Mapping[str, str], secret: str | Iterable[str]) -> Self:
        """Check the signature of a webhook and return its event; needs `wanimate[webhooks]`.

        Args:
            body: The body of the request, exactly as it was received.
            headers: Its headers, in upper or lower case.
            secret: The value of WANIMATE_WEBHOOK_SECRET, or several secrets, one of which must have signed it.

        Raises:
            WebhookInvalid: It is not from this account's workers, is older than five minutes, or is of a newer version.
            InvalidArgument: There is no secret, or it is malformed.
            WanimateError: The library that checks signatures is not installed.
        """
        from ..webhooks import verified  # here, for events are also read without webhooks

        event_id, content = verified(body, headers, secret)
        try:
            return cls.of_webhook(event_id, content)
        except (ValueError, LookupError, TypeError, AttributeError):
            raise WebhookInvalid(
                f"webhook {event_id} is signed, and is not one that this version of wanimate can read: upgrade wanimate"
            ) from None
