"""What the ledger is given and what it answers: expected outcomes as values. Moments are in Redis time."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import orjson
from wanimate.contract import MAX_BILLED_SECONDS, Stage, billed_seconds
from wanimate.contract.durations import field_of, without_length

from ..stopwatch import Stopwatch
from .records import JobFields

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from wanimate.contract import CancelOutcome, Outcome


class ResultMissing(Exception):
    """An outcome is to be closed as delivered, and the server that the ledger speaks to does not have it."""


class NotReplicated(Exception):
    """Something was written, and too few replicas have it; the message says why."""


# -- what it is given -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Entry:
    """A new job to record.

    Args:
        priority: 0 (most urgent) to 9.
        message: What is kept of the Celery message of the job.
        request: The keyword arguments of its task.
        deadline_ms: How long after this moment it may end; None for any time.
        fingerprint: The digest of the request: the same id with another one is refused.
        has_key: Whether the id comes from an idempotency key.
        caller: Names the message, if it has callbacks or a chain.
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
        """Return the bill of a job, by the keyword arguments of its task; what is wrong in them is found later."""
        seconds, labels = request.get("video_seconds"), request.get("labels")
        is_number = isinstance(seconds, int | float) and seconds > 0
        pairs = labels.items() if isinstance(labels, dict) else ()
        return cls(billed_seconds(seconds if is_number else None), tuple(f"{name}={value}" for name, value in pairs))


@dataclass(frozen=True, slots=True)
class Observation:
    """How long the vendor had a task that has ended.

    Args:
        kind: The kind of its job.
        seconds: How long.
        completed_at_ms: When the vendor completed it, by the vendor's clock; None if it did not say so.
    """

    kind: str
    seconds: float
    completed_at_ms: int | None = None

    def arguments(self) -> tuple[str | int, ...]:
        """Return it as `settle` reads it: histograms are kept for all lengths of a kind."""
        completed = "" if self.completed_at_ms is None else self.completed_at_ms
        return field_of(self.kind, self.seconds), completed, without_length(self.kind), round(self.seconds * 1000)


# -- admission ------------------------------------------------------------------------------------------------------


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
        caller: Whose callbacks the job's own message has; empty if it has none.
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


# -- what a submitter does next, as `begin` says --------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Submit:
    """The intent is written: send the POST now.

    Args:
        nonce: Names this attempt; a writer with another one changes nothing.
        attempt: 1 for the first.
        begun_at_ms: When the intent was written.
        in_flight: How many slots were held then.
        job: What the record says of the job: its request is sent, whatever a message says.
        asked: Since when the lease and the request permit may have run.
    """

    nonce: str
    attempt: int
    begun_at_ms: int
    in_flight: int
    job: JobFields = field(default_factory=lambda: JobFields(""), compare=False)
    asked: Stopwatch = field(default_factory=Stopwatch, compare=False)


class Unsafe(NamedTuple):
    """The intent is written, but a crash of Redis might forget it: the POST must not be sent."""

    reason: str


@dataclass(frozen=True, slots=True)
class Deliver:
    """The outcome is known, and the calling thread delivers it.

    Args:
        attempts: How many times it was sent.
        waiting_at_ms: When it was recorded.
        settled_at_ms: When its outcome was known.
        begun_at_ms: When this delivery began.
        asked: Since when the lease of this delivery may have run.
        job: What the record says of the job.
    """

    outcome: Outcome
    attempts: int = field(default=0, compare=False)
    waiting_at_ms: int | None = field(default=None, compare=False)
    settled_at_ms: int | None = field(default=None, compare=False)
    begun_at_ms: int = field(default=0, compare=False)
    asked: Stopwatch = field(default_factory=Stopwatch, compare=False)
    job: JobFields = field(default_factory=lambda: JobFields(""), compare=False)


@dataclass(frozen=True, slots=True)
class WaitForPermit:
    """A request permit is reserved for this many ms after `asked` began; begin again then, holding it."""

    wait_ms: int
    asked: Stopwatch = field(default_factory=Stopwatch, compare=False)


@dataclass(frozen=True, slots=True)
class RateLimited:
    """The request budget is spent for longer than a submitter may wait; a poller finds the job when it is due."""

    wait_ms: int


@dataclass(frozen=True, slots=True)
class Blocked:
    """The gate is closed: the job is requeued at its place."""


@dataclass(frozen=True, slots=True)
class NoOp:
    """Another run has done this step, or the job is not this far: where it stands; None if it has no record."""

    stage: Stage | None


Step = Submit | Deliver | WaitForPermit | RateLimited | Blocked | NoOp


@dataclass(frozen=True, slots=True)
class Parked:
    """A job whose submission was refused without a verdict waits for its next attempt.

    Args:
        delay_ms: For how long it is parked.
        granted: Jobs that got its slot and must be submitted.
    """

    refusals: int
    delay_ms: int
    granted: Sequence[str]


@dataclass(frozen=True, slots=True)
class Proven:
    """A job was refused so often while others were accepted: the cause is the job itself."""

    refusals: int


# -- polls ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Claim:
    """Jobs that are this caller's to check until the lease ends.

    Args:
        token: The fencing token.
        claimed_at_ms: When they were claimed.
        due_in_ms: After how long the next job is due; None if none will be.
        permits: Request permits that were taken with the claim.
    """

    token: str
    claimed_at_ms: int
    job_ids: Sequence[str]
    due_in_ms: int | None = None
    permits: int = 0


@dataclass(frozen=True, slots=True)
class Survey:
    """What polls are planned from.

    Args:
        in_flight: Slots held.
        waiting: Jobs that wait for one.
        late: Jobs that are due and that no worker checked in time.
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


class Tick(NamedTuple):
    """A poll has begun: when, and by how many ms the clock of Redis was set back since the last one; mostly 0."""

    now_ms: int
    set_back_ms: int


class CallbackEffect(StrEnum):
    """What a callback of the vendor changed."""

    #: The job is checked now.
    DUE = "due"
    #: The job is checked later: soon, or once its submission is answered or given up, or at its bound.
    NOTED = "noted"
    #: Nothing: another task id that was named is to be checked first; the same call must come again.
    CHECKING = "checking"
    #: Nothing: it belongs to an attempt that is no longer the job's.
    STALE = "stale"
    #: Nothing: the job's outcome is known, or its record is gone.
    ENDED = "ended"


# -- ends, and what takes them back ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Settled:
    """A job that has ended.

    Args:
        granted: Jobs that got its slot; each must be submitted.
        stage: `SETTLED`: its outcome must be delivered. `DELIVERED`: its result is stored and its record closed.
            `KEEPING`: its video is copied before it is settled.
    """

    granted: Sequence[str]
    stage: Stage

    @classmethod
    def read(cls, answer: list[Any] | None) -> Self | None:
        """Build from what `settle` answers."""
        return None if answer is None else cls(answer[1:], Stage(answer[0]))


class Cancelled(NamedTuple):
    """The result of a cancellation, and the jobs that got the freed slot."""

    outcome: CancelOutcome
    must_deliver: bool
    granted: Sequence[str]


class Retried(StrEnum):
    """What became of a failed job that was to run again."""

    RETRIED = "retried"
    #: Its failure is being delivered right now: retry in a moment.
    UNDELIVERED = "undelivered"
    #: It is not a failed job.
    NO = "no"


class Retry(NamedTuple):
    """What became of a retry, and the jobs that were given a slot, perhaps this one among them."""

    verdict: Retried
    granted: Sequence[str]


class Attachment(StrEnum):
    """What became of a failed job whose task the vendor still renders."""

    #: It runs again.
    ATTACHED = "attached"
    #: No slot is free.
    FULL = "full"
    #: It has no such failure any more.
    LOST = "lost"
