"""The client for asyncio: what the blocking client does, in a few threads; waiting holds none."""

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

#: Threads of one client. They only exchange messages with Redis; waiting holds none.
THREADS: Final = 8
#: For how much longer than its time-out a wait waits for an answer of Redis that is under way, in seconds.
GRACE_SECONDS: Final = 5.0
#: How long a read waits for others to join it, in seconds: small beside the shortest pause of a waiting job.
_JOIN_SECONDS: Final = 0.01


class AsyncJobHandle(Handle["AsyncClient"]):
    """One job, to be asked about, waited for or cancelled; made by `AsyncClient`."""

    __slots__ = ()

    async def status(self) -> JobStatus:
        """Return where the job stands now; works and fails as `JobHandle.status` does."""
        return await self._client.call(read_status, self._client.store, self.id)

    async def wait(
        self,
        timeout: float | None = None,  # noqa: ASYNC109 - the job goes on, so it is ours
        *,
        allow_expired: bool = False,
    ) -> Result:
        """Return the result once the job has ended; works and fails as `JobHandle.wait` does."""
        (outcome,) = await self._client.wait_all([self], timeout, allow_expired=allow_expired)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    async def download_url(self, expires: float = 3600.0, *, index: int = 0) -> str:
        """Return a URL of a video of the job, which has ended; works and fails as `JobHandle.download_url` does."""
        return await self._client.call(download_url, await self.wait(timeout=0), index, expires)

    async def cancel(self, timeout: float = 10.0) -> CancelOutcome:  # noqa: ASYNC109 - the request stays queued
        """Cancel the job if it has not been sent yet; works and fails as `JobHandle.cancel` does."""
        call, store = self._client.call, self._client.store
        cancellation = await call(Cancellation.request, store, self.id, timeout)
        while (outcome := await call(cancellation.answer, store)) is None:  # noqa: ASYNC110 - it comes from Redis
            await asyncio.sleep(cancellation.pause_seconds())
        return outcome


class AsyncClient:
    """Enqueues jobs and reads what became of them, without ever blocking the event loop.

    One client serves a whole process: any number of event loops may use it, one after the other or at the same time in
    several threads. In all else it is made, and works, as `Client`.
    """

    def __init__(self, settings: Settings | None = None) -> None:
        self.store = Store(settings or Settings.load())
        self._threads = PerProcess(lambda: ThreadPoolExecutor(THREADS, thread_name_prefix="wanimate"))
        #: The read that begins in a moment in an event loop, and the waits that it reads for.
        self._joined: dict[asyncio.AbstractEventLoop, tuple[list[Wait], asyncio.Task[Found]]] = {}

    async def animate(self, **fields: Unpack[JobFields]) -> AsyncJobHandle:
        """Enqueue one job that brings the character of an image to life with the motion of a video.

        Takes the fields of `AnimateJob`; works and fails as `Client.animate` does.
        """
        return await self.submit(AnimateJob(**fields))

    async def replace(self, **fields: Unpack[JobFields]) -> AsyncJobHandle:
        """Enqueue one job that replaces the person in a video with the character of an image.

        Takes the fields of `ReplaceJob`; works and fails as `Client.replace` does.
        """
        return await self.submit(ReplaceJob(**fields))

    async def submit(self, job: Job) -> AsyncJobHandle:
        """Enqueue one job; works and fails as `Client.submit` does."""
        entry = messages.enter(job, self.store.settings)
        await self.call(self.store.enqueue, [entry])
        return self.job(entry.job_id)

    async def submit_many(self, jobs: Iterable[Job]) -> list[AsyncJobHandle]:
        """Enqueue many jobs, some hundreds to a message, and return their handles in order.

        Works and fails as `Client.submit_many` does; `jobs` is read in the event loop, a few hundred at a time.
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
        """Pick up a job by its id, in any process; works and fails as `Client.job` does."""
        return AsyncJobHandle(self, job_id)

    async def wait_all(
        self,
        handles: Iterable[AsyncJobHandle],
        timeout: float | None = None,  # noqa: ASYNC109 - the jobs go on, so this is not a cancellation
        *,
        allow_expired: bool = False,
    ) -> list[Result | JobFailed | ResultExpired]:
        """Return how each job ended, in order, once all have; works and fails as `Client.wait_all` does."""
        ids = ids_of(handles)
        wait = Wait(ids, timeout, allow_expired=allow_expired)
        outcomes = {job_id: outcome async for job_id, outcome in self._outcomes(wait)}
        return [outcomes[job_id] for job_id in ids]

    def as_completed(
        self, handles: Iterable[AsyncJobHandle], timeout: float | None = None, *, allow_expired: bool = False
    ) -> AsyncIterator[tuple[AsyncJobHandle, Result | JobFailed | ResultExpired]]:
        """Yield each job with how it ended, as they end; works and fails as `Client.as_completed` does."""
        # Not a generator itself: what is wrong with the arguments is raised here, and not where it is iterated.
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
        """Read how the jobs of a wait stand, in one read with the waits of a moment: a thousand cost a few commands."""
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
                f"Redis at {self.store.address} did not answer within the time-out of the wait"
            ) from None
        except WanimateError as error:
            # Raised in several tasks, one object would collect the tracebacks of all.
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
        """Yield how jobs end, each as an event; works and fails as `Client.events` does."""
        # Not a generator itself: what is wrong with the arguments is raised here, and not where it is iterated.
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
            # Not a blocking read: it would hold one of the few threads.
            pause_seconds = feed.pause_seconds()
            if pause_seconds is None:
                return
            await asyncio.sleep(pause_seconds)

    async def call(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call a blocking function in a thread. Internal: the methods above are the interface."""
        loop = _running_loop()
        if self.store.is_closed:
            raise ClientClosed(CLOSED)
        # In the context of the caller, which may be in a span.
        called = partial(copy_context().run, function, *args, **kwargs)
        return await loop.run_in_executor(self._threads.get(), called)

    async def close(self) -> None:
        """Close the connections; jobs go on without them. Closing it again does nothing."""
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
        raise WanimateError("AsyncClient works in an asyncio event loop, and none runs here: use Client") from None
