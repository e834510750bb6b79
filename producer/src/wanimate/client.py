"""The client for ordinary, blocking code."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from . import messages, operations
from .contract import AnimateJob, ReplaceJob
from .errors import JobNotFound, QueueUnavailable
from .handle import JobHandle, checked_ids, checked_seconds
from .redis.store import Store
from .settings import Settings
from .waiting import Wait, read

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from types import TracebackType
    from typing import Self, Unpack
    from uuid import UUID

    from .contract import Job, JobFields, Result
    from .errors import JobFailed, ResultExpired
    from .waiting import Ended


class Client:
    """Enqueues jobs and reads what became of them.

    One client serves a whole process: it may be shared between threads, connects when first used, and reconnects by
    itself. Make it when the process starts: that loads redis-py, which takes a tenth of a second. A process that is
    forked from this one makes connections of its own.

    Args:
        settings: Where Redis is; without it, the `WANIMATE_*` variables and `.env` are read.

    Raises:
        SettingsError: A setting is missing or wrong.
    """

    def __init__(self, settings: Settings | None = None) -> None:
        #: Internal: the methods below are the interface.
        self.store = Store(settings or Settings.load())

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
        entry = messages.enter(job, self.store.settings.account)
        operations.submit(self.store, entry)
        return self.job(entry.job_id)

    def submit_many(self, jobs: Iterable[Job]) -> list[JobHandle]:
        """Enqueue many jobs, some hundreds to a message, and return their handles in order.

        The jobs are read as they are sent, so a generator of any length will do. An error carries the handles of the
        jobs that are certainly in the queue as `.enqueued`; whether the few hundred jobs after them arrived is not
        known. Give jobs an `idempotency_key` to be able to send them all again without paying twice.

        Args:
            jobs: Jobs, from any iterable.

        Raises:
            InvalidRequest: An item is not a job; `field` names its index.
            IdempotencyConflict: An idempotency key was used before for a different request.
            QueueUnavailable: Redis could not be reached.
        """
        enqueued: list[JobHandle] = []
        with operations.errors_carry(enqueued):
            for entries in messages.pack(jobs, self.store.settings.account):
                operations.submit_many(self.store, entries)
                enqueued.extend(self.job(entry.job_id) for entry in entries)
        return enqueued

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
        ids = checked_ids(handles)
        outcomes = dict(self._outcomes(Wait(ids, checked_seconds(timeout), allow_expired=allow_expired)))
        return [outcomes[job_id] for job_id in ids]

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
        wait = Wait(checked_ids(handles), checked_seconds(timeout), allow_expired=allow_expired)
        return ((self.job(job_id), outcome) for job_id, outcome in self._outcomes(wait))

    def _outcomes(self, wait: Wait) -> Iterator[tuple[str, Result | JobFailed | ResultExpired]]:
        for ended in self.watch(wait):
            for job_id, outcome in ended:
                if isinstance(outcome, JobNotFound):
                    raise outcome
                yield job_id, outcome

    def watch(self, wait: Wait) -> Iterator[list[Ended]]:
        """Yield, after each read, which jobs have ended. Internal: the methods above are the interface."""
        while wait.pending:
            try:
                found = read(self.store, wait.pending, wait.to_check)
            except QueueUnavailable as error:
                wait.fail(error)
            else:
                yield wait.take(found)
            if wait.pending:
                time.sleep(wait.pause_seconds())

    def close(self) -> None:
        """Close the connections; jobs go on without them. Closing it again does nothing."""
        self.store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Client of {self.store.address}, account {self.store.settings.account}>"
