"""The callers of jobs, as Celery knows them: results in its backend, callbacks, chains and chords, events."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from celery import Task, states
from kombu.utils.encoding import bytes_to_str
from redis.exceptions import ConnectionError as RedisConnectionError
from wanimate.contract import GENERATE_TASK
from wanimate.errors import JobFailed

from ..engine.callers import PlainResult
from .canvas import context_of, is_plain, run_to_end
from .outage import is_away

if TYPE_CHECKING:
    from celery import Celery
    from wanimate.contract import Outcome

    from ..engine.runtime import Runtime
    from ..ledger import JobFields
    from .events import JobEvents


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
        """Let Celery store a job's result and call what hangs on it; False if it stored something else instead.

        Args:
            job: The job.
            ending: The fields of its `Result`, or its error.
        """
        self._here.ending, self._here.status = ending, None
        run_to_end(self, job.result_id, job.request, job.message)
        # Celery stores a failure in place of the result when it cannot send a callback or the next task of a chain.
        return bool(self._here.status == (states.FAILURE if isinstance(ending, Exception) else states.SUCCESS))

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
    """Delivers outcomes to those who enqueued the jobs as Celery tasks.

    Args:
        task: The task of this app.
        events: What Flower is told.
    """

    def __init__(self, task: GenerateTask, events: JobEvents) -> None:
        self._task = task
        self._events = events

    @property
    def _app(self) -> Celery:
        app: Celery = self._task.app
        return app

    def result_key(self, job: JobFields) -> str | None:
        """Return the key of the job's result; None for a job that wants no result."""
        if job.message.get("ignore_result"):
            return None
        key: str = bytes_to_str(self._app.backend.get_key_for_task(job.result_id))
        return key

    def started_mark(self, job: JobFields) -> tuple[str, str] | None:
        """Return the key of the job's result, and what Celery stores there of a task that has started."""
        key = self.result_key(job)
        if key is None:
            return None
        return key, self._stored(job, states.STARTED, {"labels": job.request.get("labels", {})}, None)

    def announce_start(self, job: JobFields, shown: str) -> None:
        """Announce that the vendor has the job's task, or may have it."""
        self._events.started(job, shown)

    def deliver(self, job: JobFields, outcome: Outcome) -> bool:
        """Store the result, call the callbacks and announce the end; False if a part of it failed."""
        try:
            is_delivered = self._deliver(job, _ending_of(outcome))
        except Exception as error:
            if is_away(error):
                raise RedisConnectionError(str(error)) from error
            raise
        if is_delivered:
            self._events.ended(job, outcome)
        return is_delivered

    def plain_result(self, job: JobFields, outcome: Outcome) -> PlainResult | None:
        """Return what Celery's backend would store of the outcome of a job on which nothing hangs."""
        if not is_plain(job.message):
            return None
        key = self.result_key(job)
        if key is None:
            return PlainResult(None)
        state = states.FAILURE if outcome.result is None else states.SUCCESS
        result = self._app.backend.encode_result(_ending_of(outcome), state)
        more = {name: job.message[name] for name in ("group_id", "parent_id") if job.message.get(name)}
        return PlainResult((key, self._stored(job, state, result, self._app.now().isoformat(), **more)))

    def _stored(self, job: JobFields, state: str, result: Any, date_done: str | None, **more: str) -> str:
        """Return what Celery's backend stores of a task."""
        meta = {"status": state, "result": result, "traceback": None, "children": [], "date_done": date_done, **more}
        text: str = self._app.backend.encode({**meta, "task_id": job.result_id})
        return text

    def announce_end(self, job: JobFields, outcome: Outcome) -> None:
        """Announce how a job has ended whose result the ledger has stored."""
        self._events.ended(job, outcome)

    def refuse(self, job: JobFields, error: Exception) -> None:
        """Store the error of a job that cannot be recorded, call its callbacks and announce it."""
        if self._deliver(job, error):
            self._events.refused(job, error)

    def _deliver(self, job: JobFields, ending: dict[str, Any] | Exception) -> bool:
        if not is_plain(job.message):
            return self._task.end(job, ending)
        task_id, backend = job.result_id, self._app.backend
        context = context_of(task_id, job.message)
        if isinstance(ending, Exception):
            backend.mark_as_failure(task_id, ending, request=context, store_result=not context.ignore_result)
        else:
            backend.mark_as_done(task_id, ending, request=context)
        return True


def _ending_of(outcome: Outcome) -> dict[str, Any] | Exception:
    """Return the fields of a `Result`, or the error."""
    return outcome.exception() if outcome.result is None else outcome.result.to_json()
