"""Threads of one kind, as many as there may be tasks at once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Condition
from typing import TYPE_CHECKING, Any

from redis.exceptions import RedisError

from ..telemetry import get_logger

if TYPE_CHECKING:
    from collections.abc import Callable

log = get_logger(__name__)


class Pool:
    """A thread pool that knows how many of its threads are free."""

    def __init__(self, threads: int, name: str) -> None:
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix=name)
        self._free = threads
        self._changed = Condition()

    def wait_for_room(self, threads: int, timeout_seconds: float) -> int:
        """Wait until so many threads are free, and return how many are."""
        with self._changed:
            self._changed.wait_for(lambda: self._free >= threads, timeout_seconds)
            return max(0, self._free)

    def start(self, work: Callable[..., object], *args: Any) -> None:
        """Start a piece of work, as soon as a thread is free; what it raises goes into the log."""
        with self._changed:
            self._free -= 1
        self._executor.submit(self._run, work, args)

    def start_if_free(self, work: Callable[..., object], *args: Any) -> bool:
        """Start a piece of work if a thread is free, and return whether one was."""
        with self._changed:
            if self._free <= 0:
                return False
            try:
                self.start(work, *args)
            except RuntimeError:
                # It was closed meanwhile.
                self._give_back()
                return False
        return True

    def close(self, *, waits: bool) -> None:
        """Take no more work; what was started ends, and this waits for it if asked to."""
        self._executor.shutdown(wait=waits, cancel_futures=not waits)

    def _run(self, work: Callable[..., object], args: tuple[Any, ...]) -> None:
        try:
            work(*args)
        except RedisError as error:
            log.warning("Redis is unavailable; the job continues when its lease ends", cause=error)
        except Exception:
            log.exception("unexpected error; the job continues when its lease ends")
        finally:
            self._give_back()

    def _give_back(self) -> None:
        with self._changed:
            self._free += 1
            self._changed.notify_all()
