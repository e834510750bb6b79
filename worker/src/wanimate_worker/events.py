"""What Celery's events say of a job, which is what Flower shows: one task, and nothing that is secret."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from celery import Celery

#: The query and the fragment of a URL, where signatures are.
_QUERY: Final = re.compile(r"(\bhttps?://[^\s\"'<>?#]*)[?#][^\s\"'<>)\]}]*")


def unsigned(text: str) -> str:
    """Return a text whose URLs have lost their query and fragment: a signed URL is as good as a password.

    Args:
        text: What an event would carry.
    """
    return _QUERY.sub(r"\1?…", text)


def announce(app: Celery, hostname: str, task: Any, waiting: Mapping[str, str]) -> None:
    """Tell Flower of tasks that wait and never had a message, in one event message; nobody learns whether it heard.

    Args:
        app: The Celery app.
        hostname: The worker that tells it; any other name would show up as a worker of its own.
        task: Their task, a `SuspendableTask`.
        waiting: What may be shown of their arguments, by task id.
    """
    shared = {"name": task.name, "args": "()", "retries": 0, "result": task.waits_for}
    with (
        app.pool.acquire(block=True) as connection,
        app.events.Dispatcher(
            connection, hostname=hostname, buffer_group={"task"}, buffer_limit=len(waiting) + 1
        ) as dispatcher,
    ):
        for task_id, kwargsrepr in waiting.items():
            dispatcher.send("task-received", uuid=task_id, kwargs=kwargsrepr, root_id=task_id, **shared)
        dispatcher.flush()


class JobDispatcher:
    """An event dispatcher whose `task-received` says what the task waits for, or stays unsaid."""

    def __init__(self, dispatcher: Any, waits_for: str | None) -> None:
        self._dispatcher = dispatcher
        self._waits_for = waits_for

    def __getattr__(self, name: str) -> Any:
        return getattr(self._dispatcher, name)

    def send(self, type: str, **fields: Any) -> Any:  # noqa: A002
        if type == "task-received":
            if self._waits_for is None:
                return None
            fields["result"] = self._waits_for
        return self._dispatcher.send(type, **fields)


class JobConsumer:
    """A consumer seen through such a dispatcher; Celery's strategy asks it for both."""

    def __init__(self, consumer: Any, waits_for: str | None) -> None:
        self._consumer = consumer
        dispatcher = consumer.event_dispatcher
        self.event_dispatcher = dispatcher and JobDispatcher(dispatcher, waits_for)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._consumer, name)
