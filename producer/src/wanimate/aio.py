"""The client for asyncio; it shares every operation with the blocking one."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final, TypeVar

from . import operations
from .arguments import checked_ids, checked_seconds
from .contract import AnimateJob, ReplaceJob
from .effects import Done, Emit, ReadResults, ReadStandings, Sleep, advance
from .engine import CLOSED, Engine
from .errors import ClientClosed, JobNotFound, QueueUnavailable, WanimateError
from .gathering import GatheredReads
from .handle import AsyncJobHandle
from .per_process import PerProcess
from .settings import Settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable
    from types import TracebackType
    from typing import Self, Unpack
    from uuid import UUID

    from .contract import Job, Result
    from .effects import Effect, Operation
    from .errors import JobFailed, ResultExpired
    from .request import JobFields

T = TypeVar("T")

#: Threads of one client. They only exchange messages with Redis; waiting holds none.
THREADS: Final = 8
#: For how much longer than its time-out a wait waits for an answer of Redis that is under way, in seconds.
GRACE_SECONDS: Final = 5.0


class AsyncClient:
    """Enqueues jobs and reads what became of them, without ever blocking the event loop.

    One client serves a whole process: any number of event loops may use it, one after the other or at the same time in
    several threads. It connects when first used and reconnects by itself. A process that is forked from this one makes
    connections of its own.

    Args:
        settings: Where Redis is; without it, the `WANIMATE_*` variables and `.env` are read.

    Raises:
        SettingsError: A setting is missing or wrong.
    """

    def __init__(self, settings: Settings | None = None) -> None:
        self._engine = Engine(settings or Settings.load())
        # A forked process has none of its parent's threads.
        self._threads = PerProcess(lambda: ThreadPoolExecutor(THREADS, thread_name_prefix="wanimate"))
        self._results = GatheredReads(ReadResults, self._attempt_in_thread)
        self._standings = GatheredReads(ReadStandings, self._attempt_in_thread)

    async def animate(self, **fields: Unpack[JobFields]) -> AsyncJobHandle:
        """Enqueue one job that brings the character of an image to life with the motion of a video.

        Args:
            fields: The fields of `AnimateJob`.

        Raises:
            InvalidRequest: A field breaks the vendor's rules; nothing was sent.
            IdempotencyConflict: The idempotency key was used before for a different request.
            QueueUnavailable: Redis could not be reached.
        """
        return await self.submit(AnimateJob(**fields))

    async def replace(self, **fields: Unpack[JobFields]) -> AsyncJobHandle:
        """Enqueue one job that replaces the person in a video with the character of an image.

        Args:
            fields: The fields of `ReplaceJob`.

        Raises:
            InvalidRequest: A field breaks the vendor's rules; nothing was sent.
            IdempotencyConflict: The idempotency key was used before for a different request.
            QueueUnavailable: Redis could not be reached.
        """
        return await self.submit(ReplaceJob(**fields))

    async def submit(self, job: Job) -> AsyncJobHandle:
        """Enqueue one job.

        Raises:
            IdempotencyConflict: The idempotency key was used before for a different request.
            QueueUnavailable: Redis could not be reached.
        """
        return self.job(await self.run(operations.submit(job, self._engine.settings.account)))

    async def submit_many(self, jobs: Iterable[Job]) -> list[AsyncJobHandle]:
        """Enqueue many jobs, some hundreds to a message, and return their handles in order.

        Works and fails as `Client.submit_many` does.

        Args:
            jobs: Jobs, from any iterable; it is read in the event loop, a few hundred jobs at a time.

        Raises:
            InvalidRequest: An item is not a job; `field` names its index.
            IdempotencyConflict: An idempotency key was used before for a different request.
            QueueUnavailable: Redis could not be reached.
        """
        return await self.run(operations.submit_many(jobs, self._engine.settings.account, self.job))

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
        return await self.run(
            operations.wait_all(checked_ids(handles), checked_seconds(timeout), allow_expired=allow_expired)
        )

    def as_completed(
        self,
        handles: Iterable[AsyncJobHandle],
        timeout: float | None = None,
        *,
        allow_expired: bool = False,
    ) -> AsyncIterator[tuple[AsyncJobHandle, Result | JobFailed | ResultExpired]]:
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

    async def _ended(
        self, operation: Operation[None]
    ) -> AsyncIterator[tuple[AsyncJobHandle, Result | JobFailed | ResultExpired]]:
        async for event in self.stream(operation):
            if isinstance(event, operations.Missing):
                raise JobNotFound.of(event.job_id)
            if isinstance(event, operations.Ended):
                yield self.job(event.job_id), event.outcome

    async def close(self) -> None:
        """Close the connections; jobs go on without them. Closing it again does nothing."""
        if not self._engine.is_closed:
            threads = self._threads.get()
            await _running_loop().run_in_executor(threads, self._engine.close)
            threads.shutdown(wait=False)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"<AsyncClient of {self._engine.address}, account {self._engine.settings.account}>"

    async def run(self, operation: Operation[T]) -> T:
        """Carry out an operation and return its result. Internal: the methods above are the interface."""
        step = advance(operation, None)
        while not isinstance(step, Done):
            step = advance(operation, await self._attempt(step))
        return step.value

    async def stream(self, operation: Operation[None]) -> AsyncIterator[Any]:
        """Carry out an operation and yield what it emits. Internal: the methods above are the interface."""
        step = advance(operation, None)
        while not isinstance(step, Done):
            if isinstance(step, Emit):
                yield step.value
                step = advance(operation, None)
            else:
                step = advance(operation, await self._attempt(step))

    async def _attempt(self, effect: Effect) -> Any:
        _running_loop()
        match effect:
            case Sleep(seconds):
                return await asyncio.sleep(seconds)
            case ReadResults(task_ids, within):
                return await self._read(self._results, task_ids, within)
            case ReadStandings(task_ids, within):
                return await self._read(self._standings, task_ids, within)
            case _:
                return await self._attempt_in_thread(effect)

    async def _read(self, reads: GatheredReads, task_ids: tuple[str, ...], within: float | None) -> Any:
        try:
            async with asyncio.timeout(None if within is None else within + GRACE_SECONDS):
                return await reads.read(task_ids)
        except TimeoutError:
            return QueueUnavailable(f"Redis at {self._engine.address} did not answer within the time-out of the wait")

    async def _attempt_in_thread(self, effect: Effect) -> Any:
        if self._engine.is_closed:
            return ClientClosed(CLOSED)
        return await _running_loop().run_in_executor(self._threads.get(), self._engine.attempt, effect)


def _running_loop() -> asyncio.AbstractEventLoop:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        raise WanimateError("AsyncClient works in an asyncio event loop, and none runs here: use Client") from None
