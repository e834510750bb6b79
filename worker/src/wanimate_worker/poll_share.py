"""How much of a worker polls may take: messages of polls are read before those of new jobs."""

from __future__ import annotations

from contextlib import contextmanager
from threading import BoundedSemaphore
from time import monotonic
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


class PollShare:
    """At most half of the threads of a process, and of a single thread half of its time.

    Args:
        threads: The threads of this process that run tasks.
    """

    def __init__(self, threads: int) -> None:
        self._runs = BoundedSemaphore(max(1, threads // 2))
        self._is_alone = threads == 1
        self._rests_until = 0.0

    @property
    def may_linger(self) -> bool:
        """Whether a run may go on looking while nothing is due."""
        return not self._is_alone

    @contextmanager
    def take(self) -> Iterator[bool]:
        """Take one part for a `with` block, and tell whether there was one."""
        if monotonic() < self._rests_until or not self._runs.acquire(blocking=False):
            yield False
            return
        begun_at = monotonic()
        try:
            yield True
        finally:
            if self._is_alone:
                ended_at = monotonic()
                self._rests_until = ended_at + (ended_at - begun_at)
            self._runs.release()
