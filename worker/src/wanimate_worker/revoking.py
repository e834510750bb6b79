"""`celery control revoke` and Flower's buttons: they cancel a job, instead of having its messages discarded.

Celery's own revoke only makes each worker discard every later message of the task. A job's outcome comes in such a
message, so a job that runs would be paid for and never delivered.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from celery.utils.functional import maybe_list
from celery.worker.control import control_command
from celery.worker.control import revoke as celery_revoke
from wanimate.contract import GENERATE_TASK

from .observability import get_logger
from .tasks import GenerateTask
from .tasks.cancel import cancel_job

if TYPE_CHECKING:
    from collections.abc import Sequence

log = get_logger(__name__)

_Reply = dict[str, Any]
#: Celery's panel holds ours from now on, so its own is kept here.
_CELERY_REVOKE: Final = celery_revoke


@control_command(name="revoke", variadic="task_id", signature="[id1 [id2 [... [idN]]]]")
def revoke(state: Any, task_id: str | Sequence[str], **options: Any) -> _Reply:
    """Cancel jobs that were not sent to the vendor yet; tasks that are no jobs are revoked by Celery.

    Every worker gets this command, and the first one cancels. A job that was sent is left as it is: the vendor has no
    cancel, it is billed, and its result is delivered. A job that no worker has recorded yet is still an ordinary
    message, and Celery revokes it.

    Args:
        state: The worker, as Celery's panel passes it.
        task_id: One id or several.
        options: `terminate` and `signal`, for tasks that are no jobs.

    Returns:
        `ok`, for people, and for jobs `outcomes`: a `CancelOutcome` value for each.
    """
    task_ids = list(maybe_list(task_id) or [])
    task = state.app.tasks.get(GENERATE_TASK)
    if not isinstance(task, GenerateTask):
        return _foreign(state, task_ids, options)
    records = task.runtime.ledger.read(task_ids)
    known = [record.job_id for record in records if record.stage is not None]
    outcomes = {job_id: cancel_job(task.runtime, job_id) for job_id in known}
    for job_id, outcome in outcomes.items():
        log.info("revoked through Celery", job_id=job_id, outcome=outcome, cause=outcome.explanation)
    told = [f"{job_id}: {outcome.explanation}" for job_id, outcome in outcomes.items()]
    foreign = [other for other in task_ids if other not in known]
    if foreign or not known:
        reply = _foreign(state, foreign, options)
        if not told:
            return reply
        told.append(str(reply.get("ok", reply)))
    return {"ok": "; ".join(told), "outcomes": {job_id: outcome.value for job_id, outcome in outcomes.items()}}


def _foreign(state: Any, task_ids: list[str], options: dict[str, Any]) -> _Reply:
    reply: _Reply = _CELERY_REVOKE(state, task_ids, **options)
    return reply
