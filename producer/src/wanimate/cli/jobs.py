"""`wanimate status`, `wait` and `cancel`; how all commands wait for jobs."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Final

import click

from ..contract import CancelOutcome
from ..contract.cost import MAX_BILLED_SECONDS, billed_seconds, format_usd
from ..errors import JobNotFound, QueueUnavailable, WaitTimeout
from ..program import SECONDS
from ..waiting import Wait
from .session import WAITING, Exit, Session, command, of_outcome, worst

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ..contract import Job
    from .progress import BatchProgress

#: Ids shown in a command line to copy.
_MAX_SHOWN_IDS: Final = 20

TIMEOUT_OPTION: Final = click.option("--timeout", type=SECONDS, help="Stop waiting after this time; the jobs continue.")
EXPIRED_OPTION: Final = click.option(
    "--allow-expired", is_flag=True, help="Also return results whose URLs have expired."
)
#: The id in examples.
EXAMPLE_ID: Final = "5f0c3a9e-6d1b-4c52-9b7e-2f8d4a1c6e03"
IDS_ARGUMENT: Final = click.argument("job_ids", metavar="ID...", nargs=-1, required=True)


@command(f"wanimate status {EXAMPLE_ID}", Exit.NOT_FOUND)
@IDS_ARGUMENT
def status(session: Session, job_ids: tuple[str, ...]) -> Exit:
    """Show state, queue position and ETA, or the result's URL.

    A job is `queued` until a worker has recorded it. The ETA is an estimate.
    """
    code = Exit.OK
    for job_id in job_ids:
        try:
            session.output.status(session.client.job(job_id).status())
        except JobNotFound as error:
            session.output.not_found(error, job_id)
            code = Exit.NOT_FOUND
    return code


@command(f"wanimate cancel {EXAMPLE_ID}", Exit.JOB_FAILED, Exit.CANCELLED, Exit.NOT_FOUND)
@IDS_ARGUMENT
@click.option(
    "--timeout", type=SECONDS, default=10.0, show_default=True, help="How long to wait for a worker's response."
)
def cancel(session: Session, job_ids: tuple[str, ...], timeout: float) -> Exit:
    """Cancel jobs that have not been submitted to the vendor.

    The vendor cannot cancel tasks: a submitted job continues and is billed.
    """
    codes = []
    for job_id in job_ids:
        try:
            outcome = session.client.job(job_id).cancel(timeout)
        except JobNotFound as error:
            session.output.not_found(error, job_id, key="outcome")
            codes.append(Exit.NOT_FOUND)
        else:
            session.output.cancelled(job_id, outcome)
            codes.append(Exit.OK if outcome is CancelOutcome.CANCELLED else Exit.CANCELLED)
    return worst(codes)


@command(f"wanimate wait {EXAMPLE_ID} --timeout 600", *WAITING)
@IDS_ARGUMENT
@TIMEOUT_OPTION
@EXPIRED_OPTION
def wait(session: Session, job_ids: tuple[str, ...], *, timeout: float | None, allow_expired: bool) -> Exit:
    """Wait for jobs and print each result when it arrives."""
    ids = [session.client.job(job_id).id for job_id in job_ids]
    return follow(session, Wait(ids, timeout, allow_expired=allow_expired))


def follow(session: Session, jobs: Wait) -> Exit:
    """Report each job when it ends; after an interrupt or the timeout, print how to wait for the rest."""
    try:
        codes = watch(session, jobs, dict.fromkeys(jobs.pending, (None,)))
    except KeyboardInterrupt:
        session.output.note(_pick_up(list(jobs.pending)))
        return Exit.INTERRUPTED
    if Exit.TIMED_OUT in codes:
        session.output.note(_pick_up(list(jobs.pending)))
    return worst(codes)


def watch(
    session: Session, jobs: Wait, names: Mapping[str, Sequence[str | None]], progress: BatchProgress | None = None
) -> list[Exit]:
    """Report each job when it ends, or the timeout, and return the exit code of each.

    Args:
        session: The session.
        jobs: The jobs to wait for.
        names: The names of each job in reports: one for each line of a batch that it comes from.
        progress: Counts the jobs.
    """
    codes: list[Exit] = []
    try:
        for ended in session.client.watch(jobs):
            for job_id, outcome in ended:
                codes.append(of_outcome(outcome))
                for name in names[job_id]:
                    if progress is not None and not isinstance(outcome, JobNotFound):
                        progress.ended(outcome)
                    session.output.ended(job_id, outcome, name)
            if progress is not None and jobs.pending:
                progress.read_at_work(lambda: _at_work(session, jobs))
    except WaitTimeout:
        codes.append(Exit.TIMED_OUT)
        for job_id in jobs.pending:
            for name in names[job_id]:
                session.output.timed_out(job_id, name)
    return codes


def _at_work(session: Session, jobs: Wait) -> tuple[int, int]:
    slots, keeping = session.client.store.at_work()
    return len(slots & jobs.pending.keys()), len(keeping & jobs.pending.keys())


def _pick_up(job_ids: Sequence[str]) -> str:
    more = " ..." if len(job_ids) > _MAX_SHOWN_IDS else ""
    return f"The jobs continue. To wait again:\n  wanimate wait {shlex.join(job_ids[:_MAX_SHOWN_IDS])}{more}"


def note_cost(session: Session, jobs: Sequence[Job]) -> None:
    """Print the estimated cost of enqueued jobs, if the operator has set prices.

    Args:
        session: The session.
        jobs: The jobs, each once.
    """
    try:
        prices = session.client.store.prices()
    except QueueUnavailable:
        # The jobs are enqueued, and reporting their ids matters more than the cost.
        return
    seconds = [billed_seconds(job.video_seconds) for job in jobs]
    costs = [prices.micro_usd(each, job.resolution) for each, job in zip(seconds, jobs, strict=True)]
    known = [cost for cost in costs if cost is not None]
    if jobs and len(known) == len(jobs):
        is_assumed = any(job.video_seconds is None for job in jobs)
        assumed = f", assuming {MAX_BILLED_SECONDS:g} s for jobs without video_seconds" if is_assumed else ""
        session.output.note(
            f"Estimated cost: {format_usd(sum(known))} for {sum(seconds):,.0f} s of video{assumed}.\n"
            "  Jobs enqueued before are not billed again."
        )
