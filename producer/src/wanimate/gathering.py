"""Puts the reads of many waiting jobs into one command."""

from __future__ import annotations

import asyncio
import copy
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakKeyDictionary

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from .effects import ReadResults, ReadStandings

    _Kind = type[ReadResults | ReadStandings]

#: How long a read waits for others to join it, in seconds: small beside the shortest pause of a waiting job.
GATHER_SECONDS: Final = 0.01


class GatheredReads:
    """Joins the reads that arrive within a moment; a thousand waiting jobs then cost a few commands a second.

    Reads of one event loop are joined. Loops that run at the same time, in threads, know nothing of each other.

    Args:
        kind: What is read.
        attempt: Performs the joined read; answers with what was read, or with an error for all who joined.
    """

    def __init__(self, kind: _Kind, attempt: Callable[[ReadResults | ReadStandings], Awaitable[Any]]) -> None:
        self._kind, self._attempt = kind, attempt
        self._of_loop: WeakKeyDictionary[asyncio.AbstractEventLoop, _LoopReads] = WeakKeyDictionary()

    async def read(self, task_ids: tuple[str, ...]) -> Any:
        """Return what was read of each of these tasks, or the error that the read failed with."""
        loop = asyncio.get_running_loop()
        # Only its own thread asks for, or adds, what belongs to a loop.
        reads = self._of_loop.get(loop)
        if reads is None:
            reads = self._of_loop[loop] = _LoopReads(self._kind, self._attempt)
        return await reads.read(task_ids)


class _LoopReads:
    """The reads of one event loop."""

    def __init__(self, kind: _Kind, attempt: Callable[[ReadResults | ReadStandings], Awaitable[Any]]) -> None:
        self._kind, self._attempt = kind, attempt
        self._joined: list[tuple[tuple[str, ...], asyncio.Future[Any]]] = []
        # The loop itself holds tasks only weakly.
        self._tasks: set[asyncio.Task[None]] = set()

    async def read(self, task_ids: tuple[str, ...]) -> Any:
        loop = asyncio.get_running_loop()
        if not self._joined:
            loop.call_later(GATHER_SECONDS, self._start)
        answer = loop.create_future()
        self._joined.append((task_ids, answer))
        return await answer

    def _start(self) -> None:
        joined, self._joined = self._joined, []
        task = asyncio.get_running_loop().create_task(self._perform(joined))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _perform(self, joined: list[tuple[tuple[str, ...], asyncio.Future[Any]]]) -> None:
        everything = tuple(task_id for task_ids, _ in joined for task_id in task_ids)
        try:
            stored = await self._attempt(self._kind(everything))
        except asyncio.CancelledError:
            for _, answer in joined:
                answer.cancel()
            raise
        except Exception as error:  # noqa: BLE001 - whoever joined must hear of it, or waits for ever
            for _, answer in joined:
                if not answer.done():
                    answer.set_exception(error)
            return
        start = 0
        for task_ids, answer in joined:
            if not answer.done():  # its reader may have been cancelled meanwhile
                # An error is copied: raised in several tasks, one object would collect the tracebacks of all.
                own = stored[start : start + len(task_ids)] if isinstance(stored, list) else copy.copy(stored)
                answer.set_result(own)
            start += len(task_ids)
