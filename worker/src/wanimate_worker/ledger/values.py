"""What the ledger answers: expected outcomes as values."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Self

import orjson
from kombu.utils.json import loads
from wanimate.contract import LONGEST_BILLED_SECONDS, Stage, billed_seconds
from wanimate.contract.durations import field_of, without_length

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from wanimate.contract import CancelOutcome


class ResultMissing(Exception):
    """An outcome is to be closed as delivered, and the server that the ledger speaks to does not have it."""


class NotReplicated(Exception):
    """Something was written, and too few replicas have it; the message says why."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A new job to record.

    Args:
        job_id: The job.
        priority: 0 (most urgent) to 9.
        message: How the job's Celery message is published again.
        request: The keyword arguments of its task.
        deadline_ms: How long after this moment it may end, in milliseconds; None for any time.
        fingerprint: The digest of the request: the same id with another one is refused.
        has_key: Whether the id comes from an idempotency key.
        caller: Names the message, if somebody's callbacks or chain hang on it.
    """

    job_id: str
    priority: int
    message: dict[str, Any]
    request: Mapping[str, Any]
    deadline_ms: int | None = None
    fingerprint: str = ""
    has_key: bool = False
    caller: str = ""


@dataclass(frozen=True, slots=True)
class Bill:
    """What one submission is probably billed for.

    Args:
        seconds: Of video, as `billed_seconds` estimates it.
        labels: The job's labels, each as `name=value`.
    """

    seconds: float = LONGEST_BILLED_SECONDS
    labels: tuple[str, ...] = ()

    def to_json(self) -> str:
        """Return it as the record keeps it: ms of video, then the labels."""
        return orjson.dumps([round(self.seconds * 1000), *self.labels]).decode()

    @classmethod
    def of(cls, request: Mapping[str, Any]) -> Self:
        """Return the bill of a job.

        Args:
            request: The keyword arguments of its task; what is wrong in them is told by whoever submits it.
        """
        seconds, labels = request.get("video_seconds"), request.get("labels")
        is_number = isinstance(seconds, int | float) and seconds > 0
        pairs = labels.items() if isinstance(labels, dict) else ()
        return cls(billed_seconds(seconds if is_number else None), tuple(f"{name}={value}" for name, value in pairs))


@dataclass(frozen=True, slots=True)
class Observation:
    """What is known about a task that has ended.

    Args:
        kind: The kind of its job.
        seconds: How long the vendor had it.
        completed_at_ms: When the vendor completed it, in Unix ms of the vendor's clock; None if it did not say so.
    """

    kind: str
    seconds: float
    completed_at_ms: int | None = None

    @property
    def field(self) -> str:
        """The field of the durations that counts it."""
        return field_of(self.kind, self.seconds)

    def arguments(self) -> tuple[str | int, ...]:
        """Return it as `settle` reads it; figures are kept for all lengths of a kind."""
        completed = "" if self.completed_at_ms is None else self.completed_at_ms
        return completed, without_length(self.kind), round(self.seconds * 1000)


class Admitted(StrEnum):
    """What became of an entry."""

    RECORDED = "recorded"
    #: It was recorded before, with the same request.
    KNOWN = "known"
    #: The id, or its idempotency key, is in use for another request.
    CONFLICT = "conflict"


@dataclass(frozen=True, slots=True)
class Admission:
    """What became of an entry, and of others by it.

    Args:
        verdict: What became of the entry.
        caller: Whose callbacks hang on the job's own message; empty for nobody's.
        granted: Jobs that were given a slot, perhaps this one among them, and this one if it was cancelled before its
            message came; each must be resumed.
    """

    verdict: Admitted
    caller: str
    granted: Sequence[str]

    @property
    def is_new(self) -> bool:
        """Whether the job is recorded by this entry."""
        return self.verdict is Admitted.RECORDED


@dataclass(frozen=True, slots=True)
class Claim:
    """Jobs that are this caller's to look at until the lease ends.

    Args:
        token: The fencing token.
        claimed_at_ms: When they were claimed, in Redis time.
        job_ids: The jobs.
    """

    token: str
    claimed_at_ms: int
    job_ids: Sequence[str]


@dataclass(frozen=True, slots=True)
class Cancelled:
    """What became of a cancellation.

    Args:
        outcome: What to tell the caller.
        must_deliver: Whether the job has to be resumed so that its callers learn of it.
        granted: Jobs that got the freed slot and must be resumed.
    """

    outcome: CancelOutcome
    must_deliver: bool
    granted: Sequence[str]


@dataclass(frozen=True, slots=True)
class Survey:
    """What polls are planned from.

    Args:
        in_flight: Slots held.
        waiting: Jobs that wait for one.
        late: Jobs that are due and that nobody looked at in time.
        spare: Request permits that polls could take now.
        in_flight_by_age: Pairs of an age in seconds and how many slots were taken about so long ago.
        durations: The hash that counts durations.
        max_in_flight: The account's slots; 0 where its limits are not known.
        requests_per_second: The request budget; 0 where it is not known, and then nothing is polled.
    """

    in_flight: int
    waiting: int
    late: int
    spare: int
    in_flight_by_age: Sequence[tuple[float, int]]
    durations: Mapping[str, str]
    max_in_flight: int
    requests_per_second: float


class CallbackEffect(StrEnum):
    """What a callback of the vendor changed."""

    #: The job is looked at now.
    DUE = "due"
    #: The job is looked at later: soon, or once its submission is answered or given up, or at its bound.
    NOTED = "noted"
    #: Nothing: another task id that was named is to be checked first; the same call must come again.
    CHECKING = "checking"
    #: Nothing: it belongs to an attempt that is no longer the job's.
    STALE = "stale"
    #: Nothing: the job's outcome is known, or its record is gone.
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class JobFields:
    """The part of a job's hash that workers act on.

    Args:
        job_id: The job.
        stage: Its stored stage; None if the hash is gone.
        nonce: Its current attempt.
        attempts: How many times it was submitted.
        task_id: The vendor's task id.
        submitted_at_ms: When the vendor accepted it.
        message: How its Celery message is published again.
        request: The keyword arguments of its task.
        unknown_why: Why the answer of its submission was lost.
        begun_at_ms: When its current attempt began.
        unknown_until_ms: Until when news of a lost submission are waited for.
        hint: The task id that a callback or an odd answer named; nobody has checked it.
        hint_by: `answer` if the hint is from the answer to the submission; None if from a callback.
        deadline_at_ms: Until when the job may end; None for any time.
        waiting_at_ms: When it was recorded.
        unreadable_why: Why the last answer about its task could not be read; None if it could.
        leader: The job whose outcome it gets, if it is one more caller of that; else None.
        celery_id: The Celery task under which its result is stored; None for the job's own.
        retries: How often it was put back because its task had failed with a transient code.
        transient_code: The last such code.
        transient_task: The task that ended so.
    """

    job_id: str
    stage: Stage | None
    nonce: str
    attempts: int
    task_id: str | None
    submitted_at_ms: int | None
    message: dict[str, Any]
    request: dict[str, Any]
    unknown_why: str
    begun_at_ms: int | None
    unknown_until_ms: int | None
    hint: str | None
    hint_by: str | None
    deadline_at_ms: int | None
    waiting_at_ms: int | None
    unreadable_why: str | None
    leader: str | None
    celery_id: str | None
    retries: int = 0
    transient_code: str | None = None
    transient_task: str | None = None

    @property
    def asks_about(self) -> str | None:
        """The vendor's task to ask about, which is only a hint while the answer is lost; None if none."""
        if self.stage is Stage.RUNNING:
            return self.task_id or ""
        return self.hint if self.stage is Stage.UNKNOWN else None

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """Return the hash fields to read, in the order `read` takes them."""
        return (
            *("stage", "nonce", "attempts", "task_id", "submitted_at_ms", "message", "request", "unknown_why"),
            *("begun_at_ms", "unknown_until_ms", "hint", "hint_by", "deadline_at_ms", "waiting_at_ms"),
            *("unreadable_why", "leader", "celery_id", "retries", "transient_code", "transient_task"),
        )

    @classmethod
    def read(cls, job_id: str, values: Sequence[str | None]) -> JobFields:
        """Build from the values of the named hash fields."""
        stage, nonce, attempts, task_id, submitted, message, request, why, begun, until, *others = values
        hint, hint_by, deadline, since, unreadable, leader, celery_id, retries, code, failed_task = others
        return cls(
            job_id=job_id,
            stage=Stage(stage) if stage else None,
            nonce=nonce or "",
            attempts=int(attempts or 0),
            task_id=task_id,
            submitted_at_ms=int(submitted) if submitted else None,
            message=loads(message) if message else {},
            request=orjson.loads(request) if request else {},
            unknown_why=why or "",
            begun_at_ms=int(begun) if begun else None,
            unknown_until_ms=int(until) if until else None,
            hint=hint,
            hint_by=hint_by,
            deadline_at_ms=int(deadline) if deadline else None,
            waiting_at_ms=int(since) if since else None,
            unreadable_why=unreadable,
            leader=leader,
            celery_id=celery_id,
            retries=int(retries or 0),
            transient_code=code,
            transient_task=failed_task,
        )
