"""Remote control of workers, as it fits this queue.

A revoke of Celery's makes each worker throw away every later message of a task. Here a job may have no message any
more, so all roads of a revoke cancel it in the ledger: `celery control revoke`, `terminate` and
`revoke_by_stamped_headers`, `AsyncResult.revoke`, Flower's buttons, and revokes that a worker hears of at its start.
Other commands would change the pool, hold messages back past the visibility time-out, or read queues of other apps,
which may send them to every worker on the same Redis.
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
from ..queues import QUEUES
from ..telemetry import get_logger
from .messages import is_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from ..engine.runtime import Runtime

log = get_logger(__name__)

_Reply = dict[str, Any]
#: Stages in which a job may still be cancelled, itself or the one it follows.
_OPEN: Final = frozenset({Stage.WAITING, Stage.FOLLOWING})
#: Records read in one exchange.
_READ_SIZE: Final = 500

# -- what a worker knows of revokes ---------------------------------------------------------------------------------


def is_revoked(task_id: str, stamps: Mapping[str, Any]) -> bool:
    """Return whether Celery would discard the messages of a task with these stamps."""
    return task_id in state.revoked or _matches(stamps, state.revoked_stamps)


def _matches(stamps: Mapping[str, Any], revoked: Mapping[str, Any]) -> bool:
    """Return whether a task has one of the stamps that are revoked: one or a list for each name."""
    return any(
        stamp is not None and stamp in (maybe_list(revoked.get(name)) or [])
        for name, values in stamps.items()
        for stamp in maybe_list(values) or []
    )


def forget_revoke(task_id: str) -> None:
    """Forget a revoke by id that was carried out: the job may be run again by an operator."""
    state.revoked.discard(task_id)


def cancel_known(runtime: Runtime) -> None:
    """Cancel the waiting jobs whose revokes a worker that has just connected learned from others, or from its file."""
    known = [each for each in list(state.revoked) if is_name(each)]
    for start in range(0, len(known), _READ_SIZE):
        jobs = runtime.ledger.records.read(known[start : start + _READ_SIZE])
        _cancel(runtime, [job.job_id for job in jobs if job.stage in _OPEN])


# -- commands -------------------------------------------------------------------------------------------------------


@control_command(name="revoke", variadic="task_id", signature="[id1 [id2 [... [idN]]]]")
def revoke(worker: Any, task_id: str | Sequence[str], **_options: Any) -> _Reply:
    """Cancel jobs that were not sent to the vendor yet; what is no job is noted as revoked.

    Every worker gets this command, and the first one cancels. A job that was sent is left as it is: the vendor has no
    cancel, it is billed, and its result is delivered. An id that no worker has recorded is cancelled in advance, and
    noted too, for it may be the task of another app. Nothing is terminated: a thread cannot be.

    Returns:
        `ok`, for people, and `outcomes`: a `CancelOutcome` value for each.
    """
    runtime = runtime_of(worker)
    names = [each for each in maybe_list(task_id) or [] if is_name(each)]
    try:
        recorded = {job.job_id for job in runtime.ledger.records.read(names) if job.stage is not None}
        outcomes = _cancel(runtime, names)
    except RedisError as error:
        # Cancelled when their messages come, or when this worker has connected anew.
        state.revoked.update(names)
        log.warning("Redis is unavailable; the revoked jobs are cancelled later", jobs=len(names), cause=error)
        return {"error": "Redis is unavailable; some jobs may not be cancelled: revoke them again"}
    lines = [f"{job_id}: {outcome.explanation}" for job_id, outcome in outcomes.items() if job_id in recorded]
    others = {job_id for job_id in names if job_id not in recorded and outcomes[job_id] is CancelOutcome.CANCELLED}
    if others or not lines:
        state.revoked.update(others)
        lines.append(f"tasks {others} flagged as revoked")
    return {"ok": "; ".join(lines), "outcomes": {job_id: outcome.value for job_id, outcome in outcomes.items()}}


@control_command(name="terminate", variadic="task_id", args=[("signal", str)], signature="<signal> [id1 [... [idN]]]")
def terminate(worker: Any, signal: str, task_id: str | Sequence[str], **_options: Any) -> _Reply:
    """Do what `revoke` does, whatever the signal."""
    del signal
    reply: _Reply = revoke(worker, task_id)
    return reply


@control_command(
    name="revoke_by_stamped_headers", variadic="headers", signature="[key1=value1 [key2=value2 [... [keyN=valueN]]]]"
)
def revoke_by_stamped_headers(worker: Any, headers: dict[str, Any] | list[str], **_options: Any) -> _Reply:
    """Cancel the jobs with one of these stamps that were not sent to the vendor yet, and those that come later.

    Stamps are one or a list for each name, or `name=value` from the command line.
    """
    runtime = runtime_of(worker)
    reply: _Reply = control.revoke_by_stamped_headers(worker, headers)
    stamps = dict(each.split("=", 1) for each in headers) if isinstance(headers, list) else headers
    unsent = list(runtime.ledger.records.unsent())
    outcomes = _cancel(runtime, [job_id for job_id, message in unsent if _matches(_stamps_of(message), stamps)])
    return {**reply, "outcomes": {job_id: outcome.value for job_id, outcome in outcomes.items()}}


@control_command(name="add_consumer", signature="<queue>", args=[("queue", str)])
def add_consumer(worker: Any, queue: str, **options: Any) -> _Reply:
    """Read one of our queues again; those of other apps are theirs to read."""
    if queue not in QUEUES:
        return {"error": f"this worker reads {', '.join(QUEUES)} only"}
    reply: _Reply = control.add_consumer(worker, queue, **options)
    return reply


def _refuse(_worker: Any, *_: Any, **__: Any) -> _Reply:
    """Not supported: a worker's threads are set at its start, and the ledger paces what is sent."""
    return {"error": "not supported: set the number of threads at the start (-c)"}


for _name in ("pool_grow", "pool_shrink", "pool_restart", "autoscale", "rate_limit"):
    control_command(name=_name)(_refuse)


def _cancel(runtime: Runtime, job_ids: Iterable[str]) -> dict[str, CancelOutcome]:
    outcomes: dict[str, CancelOutcome] = {}
    for job_id in job_ids:
        outcomes[job_id] = outcome = cancel_job(runtime, job_id, in_advance=True)
        # It is done: an operator may run the job again.
        forget_revoke(job_id)
        log.info("revoked through Celery", job_id=job_id, outcome=outcome, cause=outcome.explanation)
    return outcomes


def runtime_of(worker: Any) -> Runtime:
    """Return the runtime of a worker, or of whatever part of it has the app."""
    runtime: Runtime = worker.app.tasks[GENERATE_TASK].runtime
    return runtime


def _stamps_of(message: str) -> Mapping[str, Any]:
    """Return the stamps in the message of a record; most have none."""
    options = loads(message) if '"stamped_headers"' in message else {}
    return {name: options.get(name) for name in options.get("stamped_headers") or ()}
