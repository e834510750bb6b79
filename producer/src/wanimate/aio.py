"""The client for asyncio: what the blocking client does, in a few threads; waiting holds none."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from copy import copy
from functools import partial
from typing import TYPE_CHECKING, Final, ParamSpec, TypeVar
from weakref import WeakKeyDictionary

from . import messages, operations
from .contract import AnimateJob, ReplaceJob
from .errors import ClientClosed, JobNotFound, QueueUnavailable, WanimateError
from .handle import AsyncJobHandle, checked_ids, checked_seconds
from .redis.store import CLOSED, PerProcess, Store
from .settings import Settings
from .waiting import Found, Wait, read

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
    from types import TracebackType
    from typing import Self, Unpack
    from uuid import UUID

    from .contract import Job, JobFields, Result
    from .errors import JobFailed, ResultExpired

P = ParamSpec("P")
T = TypeVar("T")

#: Threads of one client. They only exchange messages with Redis; waiting holds none.
THREADS: Final = 8
#: For how much longer than its time-out a wait waits for an answer of Redis that is under way, in seconds.
GRACE_SECONDS: Final = 5.0
#: How long a read waits for others to join it, in seconds: small beside the shortest pause of a waiting job.
_JOIN_SECONDS: Final = 0.01


class AsyncClient:
    """Enqueues jobs and reads what became of them, without ever blocking the event loop.

    One client serves a whole process: any number of event loops may use it, one after the other or at the same time in
    several threads. It connects when first used and reconnects by itself. Make it when the process starts: that loads
    redis-py, which takes a tenth of a second. A process that is forked from this one makes connections of its own.

    Args:
        settings: Where Redis is; without it, the `WANIMATE_*` variables and `.env` are read.

    Raises:
        SettingsError: A setting is missing or wrong.
    """

    def __init__(self, settings: Settings | None = None) -> None:
        self.store = Store(settings or Settings.load())
        self._threads = PerProcess(lambda: ThreadPoolExecutor(THREADS, thread_name_prefix="wanimate"))
        self._reads: WeakKeyDictionary[asyncio.AbstractEventLoop, _JoinedReads] = WeakKeyDictionary()

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
        entry = messages.enter(job, self.store.settings.account)
        await self.call(operations.submit, self.store, entry)
        return self.job(entry.job_id)

    async def submit_many(self, jobs: Iterable[Job]) -> list[AsyncJobHandle]:
        """Enqueue many jobs, some hundreds to a message, and return their handles in order.

        Works and fails as `Client.submit_many` does; `jobs` is read in the event loop, a few hundred at a time.
        """
        enqueued: list[AsyncJobHandle] = []
        with operations.errors_carry(enqueued):
            for entries in messages.pack(jobs, self.store.settings.account):
                await self.call(operations.submit_many, self.store, entries)
                enqueued.extend(self.job(entry.job_id) for entry in entries)
        return enqueued

    def job(self, job_id: str | UUID) -> AsyncJobHandle:
        """Pick up a job by its id, in any process; nothing is read yet.

        Raises:
            InvalidArgument: This is no id.
        """
        return AsyncJobHandle(self, job_id)

    async def wait_all(
        self,
        handles: Iterable[AsyncJobHandle],
        timeout: float | None = None,  # noqa: ASYNC109 - the jobs go on, so this is not a cancellation
        *,
        allow_expired: bool = False,
    ) -> list[Result | JobFailed | ResultExpired]:
        """Return how each job ended, in order, once all have; errors are returned, not raised.

        Works and fails as `Client.wait_all` does.
        """
        ids = checked_ids(handles)
        wait = Wait(ids, checked_seconds(timeout), allow_expired=allow_expired)
        outcomes = {job_id: outcome async for job_id, outcome in self._outcomes(wait)}
        return [outcomes[job_id] for job_id in ids]

    def as_completed(
        self,
        handles: Iterable[AsyncJobHandle],
        timeout: float | None = None,
        *,
        allow_expired: bool = False,
    ) -> AsyncIterator[tuple[AsyncJobHandle, Result | JobFailed | ResultExpired]]:
        """Yield each job with how it ended, as they end.

        Works and fails as `Client.as_completed` does.
        """
        # Not a generator itself: what is wrong with the arguments is raised here, and not where it is iterated.
        wait = Wait(checked_ids(handles), checked_seconds(timeout), allow_expired=allow_expired)
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
        reads = self._reads.setdefault(_running_loop(), _JoinedReads(self._read_in_thread))
        left_seconds = wait.left_seconds
        try:
            async with asyncio.timeout(None if left_seconds is None else left_seconds + GRACE_SECONDS):
                return await reads.read(wait)
        except TimeoutError:
            raise QueueUnavailable(
                f"Redis at {self.store.address} did not answer within the time-out of the wait"
            ) from None

    async def _read_in_thread(self, job_ids: dict[str, None], to_check: dict[str, None]) -> Found:
        return await self.call(read, self.store, job_ids, to_check)

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

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"<AsyncClient of {self.store.address}, account {self.store.settings.account}>"


class _JoinedReads:
    """Joins the reads of one event loop that come within a moment, so that a thousand waits cost a few commands.

    Args:
        read: Reads how jobs stand, given the jobs and those to check.
    """

    def __init__(self, read: Callable[[dict[str, None], dict[str, None]], Awaitable[Found]]) -> None:
        self._read = read
        self._joined: list[tuple[Wait, asyncio.Future[Found]]] = []
        # The loop itself holds tasks only weakly.
        self._tasks: set[asyncio.Task[None]] = set()

    async def read(self, wait: Wait) -> Found:
        """Return how the jobs of a wait stand; those of others may be in it."""
        loop = asyncio.get_running_loop()
        if not self._joined:
            loop.call_later(_JOIN_SECONDS, self._start)
        answer: asyncio.Future[Found] = loop.create_future()
        self._joined.append((wait, answer))
        return await answer

    def _start(self) -> None:
        joined, self._joined = self._joined, []
        task = asyncio.get_running_loop().create_task(self._perform(joined))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _perform(self, joined: list[tuple[Wait, asyncio.Future[Found]]]) -> None:
        # A reader may have been cancelled meanwhile.
        job_ids = {job_id: None for wait, answer in joined if not answer.done() for job_id in wait.pending}
        to_check = {job_id: None for wait, answer in joined if not answer.done() for job_id in wait.to_check}
        try:
            found = await self._read(job_ids, to_check)
        except asyncio.CancelledError:
            for _, answer in joined:
                answer.cancel()
            raise
        except Exception as error:  # noqa: BLE001 - every reader must hear of it, or waits for ever
            for _, answer in joined:
                if not answer.done():
                    # Raised in several tasks, one object would collect the tracebacks of all.
                    answer.set_exception(copy(error))
            return
        for _, answer in joined:
            if not answer.done():
                answer.set_result(found)


def _running_loop() -> asyncio.AbstractEventLoop:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        raise WanimateError("AsyncClient works in an asyncio event loop, and none runs here: use Client") from None
