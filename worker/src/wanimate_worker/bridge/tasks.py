"""The tasks of the queue itself: bulk messages, the tick of beat, housekeeping, cancellations."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

import orjson
from celery import Task
from celery.exceptions import Reject
from redis.exceptions import RedisError
from wanimate.contract import (
    CANCEL_TASK,
    ENQUEUE_TASK,
    GENERATE_TASK,
    HOUSEKEEPING_TASK,
    POLL_TASK,
    Stage,
    parse_job,
)
from wanimate.errors import InvalidRequest, JobNotFound, WanimateError

from ..engine.account import keep_house
from ..engine.cancelling import cancel_job
from ..engine.sending import AGAIN_SECONDS
from ..ledger import Admitted
from ..telemetry import get_logger
from ..telemetry.tracing import keep_trace
from .dead_letters import Reason, is_name, keep, run_message
from .outage import is_away
from .recording import admit_together, entry_of, refuse_id, refuse_unrecorded

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..engine.engine import Engine
    from ..engine.runtime import Runtime
    from ..ledger import Entry
    from .events import JobEvents

log = get_logger(__name__)

#: With more jobs in line, Flower hears of new ones when they get their slots: it keeps its newest tasks only, and a
#: backlog would drive those out that run.
_LONGEST_SHOWN_LINE: Final = 2000


class InternalTask(Task):
    """A task of the queue itself: no result, and no events, which would drown the jobs in Flower.

    Args:
        runtime: The ledger, the vendor and the settings.
    """

    abstract = True
    Request = "wanimate_worker.bridge.revocation:QueueRequest"
    ignore_result = True
    send_events = False
    #: The engine and the events of this process, once it is a worker.
    engine: Engine | None = None
    events: JobEvents | None = None

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime


class EnqueueTask(InternalTask):
    """Records each job of a batch as its own `wanimate.generate` task."""

    name = ENQUEUE_TASK

    def run(self, jobs: Sequence[tuple[str, dict[str, Any]]]) -> None:
        """Record the jobs; those recorded before are left alone, so a message that comes twice is no harm.

        Args:
            jobs: Pairs of job id and keyword arguments of `wanimate.generate`.
        """
        try:
            is_shown = self.runtime.ledger.records.waiting() < _LONGEST_SHOWN_LINE
            named = [pair for pair in jobs if _is_named(pair)]
            if len(named) < len(jobs):
                # There is no id under which a job could be recorded, or anybody be told.
                nameless = [pair for pair in jobs if not _is_named(pair)]
                self._bury((), {"jobs": nameless}, f"{len(nameless)} of its jobs have no id")
            entries = [self._entry(job_id, request, is_shown=is_shown) for job_id, request in named]
            record = self.runtime.tracing.record
            spans = {e.job_id: record(e.message, e.job_id, e.request) for e in entries if e is not None}
            sound = [entry for entry in entries if entry is not None]
            admitted = admit_together(
                self.runtime.ledger, sound, lambda entry: entry, lambda entry, error: self._refuse(entry.job_id, error)
            )
        except Exception as error:
            if not is_away(error):
                raise
            # Some may be recorded, some not: the whole message comes back, and those recorded are left alone.
            time.sleep(AGAIN_SECONDS)
            raise Reject(requeue=True) from None
        for entry, admission in admitted:
            if admission.is_new:
                spans[entry.job_id]()
                log.info("job recorded", stage=Stage.WAITING, job_id=entry.job_id, cause="bulk")
            elif admission.verdict is Admitted.CONFLICT:
                about = {**vars(self.request), "id": entry.job_id, "task": GENERATE_TASK}
                refuse_id(self.runtime, run_message(about, (), entry.request), entry.job_id)
        if is_shown and self.events is not None:
            # Before they can start.
            for entry, admission in admitted:
                if admission.is_new:
                    self.events.received(entry.job_id, entry.message)
        self.runtime.go_on(job_id for _, admission in admitted for job_id in admission.granted)

    def on_failure(self, exc: Exception, _task_id: str, args: Any, kwargs: Any, *_: Any) -> None:
        """Keep a message of which nothing could be recorded; Celery calls this."""
        why = f"recording its jobs raised {type(exc).__name__}"
        self._bury(args, kwargs, why)

    def _bury(self, args: Any, kwargs: Any, why: str) -> None:
        keep(self.runtime.ledger, run_message(vars(self.request), args, kwargs), Reason.UNREADABLE, why)

    def _entry(self, job_id: str, request: dict[str, Any], *, is_shown: bool) -> Entry | None:
        """Return the entry of one job; a job that cannot be recorded fails alone."""
        try:
            job = parse_job(request)
            orjson.dumps(request)
            if job.idempotency_key is not None and job_id != job.job_id(self.runtime.settings.account):
                raise InvalidRequest("the id is not that of the idempotency key", field="idempotency_key")
        except (WanimateError, TypeError) as error:
            self._refuse(job_id, error)
            return None
        message = {"argsrepr": "()", "kwargsrepr": job.summary(), **({"seen": True} if is_shown else {})}
        keep_trace(message, self.request.headers)
        return entry_of(job_id, job, message, request)

    def _refuse(self, job_id: str, error: Exception) -> None:
        # The producer validates before it sends, so this is a foreign or newer one; its caller still gets an answer.
        refuse_unrecorded(self.app, self.runtime.ledger, [job_id], error)


def _is_named(pair: object) -> bool:
    """Whether this is a job with an id."""
    return isinstance(pair, list | tuple) and len(pair) == len(("id", "request")) and is_name(pair[0])


class PollTask(InternalTask):
    """The tick that beat sends: the engine of the worker that gets it looks for due jobs until the next one."""

    name = POLL_TASK

    def run(self, **_: Any) -> None:
        """Do what only the passing of time brings about, and look."""
        try:
            if self.engine is not None:
                self.engine.tick()
        except RedisError as error:
            if not is_away(error):
                raise
            log.warning("Redis is away; the next tick does the work of this one", cause=error)


class HousekeepingTask(InternalTask):
    """Repairs what no transition leaves behind, but a database edited by hand may."""

    name = HOUSEKEEPING_TASK

    def run(self) -> None:
        """Repair once."""
        keep_house(self.runtime)


class CancelTask(InternalTask):
    """Cancels one job that was not sent to the vendor yet."""

    name = CANCEL_TASK
    ignore_result = False
    #: An answer, not an accident of ours: no traceback in the log.
    throws = (JobNotFound,)

    def run(self, job_id: str) -> str:
        """Cancel the job and return a `CancelOutcome` value.

        Args:
            job_id: The job.

        Raises:
            InvalidRequest: This is no id.
        """
        if not is_name(job_id):
            raise InvalidRequest("the id of a job is expected", field="job_id")
        return cancel_job(self.runtime, job_id).value
