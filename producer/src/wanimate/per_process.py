"""What a forked process must not share with its parent."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Final, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

#: Held while a process forks, so that no child finds it taken by a thread that it does not have.
_LOCK: Final = threading.Lock()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_LOCK.acquire, after_in_parent=_LOCK.release, after_in_child=_LOCK.release)


class PerProcess(Generic[T]):
    """One value for each process: locks, threads and connections of the parent are of no use to a child.

    Args:
        make: Makes the value, without blocking.
    """

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._process = os.getpid()
        self._value = make()

    def get(self) -> T:
        """Return the value of this process."""
        with _LOCK:
            if self._process != os.getpid():
                self._process, self._value = os.getpid(), self._make()
            return self._value
