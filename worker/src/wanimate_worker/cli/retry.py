"""`wanimate-worker retry`: failed jobs run again, under their ids."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Final

import click
from wanimate.contract import Stage, parse_job
from wanimate.errors import WanimateError

from ..ledger import Retried
from .exits import EXIT_CODES, Exit
from .selection import UNRECORDED, Filter, filter_options, follows
from .session import with_session

if TYPE_CHECKING:
    from ..ledger import JobFields
    from .session import Session

BILLED: Final = "it will be billed again"


@click.command(epilog=EXIT_CODES)
@click.argument("job_ids", metavar="[ID...]", nargs=-1)
@click.option("--all", "takes_all", is_flag=True, help="All failed jobs that the filters below leave.")
@click.option(
    "--error", metavar="NAME", help="With --all: only those that failed with this error, as GenerationFailed."
)
@click.option("--yes", is_flag=True, help="With --all: do it; without, only say how many there are.")
@filter_options
@with_session
def retry(
    session: Session,
    job_ids: tuple[str, ...],
    *,
    takes_all: bool,
    error: str | None,
    yes: bool,
    older_than: float,
    labels: dict[str, str],
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
        now_ms = session.runtime.ledger.records.now_ms()
        wanted = Filter(("failed",), older_than, labels, error)
        job_ids = tuple(view.status.id for view in islice(wanted.select(session.runtime.ledger, now_ms), limit))
        if not yes:
            session.output.note(f"{len(job_ids)} jobs would run again; each is billed again. Add --yes to do it.")
            return Exit.REFUSED if job_ids else Exit.OK
    codes = [retry_job(session, job_id) for job_id in job_ids]
    return max(codes, default=Exit.OK)


def retry_job(session: Session, job_id: str) -> Exit:
    """Run one failed job again, say so, and return the exit code."""
    code, outcome, text = _retry(session, job_id)
    session.output.line(f"{job_id}  {outcome}  {text}", id=job_id, outcome=outcome, message=text)
    return code


def _retry(session: Session, job_id: str) -> tuple[Exit, str, str]:
    [job] = session.runtime.ledger.records.read([job_id])
    if job.leader:
        return Exit.REFUSED, "unchanged", follows(job.leader)
    match job.stage:
        case None:
            return Exit.REFUSED, "no record", UNRECORDED[session.runtime.ledger.records.presence(job_id)]
        case Stage.WAITING | Stage.SUBMITTING | Stage.RUNNING:
            return Exit.OK, "unchanged", f"it is on its way already ({job.stage.value})"
        case Stage.UNKNOWN:
            return _give_up(session, job)
        case _:
            return _run_again(session, job)


def _give_up(session: Session, job: JobFields) -> tuple[Exit, str, str]:
    ledger, why = session.runtime.ledger, "sent again by hand"
    granted = ledger.jobs.release(job.job_id, job.nonce, why, may_be_billed=True, hint=job.hint or "")
    if granted is None:
        return Exit.REFUSED, "unchanged", "news of its submission came just now: look at it again"
    session.runtime.go_on(granted)
    return Exit.OK, "retried", f"its lost submission is given up; {BILLED}, if the vendor had accepted it"


def _run_again(session: Session, job: JobFields) -> tuple[Exit, str, str]:
    try:
        request = parse_job(job.request, is_recorded=True)
    except WanimateError as error:
        return Exit.REFUSED, "unchanged", f"its request cannot be read: {error}"
    answer = session.runtime.ledger.failed.retry(
        job.job_id,
        priority=request.priority,
        deadline_ms=request.deadline_ms,
        result_key=session.result_key(job.job_id),
    )
    session.runtime.go_on(answer.granted)
    match answer.verdict:
        case Retried.RETRIED:
            return Exit.OK, "retried", f"in line again; {BILLED}"
        case Retried.UNDELIVERED:
            return Exit.REFUSED, "unchanged", "its failure is being delivered right now: try again in a moment"
        case Retried.NO:
            return Exit.REFUSED, "unchanged", "it is not a failed job: enqueue it anew to run it once more"
