"""Sends callbacks at the end of tasks. Source: the vendor's page (`request_type`, `callback_url`) and webhook guide."""

import asyncio
from collections.abc import Coroutine

from .answers import encoded, envelope
from .callback_faults import CallbackFaults, Extra, ExtraKind
from .clock import Clock
from .faults import FaultBoard
from .status_data import task_data
from .task import CallbackState, Task
from .truth import CallbackCounts
from .webhook_sender import WebhookSender

#: Simulated seconds before each retry. Source: the vendor's webhook guide: up to 3 retries with growing delays, the
#: first after about 30 s; how they grow is assumed.
_RETRY_DELAYS_SECONDS = (30.0, 60.0, 120.0)
#: The one status that counts as received. Source: as above.
_RECEIVED = 200
#: Real seconds between checks whether a stall has ended.
_STALL_CHECK_SECONDS = 0.01


class Callbacks:
    """POSTs each task's status answer to its callback URL once the task has ended, and the extras of `CallbackFaults`.

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
        self._extras = CallbackFaults(clock, board)
        self._sender = WebhookSender(allow_non_loopback=allow_non_loopback)
        self._deliveries: set[asyncio.Task[None]] = set()

    def schedule(self, task: Task) -> None:
        """Schedule the callback of a task; needs a running event loop."""
        self._counts.waiting += 1
        self._begin(self._deliver_at_end(task))
        if self._sender.may_reach(task.callback_url or ""):
            for extra in self._extras.plan(task):
                self._begin_extra(task, extra)

    async def close(self) -> None:
        """Cancel all pending callbacks and close the connections."""
        deliveries = tuple(self._deliveries)
        for delivery in deliveries:
            delivery.cancel()
        await asyncio.gather(*deliveries, return_exceptions=True)
        await self._sender.close()

    def _begin(self, delivery: Coroutine[None, None, None]) -> None:
        begun = asyncio.get_running_loop().create_task(delivery)
        self._deliveries.add(begun)
        begun.add_done_callback(self._deliveries.discard)

    def _begin_extra(self, task: Task, extra: Extra) -> None:
        self._counts.extras_waiting += 1
        self._begin(self._deliver_extra(task, extra))

    async def _deliver_at_end(self, task: Task) -> None:
        while (left_seconds := self._left_seconds(task)) > 0:  # noqa: ASYNC110  # the end itself moves
            await asyncio.sleep(left_seconds)
        await asyncio.sleep(self._board.current.callback_delay_seconds)
        if self._board.strikes("callback_hold_rate"):
            await asyncio.sleep(self._board.current.callback_hold_seconds * self._board.share("callback_hold_seconds"))
        task.callback_state = await self._tell(task, task.callback_url or "")
        self._counts.waiting -= 1

    def _left_seconds(self, task: Task) -> float:
        """Return the real seconds until a task has ended, or until the next check of a stall."""
        left_seconds = task.completes_at_seconds - self._clock.now_seconds()
        return max(left_seconds, _STALL_CHECK_SECONDS) if self._board.current.stalled else left_seconds

    async def _deliver_extra(self, task: Task, extra: Extra) -> None:
        await asyncio.sleep(extra.at_seconds - self._clock.now_seconds())
        task.extra_callbacks.append(extra.kind.value)
        status = await self._sender.post(extra.url, extra.body)
        self._counts.answered_extra(extra.kind.value, status)
        self._counts.extras_waiting -= 1

    async def _tell(self, task: Task, url: str) -> CallbackState:
        if not self._sender.may_reach(url):
            self._counts.refused += 1
            return CallbackState.REFUSED
        if self._board.strikes("callback_missing_rate"):
            self._counts.missing += 1
            return CallbackState.MISSING
        delivered = await self._deliver(task, url)
        if self._board.strikes("callback_duplicate_rate"):
            self._counts.duplicated += 1
            delivered = await self._deliver(task, url) or delivered
        if self._board.strikes("callback_replay_rate"):
            again_at_seconds = self._clock.now_seconds() + self._board.current.callback_replay_seconds
            self._begin_extra(task, Extra(ExtraKind.REPLAY, again_at_seconds, url, self._body(task)))
        return CallbackState.OK if delivered else CallbackState.FAILED

    async def _deliver(self, task: Task, url: str) -> bool:
        body = self._body(task)
        for delay_seconds in (*_RETRY_DELAYS_SECONDS, None):
            if await self._post(task, url, body):
                self._counts.ok += 1
                return True
            if delay_seconds is not None:
                await asyncio.sleep(self._clock.real_seconds(delay_seconds))
        self._counts.failed += 1
        return False

    async def _post(self, task: Task, url: str, body: bytes) -> bool:
        self._counts.sent += 1
        task.callback_attempts += 1
        return await self._sender.post(url, body) == _RECEIVED

    def _body(self, task: Task) -> bytes:
        return encoded(envelope(task_data(task, task.completes_at_seconds, self._clock)))
