"""The concurrency slots: which tasks are in flight at a moment."""

from collections.abc import Iterator
from heapq import heapify, heappop, heappush

from .task import Task


class Slots:
    """Holds the tasks in flight, by the moment they complete, and integrates how many there were.

    Call `release(now)` before `take` or any reading, so that time has passed for every task.
    """

    def __init__(self) -> None:
        self.in_use_max = 0
        #: Task-seconds (real) up to the latest accepted task.
        self.area_at_last_take = 0.0
        self._area = 0.0
        self._area_until_seconds = 0.0
        self._by_completion: list[tuple[float, str, Task]] = []

    @property
    def in_use(self) -> int:
        """How many tasks are in flight."""
        return len(self._by_completion)

    def take(self, task: Task) -> None:
        """Put a task in flight at the moment it was accepted."""
        self._integrate(task.accepted_at_seconds)
        self.area_at_last_take = self._area
        heappush(self._by_completion, (task.completes_at_seconds, task.task_id, task))
        self.in_use_max = max(self.in_use_max, self.in_use)

    def release(self, now_seconds: float) -> Iterator[Task]:
        """Yield, in order of completion, the tasks that completed up to now, and free their slots."""
        heap = self._by_completion
        while heap and heap[0][0] <= now_seconds:
            self._integrate(heap[0][0])
            yield heappop(heap)[2]

    def postpone(self, until_seconds: float) -> None:
        """Let no task in flight complete before a moment."""
        tasks = [task for _, _, task in self._by_completion]
        for task in tasks:
            task.completes_at_seconds = max(task.completes_at_seconds, until_seconds)
        self._by_completion = [(task.completes_at_seconds, task.task_id, task) for task in tasks]
        heapify(self._by_completion)

    def _integrate(self, until_seconds: float) -> None:
        self._area += self.in_use * (until_seconds - self._area_until_seconds)
        self._area_until_seconds = until_seconds
