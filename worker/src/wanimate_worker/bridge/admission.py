"""Admission: the messages of jobs are recorded as they come, all that wait in one exchange, and then acknowledged.

A `Task.Strategy` takes the messages (Celery, "Tasks: custom strategies"), as celery-batches does: no run of a task, no
tracer. A worker that dies before it has recorded a message gives it back, as with any late acknowledgement.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, replace
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, Final, TypeVar

import orjson
from redis.exceptions import RedisError
from wanimate.contract import ENQUEUE_TASK, Stage, parse_job
from wanimate.contract.trace_context import trace_of
from wanimate.errors import IdempotencyConflict, InvalidRequest, WanimateError

from ..engine.cancelling import cancel_job
from ..engine.sending import AGAIN_SECONDS
from ..ledger import Admitted, Entry, Followed, Follower, JobFields
from ..telemetry import get_logger
from .control import forget_revoke, is_revoked
from .dead_letters import Reason, keep
from .messages import Call, about, headers_of, is_name, parts_of, problem_of, read_piecemeal
from .outage import is_away

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from celery import Celery, Task
    from wanimate.contract import Job

    from ..engine.runtime import Runtime
    from ..ledger import Admission
    from .callers import CeleryCallers

log = get_logger(__name__)

#: Messages recorded together at most.
_BATCH_SIZE: Final = 100
#: With more waiting jobs, events of the jobs of a bulk are sent when they get their slots: Flower keeps its newest
#: tasks only, and a backlog would evict those that run.
_MAX_SHOWN_BACKLOG: Final = 2000
#: What acknowledging may raise when the connection was lost: the message comes again.
_CONNECTION_ERRORS: Final = (RedisError, OSError)

_T = TypeVar("_T")


@dataclass(slots=True)
class _Fresh:
    """A job to record.

    Args:
        message: The message that asks for it.
        entry: What is recorded.
        end_span: Ends the span of recording it.
        cause: What the log says of how it came.
        call: The message as one that asks for this job alone; None for a bulk.
    """

    message: Any
    entry: Entry
    end_span: Callable[[], None]
    cause: str
    call: Call | None = None


class Recorder:
    """Records jobs in a thread of its own; what waits when it begins is recorded together.

    Args:
        runtime: The worker's.
        callers: Receives the errors of jobs that cannot be recorded.
    """

    def __init__(self, runtime: Runtime, callers: CeleryCallers) -> None:
        self._runtime = runtime
        self._callers = callers
        self._taken: SimpleQueue[Any] = SimpleQueue()
        self._thread = threading.Thread(target=self._record_until_stopped, name="recorder", daemon=True)

    def start(self) -> None:
        """Start to record."""
        self._thread.start()

    def take(self, message: Any) -> None:
        """Take a message; it is acknowledged once it is recorded."""
        self._taken.put(message)

    def stop(self, *, waits: bool = True) -> None:
        """Record what was taken, and end."""
        self._taken.put(None)
        if waits:
            self._thread.join()

    def _record_until_stopped(self) -> None:
        is_stopping = False
        while not is_stopping:
            batch = [self._taken.get()]
            while len(batch) < _BATCH_SIZE and not self._taken.empty():
                batch.append(self._taken.get())
            is_stopping = None in batch
            self.record([message for message in batch if message is not None])

    def record(self, messages: Sequence[Any]) -> None:
        """Record messages and acknowledge them; what goes wrong with one of them harms no other."""
        granted: list[str] = []
        fresh: list[_Fresh] = []
        for message in messages:
            if about(message).get("task") == ENQUEUE_TASK:
                self._attempt(message, self._record_bulk, message, granted)
            elif (read := self._attempt(message, self._read, message, granted)) is not None:
                fresh.append(read)
        try:
            admitted = self._admit(fresh)
        except RedisError:
            for each in fresh:
                self._give_back(each.message)
            admitted = []
        for each, admission in admitted:
            self._attempt(each.message, self._conclude, each, admission, granted)
        self._runtime.go_on(granted)

    def _admit(self, fresh: Sequence[_Fresh]) -> list[tuple[_Fresh, Admission]]:
        """Record jobs in one exchange; where one of them cannot be recorded, each alone, so that it fails alone.

        Raises:
            RedisError: Redis is away; some may be recorded.
        """
        if not fresh:
            return []
        try:
            admitted = list(zip(fresh, self._runtime.ledger.jobs.admit([each.entry for each in fresh]), strict=True))
        except RedisError as error:
            if is_away(error):
                raise
            if len(fresh) > 1:
                return [admitted for each in fresh for admitted in self._admit([each])]
            why = f"this job cannot be recorded ({type(error).__name__})"
            self._refuse(fresh[0], InvalidRequest(f"{why}; nothing was sent to the vendor, nothing is billed"))
            return []
        for each, admission in admitted:
            if admission.is_new:
                each.end_span()
                log.info("job recorded", stage=Stage.WAITING, job_id=each.entry.job_id, cause=each.cause)
        return admitted

    def _refuse(self, fresh: _Fresh, error: InvalidRequest) -> None:
        """Fail a job that Redis will never record; a message that asked for it alone is acknowledged."""
        if fresh.call is None:
            self.refuse_unrecorded([fresh.entry.job_id], error)
        else:
            self._attempt(fresh.message, self._fail, fresh.call, error)
            self._acknowledge(fresh.message)

    # -- one job in a message -----------------------------------------------------------------------------------

    def _read(self, message: Any, granted: list[str]) -> _Fresh | None:
        """Read one message, and return the job that it asks for; None where that is decided already."""
        runtime, call = self._runtime, Call.read(message)
        self._callers.announce_waiting(call.task_id, call.captured)
        if is_revoked(call.task_id, call.context.stamps or {}):
            cancel_job(runtime, call.task_id, in_advance=True)
            forget_revoke(call.task_id)
        try:
            job = call.job()
            runtime.settings.check_webhook(job)
        except WanimateError as error:
            # What is wrong with a message counts only before its job is recorded; afterwards the ledger decides.
            if self._is_recorded(call.task_id):
                granted.append(call.task_id)
            else:
                self._fail(call, error)
            self._acknowledge(message)
            return None
        job_id = call.task_id if job.idempotency_key is None else job.job_id(runtime.settings.account)
        if job_id != call.task_id:
            try:
                granted += self._follow_key(call, job, job_id)
            except IdempotencyConflict as error:
                self._fail(call, error)
            self._acknowledge(message)
            return None
        end_span = runtime.tracing.record(call.captured, job_id, call.request)
        entry = entry_of(job_id, job, call.captured, call.request, caller=call.caller)
        return _Fresh(message, entry, end_span, "enqueued", call)

    def _conclude(self, fresh: _Fresh, admission: Admission, granted: list[str]) -> None:
        """Do what the verdict on a job says, and acknowledge its message."""
        call, entry = fresh.call, fresh.entry
        granted += admission.granted
        if call is not None and admission.verdict is Admitted.KNOWN and entry.caller not in {"", admission.caller}:
            granted += self._follow(call, entry, record_id=f"{entry.job_id}~{entry.caller}")
        elif call is not None and admission.verdict is Admitted.CONFLICT:
            self._keep_conflicts(fresh.message, [entry.job_id])
            if entry.caller:
                # Its id has another outcome, which must not be replaced; the callbacks of the message are called.
                other = replace(call.as_record(), job_id=f"{entry.job_id}~{entry.caller}")
                self._callers.refuse(other, _conflict(entry.job_id))
        self._acknowledge(fresh.message)

    # -- one more caller of a job -------------------------------------------------------------------------------

    def _follow_key(self, call: Call, job: Job, job_id: str) -> list[str]:
        """Record a message as a caller of the job of its key, and that job if it is new; return jobs that go on."""
        runtime = self._runtime
        entry = entry_of(job_id, job, _kept(job, call.message), call.request)
        # Asked first: the task may have been cancelled before its message came.
        verdict, granted = self._follow_once(call, entry, call.task_id)
        if verdict is not Followed.LEADERLESS:
            return granted
        end_span = runtime.tracing.record(entry.message, job_id, call.request)
        [admission] = runtime.ledger.jobs.admit([entry])
        if admission.verdict is Admitted.CONFLICT:
            raise _conflict(job_id)
        if admission.is_new:
            end_span()
            log.info("job recorded", stage=Stage.WAITING, job_id=job_id, cause=f"key of task {call.task_id}")
        return [*admission.granted, *self._follow(call, entry, record_id=call.task_id)]

    def _follow(self, call: Call, entry: Entry, *, record_id: str) -> list[str]:
        verdict, granted = self._follow_once(call, entry, record_id)
        if verdict is Followed.LEADERLESS:
            raise ConnectionError("the job has lost its record within a moment; its message comes again")
        return granted

    def _follow_once(self, call: Call, entry: Entry, record_id: str) -> tuple[Followed, list[str]]:
        follower = Follower(
            record_id, call.task_id, entry.job_id, call.captured, call.request, entry.fingerprint, call.tag
        )
        verdict = self._runtime.ledger.followers.add(follower)
        if verdict is Followed.TAKEN and record_id == call.task_id:
            return self._follow_once(call, entry, f"{call.task_id}~{call.tag}")
        if verdict is Followed.CONFLICT:
            raise _conflict(entry.job_id)
        if verdict in {Followed.FOLLOWING, Followed.SETTLED}:
            log.info("caller follows an existing job", stage=Stage.FOLLOWING, job_id=record_id, leader=entry.job_id)
        return verdict, [record_id] if verdict is Followed.SETTLED else []

    # -- many jobs in a message ---------------------------------------------------------------------------------

    def _record_bulk(self, message: Any, granted: list[str]) -> None:
        """Record each job of a `wanimate.enqueue` message; those recorded before are left alone."""
        runtime = self._runtime
        is_shown = runtime.ledger.records.waiting() < _MAX_SHOWN_BACKLOG
        pairs = self._pairs_of(message)
        named = [pair for pair in pairs if _is_named(pair)]
        if len(named) < len(pairs):
            # There is no id under which a job or an error could be recorded.
            keep(runtime.ledger, message, Reason.UNREADABLE, f"{len(pairs) - len(named)} of its jobs have no id")
        read = [self._read_of_bulk(message, job_id, request, is_shown=is_shown) for job_id, request in named]
        admitted = self._admit([each for each in read if each is not None])
        for each, admission in admitted:
            if is_shown and admission.is_new:
                self._callers.announce_waiting(each.entry.job_id, each.entry.message)
        conflicts = [each.entry.job_id for each, admission in admitted if admission.verdict is Admitted.CONFLICT]
        if conflicts:
            self._keep_conflicts(message, conflicts)
        granted += [job_id for _, admission in admitted for job_id in admission.granted]
        self._acknowledge(message)

    def _pairs_of(self, message: Any) -> list[Any]:
        """Return the jobs of a bulk; of one that cannot be read as a whole what can be, failing the others."""
        problem = problem_of(message)
        if problem is None:
            args, kwargs, _ = parts_of(message)
            if args or kwargs.keys() != {"jobs"}:
                raise TypeError("a bulk has one keyword argument, jobs")
            return list(kwargs["jobs"])
        sound, damaged = read_piecemeal(message.body)
        why = f"{problem}; {len(sound)} of its jobs can be read"
        keep(self._runtime.ledger, message, Reason.UNREADABLE, why)
        self.refuse_unread(message, [*damaged, *([] if sound else [about(message).get("id")])], problem)
        return sound

    def _read_of_bulk(self, message: Any, job_id: str, request: dict[str, Any], *, is_shown: bool) -> _Fresh | None:
        """Return one job of a bulk; one that cannot be recorded fails alone."""
        try:
            job = parse_job(request)
            self._runtime.settings.check_webhook(job)
            orjson.dumps(request)
            if job.idempotency_key is not None and job_id != job.job_id(self._runtime.settings.account):
                raise InvalidRequest("the id is not that of the idempotency key", field="idempotency_key")
        except (WanimateError, TypeError) as error:
            # The producer validates before it sends, so this is of other code; its caller still gets an answer.
            self.refuse_unrecorded([job_id], error)
            return None
        entry = entry_of(job_id, job, _kept(job, message, **({"seen": True} if is_shown else {})), request)
        return _Fresh(message, entry, self._runtime.tracing.record(entry.message, job_id, request), "bulk")

    # -- what cannot be recorded --------------------------------------------------------------------------------

    def refuse_unread(self, message: Any, job_ids: Iterable[Any], why: str) -> None:
        """Fail the jobs of a message that cannot be read, whose callers would wait for ever.

        Args:
            message: The message.
            job_ids: What names them; what is no name is left out.
            why: What is wrong with the message, without any of its content.
        """
        kind = str(message.content_type)[:50]
        text = f"no worker can read its message; nothing was submitted and nothing is billed: {why}"
        if kind != "application/json":
            text += f"; its format is {kind}, and only JSON is accepted: set task_serializer to 'json'"
        self.refuse_unrecorded(filter(is_name, job_ids), InvalidRequest(text))

    def refuse_unrecorded(self, job_ids: Iterable[str], error: Exception) -> None:
        """Fail jobs for their callers, except those on record: the ledger decides what becomes of these."""
        for job_id in job_ids:
            if not self._is_recorded(job_id):
                log.error("job refused", job_id=job_id, cause=error)
                self._callers.refuse(JobFields(job_id), error)

    def _is_recorded(self, job_id: str) -> bool:
        try:
            return self._runtime.ledger.records.read([job_id])[0].stage is not None
        except RedisError as error:
            if is_away(error):
                raise
            # What stands under its key is no record.
            return False

    def _keep_conflicts(self, message: Any, job_ids: Sequence[str]) -> None:
        whose = "its id is" if len(job_ids) == 1 else f"the ids of {len(job_ids)} of its jobs are"
        why = f"{whose} in use for another request"
        keep(self._runtime.ledger, message, Reason.CONFLICT, why, jobs=" ".join(job_ids))

    # -- what becomes of the message ----------------------------------------------------------------------------

    def _attempt(self, message: Any, work: Callable[..., _T], *args: Any) -> _T | None:
        """Work on one message; give it back if Redis is away, and add a dead letter if it cannot be handled."""
        try:
            return work(*args)
        except Exception as error:  # noqa: BLE001 - whatever is wrong with it, the others are recorded
            if is_away(error):
                self._give_back(message)
            else:
                self._add_dead_letter(message, type(error).__name__)
        return None

    def _add_dead_letter(self, message: Any, raised: str) -> None:
        try:
            # Without a traceback, which may quote the message.
            log.error("a message could not be recorded", task_id=about(message).get("id"), cause=raised)
            keep(self._runtime.ledger, message, Reason.UNREADABLE, f"recording it raised {raised}")
            self._acknowledge(message)
        except RedisError:
            self._give_back(message)

    def _fail(self, call: Call, error: Exception) -> None:
        log.error("job refused", job_id=call.task_id, cause=error)
        self._callers.refuse(call.as_record(), error)

    def _acknowledge(self, message: Any) -> None:
        if not message.acknowledged:
            message.ack_log_error(log, _CONNECTION_ERRORS)

    def _give_back(self, message: Any) -> None:
        """Put a message back into its queue; the connection that is lost puts it back too."""
        log.warning("Redis is unavailable; the job is recorded later", task_id=about(message).get("id"))
        time.sleep(AGAIN_SECONDS)
        message.reject_log_error(log, _CONNECTION_ERRORS, requeue=True)


def strategy(_task: Task, _app: Celery, consumer: Any) -> Callable[..., Any]:
    """Return the handler of the messages of jobs; Celery calls this when it connects."""
    recorder: Recorder = consumer.controller.wanimate.recorder

    def on_message(message: Any, *_: Any, **__: Any) -> None:
        recorder.take(message)

    return on_message


def entry_of(job_id: str, job: Job, message: dict[str, Any], request: Mapping[str, Any], *, caller: str = "") -> Entry:
    """Return the entry that records a job."""
    has_key = job.idempotency_key is not None
    return Entry(job_id, job.priority, message, request, job.deadline_ms, job.fingerprint(), has_key, caller)


def _kept(job: Job, message: Any, **more: Any) -> dict[str, Any]:
    """Return what is kept as the message of a job that has none of its own, with the trace of the one it came in."""
    trace = trace_of(headers_of(message))
    return {"argsrepr": "()", "kwargsrepr": job.summary(), **({"headers": trace} if trace else {}), **more}


def _is_named(pair: object) -> bool:
    """Whether this is a job with an id."""
    return isinstance(pair, list | tuple) and len(pair) == len(("id", "request")) and is_name(pair[0])


def _conflict(job_id: str) -> IdempotencyConflict:
    """Return the error of another request under an id, or a key, that is in use."""
    return IdempotencyConflict(
        f"this idempotency key or task id was used before for a different request (job {job_id}): nothing was sent; "
        "use a new one for a new request"
    )
