"""Tasks that suspend: Celery's mechanics, with nothing about video in them.

A suspended task has acknowledged its message, stored no result and fired no callback. It is resumed under the same
id by publishing its message again, with its chain, group, chord and callbacks, and then ends like any task. So
`AsyncResult.get()`, `chain`, `group`, `chord` and `link_error` work on the whole of it.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final

from billiard.einfo import ExceptionWithTraceback
from celery import Task
from celery.app.task import Context
from celery.app.trace import fast_trace_task, trace_ok_t
from celery.exceptions import Ignore
from celery.utils.functional import maybe_list
from celery.worker.strategy import default as default_strategy
from wanimate.contract import CONTRACT_HEADER, RESUME_QUEUE

from .events import JobConsumer, unsigned
from .revocation import QueueRequest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from celery import Celery

#: On a message that continues a task whose first message Flower has seen.
RESUMED_HEADER: Final = "wanimate_resumed"
#: When the remote job started, Unix seconds, so that the runtime shown is that of the remote job.
STARTED_HEADER: Final = "wanimate_started"
#: On a message whose caller asked for a start later than now, which this queue does not do.
DELAYED_HEADER: Final = "wanimate_delayed"
#: Until when a message may start its task, ISO 8601; kept from Celery, which would discard a job already recorded.
EXPIRES_HEADER: Final = "wanimate_expires"
#: On a run that has nothing to find out any more: an `Ending`.
ENDING_HEADER: Final = "wanimate_ending"
#: On a message of a task that is recorded under another id than its own, because other runs of that id are.
RECORD_HEADER: Final = "wanimate_record"
#: On messages whose representation is trimmed already.
TRIMMED_HEADER: Final = CONTRACT_HEADER
#: What workers tell each other; on a message of anybody else they mean nothing.
_OWN_HEADERS: Final = (
    RESUMED_HEADER,
    STARTED_HEADER,
    DELAYED_HEADER,
    EXPIRES_HEADER,
    ENDING_HEADER,
    RECORD_HEADER,
)


class Suspended(Ignore):
    """Ends a run without ending the task.

    Args:
        started: What Flower shows as the task's result from now on, if the remote job started in this run; else empty.
    """

    def __init__(self, *, started: str = "") -> None:
        super().__init__()
        self.started = started


@dataclass(frozen=True, slots=True)
class Ending:
    """How a task ends; an object, for what a message says is none.

    Args:
        how: What the task's `end` needs to know.
    """

    how: Any


def _known_ending(request: Any) -> Ending | None:
    ending = (request.headers or {}).get(ENDING_HEADER)
    return ending if isinstance(ending, Ending) else None


def is_resumed(request: Any) -> bool:
    """Whether this run continues a task that was suspended.

    Args:
        request: The task's `self.request`.
    """
    return RESUMED_HEADER in (request.headers or {})


def record_of(request: Any) -> str:
    """Return the id under which this run's task is recorded, mostly its own.

    Args:
        request: The task's `self.request`.
    """
    return str((request.headers or {}).get(RECORD_HEADER) or request.id)


def caller_of(request: Any) -> str:
    """Return what names a message, if a chain, a chord or callbacks hang on it; empty if nothing would miss it.

    A message that is delivered again keeps its tag, and one that is sent again gets another.

    Args:
        request: The task's `self.request`.
    """
    if not (request.chain or request.chord or request.callbacks or request.errbacks):
        return ""
    return str((request.properties or {}).get("delivery_tag") or "")


def capture(request: Any, *, ignore_result: bool) -> dict[str, Any]:
    """Return all that is needed to publish a task's message again, without its arguments.

    `expires` is left out: it limits when a task starts, and would discard the resumed run.

    Args:
        request: The task's `self.request`.
        ignore_result: Whether the caller asked for no result.
    """
    options = request.as_execution_options()
    for name in ("task_id", "expires", "soft_time_limit", "time_limit"):
        options.pop(name, None)
    if options["root_id"] == request.id:
        options["root_id"] = None
    options["argsrepr"] = getattr(request, "argsrepr", None)
    options["kwargsrepr"] = getattr(request, "kwargsrepr", None)
    options["ignore_result"] = ignore_result
    # The message was seen: its continuation must not look like a new task.
    options["seen"] = True
    # Only what is absent is left out: a stamp may well be False or 0.
    return {name: value for name, value in options.items() if value is not None}


@dataclass(frozen=True, slots=True)
class Continuation:
    """A suspended task's next run, made from what was captured when it was suspended.

    Args:
        task: The task's name.
        task_id: Its id.
        kwargs: Its keyword arguments.
        captured: What `capture` returned; empty for a task that never had a message.
        quiet: Whether Flower has seen the task before.
        started_at_seconds: When the remote job started, Unix seconds.
        record_id: What it is recorded as, if not under its own id.
    """

    task: str
    task_id: str
    kwargs: Mapping[str, Any]
    captured: Mapping[str, Any]
    quiet: bool
    started_at_seconds: float | None = None
    record_id: str | None = None

    def publish(self, app: Celery, producer: Any, *, queue: str, priority: int) -> None:
        """Publish the task's message again, for any worker.

        It bypasses `send_task`, which would give the task that resumes it as its parent and subscribe to its result.

        Args:
            app: The Celery app.
            producer: A kombu producer.
            queue: Where to.
            priority: The message's priority.
        """
        message, headers = self._message(app)
        app.amqp.send_task_message(producer, self.task, message, queue=queue, priority=priority, headers=headers)

    def end_here(self, app: Celery, ending: Any) -> bool:
        """End the task in this thread, as if its message had gone through a queue; False where this is no worker.

        Args:
            app: The Celery app.
            ending: What the task's `end` needs to know.
        """
        task = app.tasks[self.task]
        consumer = task.consumer
        if consumer is None:
            return False
        message, headers = self._message(app)
        headers = {**message.headers, **headers, ENDING_HEADER: Ending(ending)}
        carrier = SimpleNamespace(headers=headers, properties=message.properties, delivery_info={}, body=None)
        request = SuspendableRequest(
            carrier,
            body=message.body,
            decoded=True,
            app=app,
            task=task,
            hostname=consumer.hostname,
            eventer=consumer.event_dispatcher,
        )
        request.on_success(fast_trace_task(self.task, self.task_id, request.request_dict, message.body, None, None))
        return True

    def _message(self, app: Celery) -> tuple[Any, dict[str, Any]]:
        options = dict(self.captured)
        quiet = bool(options.pop("seen", False)) or self.quiet
        link, link_error = maybe_list(options.pop("link", None)), maybe_list(options.pop("link_error", None))
        headers = {**(options.pop("headers", None) or {}), TRIMMED_HEADER: 1}
        if quiet:
            headers[RESUMED_HEADER] = 1
        if self.started_at_seconds is not None:
            headers[STARTED_HEADER] = self.started_at_seconds
        if self.record_id is not None:
            headers[RECORD_HEADER] = self.record_id
        message = app.amqp.create_task_message(
            self.task_id, self.task, (), dict(self.kwargs), callbacks=link, errbacks=link_error, **options
        )
        return message, headers


class SuspendableRequest(QueueRequest):
    """A request whose events tell of the remote job: received once, started and ended when the remote job was.

    Every event names the task and its arguments, for Flower may have missed those before, or has dropped them.
    """

    _error: BaseException | None = None

    def send_event(self, type: str, **fields: Any) -> None:  # noqa: A002 - Celery's own name
        """Send an event, unless it tells of a run rather than of the job."""
        if type == "task-started" and "result" not in fields:
            return
        if type == "task-succeeded":
            fields["result"] = self.task.summarise_result(str(fields["result"]))
        elif type == "task-failed":
            type, fields = self._failure(fields)  # noqa: A001
        elif type == "task-revoked":
            fields["result"] = "revoked before a worker had recorded it"
        # Celery's own runtime is that of the last run: milliseconds.
        started_at = self.request_dict.get(STARTED_HEADER)
        fields["runtime"] = time.time() - float(started_at) if started_at and type != "task-started" else None
        fields = {name: unsigned(value) if isinstance(value, str) else value for name, value in fields.items()}
        super().send_event(type, name=self.name, args=self._argsrepr, kwargs=self._kwargsrepr, **fields)

    def _failure(self, fields: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        error = self._error
        if error is not None:
            fields["result"] = f"{type(error).__name__}: {error}"
        if isinstance(error, self.task.throws):
            # Nothing in our code went wrong.
            fields["traceback"] = None
        if isinstance(error, self.task.revocations):
            return "task-revoked", {**fields, "terminated": False, "signum": None, "expired": False}
        return "task-failed", fields

    def on_failure(self, exc_info: Any, send_failed_event: bool = True, return_ok: bool = False) -> Any:  # noqa: FBT001, FBT002
        """End a run; one that ends suspended with the remote job started says so."""
        error = exc_info.exception
        if isinstance(error, ExceptionWithTraceback):
            error = error.exc
        self._error = error
        answer = super().on_failure(exc_info, send_failed_event, return_ok)
        if isinstance(error, Suspended) and error.started:
            self.send_event("task-started", result=error.started)
        return answer


def quick_tracer(task: SuspendableTask, tracer: Callable[..., Any]) -> Callable[..., Any]:
    """Return a task's tracer which leaves Celery's alone with runs that suspend.

    Celery's writes down the traceback of whatever a task raises, twice, and so takes 1.5 ms for telling nobody that a
    run has suspended. Here the task goes as far as it can first, and Celery's tracer runs what is left: an ending.

    Args:
        task: The task.
        tracer: Celery's tracer of it.
    """

    def trace(task_id: str, args: Any, kwargs: dict[str, Any], request: dict[str, Any]) -> Any:
        context = Context(request, args=args, kwargs=kwargs, called_directly=False)
        if _known_ending(context) is not None:
            return tracer(task_id, args, kwargs, request)
        task.request_stack.push(context)
        try:
            ending = Ending(task.advance(args, kwargs))
        except Suspended as suspended:
            # Celery's request asks for the exception only, and acknowledges the message.
            return trace_ok_t(SimpleNamespace(exception=suspended), suspended, 0.0, None)
        except Exception as error:  # noqa: BLE001 - Celery decides what comes of it
            ending = Ending(error)
        finally:
            task.request_stack.pop()
        headers = {**(context.headers or {}), ENDING_HEADER: ending}
        return tracer(task_id, args, kwargs, {**request, "headers": headers})

    return trace


def strategy(task: SuspendableTask, app: Celery, consumer: Any) -> Callable[..., Any]:
    """Return the handler of this task's messages: resumed ones are quiet, untrimmed ones are trimmed.

    Args:
        task: The task.
        app: The Celery app.
        consumer: The worker's consumer.
    """
    task.consumer = consumer
    first = default_strategy(task, app, JobConsumer(consumer, task.waits_for))
    resumed = default_strategy(task, app, JobConsumer(consumer, None))

    def on_message(message: Any, body: Any, ack: Any, reject: Any, callbacks: Any, **options: Any) -> Any:
        headers = message.headers
        if message.delivery_info.get("routing_key") != RESUME_QUEUE:
            for name in _OWN_HEADERS:
                headers.pop(name, None)
        if TRIMMED_HEADER not in headers:
            # Made by other Celery code: its arguments would show in Flower as they are.
            headers["argsrepr"], headers["kwargsrepr"] = "()", _summary(task, message)
        _take_over(headers)
        handler = resumed if RESUMED_HEADER in headers else first
        return handler(message, body, ack, reject, callbacks, **options)

    return on_message


def _summary(task: SuspendableTask, message: Any) -> str:
    """Return what may be shown of a message's arguments; one that cannot be read must not stop the worker."""
    try:
        payload = message.payload
        return task.summarise(payload["kwargs"] if isinstance(payload, dict) else payload[1])
    except Exception:  # noqa: BLE001 - whatever is wrong with it, Celery says so when it reads it
        return "(unreadable)"


def _take_over(headers: dict[str, Any]) -> None:
    """Keep from Celery's worker what it would do to the message behind the task's back.

    A delayed message (`eta`, `countdown`) is held in a worker's memory and delivered again past the visibility
    time-out; an expired one is discarded and its id with it, even if the job is recorded already; a time limit kills
    a request whose answer is then lost. The task itself answers for the first two; HTTP time-outs stand for the third.
    """
    for celery_name, own_name in (("eta", DELAYED_HEADER), ("expires", EXPIRES_HEADER)):
        if headers.get(celery_name):
            headers[own_name] = headers[celery_name]
            headers[celery_name] = None
    headers["timelimit"] = [None, None]


class SuspendableTask(Task):
    """The base of tasks that suspend."""

    abstract = True
    Request = "wanimate_worker.suspension:SuspendableRequest"
    Strategy = "wanimate_worker.suspension:strategy"
    #: The consumer of this process, once it reads messages: a process without one is no worker.
    consumer: Any = None
    #: What Flower shows as the result of a task that has not started.
    waits_for = "waits"
    #: The errors that mean that the task was cancelled, which Flower calls REVOKED.
    revocations: tuple[type[BaseException], ...] = ()

    def run(self, *args: Any, **kwargs: Any) -> Any:
        """Go as far as the task gets, and end it if that is its end; Celery calls this."""
        known = _known_ending(self.request)
        return self.end(self.advance(args, kwargs) if known is None else known.how)

    def advance(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """Go as far as the task gets, and return what `end` needs to know.

        Args:
            args: The task's positional arguments.
            kwargs: Its keyword arguments.

        Raises:
            Suspended: The task goes on in a later run.
        """
        raise NotImplementedError

    def end(self, ending: Any) -> Any:
        """Return the task's result, or raise its error.

        Args:
            ending: What `advance` returned or raised, or whoever ends the task in its place knows.
        """
        raise NotImplementedError

    def summarise(self, kwargs: Mapping[str, Any]) -> str:
        """Return what logs, events and Flower may show of the arguments."""
        raise NotImplementedError

    def summarise_result(self, shown: str) -> str:
        """Return what Flower shows of a result.

        Args:
            shown: The result as Celery represents it, perhaps cut.
        """
        return shown
