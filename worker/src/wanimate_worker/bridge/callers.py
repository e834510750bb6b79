"""The callers of jobs, as Celery knows them: results in its backend, callbacks, chains, chords, events for Flower."""

from __future__ import annotations

import re
import threading
import time
from typing import TYPE_CHECKING, Any, Final

from celery import Task, states
from celery.app.trace import build_tracer
from celery.utils.functional import maybe_list
from kombu.exceptions import OperationalError
from kombu.utils.encoding import bytes_to_str
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError
from wanimate.contract import GENERATE_TASK
from wanimate.errors import JobCancelled, JobFailed

from ..engine.callers import PlainResult
from ..telemetry import get_logger
from .messages import is_plain
from .outage import is_away

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from celery import Celery
    from wanimate.contract import Outcome

    from ..engine.runtime import Runtime
    from ..ledger import JobFields

log = get_logger(__name__)

#: What Celery's options of a task call its callbacks, and what its messages do.
_LINKS: Final = {"link": "callbacks", "link_error": "errbacks"}
#: What Flower shows as the result of a job that has not started.
WAITS: Final = "waiting for a slot"
#: The query and the fragment of a URL, where signatures are.
_QUERY: Final = re.compile(r"(\bhttps?://[^\s\"'<>?#]*)[?#][^\s\"'<>)\]}]*")


class GenerateTask(Task):
    """`wanimate.generate`: one task is one whole remote job.

    Its messages are recorded as they come (`admission.py`), and the engine works on the job. Celery runs the task when
    the job ends, in the thread that delivers the outcome, and only if something hangs on it.

    Args:
        runtime: The ledger and the settings.
    """

    name = GENERATE_TASK
    Strategy = "wanimate_worker.bridge.admission:strategy"
    #: Failures of the remote job are results, not accidents of ours: no traceback in the log.
    throws = (JobFailed,)

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime
        self._here = threading.local()

    def end(self, job: JobFields, ending: dict[str, Any] | Exception) -> bool:
        """Let Celery store a job's result or error and call its callbacks; False if it stored something else."""
        self._here.ending, self._here.status = ending, None
        self._run_as_if_it_had_come(job)
        # Celery stores a failure in place of the result when it cannot send a callback or the next task of a chain.
        return bool(self._here.status == (states.FAILURE if isinstance(ending, Exception) else states.SUCCESS))

    def _run_as_if_it_had_come(self, job: JobFields) -> None:
        """Let Celery's tracer run the task in this thread; a job that was not recorded may have had no message."""
        options = {name: value for name, value in job.message.items() if name not in {"seen", "headers", *_LINKS}}
        options |= {name: maybe_list(job.message.get(link)) for link, name in _LINKS.items()}
        message = self.app.amqp.create_task_message(job.result_id, self.name, (), dict(job.request), **options)
        (args, kwargs, embedded), properties = message.body, message.properties
        request = {
            **message.headers,
            **(job.message.get("headers") or {}),
            **embedded,
            "is_eager": False,
            "properties": properties,
            "delivery_info": {},
            "correlation_id": properties.get("correlation_id"),
            "reply_to": properties.get("reply_to"),
        }
        # A worker's consumer has made the first.
        trace = self.__trace__ or build_tracer(self.name, self, app=self.app)
        trace(job.result_id, args, kwargs, request)

    def run(self, *_: Any, **__: Any) -> Any:
        """Return the job's result or raise its error; Celery calls this."""
        ending = self._here.ending
        if isinstance(ending, Exception):
            raise ending
        return ending

    def after_return(self, status: str, *_: Any) -> None:
        """Note what Celery has stored; it calls this after the callbacks are sent."""
        self._here.status = status


class CeleryCallers:
    """Delivers outcomes to those who enqueued the jobs as Celery tasks, and tells Flower of them.

    Every event names the task and its arguments, for Flower may have missed those before, or has dropped them.

    Args:
        task: The task of this app.
        dispatcher: Returns the worker's event dispatcher, if it has one: another one after each reconnect.
    """

    def __init__(self, task: GenerateTask, dispatcher: Callable[[], Any]) -> None:
        self._task = task
        self._dispatcher = dispatcher

    @property
    def _app(self) -> Celery:
        app: Celery = self._task.app
        return app

    # -- results ------------------------------------------------------------------------------------------------

    def result_key(self, job: JobFields) -> str | None:
        """Return the key of the job's result; None for a job that wants no result."""
        if job.message.get("ignore_result"):
            return None
        key: str = bytes_to_str(self._app.backend.get_key_for_task(job.result_id))
        return key

    def started_mark(self, job: JobFields) -> tuple[str, str] | None:
        """Return the key of the job's result, and what Celery stores there of a task that has started."""
        return self._stored(job, states.STARTED, {"labels": job.request.get("labels", {})}, None)

    def plain_result(self, job: JobFields, outcome: Outcome) -> PlainResult | None:
        """Return what Celery's backend would store of the outcome of a job on which nothing hangs."""
        return self._plain(job, _ending_of(outcome))

    def deliver(self, job: JobFields, outcome: Outcome) -> bool:
        """Store the result, call the callbacks and announce the end; False if a part of it failed."""
        try:
            is_delivered = self._end(job, _ending_of(outcome))
        except Exception as error:
            if is_away(error):
                raise RedisConnectionError(str(error)) from error
            raise
        if is_delivered:
            self.announce_end(job, outcome)
        return is_delivered

    def refuse(self, job: JobFields, error: Exception) -> None:
        """Store the error of a job that cannot be recorded, call its callbacks and announce it."""
        if self._end(job, error):
            self._announce_failure(job, error, None)

    def _end(self, job: JobFields, ending: dict[str, Any] | Exception) -> bool:
        plain = self._plain(job, ending)
        if plain is None:
            return self._task.end(job, ending)
        if plain.stored is not None:
            self._app.backend.set(*plain.stored)
        return True

    def _plain(self, job: JobFields, ending: dict[str, Any] | Exception) -> PlainResult | None:
        if not is_plain(job.message):
            return None
        state = states.FAILURE if isinstance(ending, Exception) else states.SUCCESS
        result = self._app.backend.encode_result(ending, state)
        more = {name: job.message[name] for name in ("group_id", "parent_id") if job.message.get(name)}
        return PlainResult(self._stored(job, state, result, self._app.now().isoformat(), **more))

    def _stored(
        self, job: JobFields, state: str, result: Any, date_done: str | None, **more: str
    ) -> tuple[str, str] | None:
        """Return the key and the text that Celery's backend stores of a task; None for a job that wants no result."""
        key = self.result_key(job)
        if key is None:
            return None
        meta = {"status": state, "result": result, "traceback": None, "children": [], "date_done": date_done, **more}
        return key, self._app.backend.encode({**meta, "task_id": job.result_id})

    # -- events -------------------------------------------------------------------------------------------------

    def announce_waiting(self, task_id: str, message: Mapping[str, Any]) -> None:
        """Announce a job that waits, by its Celery task and what is kept of its message."""
        root_id = message.get("root_id") or task_id
        self._send(
            "received", task_id, message, retries=0, result=WAITS, root_id=root_id, parent_id=message.get("parent_id")
        )

    def announce_start(self, job: JobFields, shown: str) -> None:
        """Announce that the vendor has the job's task, or may have it."""
        if not job.message.get("seen") and job.attempts == 0:
            self.announce_waiting(job.result_id, job.message)
        self._send("started", job.result_id, job.message, result=shown, runtime=None)

    def announce_end(self, job: JobFields, outcome: Outcome) -> None:
        """Announce how a job has ended; the runtime is that of the vendor's task."""
        runtime = time.time() - job.submitted_at_ms / 1000 if job.submitted_at_ms else None
        if (result := outcome.result) is None:
            self._announce_failure(job, outcome.exception(), runtime)
            return
        expiry = result.urls_expire_at
        until = "" if expiry is None else f", served until {expiry.isoformat(sep=' ', timespec='minutes')}"
        shown = f"{' '.join(result.urls)} (vendor task {result.task_id}{until})"
        self._send("succeeded", job.result_id, job.message, result=shown, runtime=runtime)

    def _announce_failure(self, job: JobFields, error: BaseException, runtime: float | None) -> None:
        if isinstance(error, JobCancelled):
            # Flower calls a cancelled task revoked.
            kind, more = "revoked", dict[str, Any](terminated=False, signum=None, expired=False)
        else:
            kind, more = "failed", {"exception": repr(error), "traceback": None}
        shown = f"{type(error).__name__}: {error}"
        self._send(kind, job.result_id, job.message, result=shown, runtime=runtime, **more)

    def _send(self, kind: str, task_id: str, message: Mapping[str, Any], **fields: Any) -> None:
        dispatcher = self._dispatcher()
        if dispatcher is None or not dispatcher.enabled:
            return
        shown = {name: unsigned(value) if isinstance(value, str) else value for name, value in fields.items()}
        arguments = {"args": message.get("argsrepr"), "kwargs": message.get("kwargsrepr")}
        try:
            dispatcher.send(f"task-{kind}", uuid=task_id, name=GENERATE_TASK, **arguments, **shown)
        except (RedisError, OperationalError, OSError) as error:
            # It is only for show, and later events tell the same.
            log.warning("an event of a job could not be sent", job_id=task_id, cause=type(error).__name__)


def unsigned(text: str) -> str:
    """Return a text whose URLs have lost their query and fragment: a signed URL is as good as a password."""
    return _QUERY.sub(r"\1?…", text)


def _ending_of(outcome: Outcome) -> dict[str, Any] | Exception:
    """Return the fields of a `Result`, or the error."""
    return outcome.exception() if outcome.result is None else outcome.result.to_json()
