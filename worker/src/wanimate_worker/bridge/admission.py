"""Admission: the messages of jobs are recorded as they come, all that wait in one exchange, and then acknowledged.

A `Task.Strategy` takes the messages (Celery, "Tasks: custom strategies"), as celery-batches does: no run of a task, no
tracer. A worker that dies before it has recorded a message gives it back, as with any late acknowledgement.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, Final

from celery.app.task import Context
from redis.exceptions import RedisError
from wanimate.contract import CONTRACT_HEADER, Stage, parse_job
from wanimate.errors import IdempotencyConflict, InvalidRequest, JobCancelled, WanimateError

from ..engine.cancelling import cancel_job
from ..engine.sending import AGAIN_SECONDS
from ..ledger import Admitted, Entry, Followed, Follower, JobFields
from ..telemetry import get_logger
from ..telemetry.tracing import keep_trace
from .canvas import caller_of, capture
from .dead_letters import Reason, keep, run_message
from .outage import is_away
from .recording import admit_together, conflict, entry_of, is_recorded, refuse_id
from .revocation import forget_revoke, is_revoked

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from celery import Celery
    from wanimate.contract import Job

    from ..engine.runtime import Runtime
    from ..ledger import Admission
    from .callers import CeleryCallers, GenerateTask
    from .events import JobEvents

log = get_logger(__name__)

#: Messages recorded together at most.
_BATCH_SIZE: Final = 100


#: What a header of the same name would hide.
_METHODS: Final = frozenset(name for name in dir(Context) if callable(getattr(Context, name)))


@dataclass(slots=True)
class _Call:
    """One message that asks for a job.

    Args:
        message: The kombu message.
        context: The same as Celery's context of a task.
        args: Its positional arguments; there should be none.
        request: Its keyword arguments: `type` and the fields of the job.
        captured: What is kept of it.
        not_before: Its `eta`, if the caller asked for a start later than now.
        expires: Until when the job may be recorded, ISO 8601.
    """

    message: Any
    context: Context
    args: Sequence[Any]
    request: Mapping[str, Any]
    captured: dict[str, Any]
    not_before: str | None
    expires: str | None

    @property
    def task_id(self) -> str:
        """The Celery task."""
        return str(self.context.id)

    @classmethod
    def read(cls, message: Any) -> _Call:
        """Read a message whose form was checked (`dead_letters.problem_of`)."""
        payload = message.payload
        if isinstance(payload, dict):
            # The first version of Celery's message protocol.
            headers, embedded = {**payload, "headers": None}, payload
            args, kwargs = payload.get("args", []), payload.get("kwargs", {})
        else:
            headers = {name: value for name, value in message.headers.items() if name not in _METHODS}
            args, kwargs, embedded = (*payload, {})[:3]
            embedded = embedded or {}
        if CONTRACT_HEADER not in headers:
            # Made by other Celery code: its arguments would show in Flower as they are.
            headers["argsrepr"], headers["kwargsrepr"] = "()", _summary(kwargs)
        # An eta would be waited for in a worker's memory, an expired message be discarded together with the job that is
        # recorded already, and a time limit would kill a request whose answer is then lost: none of them is kept.
        not_before, expires = headers.get("eta"), headers.get("expires")
        headers |= {"eta": None, "expires": None, "timelimit": [None, None]}
        properties = dict(message.properties)
        context = Context(
            {
                **headers,
                **{name: embedded.get(name) for name in ("callbacks", "errbacks", "chain", "chord")},
                "args": args,
                "kwargs": kwargs,
                "properties": properties,
                "delivery_info": dict(message.delivery_info or {}),
                "reply_to": properties.get("reply_to"),
                "correlation_id": properties.get("correlation_id"),
            }
        )
        captured = capture(context, ignore_result=bool(context.ignore_result))
        return cls(message, context, args, kwargs, captured, not_before, expires)

    def as_record(self) -> JobFields:
        """Return the call as a job that has no record."""
        return JobFields(self.task_id, message=self.captured, request=dict(self.request))


class Recorder:
    """Records calls in a thread of its own; what waits when it begins is recorded together.

    Args:
        task: The task of this app.
        callers: Who is told of a job that cannot be recorded.
        events: What Flower is told.
    """

    def __init__(self, task: GenerateTask, callers: CeleryCallers, events: JobEvents) -> None:
        self._task = task
        self._callers = callers
        self._events = events
        self._taken: SimpleQueue[Any] = SimpleQueue()
        self._thread = threading.Thread(target=self._record_until_stopped, name="recorder", daemon=True)

    @property
    def _runtime(self) -> Runtime:
        return self._task.runtime

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
        fresh: list[tuple[_Call, Entry, Callable[[], None]]] = []
        for message in messages:
            entry = self._attempt(message, self._read, message, granted)
            if entry is not None:
                fresh.append(entry)
        try:
            admitted = admit_together(self._runtime.ledger, fresh, lambda each: each[1], self._refuse)
        except RedisError:
            for call, _, _ in fresh:
                self._give_back(call.message)
            admitted = []
        for (call, entry, end_span), admission in admitted:
            self._attempt(call.message, self._conclude, call, entry, admission, end_span, granted)
        self._runtime.go_on(granted)

    def _attempt(self, message: Any, work: Callable[..., Any], *args: Any) -> Any:
        """Work on one message; give it back if Redis is away, and add a dead letter if it cannot be handled."""
        try:
            return work(*args)
        except Exception as error:  # noqa: BLE001 - whatever is wrong with it, the others are recorded
            if is_away(error):
                self._give_back(message)
            else:
                self._bury(message, type(error).__name__)
        return None

    def _bury(self, message: Any, raised: str) -> None:
        try:
            # Without a traceback, which may quote the message.
            log.error("a message could not be recorded", task_id=message.headers.get("id"), cause=raised)
            keep(self._runtime.ledger, message, Reason.UNREADABLE, f"recording it raised {raised}")
            self._acknowledge(message)
        except RedisError:
            self._give_back(message)

    def _read(self, message: Any, granted: list[str]) -> tuple[_Call, Entry, Callable[[], None]] | None:
        """Read one message, and return the entry that records its job; None where that is decided already."""
        runtime, call = self._runtime, _Call.read(message)
        self._events.received(call.task_id, call.captured)
        if is_revoked(call.task_id, call.context.stamps or {}):
            cancel_job(runtime, call.task_id, in_advance=True)
            forget_revoke(call.task_id)
        try:
            job = _checked(call)
        except WanimateError as error:
            # What is wrong with a message counts only before its job is recorded; afterwards the ledger decides.
            if is_recorded(runtime.ledger, call.task_id):
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
        return call, entry_of(job_id, job, call.captured, call.request, caller=caller_of(call.context)), end_span

    def _refuse(self, fresh: tuple[_Call, Entry, Callable[[], None]], error: InvalidRequest) -> None:
        """Fail a call whose job Redis will never record, and acknowledge its message."""
        call = fresh[0]
        self._attempt(call.message, self._fail, call, error)
        self._acknowledge(call.message)

    def _conclude(
        self, call: _Call, entry: Entry, admission: Admission, end_span: Callable[[], None], granted: list[str]
    ) -> None:
        """Do what the verdict on a job says, and acknowledge its message."""
        granted += admission.granted
        match admission.verdict:
            case Admitted.RECORDED:
                end_span()
                log.info("job recorded", stage=Stage.WAITING, job_id=entry.job_id, cause="enqueued")
            case Admitted.KNOWN:
                if entry.caller not in {"", admission.caller}:
                    granted += self._follow(call, entry, record_id=f"{entry.job_id}~{entry.caller}")
            case Admitted.CONFLICT:
                refuse_id(self._runtime, run_message(vars(call.context), call.args, call.request), entry.job_id)
                # Its id has another outcome, which must not be replaced; what hangs on the message is called.
                self._task.backend.mark_as_failure(
                    f"{entry.job_id}~{entry.caller}", conflict(entry.job_id), request=call.context, store_result=True
                )
        self._acknowledge(call.message)

    # -- one more caller of a job -------------------------------------------------------------------------------

    def _follow_key(self, call: _Call, job: Job, job_id: str) -> list[str]:
        """Record a message as a caller of the job of its key, and that job if it is new; return jobs that go on."""
        runtime = self._runtime
        entry = entry_of(job_id, job, {"argsrepr": "()", "kwargsrepr": job.summary()}, call.request)
        # Asked first: the task may have been cancelled before its message came.
        verdict, granted = self._follow_once(call, entry, call.task_id)
        if verdict is not Followed.LEADERLESS:
            return granted
        keep_trace(entry.message, call.context.headers)
        end_span = runtime.tracing.record(entry.message, job_id, call.request)
        [admission] = runtime.ledger.jobs.admit([entry])
        if admission.verdict is Admitted.CONFLICT:
            raise conflict(job_id)
        if admission.is_new:
            end_span()
            log.info("job recorded", stage=Stage.WAITING, job_id=job_id, cause=f"key of task {call.task_id}")
        return [*admission.granted, *self._follow(call, entry, record_id=call.task_id)]

    def _follow(self, call: _Call, entry: Entry, *, record_id: str) -> list[str]:
        verdict, granted = self._follow_once(call, entry, record_id)
        if verdict is Followed.LEADERLESS:
            raise ConnectionError("the job has lost its record within a moment; its message comes again")
        return granted

    def _follow_once(self, call: _Call, entry: Entry, record_id: str) -> tuple[Followed, list[str]]:
        tag = str((call.context.properties or {}).get("delivery_tag") or "")
        follower = Follower(record_id, call.task_id, entry.job_id, call.captured, call.request, entry.fingerprint, tag)
        verdict = self._runtime.ledger.followers.add(follower)
        if verdict is Followed.TAKEN and record_id == call.task_id:
            return self._follow_once(call, entry, f"{call.task_id}~{tag}")
        if verdict is Followed.CONFLICT:
            raise conflict(entry.job_id)
        if verdict in {Followed.FOLLOWING, Followed.SETTLED}:
            log.info("one more caller of a job", stage=Stage.FOLLOWING, job_id=record_id, leader=entry.job_id)
        return verdict, [record_id] if verdict is Followed.SETTLED else []

    # -- what becomes of the message ----------------------------------------------------------------------------

    def _fail(self, call: _Call, error: Exception) -> None:
        log.error("job refused", job_id=call.task_id, cause=error)
        self._callers.refuse(call.as_record(), error)

    def _acknowledge(self, message: Any) -> None:
        if not message.acknowledged:
            message.ack_log_error(log, _CONNECTION_ERRORS)

    def _give_back(self, message: Any) -> None:
        """Put a message back into its queue; the connection that is lost puts it back too."""
        log.warning("Redis is away; the job is recorded later", task_id=message.headers.get("id"))
        time.sleep(AGAIN_SECONDS)
        message.reject_log_error(log, _CONNECTION_ERRORS, requeue=True)


#: What acknowledging may raise when the connection was lost: the message comes again.
_CONNECTION_ERRORS: Final = (RedisError, OSError)


def strategy(_task: GenerateTask, _app: Celery, consumer: Any) -> Callable[..., Any]:
    """Return the handler of this task's messages; Celery calls this when it connects.

    Args:
        consumer: The worker's consumer.
    """
    recorder: Recorder = consumer.controller.wanimate.recorder

    def on_message(message: Any, *_: Any, **__: Any) -> None:
        recorder.take(message)

    return on_message


def _summary(kwargs: Mapping[str, Any]) -> str:
    """Return what may be shown of a request that other Celery code has sent."""
    try:
        return parse_job(kwargs).summary()
    except Exception:  # noqa: BLE001 - whatever is wrong with it, its caller is told when it is checked
        return "(not a valid job)"


def _checked(call: _Call) -> Job:
    """Return the job of a message, if this worker may take it.

    Raises:
        InvalidRequest: It breaks the rules, has positional arguments, or asks for a later start.
        JobCancelled: It has expired.
    """
    if call.args:
        raise InvalidRequest("keyword arguments are expected, got positional ones: type=…, image_url=…, video_url=…")
    if call.not_before:
        raise InvalidRequest(
            "eta and countdown are not supported: enqueue the job when it shall start, for example from a scheduler"
        )
    if call.expires and _moment(call.expires) < datetime.now(UTC):
        raise JobCancelled("it expired before a worker recorded it; nothing was sent to the vendor, nothing is billed")
    return parse_job(call.request)


def _moment(iso: Any) -> datetime:
    try:
        moment = datetime.fromisoformat(iso)
    except (ValueError, TypeError):
        raise InvalidRequest("expires: a moment in ISO 8601 is expected, as Celery sends it") from None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
