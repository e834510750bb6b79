"""A job in the queue, as its caller holds it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import operations
from .arguments import checked_bound, checked_id, checked_seconds

if TYPE_CHECKING:
    from uuid import UUID

    from .aio import AsyncClient
    from .client import Client
    from .contract import CancelOutcome, JobStatus, Result


class _Handle:
    """An id and the client that made it: it holds no connection and costs nothing to keep."""

    __slots__ = ("id",)

    def __init__(self, job_id: str | UUID) -> None:
        #: The job's id, also its Celery task id.
        self.id = checked_id(job_id)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.id}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Handle) and other.id == self.id

    def __hash__(self) -> int:
        return hash(self.id)


class JobHandle(_Handle):
    """One job, to be asked about, waited for or cancelled; made by `Client`."""

    __slots__ = ("_client",)

    def __init__(self, client: Client, job_id: str | UUID) -> None:
        super().__init__(job_id)
        self._client = client

    def status(self) -> JobStatus:
        """Return where the job stands now.

        `eta_seconds` is an estimate, good for a progress bar and not for a promise.

        A job that no worker has recorded yet is `queued`.

        Raises:
            JobNotFound: Nothing is known about it: it was never enqueued here, or its record and result have expired.
            QueueUnavailable: Redis could not be reached.
        """
        return self._client.run(operations.status(self.id))

    def wait(self, timeout: float | None = None, *, allow_expired: bool = False) -> Result:
        """Return the result once the job has ended.

        Args:
            timeout: How long to wait, in seconds; None waits for ever.
            allow_expired: Whether to return a result whose URLs the vendor no longer serves.

        Raises:
            InvalidArgument: The time-out is not a number of seconds.
            JobFailed: The job ended without a result; the class says how.
            ResultExpired: It succeeded too long ago: the vendor no longer serves the URLs.
            JobNotFound: Nothing is known about it.
            WaitTimeout: The job goes on and can be waited for again.
            QueueUnavailable: Redis could not be reached, or not for half a minute after it had been.
        """
        return self._client.run(operations.wait(self.id, checked_seconds(timeout), allow_expired=allow_expired))

    def cancel(self, timeout: float = 10.0) -> CancelOutcome:
        """Cancel the job if it has not been sent to the vendor, and return what became of it.

        Args:
            timeout: How long to wait for a worker's answer, in seconds.

        Raises:
            InvalidArgument: The time-out is not a number of seconds.
            JobNotFound: Nothing is known about it.
            WorkerUnavailable: No worker answered; the request stays queued.
            QueueUnavailable: Redis could not be reached.
        """
        return self._client.run(operations.cancel(self.id, checked_bound(timeout)))


class AsyncJobHandle(_Handle):
    """One job, to be asked about, waited for or cancelled; made by `AsyncClient`."""

    __slots__ = ("_client",)

    def __init__(self, client: AsyncClient, job_id: str | UUID) -> None:
        super().__init__(job_id)
        self._client = client

    async def status(self) -> JobStatus:
        """Return where the job stands now; see `JobHandle.status`.

        Raises:
            JobNotFound: Nothing is known about it.
            QueueUnavailable: Redis could not be reached.
        """
        return await self._client.run(operations.status(self.id))

    async def wait(
        self,
        timeout: float | None = None,  # noqa: ASYNC109 - the job goes on, so it is ours
        *,
        allow_expired: bool = False,
    ) -> Result:
        """Return the result once the job has ended, holding no thread meanwhile.

        Args:
            timeout: How long to wait, in seconds; None waits for ever.
            allow_expired: Whether to return a result whose URLs the vendor no longer serves.

        Raises:
            InvalidArgument: The time-out is not a number of seconds.
            JobFailed: The job ended without a result; the class says how.
            ResultExpired: It succeeded too long ago: the vendor no longer serves the URLs.
            JobNotFound: Nothing is known about it.
            WaitTimeout: The job goes on and can be waited for again.
            QueueUnavailable: Redis could not be reached, or not for half a minute after it had been.
        """
        return await self._client.run(operations.wait(self.id, checked_seconds(timeout), allow_expired=allow_expired))

    async def cancel(self, timeout: float = 10.0) -> CancelOutcome:  # noqa: ASYNC109 - the request stays queued
        """Cancel the job if it has not been sent to the vendor, and return what became of it.

        Args:
            timeout: How long to wait for a worker's answer, in seconds.

        Raises:
            InvalidArgument: The time-out is not a number of seconds.
            JobNotFound: Nothing is known about it.
            WorkerUnavailable: No worker answered; the request stays queued.
            QueueUnavailable: Redis could not be reached.
        """
        return await self._client.run(operations.cancel(self.id, checked_bound(timeout)))
