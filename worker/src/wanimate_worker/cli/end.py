"""`wanimate-worker end`: gives up tasks of the vendor whose answers cannot be read."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
from wanimate.contract import Outcome, Stage
from wanimate.contract.record import read_outcome
from wanimate.errors import TaskUnreadable

from .exits import EXIT_CODES, Exit
from .selection import follows
from .session import with_session

if TYPE_CHECKING:
    from ..ledger import JobRecord
    from .session import Session


@click.command(epilog=EXIT_CODES)
@click.argument("job_ids", metavar="ID...", nargs=-1, required=True)
@with_session
def end(session: Session, job_ids: tuple[str, ...]) -> Exit:
    """End running jobs whose task the vendor answers about in a way that cannot be read (`doctor` lists them).

    Each fails as TaskUnreadable, with the vendor's task id, and its slot is free. The vendor may have billed the task:
    look for its result there. Once its answers can be read, `resolve ID` takes the outcome over.
    """
    codes = []
    for record in session.runtime.ledger.records.whole(job_ids):
        code, outcome, text = _end(session, record)
        task_id = record.fields.get("task_id")
        line = f"{record.job_id}  {outcome}  {text}"
        session.output.line(line, id=record.job_id, outcome=outcome, task_id=task_id, message=text)
        codes.append(code)
    return max(codes)


def _end(session: Session, record: JobRecord) -> tuple[Exit, str, str]:
    fields = record.fields
    if not fields:
        return Exit.REFUSED, "no record", "nothing is known about this job"
    if leader := fields.get("leader"):
        return Exit.REFUSED, "unchanged", follows(leader)
    outcome = read_outcome(fields)
    if outcome is not None:
        code = Exit.OK if outcome.error == TaskUnreadable.__name__ else Exit.REFUSED
        return code, "unchanged", f"it has ended already ({outcome.error or outcome.kind.value})"
    if obstacle := _obstacle(Stage(fields["stage"]), fields.get("unreadable_why")):
        return Exit.REFUSED, "unchanged", obstacle
    task_id = fields.get("task_id")
    failure = TaskUnreadable(
        "ended by an operator, because the vendor's answers about its task could not be read "
        f"({fields['unreadable_why']}). The vendor may have finished and billed it: look for the task there before you "
        "enqueue it again",
        None,
        task_id,
    )
    granted = session.runtime.ledger.jobs.settle(record.job_id, fields.get("nonce", ""), Outcome.failure(failure))
    if granted is None:
        return Exit.REFUSED, "unchanged", "somebody else has changed this job just now: look at it again"
    session.runtime.go_on([record.job_id, *granted])
    return Exit.OK, "ended", f"it failed as TaskUnreadable, its slot is free; the task {task_id} may have been billed"


def _obstacle(stage: Stage, unreadable_why: str | None) -> str:
    """Return why a job is not to be ended; empty if it may be."""
    if stage is Stage.UNKNOWN:
        return "its submission is lost: see wanimate-worker resolve, or retry"
    if stage is not Stage.RUNNING:
        return f"the vendor has no task of it: it is {stage.value}; see wanimate-worker cancel"
    return "" if unreadable_why else "the vendor's last answer about its task could be read: it ends by itself"
