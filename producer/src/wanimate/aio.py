"""The client for asyncio. It talks to Redis in a few threads; waiting uses none."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from copy import copy
from functools import partial
from typing import TYPE_CHECKING, Final, ParamSpec, TypeVar

from . import messages
from .contract import AnimateJob, ReplaceJob
from .errors import ClientClosed, JobNotFound, QueueUnavailable, WanimateError
from .events import Feed
from .handle import Handle, ids_of
from .redis.store import CLOSED, PerProcess, Store
from .settings import Settings
from .signing import download_url
from .status import read_status
from .waiting import Cancellation, Found, Wait, read

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable
    from typing import Self, Unpack
    from uuid import UUID

    from .contract import CancelOutcome, Event, Job, JobFields, JobStatus, Result
    from .errors import JobFailed, ResultExpired

P = ParamSpec("P")
T = TypeVar("T")

#: Threads per client; waiting uses none.
THREADS: Final = 8
#: How long a wait may exceed its timeout for a pending response of Redis, in seconds.
GRACE_SECONDS: Final = 5.0
#: How long a read waits for others to join it, in seconds: much less than the shortest pause.
_JOIN_SECONDS: Final = 0.01


class AsyncJobHandle(Handle["AsyncClient"]):
    """A job: read its status, wait for its result, download or cancel it. `AsyncClient` makes handles."""

    __slots__ = ()

    async def status(self) -> JobStatus:
        """Return the current status of the job; see `JobHandle.status`."""
        return await self._client.call(read_status, self._client.store, self.id)

    async def wait(
        self,
        timeout: float | None = None,  # noqa: ASYNC109 - the job continues
        *,
        allow_expired: bool = False,
    ) -> Result:
        """Wait until the job has ended and return its result; see `JobHandle.wait`."""
        (outcome,) = await self._client.wait_all([self], timeout, allow_expired=allow_expired)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    async def download_url(self, expires: float = 3600.0, *, index: int = 0) -> str:
        """Return a download URL for a video of the job; see `JobHandle.download_url`."""
        return await self._client.call(download_url, await self.wait(timeout=0), index, expires)

    async def cancel(self, timeout: float = 10.0) -> CancelOutcome:  # noqa: ASYNC109 - the request stays queued
        """Cancel the job unless it was submitted to the vendor; see `JobHandle.cancel`."""
        call, store = self._client.call, self._client.store
        cancellation = await call(Cancellation.request, store, self.id, timeout)
        while (outcome := await call(cancellation.answer, store)) is None:  # noqa: ASYNC110 - it comes from Redis
            await asyncio.sleep(cancellation.pause_seconds())
        return outcome


class AsyncClient:
    """Enqueue jobs and read their results without blocking the event loop.

    Use one client per process. Several event loops can share it, also in different threads. See `Client` for its
    arguments and errors.
    """

    def __init__(self, settings: Settings | None = None) -> None:
        self.store = Store(settings or Settings.load())
        self._threads = PerProcess(lambda: ThreadPoolExecutor(THREADS, thread_name_prefix="wanimate"))
        #: For each event loop, the waits that share the next read, and that read.
        self._joined: dict[asyncio.AbstractEventLoop, tuple[list[Wait], asyncio.Task[Found]]] = {}

    async def animate(self, **fields: Unpack[JobFields]) -> AsyncJobHandle:
        """Enqueue a job that animates the character of an image; see `Client.animate`."""
        return await self.submit(AnimateJob(**fields))

    async def replace(self, **fields: Unpack[JobFields]) -> AsyncJobHandle:
        """Enqueue a job that replaces the person in a video; see `Client.replace`."""
        return await self.submit(ReplaceJob(**fields))

    async def submit(self, job: Job) -> AsyncJobHandle:
        """Enqueue one job; see `Client.submit`."""
        entry = messages.enter(job, self.store.settings)
        await self.call(self.store.enqueue, [entry])
        return self.job(entry.job_id)

    async def submit_many(self, jobs: Iterable[Job]) -> list[AsyncJobHandle]:
        """Enqueue many jobs and return their handles in order; see `Client.submit_many`.

        The event loop iterates over `jobs`, up to 200 at a time.
        """
        enqueued: list[AsyncJobHandle] = []
        try:
            for entries in messages.pack(jobs, self.store.settings):
                await self.call(self.store.enqueue, entries)
                enqueued.extend(self.job(entry.job_id) for entry in entries)
        except WanimateError as error:
            error.enqueued = enqueued
            raise
        return enqueued

    def job(self, job_id: str | UUID) -> AsyncJobHandle:
        """Return the handle of a job by its id; see `Client.job`."""
        return AsyncJobHandle(self, job_id)

    async def wait_all(
        self,
        handles: Iterable[AsyncJobHandle],
        timeout: float | None = None,  # noqa: ASYNC109 - the jobs continue
        *,
        allow_expired: bool = False,
    ) -> list[Result | JobFailed | ResultExpired]:
        """Wait until all jobs have ended and return their outcomes in order; see `Client.wait_all`."""
        ids = ids_of(handles)
        wait = Wait(ids, timeout, allow_expired=allow_expired)
        outcomes = {job_id: outcome async for job_id, outcome in self._outcomes(wait)}
        return [outcomes[job_id] for job_id in ids]

    def as_completed(
        self, handles: Iterable[AsyncJobHandle], timeout: float | None = None, *, allow_expired: bool = False
    ) -> AsyncIterator[tuple[AsyncJobHandle, Result | JobFailed | ResultExpired]]:
        """Yield each job and its outcome when it ends; see `Client.as_completed`."""
        # Not a generator, so that invalid arguments raise here and not at the first iteration.
        wait = Wait(ids_of(handles), timeout, allow_expired=allow_expired)
        return ((self.job(job_id), outcome) async for job_id, outcome in self._outcomes(wait))

    async def _outcomes(self, wait: Wait) -> AsyncIterator[tuple[str, Result | JobFailed | ResultExpired]]:
        while wait.pending:
            try:
                found = await self._read(wait)
            except QueueUnavailable as error:
                wait.fail(error)
            else:
                for job_id, outcome in wait.take(found):
                    if isinstance(outcome, JobNotFound):
                        raise outcome
                    yield job_id, outcome
            if wait.pending:
                await asyncio.sleep(wait.pause_seconds())

    async def _read(self, wait: Wait) -> Found:
        """Read the outcomes for a wait, together with other waits of this moment, so that all share a few commands."""
        loop = _running_loop()
        joined = self._joined.get(loop)
        if joined is None or joined[1].done():
            waits: list[Wait] = []
            joined = self._joined[loop] = waits, loop.create_task(self._read_together(waits))
        waits, reading = joined
        waits.append(wait)
        left_seconds = wait.left_seconds
        try:
            async with asyncio.timeout(None if left_seconds is None else left_seconds + GRACE_SECONDS):
                return await asyncio.shield(reading)
        except TimeoutError:
            raise QueueUnavailable(
                f"Redis at {self.store.address} did not respond within the timeout of the wait"
            ) from None
        except WanimateError as error:
            # A copy: an error raised in several tasks would collect all their tracebacks.
            raise copy(error) from error.__cause__

    async def _read_together(self, waits: list[Wait]) -> Found:
        try:
            await asyncio.sleep(_JOIN_SECONDS)
        finally:
            del self._joined[asyncio.get_running_loop()]
        job_ids = {job_id: None for wait in waits for job_id in wait.pending}
        to_check = {job_id: None for wait in waits for job_id in wait.to_check}
        return await self.call(read, self.store, job_ids, to_check)

    def events(
        self,
        after: str | None = None,
        *,
        timeout: float | None = None,
        group: str | None = None,
        consumer: str | None = None,
    ) -> AsyncIterator[Event]:
        """Yield an event for each job that ends; see `Client.events`."""
        # Not a generator, so that invalid arguments raise here and not at the first iteration.
        return self._events(Feed(self.store, after, timeout, group=group, consumer=consumer))

    async def _events(self, feed: Feed) -> AsyncIterator[Event]:
        while True:
            event = None
            try:
                if feed.is_due:
                    await self.call(feed.read)
                event = feed.pop()
            except QueueUnavailable as error:
                feed.fail(error)
            if event is not None:
                yield event
                continue
            # A blocking read would occupy one of the few threads.
            pause_seconds = feed.pause_seconds()
            if pause_seconds is None:
                return
            await asyncio.sleep(pause_seconds)

    async def call(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call a blocking function in a thread. Internal."""
        loop = _running_loop()
        if self.store.is_closed:
            raise ClientClosed(CLOSED)
        # In the context of the caller, which may have a trace span.
        called = partial(copy_context().run, function, *args, **kwargs)
        return await loop.run_in_executor(self._threads.get(), called)

    async def close(self) -> None:
        """Close the connections; the jobs continue."""
        if not self.store.is_closed:
            threads = self._threads.get()
            await _running_loop().run_in_executor(threads, self.store.close)
            threads.shutdown(wait=False)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"<AsyncClient of {self.store.address}, account {self.store.settings.account}>"


def _running_loop() -> asyncio.AbstractEventLoop:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        raise WanimateError("AsyncClient needs a running asyncio event loop: use Client in blocking code") from None
