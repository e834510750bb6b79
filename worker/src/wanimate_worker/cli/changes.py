"""`wanimate-worker cancel`, `end` and `retry`: what an operator does with jobs, each under its id."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Final

import click
from wanimate.contract import CancelOutcome, Outcome, Stage, parse_job
from wanimate.contract.record import read_outcome
from wanimate.errors import JobNotFound, TaskUnreadable, WanimateError

from ..ledger import Keep, Retried
from .selection import UNRECORDED, Filter, filter_options, follows
from .session import Exit, Session, Verdict, command, moved_on, refused

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..ledger import JobFields

_BILLED: Final = "it will be billed again"


@command
@click.argument("job_ids", metavar="ID...", nargs=-1, required=True)
def cancel(session: Session, job_ids: tuple[str, ...]) -> Exit:
    """Cancel jobs that were not sent to the vendor yet; exit code 1 if one was too late or is not known.

    Works without a worker.
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


@command
@click.argument("job_ids", metavar="ID...", nargs=-1, required=True)
def end(session: Session, job_ids: tuple[str, ...]) -> Exit:
    """End jobs that do not end by themselves.

    A running one whose task the vendor answers about in a way that cannot be read (`doctor` lists them) fails as
    TaskUnreadable, with the vendor's task id, and its slot is free. The vendor may have billed the task: look for its
    result there. Once its answers can be read, `resolve ID` takes the outcome over.

    One whose video is being copied (`jobs --state keeping`) succeeds with the vendor's URL: the video is not copied any
    more, and the URL works for a day.
    """
    return session.change(job_ids, _end)


def _end(session: Session, job_id: str) -> Verdict:
    [record] = session.ledger.records.whole([job_id])
    fields = record.fields
    if not fields:
        return Verdict(Exit.REFUSED, "no record", "nothing is known about this job")
    if leader := fields.get("leader"):
        return refused(follows(leader), fields.get("task_id"))
    task_id, outcome = fields.get("task_id"), read_outcome(fields)
    if outcome is not None:
        code = Exit.OK if outcome.error == TaskUnreadable.__name__ else Exit.REFUSED
        text = f"it has ended already ({outcome.error or outcome.kind.value})"
        return Verdict(code, "unchanged", text, task_id)
    if Stage(fields["stage"]) is Stage.KEEPING:
        return _end_copying(session, job_id, fields)
    return _end_running(session, job_id, fields)


def _end_running(session: Session, job_id: str, fields: Mapping[str, str]) -> Verdict:
    task_id = fields.get("task_id")
    if obstacle := _obstacle(Stage(fields["stage"]), fields.get("unreadable_why")):
        return refused(obstacle, task_id)
    failure = TaskUnreadable(
        "ended by an operator, because the vendor's answers about its task could not be read "
        f"({fields['unreadable_why']}). The vendor may have finished and billed it: look for the task there before you "
        "enqueue it again",
        None,
        task_id,
    )
    settled = session.ledger.jobs.settle(job_id, fields.get("nonce", ""), Outcome.failure(failure))
    if settled is None:
        return moved_on(task_id)
    session.runtime.go_on([job_id, *settled.granted])
    text = f"it failed as TaskUnreadable, its slot is free; the task {task_id} may have been billed"
    return Verdict(Exit.OK, "ended", text, task_id)


def _end_copying(session: Session, job_id: str, fields: Mapping[str, str]) -> Verdict:
    rendered, expires_ms = Outcome.model_validate_json(fields["rendered"]), int(fields.get("expires_at_ms", 0))
    keep = Keep(job_id, rendered, {}, int(fields.get("rendered_at_ms", 0)), expires_ms, 0)
    if not session.ledger.keeps.finish(keep, keep.without_copy()):
        return moved_on(rendered.task_id)
    session.runtime.go_on([job_id])
    text = "it succeeds with the vendor's URL, and its video is not copied"
    return Verdict(Exit.OK, "ended", text, rendered.task_id)


def _obstacle(stage: Stage, unreadable_why: str | None) -> str:
    """Return why a job is not to be ended; empty if it may be."""
    if stage is Stage.UNKNOWN:
        return "its submission is lost: see wanimate-worker resolve, or retry"
    if stage is not Stage.RUNNING:
        return f"the vendor has no task of it: it is {stage.value}; see wanimate-worker cancel"
    return "" if unreadable_why else "the vendor's last answer about its task could be read: it ends by itself"


@command
@click.argument("job_ids", metavar="[ID...]", nargs=-1)
@click.option("--all", "takes_all", is_flag=True, help="All failed jobs that the filters below leave.")
@click.option(
    "--error", metavar="NAME", help="With --all: only those that failed with this error, as GenerationFailed."
)
@click.option("--yes", is_flag=True, help="With --all: do it; without, only say how many there are.")
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
    """Run failed jobs again under the same id: the new result replaces the failure, and callbacks are called again.

    Each is sent to the vendor again, and billed again. A job whose lost submission is not decided yet (unknown) gives
    its slot back and is sent again too. A job that is already on its way again is left alone.
    """
    if bool(job_ids) == takes_all:
        raise click.UsageError("give the ids of jobs, or --all")
    if job_ids and (error or labels or older_than or limit):
        raise click.UsageError("--error, --label, --older-than and --limit go with --all")
    if takes_all:
        wanted = Filter(("failed",), older_than, labels, error)
        views = wanted.select(session.ledger, session.ledger.records.now_ms())
        job_ids = tuple(view.status.id for view in islice(views, limit))
        if not yes:
            session.note(f"{len(job_ids)} jobs would run again; each is billed again. Add --yes to do it.")
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
            return Verdict(Exit.OK, "unchanged", f"it is on its way already ({job.stage.value})")
        case Stage.UNKNOWN:
            return _give_up(session, job)
        case _:
            return _run_again(session, job)


def _give_up(session: Session, job: JobFields) -> Verdict:
    granted = session.ledger.jobs.release(
        job.job_id, job.nonce, "sent again by hand", may_be_billed=True, hint=job.hint or ""
    )
    if granted is None:
        return refused("news of its submission came just now: look at it again")
    session.runtime.go_on(granted)
    return Verdict(Exit.OK, "retried", f"its lost submission is given up; {_BILLED}, if the vendor had accepted it")


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
            return Verdict(Exit.OK, "retried", f"in line again; {_BILLED}")
        case Retried.UNDELIVERED:
            return refused("its failure is being delivered right now: try again in a moment")
        case Retried.NO:
            return refused("it is not a failed job: enqueue it anew to run it once more")
