"""The client for ordinary, blocking code."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from . import operations
from .arguments import checked_ids, checked_seconds
from .contract import AnimateJob, ReplaceJob
from .effects import Done, Emit, advance
from .engine import Engine
from .errors import JobNotFound
from .handle import JobHandle
from .settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from types import TracebackType
    from typing import Self, Unpack
    from uuid import UUID

    from .contract import Job, Result
    from .effects import Operation
    from .errors import JobFailed, ResultExpired
    from .request import JobFields

T = TypeVar("T")


class Client:
    """Enqueues jobs and reads what became of them.

    One client serves a whole process: it may be shared between threads, connects when first used, and reconnects by
    itself. A process that is forked from this one makes connections of its own.

    Args:
        settings: Where Redis is; without it, the `WANIMATE_*` variables and `.env` are read.

    Raises:
        SettingsError: A setting is missing or wrong.
    """

    def __init__(self, settings: Settings | None = None) -> None:
        self._engine = Engine(settings or Settings.load())

    def animate(self, **fields: Unpack[JobFields]) -> JobHandle:
        """Enqueue one job that brings the character of an image to life with the motion of a video.

        Args:
            fields: The fields of `AnimateJob`.

        Raises:
            InvalidRequest: A field breaks the vendor's rules; nothing was sent.
            IdempotencyConflict: The idempotency key was used before for a different request.
            QueueUnavailable: Redis could not be reached.
        """
        return self.submit(AnimateJob(**fields))

    def replace(self, **fields: Unpack[JobFields]) -> JobHandle:
        """Enqueue one job that replaces the person in a video with the character of an image.

        Args:
            fields: The fields of `ReplaceJob`.

        Raises:
            InvalidRequest: A field breaks the vendor's rules; nothing was sent.
            IdempotencyConflict: The idempotency key was used before for a different request.
            QueueUnavailable: Redis could not be reached.
        """
        return self.submit(ReplaceJob(**fields))

    def submit(self, job: Job) -> JobHandle:
        """Enqueue one job.

        Raises:
            IdempotencyConflict: The idempotency key was used before for a different request.
            QueueUnavailable: Redis could not be reached.
        """
        return self.job(self.run(operations.submit(job, self._engine.settings.account)))

    def submit_many(self, jobs: Iterable[Job]) -> list[JobHandle]:
        """Enqueue many jobs, some hundreds to a message, and return their handles in order.

        The jobs are read as they are sent, so a generator of any length will do. Whatever ends the call early carries
        the handles of the jobs that are certainly in the queue as `.enqueued`; whether the few hundred jobs after them
        arrived is not known. Give jobs an `idempotency_key` to be able to send them all again without paying twice.

        Args:
            jobs: Jobs, from any iterable.

        Raises:
            InvalidRequest: An item is not a job; `field` names its index.
            IdempotencyConflict: An idempotency key was used before for a different request.
            QueueUnavailable: Redis could not be reached.
        """
        return self.run(operations.submit_many(jobs, self._engine.settings.account, self.job))

    def job(self, job_id: str | UUID) -> JobHandle:
        """Pick up a job by its id, in any process; nothing is read yet.

        Raises:
            InvalidArgument: This is no id.
        """
        return JobHandle(self, job_id)

    def wait_all(
        self, handles: Iterable[JobHandle], timeout: float | None = None, *, allow_expired: bool = False
    ) -> list[Result | JobFailed | ResultExpired]:
        """Return how each job ended, in order, once all have; errors are returned, not raised.

        Args:
            handles: The jobs.
            timeout: How long to wait for all of them, in seconds; None waits for ever.
            allow_expired: Whether to return results whose URLs the vendor no longer serves; without it those are
                `ResultExpired`.

        Raises:
            InvalidArgument: The time-out is not a number of seconds, or what was given are no handles.
            JobNotFound: Nothing is known about one of them.
            WaitTimeout: Some had not ended; they go on.
            QueueUnavailable: Redis could not be reached.
        """
        return self.run(
            operations.wait_all(checked_ids(handles), checked_seconds(timeout), allow_expired=allow_expired)
        )

    def as_completed(
        self, handles: Iterable[JobHandle], timeout: float | None = None, *, allow_expired: bool = False
    ) -> Iterator[tuple[JobHandle, Result | JobFailed | ResultExpired]]:
        """Yield each job with how it ended, as they end.

        Args:
            handles: The jobs.
            timeout: How long to wait for all of them, in seconds; None waits for ever.
            allow_expired: Whether to return results whose URLs the vendor no longer serves; without it those are
                `ResultExpired`.

        Raises:
            InvalidArgument: The time-out is not a number of seconds, or what was given are no handles.
            JobNotFound: Nothing is known about one of them.
            WaitTimeout: Some had not ended; they go on.
            QueueUnavailable: Redis could not be reached.
        """
        # Not a generator itself: what is wrong with the arguments is raised here, and not where it is iterated.
        return self._ended(
            operations.as_completed(checked_ids(handles), checked_seconds(timeout), allow_expired=allow_expired)
        )

    def _ended(self, operation: Operation[None]) -> Iterator[tuple[JobHandle, Result | JobFailed | ResultExpired]]:
        for event in self.stream(operation):
            if isinstance(event, operations.Missing):
                raise JobNotFound.of(event.job_id)
            if isinstance(event, operations.Ended):
                yield self.job(event.job_id), event.outcome

    def close(self) -> None:
        """Close the connections; jobs go on without them. Closing it again does nothing."""
        self._engine.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Client of {self._engine.address}, account {self._engine.settings.account}>"

    def run(self, operation: Operation[T]) -> T:
        """Carry out an operation and return its result. Internal: the methods above are the interface."""
        step = advance(operation, None)
        while not isinstance(step, Done):
            step = advance(operation, self._engine.attempt(step))
        return step.value

    def stream(self, operation: Operation[None]) -> Iterator[Any]:
        """Carry out an operation and yield what it emits. Internal: the methods above are the interface."""
        step = advance(operation, None)
        while not isinstance(step, Done):
            if isinstance(step, Emit):
                yield step.value
                step = advance(operation, None)
            else:
                step = advance(operation, self._engine.attempt(step))
