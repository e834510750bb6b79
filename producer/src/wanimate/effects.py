"""What an operation asks of the outside world, and how it is moved on.

An operation is a generator: it yields effects, is sent their answers and returns its result. It does no input or
output itself, so the sync and the async client run the very same one.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Generic, TypeAlias, TypeVar

from .contract.cost import Prices
from .errors import WanimateError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .messages import Message

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Publish:
    """Put one message into its queue; answered with None."""

    message: Message


@dataclass(frozen=True, slots=True)
class Remember:
    """Remember the fingerprint of each request under its job id, unless one is remembered already.

    Answered with what is remembered, in the same order.
    """

    fingerprints: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class ReadResults:
    """Read Celery's results of these tasks; answered with the stored JSON or None, in the same order.

    Args:
        task_ids: The tasks.
        within: For how long the answer is of use, in seconds; None for as long as it takes.
    """

    task_ids: tuple[str, ...]
    within: float | None = None


@dataclass(frozen=True, slots=True)
class ReadStandings:
    """Read whether jobs are known, and have ended without a result in Celery; answered with a `Standing` for each.

    Args:
        task_ids: The jobs.
        within: For how long the answer is of use, in seconds; None for as long as it takes.
    """

    task_ids: tuple[str, ...]
    within: float | None = None


@dataclass(frozen=True, slots=True)
class Standing:
    """What the ledger says about one job.

    Args:
        is_known: Whether it has a record or a slot, or was enqueued by this library and not recorded yet.
        outcome: How it ended, as its record has it, once that was delivered.
    """

    is_known: bool
    outcome: str | None = None


class Presence(StrEnum):
    """What a look for a job has found."""

    #: There is a record, a result, an entry in the set of enqueued jobs, or a message.
    THERE = "there"
    #: There is nothing.
    ABSENT = "absent"
    #: There are more messages than one look reads.
    UNSURE = "unsure"


@dataclass(frozen=True, slots=True)
class LookFor:
    """Look into the messages for jobs that are not known; answered with a `Presence` for each id."""

    job_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ReadRecord:
    """Read everything that is stored about one job; answered with a `Record`."""

    job_id: str


@dataclass(frozen=True, slots=True)
class Record:
    """What is stored about one job at one moment, and what its end is estimated from.

    Args:
        fields: Its hash, empty if it has none.
        rank: Its zero-based place in line; None if it does not wait.
        has_slot: Whether it holds an upstream slot.
        stored_result: Celery's result.
        is_enqueued: Whether this library has enqueued it and no worker has recorded it yet.
        now_ms: The time of Redis, in Unix ms.
        in_flight: How many slots are held.
        blocked_by: Why nothing is submitted, as in `JobStatus`; None while jobs are.
        durations: The hash that counts durations.
        prices: What a billed second costs.
    """

    fields: Mapping[str, str]
    rank: int | None
    has_slot: bool
    stored_result: str | None
    is_enqueued: bool = False
    now_ms: int | None = None
    in_flight: int = 0
    blocked_by: str | None = None
    durations: Mapping[str, str] = field(default_factory=dict)
    prices: Prices = field(default_factory=Prices)


@dataclass(frozen=True, slots=True)
class ReadPrices:
    """Read what a billed second costs; answered with `Prices`."""


@dataclass(frozen=True, slots=True)
class ReadSlots:
    """Read which jobs hold an upstream slot; answered with the set of their ids."""


@dataclass(frozen=True, slots=True)
class Forget:
    """Delete Celery's result of a task that nobody will read again; answered with None."""

    task_id: str


@dataclass(frozen=True, slots=True)
class Sleep:
    """Let this many seconds pass; answered with None."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Emit:
    """Hand one value to whoever iterates over the operation; answered with None."""

    value: Any


@dataclass(frozen=True, slots=True)
class Done(Generic[T]):
    """The operation has ended with this value."""

    value: T


Effect: TypeAlias = (
    Publish
    | Remember
    | ReadResults
    | ReadStandings
    | LookFor
    | ReadRecord
    | ReadPrices
    | ReadSlots
    | Forget
    | Sleep
    | Emit
)
Operation: TypeAlias = Generator[Effect, Any, T]


def advance(operation: Operation[T], answer: Any) -> Effect | Done[T]:
    """Move an operation on with the answer to its last effect and return its next one.

    Args:
        operation: The operation.
        answer: What the effect gave; a `WanimateError` is raised inside the operation. None to start.
    """
    try:
        return operation.throw(answer) if isinstance(answer, WanimateError) else operation.send(answer)
    except StopIteration as end:
        return Done(end.value)
