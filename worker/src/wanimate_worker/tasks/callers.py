"""Who calls: the first message of a job records it, and every further one gets its outcome."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from celery.exceptions import Reject
from wanimate.contract import Stage
from wanimate.errors import IdempotencyConflict

from ..dead_letters import Reason, keep, run_message
from ..ledger import Admitted, Entry, Followed, Follower
from ..observability import get_logger
from ..observability.tracing import keep_trace
from ..suspension import Suspended, caller_of, capture

if TYPE_CHECKING:
    from collections.abc import Mapping

    from wanimate.contract import Job

    from ..runtime import Runtime
    from .generate import GenerateTask

log = get_logger(__name__)


def record_call(task: GenerateTask, job: Job, request: Mapping[str, Any]) -> None:
    """Record the job of a first message; if it is known, record the message as one more caller of it.

    Args:
        task: The task, at work on the message.
        job: What the message asks for.
        request: The same as keyword arguments.

    Raises:
        Suspended: The message follows a job, which goes on or is delivered by another run.
        Reject: The job was recorded and lost within a moment.
        IdempotencyConflict: The key of the message is in use for another request.
    """
    context, runtime = task.request, task.runtime
    message = capture(context, ignore_result=bool(context.ignore_result))
    job_id = context.id if job.idempotency_key is None else job.job_id(runtime.settings.account)
    if job_id != context.id:
        _follow_key(task, job, job_id, message, request)
        raise Suspended
    caller = caller_of(context)
    end_span = runtime.tracing.record(message, job_id, request)
    [admission] = runtime.ledger.admit([entry_of(job_id, job, message, request, caller=caller)])
    runtime.resume(other for other in admission.granted if other != job_id)
    match admission.verdict:
        case Admitted.RECORDED:
            end_span()
            # What this run does with the job belongs to the trace that is kept with it.
            context.headers = message.get("headers")
            log.info("job recorded", stage=Stage.WAITING, job_id=job_id, cause="enqueued")
        case Admitted.KNOWN:
            if caller not in {"", admission.caller}:
                _follow(task, job, job_id, message, request, record_id=f"{job_id}~{caller}")
                raise Suspended
        case Admitted.CONFLICT:
            refuse_id(runtime, run_message(vars(context), context.args, context.kwargs), job_id)
            # Its id has another outcome, which must not be replaced: what hangs on the message is told all the same.
            task.backend.mark_as_failure(f"{job_id}~{caller}", conflict(job_id), request=context, store_result=True)
            raise Suspended


def entry_of(job_id: str, job: Job, message: dict[str, Any], request: Mapping[str, Any], *, caller: str = "") -> Entry:
    """Return the entry that records a job."""
    has_key = job.idempotency_key is not None
    return Entry(job_id, job.priority, message, request, job.deadline_ms, job.fingerprint(), has_key, caller)


def conflict(job_id: str) -> IdempotencyConflict:
    """Return what is told to whoever sends another request under an id, or a key, that is in use."""
    return IdempotencyConflict(
        f"this idempotency key or task id was used before for a different request (job {job_id}): nothing was sent; "
        "use a new one for a new request"
    )


def refuse_id(runtime: Runtime, message: Any, job_id: str) -> None:
    """Keep a message whose id is in use for another request.

    Args:
        runtime: Where the ledger is.
        message: The message.
        job_id: The job that has the id.
    """
    keep(runtime.ledger, message, Reason.CONFLICT, "its id is in use for another request", job_id=job_id)


def settle_followers(runtime: Runtime, leader: str, followers: list[str]) -> None:
    """Give those who follow a job its outcome, and resume them.

    Args:
        runtime: Where the ledger is.
        leader: The job, whose outcome was delivered.
        followers: Their records.
    """
    runtime.resume([each for each in followers if runtime.ledger.conclude(each, leader)])


def _follow_key(task: GenerateTask, job: Job, job_id: str, message: dict[str, Any], request: Mapping[str, Any]) -> None:
    """Record a message as a caller of the job of its key, and that job if nobody has."""
    runtime, context = task.runtime, task.request
    # Asked first: the task may have been cancelled before its message came.
    if _follow(task, job, job_id, message, request, record_id=context.id) is not Followed.LEADERLESS:
        return
    own: dict[str, Any] = {"argsrepr": "()", "kwargsrepr": job.summary()}
    keep_trace(own, context.headers)
    end_span = runtime.tracing.record(own, job_id, request)
    [admission] = runtime.ledger.admit([entry_of(job_id, job, own, request)])
    if admission.verdict is Admitted.CONFLICT:
        raise conflict(job_id)
    if admission.is_new:
        end_span()
        log.info("job recorded", stage=Stage.WAITING, job_id=job_id, cause=f"key of task {context.id}")
    if _follow(task, job, job_id, message, request, record_id=context.id) is Followed.LEADERLESS:
        log.error("the job has lost its record within a moment; its message comes again", job_id=job_id)
        raise Reject(requeue=True)
    runtime.resume(admission.granted)


def _follow(
    task: GenerateTask,
    job: Job,
    leader: str,
    message: dict[str, Any],
    request: Mapping[str, Any],
    *,
    record_id: str,
) -> Followed:
    runtime, context = task.runtime, task.request
    call = str((context.properties or {}).get("delivery_tag") or "")
    follower = Follower(record_id, context.id, leader, message, request, job.fingerprint(), call)
    verdict = runtime.ledger.follow(follower)
    if verdict is Followed.TAKEN and record_id == context.id:
        return _follow(task, job, leader, message, request, record_id=f"{context.id}~{call}")
    if verdict is Followed.CONFLICT:
        raise conflict(leader)
    if verdict is Followed.SETTLED:
        runtime.resume([record_id])
    if verdict in {Followed.FOLLOWING, Followed.SETTLED}:
        log.info("one more caller of a job", stage=Stage.FOLLOWING, job_id=record_id, leader=leader)
    return verdict
