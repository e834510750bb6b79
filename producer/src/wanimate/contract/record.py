"""What became of a job: its result, its outcome, and the status that the ledger's job hash gives."""

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


#: For how long the vendor keeps videos after it has completed a task, in seconds (vendor document, "Response format").
RESULT_URLS_TTL_SECONDS: Final = 86_400


class KeptFile(BaseModel):
    """One video in the account's store.

    Args:
        url: Where it is, such as `s3://bucket/2026-11-27/ID.mp4`.
        source_url: Where the vendor served it.
        size_bytes: Its size.
        sha256: Its digest, in hexadecimal.
        content_type: What it is, by its bytes: `video/mp4`.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    url: str
    source_url: str
    size_bytes: int
    sha256: str
    content_type: str


class Result(BaseModel):
    """The vendor's answer for a finished job.

    Args:
        urls: Where the videos are: in the account's store if they were kept, else at the vendor.
        source_urls: Where the vendor served videos that were to be kept.
        kept: Whether they are in the account's store. False if they could not be copied before the vendor stopped
            serving them; None if the account keeps none.
        files: What was copied, in the order of `urls`.
        task_id: The vendor's task id.
        created_at: When the vendor created the task.
        completed_at: When the vendor completed it.
        cost_time_ms: How long the vendor says it worked, in milliseconds.
        urls_expire_at: When the vendor stops serving `urls`, as it documents; None if not known, or if they are kept. A
            result that an older version has stored gets 24 hours from `completed_at`.
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
                # A nonsensical time stamp must not cost a paid video.
                return None
        return value if value is None or value.tzinfo is not None else value.replace(tzinfo=UTC)

    @property
    def is_expired(self) -> bool:
        """Whether the vendor has stopped serving the URLs, by the clock of this machine."""
        return self.urls_expire_at is not None and datetime.now(UTC) >= self.urls_expire_at

    def to_json(self) -> dict[str, Any]:
        """Return the plain value that the Celery task returns."""
        return self.model_dump(mode="json")


class Outcome(BaseModel):
    """How a job ended, as the ledger keeps it: a result, or an error by the name of its class and its arguments."""

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
        """Return the outcome of a finished job."""
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
        """Return the error that the job ended with."""
        known = getattr(errors, self.error or "", errors.JobFailed)
        return known(self.message, self.code, self.task_id, self.field)


class JobStatus(BaseModel):
    """A job as its caller sees it.

    Args:
        id: The job's id, also its Celery task id.
        follows: The job whose outcome it gets, if it is one more caller of the same idempotency key or id.
        state: Where it stands.
        position: Its place among the waiting jobs, 1 is next; only while it waits.
        eta_seconds: In how many seconds the vendor will probably have finished it: an estimate, from how long other
            jobs took and how many slots are in use. None where there is nothing to estimate from.
        blocked_by: Why nothing is sent to the vendor now, if the job is not sent yet: `suspended` (the vendor refuses
            the key, or there is no credit), `paused` (by an operator), `daily_limit` (of what is billed), `balance`
            (too little credit for the next job), `back_off` (the vendor throttles or cannot be reached), `unsafe`
            (Redis lacks replicas), `refused` (several jobs were refused for no reason of their own, one at a time is
            tried) or `probe` (answers were lost, one at a time is tried). None while jobs are sent. `retry`: this job
            was refused, or its task failed, and it waits for its next attempt.
        attempts: How many times it was sent to the vendor.
        retries: How often it was put back because its task had failed with a transient code.
        transient_code: The last such code.
        task_id: The vendor's task id, once known.
        type: `animate` or `replace`.
        resolution: `480p` or `720p`.
        labels: The caller's labels.
        billed_seconds: An estimate of what one submission of it is billed for, in seconds of video. None if the job
            does not say how long its video is.
        billed_usd: The same in US dollars, at the price when it was submitted, before that at today's. None also where
            the operator has set no price.
        waiting_at: When a worker recorded it.
        submitted_at: When the vendor accepted it.
        rendered_at: When a worker learnt that the vendor had finished it, if its video is kept.
        settled_at: When its outcome was learnt.
        delivered_at: When its result was stored.
        urls_expire_at: When the vendor stops serving the URLs of its result, if it has one.
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
        """Read a job's hash, empty while no worker has recorded it; `rank` is its zero-based place in line."""
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
    """Return the outcome in a job's hash, if it has one."""
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
    """Return a time stamp of the ledger, in Unix ms, as a moment."""
    return datetime.fromtimestamp(int(stamp_ms) / 1000, tz=UTC)


def moment(stamp_ms: str | None) -> datetime | None:
    """Return a time stamp of the ledger as a moment; None if there is none."""
    return moment_of(stamp_ms) if stamp_ms else None
