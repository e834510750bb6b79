"""What the operator's side of the ledger answers."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


@dataclass(frozen=True, slots=True)
class JobRecord:
    """Everything that is stored about one job at one moment.

    Args:
        job_id: The job.
        fields: Its hash, empty if it has none.
        rank: Its zero-based place in line; None if it is not in line.
        slot_since_ms: Since when it holds a slot, in Redis time; None if it holds none.
        parked_until_ms: When it is in line again, in Redis time; None if it is not parked.
    """

    job_id: str
    fields: Mapping[str, str]
    rank: int | None
    slot_since_ms: int | None
    parked_until_ms: int | None = None


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
        granted: Jobs that were given a slot, perhaps this one among them; each must be resumed.
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
class Expired:
    """A job's deadline passed before it was sent.

    Args:
        granted: Jobs that got its slot and must be resumed.
    """

    granted: Sequence[str]


@dataclass(frozen=True, slots=True)
class Parked:
    """A job whose submission was refused without a verdict waits for its next attempt.

    Args:
        refusals: How often it was refused.
        delay_ms: For how long it is parked.
        granted: Jobs that got its slot and must be resumed.
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
