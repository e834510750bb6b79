"""`wanimate.generate`: one task is one whole remote job."""

from __future__ import annotations

import time
from ast import literal_eval
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from celery import states
from celery.exceptions import Reject
from kombu.utils.encoding import bytes_to_str
from redis.exceptions import RedisError
from wanimate.contract import GENERATE_TASK, OutcomeKind, Result, Stage, parse_job
from wanimate.errors import InvalidRequest, JobCancelled, JobFailed, WanimateError

from ..ledger import (
    Busy,
    Deliver,
    Later,
    NothingToDo,
    ResultMissing,
    Submit,
    Unsafe,
    WaitForPermit,
)
from ..observability import get_logger
from ..outage import is_away
from ..revocation import forget_revoke, take_revoke
from ..suspension import DELAYED_HEADER, EXPIRES_HEADER, SuspendableTask, Suspended, is_resumed, record_of
from ..upstream import Accepted, Exchange, SubmitAnswer, Unknown
from .base import AGAIN_SECONDS, refusal, seconds_between
from .callers import record_call, settle_followers
from .cancel import cancel_job
from .recording import Attempt
from .sending import PERMIT_SECONDS, send_once

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from wanimate.contract import Job

    from ..runtime import Runtime

log = get_logger(__name__)


class GenerateTask(SuspendableTask):
    """Records a job, later submits it, later delivers its outcome: each run claims the next step from the ledger.

    A run that comes twice or late finds its step taken and changes nothing.

    Args:
        runtime: What the tasks of this process share.
    """

    name = GENERATE_TASK
    #: Failures of the remote job are results, not accidents of ours: no traceback in the log.
    throws = (JobFailed,)
    waits_for = "waits for a slot"
    revocations = (JobCancelled,)

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime

    def advance(self, args: Sequence[Any], request: Mapping[str, Any]) -> Deliver:
        """Go one step further with the job.

        Args:
            args: There should be none.
            request: `type` and the fields of the job.

        Raises:
            Suspended: The job goes on in a later run.
            Reject: Redis is away and the job is not recorded.
            InvalidRequest: Redis will never record this job.
        """
        self.request.exchange = Exchange()
        is_recorded = is_resumed(self.request)
        try:
            if take_revoke(self.request):
                cancel_job(self.runtime, self.request.id, in_advance=True)
                forget_revoke(self.request.id)
            if not is_recorded:
                self._admit(args, request)
                is_recorded = True
            return self._advance()
        except RedisError as error:
            if not is_recorded and not is_away(error):
                raise refusal(error) from error
            # Nothing was decided. A recorded job is looked at again when its due time passes; one that may not be
            # recorded needs its message back.
            log.warning("Redis is away; the job goes on later", job_id=self.request.id)
            if is_resumed(self.request):
                raise Suspended from None
            time.sleep(AGAIN_SECONDS)
            raise Reject(requeue=True) from None

    def end(self, ending: Deliver | Exception) -> dict[str, Any]:
        """Return the fields of a `Result`.

        Args:
            ending: The outcome, or what went wrong in finding it.

        Raises:
            JobFailed: The job ended without a result.
            Suspended: The lease of this delivery has ended.
        """
        if isinstance(ending, Exception):
            raise ending
        if ending.asked.seconds > self.runtime.settings.lease_seconds:
            # This process stood still. Another may have delivered the outcome, and an operator run the job again.
            log.warning("the outcome is delivered by another run, this one stood still", job_id=self.request.id)
            raise Suspended
        self.request.delivering, self.request.delivering_since_ns = ending, time.time_ns()
        return ending.outcome.unwrap().to_json()

    def after_return(self, status: str, _retval: Any, task_id: str, *_: Any) -> None:
        """Close the ledger's record once the backend has the outcome.

        Celery calls this after the result is stored and the callbacks are sent. Dying before it means that the
        outcome is delivered again when its lease ends: a callback may then come twice, as with any late ack.
        """
        step: Deliver | None = getattr(self.request, "delivering", None)
        if step is None or (status == states.SUCCESS) != (step.outcome.kind is OutcomeKind.SUCCEEDED):
            # Celery stores a failure instead of the result when it cannot send a callback or the next task of a chain.
            # The outcome stays settled, and is delivered again when its lease ends.
            if step is not None:
                log.error("the job's outcome could not be delivered, it is tried again", job_id=task_id)
        else:
            try:
                key = None if self.request.ignore_result else self._result_key(task_id)
                job_id = record_of(self.request)
                followers = self.runtime.ledger.finish(job_id, key)
                if followers is not None:
                    self._tell_delivered(job_id, step)
                    settle_followers(self.runtime, job_id, followers)
            except ResultMissing:
                # The backend's connection led to a master that has been replaced, and what it said is forgotten.
                log.warning("the job's outcome is not in Redis, it is delivered once more", job_id=task_id)
            except RedisError:
                log.warning("Redis is away; the outcome is delivered once more when its lease ends", job_id=task_id)

    def _tell_delivered(self, job_id: str, step: Deliver) -> None:
        log.info(
            "job delivered",
            stage=Stage.DELIVERED,
            job_id=job_id,
            task_id=step.outcome.task_id,
            outcome=step.outcome.kind,
            attempts=step.attempts,
            total_seconds=seconds_between(step.waiting_at_ms, step.begun_at_ms),
        )
        self.runtime.tracing.delivered(self.request.headers, job_id, step, self.request.delivering_since_ns)

    def _result_key(self, task_id: str) -> str:
        key: str = bytes_to_str(self.backend.get_key_for_task(task_id))
        return key

    def _started(self, request: Mapping[str, Any]) -> tuple[str, str]:
        """Return where Celery keeps the result, and what it keeps there of a task that has started."""
        told = {"labels": request.get("labels", {})}
        meta = {"status": states.STARTED, "result": told, "traceback": None, "children": [], "date_done": None}
        return self._result_key(self.request.id), self.backend.encode({**meta, "task_id": self.request.id})

    def summarise(self, kwargs: Mapping[str, Any]) -> str:
        """Return what Flower may show of a request that other Celery code has sent."""
        try:
            return parse_job(kwargs).summary()
        except WanimateError:
            return "(not a valid job)"

    def summarise_result(self, shown: str) -> str:
        """Return where the videos are, and the vendor's task."""
        try:
            result = Result.model_validate(literal_eval(shown))
        except (ValueError, SyntaxError):
            # Cut, because it is very long.
            return shown
        expiry = result.urls_expire_at
        until = "" if expiry is None else f", served until {expiry.isoformat(sep=' ', timespec='minutes')}"
        return f"{' '.join(result.urls)} (upstream task {result.task_id}{until})"

    # -- the first run: record ----------------------------------------------------------------------------------

    def _admit(self, args: Sequence[Any], request: Mapping[str, Any]) -> None:
        try:
            job = _checked(args, request, self.request.headers or {})
        except JobFailed:
            # What is wrong with a message counts only before its job is recorded; afterwards the ledger decides.
            if self.runtime.ledger.read([self.request.id])[0].stage is not None:
                return
            raise
        record_call(self, job, request)

    # -- every run: claim the next step -------------------------------------------------------------------------

    def _advance(self) -> Deliver:
        job_id = record_of(self.request)
        step = self.runtime.ledger.begin(job_id)
        if isinstance(step, WaitForPermit):
            # At most a second, and only while submissions use up the whole request budget.
            time.sleep(step.wait_ms / 1000)
            is_fresh = step.asked.seconds <= step.wait_ms / 1000 + PERMIT_SECONDS
            step = self.runtime.ledger.begin(job_id, holds_permit=is_fresh)
        match step:
            case Deliver():
                return step
            case Submit():
                return self._submit(step)
            case Later():
                log.info("job steps back", stage=Stage.WAITING, job_id=job_id, cause="the gate is closed")
                raise Suspended
            case Busy() | NothingToDo() | WaitForPermit():
                raise Suspended

    # -- submitting: paid once ----------------------------------------------------------------------------------

    def _submit(self, step: Submit) -> Deliver:
        try:
            job = parse_job(step.request, is_recorded=True)
        except InvalidRequest as error:
            # Recorded by a worker that knew more, or less, than this one.
            Attempt(self.runtime, self.request.id, step, self.request.exchange, None).settle(error)
            return self._advance()
        log.info(
            "job is submitted",
            stage=Stage.SUBMITTING,
            job_id=self.request.id,
            attempt=step.attempt,
            in_flight=step.in_flight,
            request_id=self.request.exchange.request_id,
            waited_seconds=seconds_between(step.waiting_at_ms, step.begun_at_ms) if step.attempt == 1 else None,
        )
        answer = self._unsafe(step) or send_once(self.runtime, self.request.id, job, step, self.request.exchange)
        has_ended = self._record_surely(step, answer)
        self.runtime.tracing.submitted(self.request.headers, self.request.id, step, answer, self.request.exchange)
        if has_ended:
            return self._advance()
        raise Suspended(started=_started(answer))

    def _unsafe(self, step: Submit) -> Unsafe | None:
        """Return why a crash of Redis might forget this intent, so that the request must not be sent; None if safe."""
        try:
            why = self.runtime.ledger.confirm(self.request.id, step.nonce)
        except RedisError as error:
            why = f"Redis went away ({type(error).__name__})"
        return None if why is None else Unsafe(why)

    def _record_surely(self, step: Submit, answer: SubmitAnswer | Unsafe) -> bool:
        """Write down the vendor's answer, however long Redis is away: an accepted task is paid for.

        After `unknown_after` the ledger has given this attempt up, and the log is the only record there is.
        """
        give_up_at = time.monotonic() + self.runtime.settings.unknown_after_seconds
        started = None if self.request.ignore_result else self._started(step.request)
        attempt = Attempt(self.runtime, self.request.id, step, self.request.exchange, started)
        while True:
            try:
                return attempt.record(answer)
            except RedisError as error:
                if time.monotonic() > give_up_at:
                    log.critical("not recorded, Redis is away", job_id=self.request.id, answer=answer)
                    raise
                log.warning("Redis is away; the answer is recorded later", job_id=self.request.id, cause=error)
                time.sleep(AGAIN_SECONDS)


def _checked(args: Sequence[Any], request: Mapping[str, Any], headers: Mapping[str, Any]) -> Job:
    """Return the job of a first message, if this worker may take it.

    Raises:
        InvalidRequest: It breaks the rules, has positional arguments, or asks for a later start.
        JobCancelled: It has expired.
    """
    if args:
        raise InvalidRequest("keyword arguments are expected, got positional ones: type=…, image_url=…, video_url=…")
    if DELAYED_HEADER in headers:
        raise InvalidRequest(
            "eta and countdown are not supported: enqueue the job when it shall start, for example from a scheduler"
        )
    expires = headers.get(EXPIRES_HEADER)
    if expires is not None and _moment(expires) < datetime.now(UTC):
        raise JobCancelled("it expired before a worker recorded it; nothing was sent to the vendor, nothing is billed")
    return parse_job(request)


def _started(answer: SubmitAnswer | Unsafe) -> str:
    """Return what Flower shows of a job that the vendor has or may have; empty for one that goes on waiting."""
    match answer:
        case Accepted(task_id):
            return f"runs at the vendor as {task_id}"
        case Unknown():
            return "the answer to its submission was lost: the vendor may have accepted it"
        case _:
            return ""


def _moment(iso: Any) -> datetime:
    try:
        moment = datetime.fromisoformat(iso)
    except (ValueError, TypeError):
        raise InvalidRequest("expires: a moment in ISO 8601 is expected, as Celery sends it") from None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
