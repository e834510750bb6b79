"""Waking the pollers: one message for all callbacks that arrive together."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from ..observability import get_logger

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Executor

log = get_logger(__name__)

#: At most one message in this time, in seconds. One poll takes all jobs that are due, so a later callback of the same
#: moment needs none of its own.
INTERVAL_SECONDS: Final = 0.02


class WakeUps:
    """Publishes a poll soon after it is asked for, and no more often than every `INTERVAL_SECONDS`.

    Losing one is no harm: the job is due in the ledger, and beat's next tick polls it.

    Args:
        publish: Publishes one poll message; may block.
        executor: Where it may block.
    """

    def __init__(self, publish: Callable[[], None], executor: Executor) -> None:
        self._publish = publish
        self._executor = executor
        self._wanted = asyncio.Event()

    def ask(self) -> None:
        """Ask for a poll."""
        self._wanted.set()

    async def run(self) -> None:
        """Publish whenever asked, until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            try:
                await loop.run_in_executor(self._executor, self._publish)
            except (RedisError, OperationalError, OSError) as error:
                log.warning("no poll was published, beat's next tick does its work", cause=error)
            await asyncio.sleep(INTERVAL_SECONDS)
