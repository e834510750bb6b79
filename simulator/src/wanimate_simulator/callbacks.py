"""Telling callers the end of their tasks. Source: the vendor's page, `request_type` and `callback_url`."""

import asyncio
from urllib.parse import urlsplit

import httpx

from .answers import encoded, envelope, task_data
from .clock import Clock
from .faults import FaultBoard
from .loopback import is_loopback
from .task import CallbackState, Task
from .truth import CallbackCounts

#: Callbacks on their way at once.
_CONCURRENT_POSTS = 20
#: Real seconds to wait for the receiver.
_TIMEOUT_SECONDS = 5.0
#: Simulated seconds before the second and the third try.
_BACK_OFF_SECONDS = (1.0, 4.0)


class Courier:
    """POSTs each task's status answer to its callback URL once the task has ended.

    Args:
        clock: the simulator's clock.
        board: the fault switches.
        counts: where the ground truth counts callbacks.
        allow_non_loopback: whether callbacks may leave this machine.
    """

    def __init__(self, clock: Clock, board: FaultBoard, counts: CallbackCounts, *, allow_non_loopback: bool) -> None:
        self._clock = clock
        self._board = board
        self._counts = counts
        self._allow_non_loopback = allow_non_loopback
        self._errands: set[asyncio.Task[None]] = set()
        self._posts = asyncio.Semaphore(_CONCURRENT_POSTS)
        self._client: httpx.AsyncClient | None = None

    def schedule(self, task: Task) -> None:
        """Arrange for a task's end to be told; needs a running event loop."""
        self._counts.waiting += 1
        errand = asyncio.get_running_loop().create_task(self._carry(task))
        self._errands.add(errand)
        errand.add_done_callback(self._errands.discard)

    async def close(self) -> None:
        """Give up all callbacks under way and close the connections."""
        errands = tuple(self._errands)
        for errand in errands:
            errand.cancel()
        await asyncio.gather(*errands, return_exceptions=True)
        if self._client is not None:
            await self._client.aclose()

    async def _carry(self, task: Task) -> None:
        await asyncio.sleep(task.completes_at_seconds - self._clock.now_seconds())
        await asyncio.sleep(self._board.current.callback_delay_seconds)
        task.callback_state = await self._tell(task, task.callback_url or "")
        self._counts.waiting -= 1

    async def _tell(self, task: Task, url: str) -> CallbackState:
        if not self._allow_non_loopback and not is_loopback(urlsplit(url).hostname or ""):
            self._counts.refused += 1
            return CallbackState.REFUSED
        if self._board.strikes("callback_missing_rate"):
            self._counts.missing += 1
            return CallbackState.MISSING
        delivered = await self._deliver(task, url)
        if self._board.strikes("callback_duplicate_rate"):
            self._counts.duplicated += 1
            delivered = await self._deliver(task, url) or delivered
        return CallbackState.OK if delivered else CallbackState.FAILED

    async def _deliver(self, task: Task, url: str) -> bool:
        # The loop's timer may fire a millisecond early; the task has ended all the same.
        body = encoded(envelope(task_data(task, task.completes_at_seconds, self._clock)))
        for back_off_seconds in (*_BACK_OFF_SECONDS, None):
            if await self._post(task, url, body):
                self._counts.ok += 1
                return True
            if back_off_seconds is not None:
                await asyncio.sleep(self._clock.real_seconds(back_off_seconds))
        self._counts.failed += 1
        return False

    async def _post(self, task: Task, url: str, body: bytes) -> bool:
        if self._client is None:
            self._client = httpx.AsyncClient(timeout=_TIMEOUT_SECONDS, trust_env=False)
        async with self._posts:
            self._counts.sent += 1
            task.callback_attempts += 1
            try:
                answer = await self._client.post(url, content=body, headers={"content-type": "application/json"})
            except (httpx.HTTPError, httpx.InvalidURL):
                return False
        return answer.is_success
