"""`wanimate-worker resolve`: attaches a task of the vendor to a job."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Final

import click
from wanimate.contract import Stage
from wanimate.contract.record import read_outcome
from wanimate.errors import DeadlineExceeded, SubmissionUnknown, TaskUnreadable

from ..ledger import Attachment
from ..stopwatch import Stopwatch
from .selection import follows
from .session import Exit, Session, Verdict, command, moved_on, refused

if TYPE_CHECKING:
    from wanimate.contract import Outcome

    from ..vendor import MaySend

#: Failures after which the vendor may have a task.
_OPEN_FAILURES: Final = {each.__name__ for each in (SubmissionUnknown, DeadlineExceeded, TaskUnreadable)}
#: How long to wait for a request permit, in seconds.
_PERMIT_SECONDS: Final = 5.0


def _readable(_context: click.Context, _option: click.Parameter, task_id: str | None) -> str | None:
    if task_id is not None and (not task_id.strip() or any("\ud800" <= character <= "\udfff" for character in task_id)):
        raise click.BadParameter("expected the vendor's task id, as text")
    return task_id


@command("resolve 5b2d7a3e-0c1f-4f5e-9a54-6f0f6f1c2d11 --task-id 8f21", Exit.REFUSED)
@click.argument("job_id", metavar="ID")
@click.option(
    "--task-id",
    metavar="T",
    callback=_readable,
    help="The vendor's task id. Default: the hint or task_id that `show ID` prints.",
)
def resolve(session: Session, job_id: str, task_id: str | None) -> Exit:
    """Attach a vendor's task to a job with a lost submission.

    A job in state unknown continues with that task. For a job that has failed (SubmissionUnknown, DeadlineExceeded,
    TaskUnreadable) one status request is sent: the outcome of an ended task replaces the failure, and a task that still
    runs needs a free slot. The task is not checked against the job's request: make sure that it is this job's task.
    """
    session.ledger.check_vendor(session.runtime.settings.api_base_url)
    return session.change([job_id], partial(_resolve, task_id=task_id or ""))


def _resolve(session: Session, job_id: str, task_id: str) -> Verdict:
    [record] = session.ledger.records.whole([job_id])
    fields = record.fields
    if not fields or "leader" in fields:
        obstacle = follows(fields["leader"]) if fields else "not found: check the id"
        return Verdict(Exit.REFUSED, "unchanged" if fields else "no record", obstacle, task_id or None)
    stage, outcome = Stage(fields["stage"]), read_outcome(fields)
    known = fields.get("task_id") if outcome is None else outcome.task_id
    task_id = task_id or (fields.get("hint") if outcome is None else known) or ""
    if not task_id:
        return refused("no task is known for it: find the task at the vendor and give --task-id T")
    if task_id == known and (outcome is None or outcome.error not in _OPEN_FAILURES):
        return Verdict(Exit.OK, "unchanged", f"it has this task (state {stage.value})", task_id)
    if obstacle := _obstacle(stage, outcome):
        return refused(obstacle, task_id)
    if outcome is None:
        return _attach(session, job_id, task_id, fields.get("nonce", ""))
    return _ask(session, job_id, task_id, fields["settled_at_ms"])


def _obstacle(stage: Stage, outcome: Outcome | None) -> str:
    """Return why a task cannot be attached to a job; empty if it can."""
    if outcome is None:
        return "" if stage is Stage.UNKNOWN else f"its submission is not lost (state {stage.value})"
    if outcome.error not in _OPEN_FAILURES:
        return f"its submission is not lost: it ended as {outcome.error or outcome.kind.value}"
    return "" if stage is Stage.DELIVERED else "its failure is being delivered: try again in a moment"


def _attach(session: Session, job_id: str, task_id: str, nonce: str) -> Verdict:
    # A time long ago: this proves nothing about the vendor's health now.
    if session.ledger.jobs.accept(job_id, nonce, task_id=task_id, first_poll_ms=0, begun_at_ms=-1):
        return Verdict(Exit.OK, "resolved", "runs with this task, which is polled now", task_id)
    return refused("its submission was answered at the same moment: check it with `show ID`", task_id)


def _ask(session: Session, job_id: str, task_id: str, settled_at_ms: str) -> Verdict:
    """Request the status of a failed job's task: its outcome replaces the failure, or the job runs with it."""
    from ..engine.verdicts import ending_of
    from ..vendor import Pending, TaskNotFound

    may_send = _permit(session)
    if may_send is None:
        why = "no request can be sent now: submissions are paused or the request budget is used up. See `doctor`"
        return Verdict(Exit.UNAVAILABLE, "unchanged", why, task_id)
    answer = session.runtime.vendor.status(task_id, may_send=may_send)
    now_ms, ttl_seconds = session.ledger.records.now_ms(), session.runtime.settings.result_urls_ttl_seconds
    ending = ending_of(answer, task_id, now_ms=now_ms, begun_at_ms=None, ttl_seconds=ttl_seconds)
    if ending is not None:
        return _deliver(session, job_id, task_id, settled_at_ms, ending)
    match answer:
        case Pending():
            return _attach_to_failed(session, job_id, task_id, settled_at_ms)
        case TaskNotFound(message):
            return refused(f"the vendor has no such task: {message}", task_id)
        case _:
            why = f"the status response was inconclusive: {answer}"
            return Verdict(Exit.UNAVAILABLE, "unchanged", why, task_id)


def _deliver(session: Session, job_id: str, task_id: str, settled_at_ms: str, ending: Outcome) -> Verdict:
    key = session.result_key(job_id)
    if not session.ledger.failed.replace_outcome(job_id, settled_at_ms, ending, task_id=task_id, result_key=key):
        return moved_on(task_id)
    session.runtime.go_on([job_id])
    what = ending.error or ending.kind.value
    text = f"the task has ended ({what}); this outcome replaces the failure"
    return Verdict(Exit.OK, "resolved", text, task_id)


def _attach_to_failed(session: Session, job_id: str, task_id: str, settled_at_ms: str) -> Verdict:
    key = session.result_key(job_id)
    match session.ledger.failed.attach_task(job_id, settled_at_ms, task_id=task_id, result_key=key):
        case Attachment.ATTACHED:
            text = "the task still runs; the job runs with it"
            return Verdict(Exit.OK, "resolved", text, task_id)
        case Attachment.FULL:
            return refused("the task still runs and no slot is free: try again later", task_id)
        case Attachment.LOST:
            return moved_on(task_id)


def _permit(session: Session) -> MaySend | None:
    """Take a request permit and return how long it is valid; None if there is none."""
    from ..engine.sending import RightToSend

    give_up_at = time.monotonic() + _PERMIT_SECONDS
    while True:
        asked = Stopwatch()
        if session.ledger.polls.permit(1):
            return RightToSend(session.runtime.settings, asked)
        if time.monotonic() > give_up_at:
            return None
        time.sleep(0.2)
