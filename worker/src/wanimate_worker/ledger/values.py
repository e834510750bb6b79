"""What the ledger answers: expected outcomes as values."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import orjson
from wanimate.contract import MAX_BILLED_SECONDS, billed_seconds
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
        message: What is kept of the Celery message of the job.
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

    seconds: float = MAX_BILLED_SECONDS
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
        return self.field, completed, without_length(self.kind), round(self.seconds * 1000)


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
            message came; work on each must go on.
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
        due_in_ms: After how long the next job is due, in milliseconds; None if none will be.
        permits: Request permits that were taken with the claim.
    """

    token: str
    claimed_at_ms: int
    job_ids: Sequence[str]
    due_in_ms: int | None = None
    permits: int = 0


@dataclass(frozen=True, slots=True)
class Settled:
    """A job that has ended.

    Args:
        granted: Jobs that got its slot; each must be submitted.
        is_delivered: Whether its result is stored and its record closed.
    """

    granted: Sequence[str]
    is_delivered: bool

    @classmethod
    def read(cls, answer: list[Any] | None) -> Self | None:
        """Build from what `settle` answers."""
        return None if answer is None else cls(answer[1:], is_delivered=bool(answer[0]))


@dataclass(frozen=True, slots=True)
class Cancelled:
    """What became of a cancellation.

    Args:
        outcome: What to tell the caller.
        must_deliver: Whether its outcome has to be delivered.
        granted: Jobs that got the freed slot and must be submitted.
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


class Retried(StrEnum):
    """What became of a failed job that was to run again."""

    #: It is in line again.
    RETRIED = "retried"
    #: Its failure is being delivered right now: ask again in a moment.
    UNDELIVERED = "undelivered"
    #: It is not a failed job.
    NO = "no"


@dataclass(frozen=True, slots=True)
class Retry:
    """What became of a retry.

    Args:
        verdict: What became of it.
        granted: Jobs that were given a slot, perhaps this one among them; each must be submitted.
    """

    verdict: Retried
    granted: Sequence[str]


class Adoption(StrEnum):
    """What became of a failed job whose task the vendor still renders."""

    #: It runs again.
    ADOPTED = "adopted"
    #: No slot is free.
    FULL = "full"
    #: It has no such failure any more.
    LOST = "lost"


@dataclass(frozen=True, slots=True)
class Parked:
    """A job whose submission was refused without a verdict waits for its next attempt.

    Args:
        refusals: How often it was refused.
        delay_ms: For how long it is parked.
        granted: Jobs that got its slot and must be submitted.
    """

    refusals: int
    delay_ms: int
    granted: Sequence[str]


@dataclass(frozen=True, slots=True)
class Proven:
    """A job was refused again and again while others got through: the cause is the job itself.

    Args:
        refusals: How often it was refused.
    """

    refusals: int


class Tick(NamedTuple):
    """A poll has begun.

    Args:
        now_ms: When, in Redis time (Unix ms).
        set_back_ms: By how much the clock of Redis was set back since the last one, in milliseconds; mostly 0.
    """

    now_ms: int
    set_back_ms: int
