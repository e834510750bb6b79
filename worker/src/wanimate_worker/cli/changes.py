"""`wanimate-worker cancel`, `end` and `retry`: change jobs by id."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Final

import click
from wanimate.contract import CancelOutcome, Outcome, Stage, parse_job
from wanimate.contract.record import read_outcome
from wanimate.errors import JobNotFound, TaskUnreadable, WanimateError
from wanimate.text import counted

from ..ledger import Keep, Retried
from .selection import UNRECORDED, Filter, filter_options, follows
from .session import Exit, Session, Verdict, command, moved_on, refused

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..ledger import JobFields

_BILLED: Final = "it is billed again"


@command("cancel 5b2d7a3e-0c1f-4f5e-9a54-6f0f6f1c2d11", Exit.REFUSED)
@click.argument("job_ids", metavar="ID...", nargs=-1, required=True)
def cancel(session: Session, job_ids: tuple[str, ...]) -> Exit:
    """Cancel jobs that were not sent to the vendor yet.

    It works without a running worker. Exit code 1: a job was submitted before, or was not found.
    """
    return session.change(job_ids, _cancel)


def _cancel(session: Session, job_id: str) -> Verdict:
    from ..engine.cancelling import cancel_job  # Celery: a quarter of a second

    try:
        outcome = cancel_job(session.runtime, job_id)
    except JobNotFound as error:
        return Verdict(Exit.REFUSED, "not_found", str(error))
    code = Exit.OK if outcome is CancelOutcome.CANCELLED else Exit.REFUSED
    return Verdict(code, outcome.value, outcome.explanation)


@command("end 5b2d7a3e-0c1f-4f5e-9a54-6f0f6f1c2d11", Exit.REFUSED)
@click.argument("job_ids", metavar="ID...", nargs=-1, required=True)
def end(session: Session, job_ids: tuple[str, ...]) -> Exit:
    """End jobs that cannot end without an operator.

    A running job whose status responses cannot be read (`doctor` lists them) fails as TaskUnreadable, with the
    vendor's task id, and its slot is freed. The vendor may have billed the task: look for its result there. Once the
    responses can be read, `resolve ID` replaces the failure by the outcome.

    A job whose video is being copied (`jobs --state keeping`) succeeds with the vendor's URL, which expires a day
    after the task has ended. The video is not copied.
    """
    return session.change(job_ids, _end)


def _end(session: Session, job_id: str) -> Verdict:
    [record] = session.ledger.records.whole([job_id])
    fields = record.fields
    if not fields:
        return Verdict(Exit.REFUSED, "no record", "not found: check the id")
    if leader := fields.get("leader"):
        return refused(follows(leader), fields.get("task_id"))
    task_id, outcome = fields.get("task_id"), read_outcome(fields)
    if outcome is not None:
        code = Exit.OK if outcome.error == TaskUnreadable.__name__ else Exit.REFUSED
        text = f"ended before ({outcome.error or outcome.kind.value})"
        return Verdict(code, "unchanged", text, task_id)
    if Stage(fields["stage"]) is Stage.KEEPING:
        return _end_copying(session, job_id, fields)
    return _end_running(session, job_id, fields)


def _end_running(session: Session, job_id: str, fields: Mapping[str, str]) -> Verdict:
    task_id = fields.get("task_id")
    if obstacle := _obstacle(Stage(fields["stage"]), fields.get("unreadable_why")):
        return refused(obstacle, task_id)
    failure = TaskUnreadable(
        "ended by an operator, because the vendor's status responses could not be read "
        f"({fields['unreadable_why']}). The vendor may have finished and billed the task: look for it there before you "
        "enqueue the job again",
        None,
        task_id,
    )
    settled = session.ledger.jobs.settle(job_id, fields.get("nonce", ""), Outcome.failure(failure))
    if settled is None:
        return moved_on(task_id)
    session.runtime.go_on([job_id, *settled.granted])
    text = f"failed as TaskUnreadable and freed its slot; the task {task_id} may have been billed"
    return Verdict(Exit.OK, "ended", text, task_id)


def _end_copying(session: Session, job_id: str, fields: Mapping[str, str]) -> Verdict:
    rendered, expires_ms = Outcome.model_validate_json(fields["rendered"]), int(fields.get("expires_at_ms", 0))
    keep = Keep(job_id, rendered, {}, int(fields.get("rendered_at_ms", 0)), expires_ms, 0)
    if not session.ledger.keeps.finish(keep, keep.without_copy()):
        return moved_on(rendered.task_id)
    session.runtime.go_on([job_id])
    text = "succeeded with the vendor's URL; its video is not copied"
    return Verdict(Exit.OK, "ended", text, rendered.task_id)


def _obstacle(stage: Stage, unreadable_why: str | None) -> str:
    """Return why a job cannot be ended; empty if it can."""
    if stage is Stage.UNKNOWN:
        return "the answer to its submission was lost: use `resolve ID` or `retry ID`"
    if stage is not Stage.RUNNING:
        return f"it has no task at the vendor (state {stage.value}): use `cancel ID`"
    return "" if unreadable_why else "its last status response was readable: it ends without an operator"


@command("retry --all --error GenerationFailed --yes", Exit.REFUSED)
@click.argument("job_ids", metavar="[ID...]", nargs=-1)
@click.option("--all", "takes_all", is_flag=True, help="All failed jobs that match the filters.")
@click.option("--error", metavar="NAME", help="With --all: only jobs that failed with this error.")
@click.option("--yes", is_flag=True, help="With --all: retry them; without it, only count them.")
@filter_options
def retry(
    session: Session,
    job_ids: tuple[str, ...],
    *,
    takes_all: bool,
    error: str | None,
    yes: bool,
    older_than: float,
    labels: tuple[tuple[str, str], ...],
    limit: int | None,
) -> Exit:
    """Run failed jobs again under the same id. Each is billed again.

    The new outcome replaces the failure, and callbacks run again. A job in state unknown is submitted again too: it
    may be billed twice. A job that waits or runs is not changed.
    """
    if bool(job_ids) == takes_all:
        raise click.UsageError("give ids of jobs or --all")
    if job_ids and (error or labels or older_than or limit):
        raise click.UsageError("--error, --label, --older-than and --limit need --all")
    if takes_all:
        wanted = Filter(("failed",), older_than, labels, error)
        views = wanted.select(session.ledger, session.ledger.records.now_ms())
        job_ids = tuple(view.status.id for view in islice(views, limit))
        if not yes:
            session.note(f"{counted(len(job_ids), 'failed job')} found; each is billed again. Add --yes to retry.")
            return Exit.REFUSED if job_ids else Exit.OK
    return session.change(job_ids, _retry)


def _retry(session: Session, job_id: str) -> Verdict:
    [job] = session.ledger.records.read([job_id])
    if job.leader:
        return refused(follows(job.leader))
    match job.stage:
        case None:
            return Verdict(Exit.REFUSED, "no record", UNRECORDED[session.ledger.records.presence(job_id)])
        case Stage.WAITING | Stage.SUBMITTING | Stage.RUNNING | Stage.KEEPING:
            return Verdict(Exit.OK, "unchanged", f"not failed (state {job.stage.value})")
        case Stage.UNKNOWN:
            return _resubmit(session, job)
        case _:
            return _run_again(session, job)


def _resubmit(session: Session, job: JobFields) -> Verdict:
    granted = session.ledger.jobs.release(
        job.job_id, job.nonce, "retried by an operator", may_be_billed=True, hint=job.hint or ""
    )
    if granted is None:
        return refused("its submission was answered at the same moment: check it with `show ID`")
    session.runtime.go_on(granted)
    return Verdict(Exit.OK, "retried", f"submitted again; {_BILLED} if the vendor accepted the lost submission")


def _run_again(session: Session, job: JobFields) -> Verdict:
    try:
        request = parse_job(job.request, is_recorded=True)
    except WanimateError as error:
        return refused(f"its request cannot be read: {error}")
    answer = session.ledger.failed.retry(
        job.job_id,
        priority=request.priority,
        deadline_ms=request.deadline_ms,
        result_key=session.result_key(job.job_id),
    )
    session.runtime.go_on(answer.granted)
    match answer.verdict:
        case Retried.RETRIED:
            return Verdict(Exit.OK, "retried", f"waiting again; {_BILLED}")
        case Retried.UNDELIVERED:
            return refused("its failure is being delivered: try again in a moment")
        case Retried.NO:
            return refused("it has not failed: to run it again, enqueue a new job")
