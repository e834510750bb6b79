"""The search over Flower's tasks: it finds jobs by what their rows show."""

from __future__ import annotations

import copy
import time
from typing import TYPE_CHECKING, Any, Final

from celery import states
from flower.utils.search import QuerySyntaxError, TaskSearchEngine
from wanimate.contract import GENERATE_TASK

from .live import Fields

if TYPE_CHECKING:
    from collections.abc import Iterable

    from flower.utils.search import SearchPage

    from .live import LiveView

#: Searches read the ledger at most once in this time, in seconds: each key stroke is a search.
_FRESH_SECONDS: Final = 2.0


class JobSearch(TaskSearchEngine):
    """Flower's index of tasks, with labels as rows show them and the present state of jobs.

    Args:
        view: What rows show.
    """

    def __init__(self, view: LiveView) -> None:
        super().__init__()
        self._view = view
        self._read_at = 0.0

    def rebuild(self, tasks: Iterable[tuple[str, Any]]) -> None:
        """Index these tasks instead of all others."""
        super().rebuild([(task_id, _searchable(task)) for task_id, task in tasks])

    def upsert(self, task: Any) -> None:
        """Index a task as its last event describes it."""
        super().upsert(_searchable(task))

    def search(self, tasks: Any, query: str = "", **conditions: Any) -> SearchPage:
        """Return the tasks that a query finds.

        Raises:
            QuerySyntaxError: Neither is it a query of Flower's, nor does any row show it.
        """
        if query and time.monotonic() > self._read_at + _FRESH_SECONDS:
            self._index_present([task for _, task in tasks.items()])
            self._read_at = time.monotonic()
        try:
            return super().search(tasks, query, **conditions)
        except QuerySyntaxError:
            # The text of a cell may have words of two letters, brackets and quotes.
            escaped = query.strip().replace("\\", r"\\").replace('"', r"\"")
            page = super().search(tasks, f'"{escaped}"', **conditions)
            if not page.filtered_count:
                raise
            return page

    def _index_present(self, tasks: list[Any]) -> None:
        open_tasks = [task for task in tasks if task.name == GENERATE_TASK and task.state != states.SUCCESS]
        for task, shown in zip(open_tasks, self._view.show(open_tasks), strict=True):
            shown.kwargs = task.kwargs
            self.upsert(shown)


def _searchable(task: Any) -> Any:
    """Return a task with its keyword arguments as the text that rows show, and as pairs for `kwargs:name=value`."""
    fields = Fields.read(task.kwargs) if task.name == GENERATE_TASK else None
    if fields is None:
        return task
    task = copy.copy(task)
    task.kwargs = fields
    return task
