"""Celery's consumer, except that a message no worker can use is kept for the operator and never stops a worker."""

from __future__ import annotations

import re
import time
import warnings
from functools import partial
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final

from billiard.einfo import ExceptionInfo
from celery.app.trace import trace_ok_t
from celery.exceptions import CPendingDeprecationWarning, NotRegistered, Reject, WorkerShutdown
from celery.worker.consumer import Consumer as CeleryConsumer
from celery.worker.state import task_ready
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError, ResponseError
from wanimate.contract import CONTRACT_HEADER, CONTRACT_VERSION, ENQUEUE_TASK, GENERATE_TASK
from wanimate.errors import InvalidRequest, SettingsError

from ..engine.sending import AGAIN_SECONDS
from ..telemetry import get_logger
from .callers import GenerateTask
from .dead_letters import Reason, is_name, keep, problem_of, run_message
from .outage import is_away
from .piecemeal import body_of, read_piecemeal
from .recording import refuse_unrecorded
from .revoking import cancel_known

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

    def __init__(
        self, on_task_request: Any, *args: Any, worker_options: dict[str, Any] | None = None, **options: Any
    ) -> None:
        # Workers need not hear of each other: Flower listens to the same heartbeats. Mingle stays, though it costs a
        # second at each start: it is how a new worker learns which messages were revoked.
        super().__init__(
            partial(self._hand_over, on_task_request),
            *args,
            worker_options={**(worker_options or {}), "without_gossip": True},
            **options,
        )

    def on_connection_error_after_connected(self, exc: Exception) -> None:
        """Connect anew; Celery calls this, and waits only before it connects where no server answers."""
        super().on_connection_error_after_connected(exc)
        if isinstance(exc, ResponseError):
            log.warning("Redis refuses commands; the worker connects anew until it takes them", cause=exc)
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
        """Make what handles and runs the messages of each task; Celery calls this."""
        super().update_strategies()
        for task in self.app.tasks.values():
            task.__trace__ = partial(self._run, task.__trace__)
        generate = self.app.tasks.get(GENERATE_TASK)
        if isinstance(generate, GenerateTask):
            try:
                generate.runtime.ledger.check_database()
                cancel_known(generate.runtime)
            except SettingsError as error:
                # Redis was away when the worker started, or is another one now.
                log.critical("the worker ends", cause=error)
                raise WorkerShutdown(1) from error

    def create_task_handler(self, *args: Any, **options: Any) -> Callable[[Any], None]:
        """Return the handler of every message of our queues."""
        handle = super().create_task_handler(*args, **options)

        def read(message: Any) -> None:
            if _contract_of(message) > CONTRACT_VERSION:
                self._bury(message, Reason.NEWER_CONTRACT, "upgrade the workers, then replay it")
                return
            problem = problem_of(message)
            if problem is None:
                handle(message)
            elif _about(message).get("task") == ENQUEUE_TASK:
                self._read_piecemeal(message, problem, handle)
            else:
                self._refuse(message, problem)

        return partial(self._take, read)

    def on_decode_error(self, message: Any, exc: Exception) -> None:
        """Keep a message whose body cannot be read; Celery calls this."""
        if self._is_of_a_queue(message):
            self._take(lambda _: self._refuse(message, _told(exc)), message)
        else:
            super().on_decode_error(message, exc)

    def _take(self, read: Callable[[Any], object], message: Any) -> None:
        """Do with a message what it asks for; whatever goes wrong with it, the worker goes on with the next one.

        Args:
            read: What is done with it.
            message: The message.
        """
        try:
            read(message)
        except Exception as error:
            if is_away(error):
                # It was not acknowledged, so it comes again once the worker has connected anew.
                raise RedisConnectionError(str(error)) from error
            log.error("a message could not be handled", cause=type(error).__name__)  # noqa: TRY400 - it may quote the message
            if not message.acknowledged:
                self._bury(message, Reason.UNREADABLE, f"handling it raised {type(error).__name__}")

    def _refuse(self, message: Any, why: str) -> None:
        """Keep a message that cannot be read, and fail the job for its caller, who would wait for ever."""
        self._fail([_about(message).get("id")], message.content_type, why)
        self._bury(message, Reason.UNREADABLE, why)

    def _read_piecemeal(self, message: Any, why: str, handle: Callable[[Any], None]) -> None:
        """Keep a bulk that cannot be read as a whole, fail what cannot be read of it, and record the rest."""
        sound, damaged = read_piecemeal(message.body)
        self._keep(message, Reason.UNREADABLE, f"{why}; {len(sound)} of its jobs can be read")
        kind = message.content_type
        message.body, message.content_type, message.content_encoding = body_of(sound), "application/json", "utf-8"
        problem = problem_of(message)
        is_usable = bool(sound) and problem is None
        if not is_usable:
            damaged += [pair[0] for pair in sound if isinstance(pair, list) and pair]
        self._fail([*damaged, *([] if is_usable else [_about(message).get("id")])], kind, why)
        if is_usable:
            handle(message)
        else:
            self._acknowledge(message)

    def _fail(self, job_ids: list[Any], content_type: Any, why: str) -> None:
        task = self.app.tasks.get(GENERATE_TASK)
        if isinstance(task, GenerateTask):
            kind = str(content_type)[:50]
            advice = f"; it came as {kind}, and only JSON is read: set task_serializer to 'json'"
            told = f"no worker can read its message, so nothing was sent and nothing is billed: {why}"
            error = InvalidRequest(told if kind == "application/json" else told + advice)
            refuse_unrecorded(self.app, task.runtime.ledger, filter(is_name, job_ids), error)

    def _hand_over(self, hand_over: Callable[[Any], None], request: Any) -> None:
        """Give a task to a thread; where that fails the message is sound, and goes back to its queue."""
        try:
            hand_over(request)
        except Exception as error:  # noqa: BLE001 - whatever a pool raises
            log.error("no thread took a task; its message goes back", task_id=request.id, cause=repr(error))  # noqa: TRY400
            time.sleep(AGAIN_SECONDS)
            task_ready(request)
            request.reject(requeue=True)

    def _run(self, tracer: Callable[..., Any], task_id: str, args: Any, kwargs: Any, request: dict[str, Any]) -> Any:
        """Run a task; a message of which no run can be made must not stay with the thread that gave it up."""
        try:
            return tracer(task_id, args, kwargs, request)
        except Exception as error:  # noqa: BLE001 - Celery's tracer reports what the task itself raises
            log.error("a task could not be run", task_id=task_id, cause=type(error).__name__)  # noqa: TRY400
            info = ExceptionInfo()
            try:
                self._keep(run_message(request, args, kwargs), Reason.UNREADABLE, f"it raised {type(error).__name__}")
            except RedisError:
                info.exception = Reject(requeue=True)
            # Celery's request acknowledges the message, or gives it back.
            return trace_ok_t(info, info, 0.0, None)

    def on_unknown_message(self, _body: Any, message: Any) -> None:
        """Keep a message that is no task; Celery calls this."""
        self._bury(message, Reason.NO_TASK, "it names no task")

    def on_unknown_task(self, _body: Any, message: Any, exc: Exception) -> None:
        """Keep a message whose task no worker here knows, and fail the task for its caller; Celery calls this."""
        # Not Celery's own: it would write the body into the log.
        about = _about(message)
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
        self._bury(message, Reason.UNKNOWN_TASK, f"no task is called {_told(exc)}")

    def on_invalid_task(self, _body: Any, message: Any, exc: Exception) -> None:
        """Keep a message that Celery refuses; Celery calls this."""
        self._refuse(message, _told(exc))

    def _bury(self, message: Any, reason: Reason, why: str) -> None:
        """Keep a message, and only then take it out of its queue."""
        self._keep(message, reason, why)
        self._acknowledge(message)

    def _acknowledge(self, message: Any) -> None:
        if not message.acknowledged:
            message.ack_log_error(log, self.connection_errors)

    def _keep(self, message: Any, reason: Reason, why: str) -> None:
        task = self.app.tasks.get(GENERATE_TASK)
        if isinstance(task, GenerateTask):
            keep(task.runtime.ledger, message, reason, why)

    def _is_of_a_queue(self, message: Any) -> bool:
        # Remote control comes through here too.
        delivery_info = message.delivery_info
        queue = delivery_info.get("routing_key") if isinstance(delivery_info, dict) else None
        return isinstance(queue, str) and queue in self.app.amqp.queues.consume_from


def _about(message: Any) -> dict[str, Any]:
    """Return what names a message's task and id, in either version of Celery's protocol."""
    headers = message.headers if isinstance(message.headers, dict) else {}
    if "task" in headers:
        return headers
    try:
        payload = message.payload
    except Exception:  # noqa: BLE001 - whatever a decoder raises
        return {}
    return payload if isinstance(payload, dict) else {}


def _contract_of(message: Any) -> int:
    headers = message.headers if isinstance(message.headers, dict) else {}
    version = headers.get(CONTRACT_HEADER, CONTRACT_VERSION)
    return version if isinstance(version, int) else CONTRACT_VERSION


def _told(error: Exception) -> str:
    """Return what an error says without quoting the message, which may hold URLs and prompts."""
    return str(error)[:60] if isinstance(error, KeyError) else type(error).__name__
