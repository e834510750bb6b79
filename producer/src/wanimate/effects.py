"""What an operation asks of the outside world, and how it is moved on.

An operation is a generator: it yields effects, is sent their answers and returns its result. It does no input or
output itself, so the sync and the async client run the very same one.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, TypeAlias, TypeVar

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
        now_ms: The time of Redis, in Unix ms.
        in_flight: How many slots are held.
        blocked_by: Why nothing is submitted, as in `JobStatus`; None while jobs are.
        durations: The hash that counts durations.
    """

    fields: Mapping[str, str]
    rank: int | None
    has_slot: bool
    stored_result: str | None
    now_ms: int | None = None
    in_flight: int = 0
    blocked_by: str | None = None
    durations: Mapping[str, str] = field(default_factory=dict)


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


Effect: TypeAlias = Publish | Remember | ReadResults | ReadRecord | ReadSlots | Forget | Sleep | Emit
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
