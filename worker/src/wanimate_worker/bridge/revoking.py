"""Celery's revokes, all roads of them: they cancel jobs, instead of having their messages discarded.

`celery control revoke`, `terminate` and `revoke_by_stamped_headers`, `AsyncResult.revoke`, Flower's buttons, and the
revokes that a worker hears of when it starts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from celery.utils.functional import maybe_list
from celery.worker import control, state
from celery.worker.control import control_command
from kombu.utils.json import loads
from redis.exceptions import RedisError
from wanimate.contract import GENERATE_TASK, CancelOutcome, Stage

from ..engine.cancelling import cancel_job
from ..telemetry import get_logger
from .callers import GenerateTask
from .dead_letters import is_name
from .revocation import forget_revoke, matches

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from ..engine.runtime import Runtime

log = get_logger(__name__)

_Reply = dict[str, Any]
#: Celery's panel holds ours from now on, so its own are kept here.
_CELERY_REVOKE: Final = control.revoke
_CELERY_REVOKE_STAMPS: Final = control.revoke_by_stamped_headers
#: What became of an id that Celery may revoke too: it is no job, or its message is still to come.
_REVOCABLE: Final = frozenset({None, CancelOutcome.CANCELLED})
#: Stages in which a job may still be cancelled, itself or the one it follows.
_OPEN: Final = frozenset({Stage.WAITING, Stage.FOLLOWING})
#: Records read in one exchange.
_READ_SIZE: Final = 500


@control_command(name="revoke", variadic="task_id", signature="[id1 [id2 [... [idN]]]]")
def revoke(worker: Any, task_id: str | Sequence[str], **_options: Any) -> _Reply:
    """Cancel jobs that were not sent to the vendor yet; tasks that are no jobs are revoked by Celery.

    Every worker gets this command, and the first one cancels. A job that was sent is left as it is: the vendor has no
    cancel, it is billed, and its result is delivered. An id that no worker has recorded is cancelled in advance, and
    Celery revokes it too, for it may be another task. Nothing is terminated: a thread cannot be.

    Args:
        worker: The worker, as Celery's panel passes it.
        task_id: One id or several.

    Returns:
        `ok`, for people, and `outcomes`: a `CancelOutcome` value for each.
    """
    task_ids = list(maybe_list(task_id) or [])
    runtime = _runtime_of(worker.app)
    if runtime is None:
        reply: _Reply = _CELERY_REVOKE(worker, task_ids)
        return reply
    names = [each for each in task_ids if is_name(each)]
    try:
        recorded = {job.job_id for job in runtime.ledger.records.read(names) if job.stage is not None}
        outcomes = _cancel(runtime, names)
    except RedisError as error:
        # Cancelled when their messages come, or when this worker has connected anew.
        state.revoked.update(names)
        log.warning("Redis is away; the revoked jobs are cancelled later", jobs=len(names), cause=error)
        return {"error": "Redis is away, so perhaps nothing was cancelled yet: revoke again"}
    told = [f"{job_id}: {outcome.explanation}" for job_id, outcome in outcomes.items() if job_id in recorded]
    others = [each for each in task_ids if each not in recorded and outcomes.get(each) in _REVOCABLE]
    if others or not told:
        told.append(str(_CELERY_REVOKE(worker, others).get("ok")))
    return {"ok": "; ".join(told), "outcomes": {job_id: outcome.value for job_id, outcome in outcomes.items()}}


@control_command(name="terminate", variadic="task_id", args=[("signal", str)], signature="<signal> [id1 [... [idN]]]")
def terminate(worker: Any, signal: str, task_id: str | Sequence[str], **_options: Any) -> _Reply:
    """Do what `revoke` does, whatever the signal.

    Args:
        worker: The worker, as Celery's panel passes it.
        signal: Ignored.
        task_id: One id or several.
    """
    del signal
    reply: _Reply = revoke(worker, task_id)
    return reply


@control_command(
    name="revoke_by_stamped_headers", variadic="headers", signature="[key1=value1 [key2=value2 [... [keyN=valueN]]]]"
)
def revoke_by_stamped_headers(worker: Any, headers: dict[str, Any] | list[str], **_options: Any) -> _Reply:
    """Cancel the jobs with one of these stamps that were not sent to the vendor yet, and those that come later.

    Args:
        worker: The worker, as Celery's panel passes it.
        headers: Stamps, one or a list for each name; as `name=value` from the command line.
    """
    reply: _Reply = _CELERY_REVOKE_STAMPS(worker, headers)
    runtime = _runtime_of(worker.app)
    if runtime is None:
        return reply
    stamps = dict(each.split("=", 1) for each in headers) if isinstance(headers, list) else headers
    unsent = list(runtime.ledger.records.unsent())
    outcomes = _cancel(runtime, [job_id for job_id, message in unsent if matches(_stamps_of(message), stamps)])
    return {**reply, "outcomes": {job_id: outcome.value for job_id, outcome in outcomes.items()}}


def cancel_known(runtime: Runtime) -> None:
    """Cancel the waiting jobs whose revokes a worker that has just connected learned from others, or from its file.

    Args:
        runtime: The worker's.
    """
    known = [each for each in list(state.revoked) if is_name(each)]
    for start in range(0, len(known), _READ_SIZE):
        jobs = runtime.ledger.records.read(known[start : start + _READ_SIZE])
        _cancel(runtime, [job.job_id for job in jobs if job.stage in _OPEN])


def _cancel(runtime: Runtime, job_ids: Iterable[str]) -> dict[str, CancelOutcome]:
    outcomes: dict[str, CancelOutcome] = {}
    for job_id in job_ids:
        outcomes[job_id] = outcome = cancel_job(runtime, job_id, in_advance=True)
        # It is done: an operator may run the job again.
        forget_revoke(job_id)
        log.info("revoked through Celery", job_id=job_id, outcome=outcome, cause=outcome.explanation)
    return outcomes


def _runtime_of(app: Any) -> Runtime | None:
    task = app.tasks.get(GENERATE_TASK)
    return task.runtime if isinstance(task, GenerateTask) else None


def _stamps_of(message: str) -> Mapping[str, Any]:
    """Return the stamps in the message of a record; most have none."""
    options = loads(message) if '"stamped_headers"' in message else {}
    return {name: options.get(name) for name in options.get("stamped_headers") or ()}
