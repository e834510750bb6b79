"""A job in the queue, as its caller holds it."""

from __future__ import annotations

import asyncio
import math
import time
import uuid
from numbers import Real
from typing import TYPE_CHECKING

from . import operations
from .errors import InvalidArgument
from .waiting import Reply

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .aio import AsyncClient
    from .client import Client
    from .contract import CancelOutcome, JobStatus, Result


class _Handle:
    """An id and the client that made it: it holds no connection and costs nothing to keep."""

    __slots__ = ("id",)

    def __init__(self, job_id: str | uuid.UUID) -> None:
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

    def __init__(self, client: Client, job_id: str | uuid.UUID) -> None:
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
        return operations.status(self._client.store, self.id)

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
        (outcome,) = self._client.wait_all([self], timeout, allow_expired=allow_expired)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

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
        store, seconds = self._client.store, checked_bound(timeout)
        reply = Reply(self.id, operations.request_cancellation(store, self.id), seconds)
        while (outcome := reply.read(store)) is None:
            time.sleep(reply.pause_seconds())
        return outcome


class AsyncJobHandle(_Handle):
    """One job, to be asked about, waited for or cancelled; made by `AsyncClient`."""

    __slots__ = ("_client",)

    def __init__(self, client: AsyncClient, job_id: str | uuid.UUID) -> None:
        super().__init__(job_id)
        self._client = client

    async def status(self) -> JobStatus:
        """Return where the job stands now; works and fails as `JobHandle.status` does."""
        return await self._client.call(operations.status, self._client.store, self.id)

    async def wait(
        self,
        timeout: float | None = None,  # noqa: ASYNC109 - the job goes on, so it is ours
        *,
        allow_expired: bool = False,
    ) -> Result:
        """Return the result once the job has ended, holding no thread meanwhile.

        Works and fails as `JobHandle.wait` does.
        """
        (outcome,) = await self._client.wait_all([self], timeout, allow_expired=allow_expired)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    async def cancel(self, timeout: float = 10.0) -> CancelOutcome:  # noqa: ASYNC109 - the request stays queued
        """Cancel the job if it has not been sent to the vendor, and return what became of it.

        Works and fails as `JobHandle.cancel` does.
        """
        store, seconds = self._client.store, checked_bound(timeout)
        request_id = await self._client.call(operations.request_cancellation, store, self.id)
        reply = Reply(self.id, request_id, seconds)
        while (outcome := await self._client.call(reply.read, store)) is None:  # noqa: ASYNC110 - it comes from Redis
            await asyncio.sleep(reply.pause_seconds())
        return outcome


def checked_id(job_id: str | uuid.UUID) -> str:
    """Return the id of a job as a string."""
    if isinstance(job_id, uuid.UUID):
        return str(job_id)
    if not isinstance(job_id, str) or not job_id:
        given = "an empty string" if job_id == "" else type(job_id).__name__
        raise InvalidArgument(f"job_id: a string or a UUID is expected, got {given}")
    try:
        job_id.encode()
    except UnicodeEncodeError:
        raise InvalidArgument("job_id: this is not valid Unicode text") from None
    # Also a subclass of str, such as an enum, is its plain text in Redis and in messages.
    return str.__str__(job_id)


def checked_ids(handles: Iterable[JobHandle | AsyncJobHandle]) -> list[str]:
    """Return the ids of jobs, in order."""
    ids = []
    for index, handle in enumerate(handles):
        job_id = getattr(handle, "id", None)
        if not isinstance(job_id, str):
            got = type(handle).__name__
            raise InvalidArgument(f"handles.{index}: a handle is expected, got {got}: make one with client.job(id)")
        ids.append(job_id)
    return ids


def checked_seconds(timeout: float | None) -> float | None:
    """Return a time-out in seconds; None is no bound."""
    return None if timeout is None else checked_bound(timeout)


def checked_bound(timeout: float) -> float:
    """Return a time-out in seconds, one that ends."""
    if isinstance(timeout, bool) or not isinstance(timeout, Real):
        raise InvalidArgument(f"timeout: a number of seconds is expected, got {type(timeout).__name__}")
    try:
        seconds = float(timeout)
    except OverflowError:
        seconds = math.inf
    if math.isnan(seconds) or seconds < 0:
        raise InvalidArgument(f"timeout: a number of seconds that is not negative is expected, got {seconds:g}")
    if math.isinf(seconds):
        raise InvalidArgument("timeout: it is infinite; leave it out, or give None, to wait for as long as it takes")
    return seconds
