"""Celery's consumer, except that a message no worker can use is kept for the operator and never stops a worker."""

from __future__ import annotations

import re
import time
import warnings
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from celery.exceptions import CPendingDeprecationWarning, NotRegistered, WorkerShutdown
from celery.worker.consumer import Consumer as CeleryConsumer
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ResponseError
from wanimate.contract import CONTRACT_VERSION, ENQUEUE_TASK
from wanimate.errors import SettingsError

from ..engine.sending import AGAIN_SECONDS
from ..telemetry import get_logger
from .control import cancel_known, runtime_of
from .dead_letters import Reason, keep
from .messages import about, contract_of, problem_of
from .outage import is_away

if TYPE_CHECKING:
    from collections.abc import Callable

log = get_logger(__name__)

# Celery warns of a future default at each lost connection, whatever is set.
warnings.filterwarnings("ignore", category=CPendingDeprecationWarning, module=re.escape(__name__))


#: How long events wait for others, in seconds, and how many are sent together at most.
_FLUSH_SECONDS: Final = 0.5
_MAX_EVENTS: Final = 200


class Consumer(CeleryConsumer):
    """Keeps dead letters. Celery would log them and drop them, or end the worker when their form surprises it."""

    _is_flush_due = False

    def on_connection_error_after_connected(self, exc: Exception) -> None:
        """Connect anew; Celery calls this, and waits only before it connects where no server answers."""
        super().on_connection_error_after_connected(exc)
        if isinstance(exc, ResponseError):
            log.warning("Redis refuses commands; the worker reconnects until it accepts them", cause=exc)
            time.sleep(AGAIN_SECONDS)

    def on_send_event_buffered(self) -> None:
        """Send events together, soon; Celery calls this for each event, and would send each by itself."""
        if not self._is_flush_due:
            self._is_flush_due = True
            self.event_dispatcher.buffer_limit = _MAX_EVENTS
            self.timer.call_after(_FLUSH_SECONDS, self._flush_soon)

    def _flush_soon(self) -> None:
        self._is_flush_due = False
        self._flush_events()

    def update_strategies(self) -> None:
        """Make what handles the messages of each task; Celery calls this whenever it has connected."""
        super().update_strategies()
        runtime = runtime_of(self)
        try:
            runtime.ledger.check_database()
            cancel_known(runtime)
        except SettingsError as error:
            # Redis was away when the worker started, or is another one now.
            log.critical("worker stops", cause=error)
            raise WorkerShutdown(1) from error

    def create_task_handler(self, *args: Any, **options: Any) -> Callable[[Any], None]:
        """Return the handler of every message of our queues."""
        handle = super().create_task_handler(*args, **options)

        def read(message: Any) -> None:
            if contract_of(message) > CONTRACT_VERSION:
                self._add_dead_letter(message, Reason.NEWER_CONTRACT, "upgrade the workers, then replay it")
                return
            problem = problem_of(message)
            # What can be read of a bulk is recorded.
            if problem is None or about(message).get("task") == ENQUEUE_TASK:
                handle(message)
            else:
                self._refuse(message, problem)

        return partial(self._take, read)

    def on_decode_error(self, message: Any, exc: Exception) -> None:
        """Keep a message whose body cannot be read; Celery calls this."""
        # Remote control comes through here too.
        if (message.delivery_info or {}).get("routing_key") in self.app.amqp.queues.consume_from:
            self._take(lambda _: self._refuse(message, _told(exc)), message)
        else:
            super().on_decode_error(message, exc)

    def _take(self, read: Callable[[Any], object], message: Any) -> None:
        """Do with a message what it asks for; whatever goes wrong with it, the worker goes on with the next one."""
        try:
            read(message)
        except Exception as error:
            if is_away(error):
                # It was not acknowledged, so it comes again once the worker has connected anew.
                raise RedisConnectionError(str(error)) from error
            log.error("a message could not be handled", cause=type(error).__name__)  # noqa: TRY400 - it may quote the message
            if not message.acknowledged:
                self._add_dead_letter(message, Reason.UNREADABLE, f"handling it raised {type(error).__name__}")

    def _refuse(self, message: Any, why: str) -> None:
        """Keep a message that cannot be read, and fail the job for its caller, who would wait for ever."""
        self.controller.wanimate.recorder.refuse_unread(message, [about(message).get("id")], why)
        self._add_dead_letter(message, Reason.UNREADABLE, why)

    def on_unknown_message(self, _body: Any, message: Any) -> None:
        """Keep a message that is no task; Celery calls this."""
        self._add_dead_letter(message, Reason.NO_TASK, "it names no task")

    def on_unknown_task(self, _body: Any, message: Any, exc: Exception) -> None:
        """Keep a message whose task no worker here knows, and fail the task for its caller; Celery calls this."""
        # Not Celery's own: it would write the body into the log.
        names = about(message)
        self.app.backend.mark_as_failure(names["id"], NotRegistered(names["task"]))
        self._add_dead_letter(message, Reason.UNKNOWN_TASK, f"no task is called {_told(exc)}")

    def on_invalid_task(self, _body: Any, message: Any, exc: Exception) -> None:
        """Keep a message that Celery refuses; Celery calls this."""
        self._refuse(message, _told(exc))

    def _add_dead_letter(self, message: Any, reason: Reason, why: str) -> None:
        """Keep a message, and only then take it out of its queue."""
        keep(runtime_of(self).ledger, message, reason, why)
        if not message.acknowledged:
            message.ack_log_error(log, self.connection_errors)


def _told(error: Exception) -> str:
    """Return what an error says without quoting the message, which may hold URLs and prompts."""
    return str(error)[:60] if isinstance(error, KeyError) else type(error).__name__
