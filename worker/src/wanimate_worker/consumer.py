"""Celery's consumer, except that a message nobody can use is kept for the operator and never stops a worker."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from celery.exceptions import NotRegistered
from celery.worker.consumer import Consumer as CeleryConsumer
from redis.exceptions import RedisError
from wanimate.contract import CONTRACT_HEADER, CONTRACT_VERSION, GENERATE_TASK

from .dead_letters import Reason, letter_of, problem_of
from .observability import get_logger
from .suspension import SuspendableTask, quick_tracer
from .tasks import GenerateTask

if TYPE_CHECKING:
    from collections.abc import Callable

log = get_logger(__name__)


class Consumer(CeleryConsumer):
    """Keeps dead letters. Celery would log them and drop them, or end the worker when their form surprises it."""

    def __init__(self, *args: Any, worker_options: dict[str, Any] | None = None, **options: Any) -> None:
        # Workers need not hear of each other: Flower listens to the same heartbeats. Mingle stays, though it costs a
        # second at each start: it is how a new worker learns which messages were revoked.
        super().__init__(*args, worker_options={**(worker_options or {}), "without_gossip": True}, **options)

    def update_strategies(self) -> None:
        """Make what handles and runs the messages of each task; Celery calls this."""
        super().update_strategies()
        for task in self.app.tasks.values():
            if isinstance(task, SuspendableTask):
                task.__trace__ = quick_tracer(task, task.__trace__)

    def create_task_handler(self, *args: Any, **options: Any) -> Callable[[Any], None]:
        """Return the handler of every message of our queues."""
        handle = super().create_task_handler(*args, **options)

        def on_message(message: Any) -> None:
            if _contract_of(message) > CONTRACT_VERSION:
                self._bury(message, Reason.NEWER_CONTRACT, "upgrade the workers, then replay it")
                return
            problem = problem_of(message)
            if problem is not None:
                self._bury(message, Reason.UNREADABLE, problem)
                return
            handle(message)

        return on_message

    def on_decode_error(self, message: Any, exc: Exception) -> None:
        """Keep a message whose body cannot be read; Celery calls this."""
        if self._is_of_a_queue(message):
            self._bury(message, Reason.UNREADABLE, _told(exc))
        else:
            super().on_decode_error(message, exc)

    def on_unknown_message(self, _body: Any, message: Any) -> None:
        """Keep a message that is no task; Celery calls this."""
        self._bury(message, Reason.NO_TASK, "it names no task")

    def on_unknown_task(self, _body: Any, message: Any, exc: Exception) -> None:
        """Keep a message whose task nobody here knows, and fail the task for its caller; Celery calls this."""
        # Not Celery's own: it would write the body into the log.
        if not self._bury(message, Reason.UNKNOWN_TASK, f"no task is called {_told(exc)}"):
            return
        about = message.headers if "task" in message.headers else message.payload
        properties = message.properties
        request = SimpleNamespace(
            name=about["task"],
            chord=None,
            root_id=about.get("root_id"),
            correlation_id=properties.get("correlation_id"),
            reply_to=properties.get("reply_to"),
            errbacks=None,
        )
        self.app.backend.mark_as_failure(about["id"], NotRegistered(about["task"]), request=request)

    def on_invalid_task(self, _body: Any, message: Any, exc: Exception) -> None:
        """Keep a message that Celery refuses; Celery calls this."""
        self._bury(message, Reason.UNREADABLE, _told(exc))

    def _bury(self, message: Any, reason: Reason, why: str) -> bool:
        """Keep a message and take it out of its queue; False if it could not be kept, and so comes again."""
        task = self.app.tasks.get(GENERATE_TASK)
        if isinstance(task, GenerateTask):
            try:
                number = task.runtime.ledger.bury(letter_of(message, reason, why))
            except RedisError as error:
                log.warning("a dead letter could not be kept, Redis is away; it comes again", cause=error)
                return False
            log.error("dead letter; look at it with wanimate-worker dead", number=number, reason=reason, cause=why)
        if not message.acknowledged:
            message.ack_log_error(log, self.connection_errors)
        return True

    def _is_of_a_queue(self, message: Any) -> bool:
        # Remote control comes through here too.
        return (message.delivery_info or {}).get("routing_key") in self.app.amqp.queues.consume_from


def _contract_of(message: Any) -> int:
    headers = message.headers if isinstance(message.headers, dict) else {}
    version = headers.get(CONTRACT_HEADER, CONTRACT_VERSION)
    return version if isinstance(version, int) else CONTRACT_VERSION


def _told(error: Exception) -> str:
    """Return what an error says without quoting the message, which may hold URLs and prompts."""
    return str(error)[:60] if isinstance(error, KeyError) else type(error).__name__
