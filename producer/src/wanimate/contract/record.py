"""The result, the outcome and the status of a job."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator

from .. import errors
from .cost import Prices, billed_seconds, usd
from .states import JobState, Stage

if TYPE_CHECKING:
    from collections.abc import Mapping


#: The vendor deletes videos this long after it has completed a task, in seconds (vendor document, "Response format").
RESULT_URLS_TTL_SECONDS: Final = 86_400


class KeptFile(BaseModel):
    """A video in the account's store.

    Args:
        url: Its URL, such as `s3://bucket/2026-11-27/ID.mp4`.
        source_url: The vendor's URL of the original.
        size_bytes: Its size.
        sha256: Its SHA-256, in hexadecimal.
        content_type: Its type, detected from the content: `video/mp4`.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    url: str
    source_url: str
    size_bytes: int
    sha256: str
    content_type: str


class Result(BaseModel):
    """The result of a succeeded job.

    Args:
        urls: The URLs of the videos: in the account's store if they were copied, otherwise at the vendor.
        source_urls: The vendor's URLs, if the account has a store.
        kept: Whether the videos are in the account's store. False if the copy failed until the vendor deleted them;
            None if the account has no store.
        files: The copied videos, in the order of `urls`.
        task_id: The vendor's task id.
        created_at: When the vendor created the task.
        completed_at: When the vendor completed the task.
        cost_time_ms: The vendor's processing time, in milliseconds.
        urls_expire_at: When the vendor deletes the videos at `urls`, 24 hours after `completed_at` (vendor document);
            None if unknown, or if the videos are in the account's store.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    urls: tuple[str, ...]
    task_id: str
    source_urls: tuple[str, ...] = ()
    kept: bool | None = None
    files: tuple[KeptFile, ...] = ()
    created_at: datetime | None = None
    completed_at: datetime | None = None
    cost_time_ms: int | None = None
    urls_expire_at: datetime | None = Field(default=None, validate_default=True)

    @field_validator("urls_expire_at")
    @classmethod
    def _by_completion(cls, value: datetime | None, info: ValidationInfo) -> datetime | None:
        completed_at: datetime | None = info.data.get("completed_at")
        if info.data.get("kept"):
            return None
        if value is None and completed_at is not None:
            try:
                value = completed_at + timedelta(seconds=RESULT_URLS_TTL_SECONDS)
            except OverflowError:
                # An invalid time stamp must not lose a billed video.
                return None
        return value if value is None or value.tzinfo is not None else value.replace(tzinfo=UTC)

    @property
    def is_expired(self) -> bool:
        """Whether the URLs have expired by the clock of this machine."""
        return self.urls_expire_at is not None and datetime.now(UTC) >= self.urls_expire_at

    def to_json(self) -> dict[str, Any]:
        """Return the result as plain JSON values, as the Celery task returns it."""
        return self.model_dump(mode="json")


class Outcome(BaseModel):
    """The outcome of a job in the ledger: a result, or an error as its class name and arguments."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    #: One of the final states.
    kind: JobState
    result: Result | None = None
    error: str | None = None
    message: str = ""
    code: str | None = None
    task_id: str | None = None
    field: str | None = None

    @classmethod
    def success(cls, result: Result) -> Self:
        """Return the outcome of a succeeded job."""
        return cls(kind=JobState.SUCCEEDED, result=result, task_id=result.task_id)

    @classmethod
    def failure(cls, error: errors.JobFailed) -> Self:
        """Return the outcome of a job that ended with this error."""
        return cls(
            kind=JobState.CANCELLED if isinstance(error, errors.JobCancelled) else JobState.FAILED,
            error=type(error).__name__,
            message=error.message,
            code=error.code,
            task_id=error.task_id,
            field=error.field,
        )

    def exception(self) -> errors.JobFailed:
        """Return the error of the job."""
        known = getattr(errors, self.error or "", errors.JobFailed)
        return known(self.message, self.code, self.task_id, self.field)


class JobStatus(BaseModel):
    """A job as its caller sees it.

    Args:
        id: The job id, which is also its Celery task id.
        follows: The id of an earlier job with the same idempotency key or id, whose outcome this job gets.
        state: Its state.
        position: Its position in the queue while it waits; 1 is next.
        eta_seconds: Estimated seconds until the vendor has finished, from the durations of other jobs and the slots in
            use. None if there is no estimate.
        blocked_by: Why the job is not submitted now; None if submissions are possible. For all jobs: `suspended` (the
            vendor refuses the key, or there is no credit), `paused` (by an operator), `daily_limit` (of billed
            seconds), `balance` (too low for the next job), `back_off` (the vendor rate limits requests or cannot be
            reached), `unsafe` (Redis has too few replicas), `refused` (the vendor refused several jobs; one job at a
            time is a probe) or `probe` (the circuit breaker is half-open). For this job: `retry` (it was refused or its
            task failed, and it waits for its next attempt).
        attempts: How many times it was submitted to the vendor.
        retries: How many times it was retried after a transient failure.
        transient_code: The code of the last transient failure.
        task_id: The vendor's task id.
        type: `animate` or `replace`.
        resolution: `480p` or `720p`.
        labels: The caller's labels.
        billed_seconds: Estimated billed seconds per submission; None without `video_seconds`.
        billed_usd: The same in US dollars, at the price of the submission, or the current price before it. None if the
            operator has not set prices.
        waiting_at: When a worker recorded it.
        submitted_at: When the vendor accepted it.
        rendered_at: When a worker noticed that the vendor had finished, if the account has a store.
        settled_at: When its outcome was known.
        delivered_at: When its result was stored.
        urls: The URLs of its result.
        urls_expire_at: When these URLs expire.
        error: What it failed with.
    """

    model_config = ConfigDict(frozen=True)

    id: str
    state: JobState
    follows: str | None = None
    position: int | None = None
    eta_seconds: float | None = None
    blocked_by: str | None = None
    attempts: int = 0
    retries: int = 0
    transient_code: str | None = None
    task_id: str | None = None
    type: str | None = None
    resolution: str | None = None
    labels: dict[str, str] = Field(default_factory=dict)
    billed_seconds: float | None = None
    billed_usd: float | None = None
    waiting_at: datetime | None = None
    submitted_at: datetime | None = None
    rendered_at: datetime | None = None
    settled_at: datetime | None = None
    delivered_at: datetime | None = None
    urls: tuple[str, ...] = ()
    urls_expire_at: datetime | None = None
    error: str | None = None

    @classmethod
    def from_hash(
        cls, job_id: str, fields: Mapping[str, str], rank: int | None, *, has_slot: bool, prices: Prices | None = None
    ) -> Self:
        """Read a job's hash, empty while no worker has recorded it; `rank` is its zero-based position in the queue."""
        if not fields:
            return cls(id=job_id, state=JobState.QUEUED)
        request: dict[str, Any] = json.loads(fields.get("request") or "{}")
        outcome = read_outcome(fields)
        video_seconds = request.get("video_seconds")
        return cls(
            id=job_id,
            state=_state(Stage(fields["stage"]), outcome, has_slot=has_slot),
            follows=fields.get("leader"),
            position=None if rank is None else rank + 1,
            attempts=int(fields.get("attempts", 0)),
            retries=int(fields.get("retries", 0)),
            transient_code=fields.get("transient_code"),
            task_id=fields.get("task_id"),
            type=request.get("type"),
            resolution=request.get("resolution", "480p") if request else None,
            labels=request.get("labels", {}),
            billed_seconds=None if video_seconds is None else billed_seconds(video_seconds),
            billed_usd=None if video_seconds is None else _billed_usd(fields, request, prices),
            waiting_at=moment(fields.get("waiting_at_ms")),
            submitted_at=moment(fields.get("submitted_at_ms")),
            rendered_at=moment(fields.get("rendered_at_ms")),
            settled_at=moment(fields.get("settled_at_ms")),
            delivered_at=moment(fields.get("delivered_at_ms")),
            urls=outcome.result.urls if outcome and outcome.result else (),
            urls_expire_at=outcome.result.urls_expire_at if outcome and outcome.result else None,
            error=str(outcome.exception()) if outcome and outcome.result is None else None,
        )


def read_outcome(fields: Mapping[str, str]) -> Outcome | None:
    """Return the outcome in a job's hash, or None."""
    stored = fields.get("outcome")
    return Outcome.model_validate_json(stored) if stored else None


def _billed_usd(fields: Mapping[str, str], request: Mapping[str, Any], prices: Prices | None) -> float | None:
    counted = fields.get("billed_micro_usd")
    if counted is not None:
        return usd(int(counted))
    seconds = billed_seconds(request.get("video_seconds"))
    micro_usd = None if prices is None else prices.micro_usd(seconds, request.get("resolution"))
    return None if micro_usd is None else usd(micro_usd)


def _state(stage: Stage, outcome: Outcome | None, *, has_slot: bool) -> JobState:
    if outcome is not None:
        return outcome.kind
    if stage is Stage.WAITING and has_slot:
        return JobState.SUBMITTING
    if stage is Stage.FOLLOWING:
        return JobState.WAITING
    return JobState(stage.value)


def moment_of(stamp_ms: str) -> datetime:
    """Return a time stamp of the ledger, in Unix ms, as a datetime."""
    return datetime.fromtimestamp(int(stamp_ms) / 1000, tz=UTC)


def moment(stamp_ms: str | None) -> datetime | None:
    """Return a time stamp of the ledger as a datetime, or None."""
    return moment_of(stamp_ms) if stamp_ms else None
