"""`wanimate status`, `wait` and `cancel`, and waiting for jobs as every command does it."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any, Final

import click

from ..contract import CancelOutcome
from ..contract.cost import billed_seconds, format_usd
from ..errors import JobNotFound, QueueUnavailable, WaitTimeout
from ..program import SECONDS
from ..waiting import Wait
from .exits import EXIT_CODES, Exit, of_outcome, worst
from .session import with_session

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ..contract import Job
    from .session import Session

#: Ids that fit into a command line that a person copies.
_MAX_SHOWN_IDS: Final = 20


@click.command(epilog=EXIT_CODES)
@click.argument("job_ids", metavar="ID...", nargs=-1, required=True)
@with_session
def status(session: Session, job_ids: tuple[str, ...]) -> Exit:
    """Print where jobs stand: their place in line and an estimate of the seconds until they end among it.

    A job that no worker has recorded yet reads `queued`.
    """
    code = Exit.OK
    for job_id in job_ids:
        try:
            session.output.status(session.client.job(job_id).status())
        except JobNotFound as error:
            session.output.not_found(error, job_id)
            code = Exit.NOT_FOUND
    return code


@click.command(epilog=EXIT_CODES)
@click.argument("job_ids", metavar="ID...", nargs=-1, required=True)
@click.option(
    "--timeout", type=SECONDS, default=10.0, show_default=True, metavar="SECONDS", help="How long to wait for a worker."
)
@with_session
def cancel(session: Session, job_ids: tuple[str, ...], timeout: float) -> Exit:
    """Cancel jobs that have not been sent to the vendor yet; exit code 5 if one was too late."""
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


def allow_expired_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add --allow-expired."""
    option = click.option(
        "--allow-expired", is_flag=True, help="Print results whose URLs the vendor no longer serves, too."
    )
    return option(command)


@click.command(epilog=EXIT_CODES)
@click.argument("job_ids", metavar="ID...", nargs=-1, required=True)
@click.option("--timeout", type=SECONDS, metavar="SECONDS", help="How long to wait; for ever, unless given.")
@allow_expired_option
@with_session
def wait(session: Session, job_ids: tuple[str, ...], *, timeout: float | None, allow_expired: bool) -> Exit:
    """Wait for jobs and print each result as it comes in."""
    ids = [session.client.job(job_id).id for job_id in job_ids]
    return follow(session, ids, timeout, allow_expired=allow_expired)


def follow(session: Session, job_ids: Sequence[str], timeout: float | None, *, allow_expired: bool) -> Exit:
    """Report each job as it ends; when interrupted or out of time, print how to wait for the rest again."""
    jobs = Wait(job_ids, timeout, allow_expired=allow_expired)
    codes: list[Exit] = []
    try:
        for ended in session.client.watch(jobs):
            for job_id, outcome in ended:
                codes.append(of_outcome(outcome))
                session.output.ended(job_id, outcome)
    except WaitTimeout:
        codes.append(Exit.TIMED_OUT)
        for job_id in jobs.pending:
            session.output.timed_out(job_id)
        session.output.note(_pick_up(list(jobs.pending)))
    except KeyboardInterrupt:
        session.output.note(_pick_up(list(jobs.pending)))
        return Exit.INTERRUPTED
    return worst(codes)


def _pick_up(job_ids: Sequence[str]) -> str:
    more = " ..." if len(job_ids) > _MAX_SHOWN_IDS else ""
    return f"The jobs go on. Pick them up again with: wanimate wait {shlex.join(job_ids[:_MAX_SHOWN_IDS])}{more}"


def note_cost(session: Session, jobs: Sequence[Job]) -> None:
    """Print what enqueued jobs will probably cost, where the operator has set prices.

    Args:
        session: The command's.
        jobs: The jobs, each once.
    """
    try:
        prices = session.client.store.prices()
    except QueueUnavailable:
        # The jobs are in the queue: their ids matter more than what they cost.
        return
    seconds = [billed_seconds(job.video_seconds) for job in jobs]
    costs = [prices.micro_usd(each, job.resolution) for each, job in zip(seconds, jobs, strict=True)]
    known = [cost for cost in costs if cost is not None]
    if jobs and len(known) == len(jobs):
        session.output.note(
            f"Estimated cost: {format_usd(sum(known))} for {sum(seconds):,.0f} s of video, counting 120 s where "
            "video_seconds is not given. A job that was enqueued before is not billed again."
        )
