"""What a submitter does next with a job, as `begin` says."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ..stopwatch import Stopwatch
from .records import JobFields

if TYPE_CHECKING:
    from wanimate.contract import Outcome, Stage


@dataclass(frozen=True, slots=True)
class Submit:
    """The intent is written: send the POST now.

    Args:
        nonce: Names this attempt; a writer with another one changes nothing.
        attempt: 1 for the first.
        begun_at_ms: When the intent was written, in Redis time.
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


@dataclass(frozen=True, slots=True)
class Unsafe:
    """The intent is written, but a crash of Redis might forget it: the POST must not be sent.

    Args:
        reason: Why.
    """

    reason: str


@dataclass(frozen=True, slots=True)
class Deliver:
    """The outcome is known, and the calling thread delivers it.

    Args:
        outcome: How the job ended.
        attempts: How many times it was sent.
        waiting_at_ms: When it was recorded, in Redis time.
        settled_at_ms: When its outcome was learnt.
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
    """A request permit is reserved for this many milliseconds from now; begin again then, holding it.

    Args:
        wait_ms: How long to wait.
        asked: Since when.
    """

    wait_ms: int
    asked: Stopwatch = field(default_factory=Stopwatch, compare=False)


@dataclass(frozen=True, slots=True)
class RateLimited:
    """The request budget is spent for longer than a submitter may wait; a poller finds the job when it is due."""

    wait_ms: int


@dataclass(frozen=True, slots=True)
class Blocked:
    """The gate is closed: the job is back at its place among the waiting."""


@dataclass(frozen=True, slots=True)
class NoOp:
    """Another run has done this step, or the job is not this far.

    Args:
        stage: Where the job stands; None if it has no record.
    """

    stage: Stage | None


Step = Submit | Deliver | WaitForPermit | RateLimited | Blocked | NoOp
