"""What a forked process must not share with its parent, and when a process may fork."""

from __future__ import annotations

import os
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

T = TypeVar("T")

#: How long a fork waits for exchanges under way, and they for it, in seconds. Longer than an exchange takes while Redis
#: answers; a process that forks while it does not may find a lock taken.
_PATIENCE_SECONDS: Final = 10.0


class PerProcess(Generic[T]):
    """One value for each process: locks, threads and connections of the parent are of no use to a child.

    Args:
        make: Makes the value; what it makes holds nothing until it is used.
    """

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        # That of the parent stays: a child that lets go of it might close what both have open.
        self._values: dict[int, T] = {}

    def get(self) -> T:
        """Return the value of this process."""
        value = self._values.get(os.getpid())
        # One step: of two threads that come first, both get the same.
        return self._values.setdefault(os.getpid(), self._make()) if value is None else value


class _Forks:
    """Lets a process fork only while none of its threads is in the libraries that we use.

    A child has the locks of its parent as they are at that moment: those of imports, and kombu's. One that another
    thread holds then is never released in the child.
    """

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._exchanges = 0
        self._is_forking = False

    @contextmanager
    def kept_away(self) -> Iterator[None]:
        """Make forks wait; not to be nested."""
        with self._condition:
            self._condition.wait_for(lambda: not self._is_forking, _PATIENCE_SECONDS)
            self._exchanges += 1
        try:
            yield
        finally:
            with self._condition:
                self._exchanges -= 1
                self._condition.notify_all()

    def before(self) -> None:
        """Wait until none is kept away."""
        self._condition.acquire()
        self._is_forking = True
        self._condition.wait_for(lambda: not self._exchanges, _PATIENCE_SECONDS)

    def after_in_parent(self) -> None:
        """Go on."""
        self._is_forking = False
        self._condition.notify_all()
        self._condition.release()

    def after_in_child(self) -> None:
        """Begin anew: of the parent's threads there is only this one."""
        self.__init__()  # type: ignore[misc]


FORKS: Final = _Forks()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=FORKS.before, after_in_parent=FORKS.after_in_parent, after_in_child=FORKS.after_in_child)
