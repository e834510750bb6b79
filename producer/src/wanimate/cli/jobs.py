"""`wanimate status`, `wait` and `cancel`, and waiting for jobs as every command does it."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Final

import click

from ..contract import CancelOutcome
from ..contract.cost import billed_seconds, format_usd
from ..errors import JobNotFound, QueueUnavailable, WaitTimeout
from ..program import SECONDS
from ..waiting import Wait
from .session import Exit, Session, command, of_outcome, worst

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ..contract import Job
    from .progress import BatchProgress

#: Ids that fit into a command line that a person copies.
_MAX_SHOWN_IDS: Final = 20

TIMEOUT_OPTION: Final = click.option("--timeout", type=SECONDS, help="How long to wait; for ever, unless given.")
EXPIRED_OPTION: Final = click.option(
    "--allow-expired", is_flag=True, help="Print results whose URLs the vendor no longer serves, too."
)
_IDS: Final = click.argument("job_ids", metavar="ID...", nargs=-1, required=True)


@command
@_IDS
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


@command
@_IDS
@click.option("--timeout", type=SECONDS, default=10.0, show_default=True, help="How long to wait for a worker.")
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


@command
@_IDS
@TIMEOUT_OPTION
@EXPIRED_OPTION
def wait(session: Session, job_ids: tuple[str, ...], *, timeout: float | None, allow_expired: bool) -> Exit:
    """Wait for jobs and print each result as it comes in."""
    ids = [session.client.job(job_id).id for job_id in job_ids]
    return follow(session, Wait(ids, timeout, allow_expired=allow_expired))


def follow(session: Session, jobs: Wait) -> Exit:
    """Report each job as it ends; when interrupted or out of time, print how to wait for the rest again."""
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
    """Report each job as it ends, or that time is up, and return the exit code of each.

    Args:
        session: The command's.
        jobs: The jobs.
        names: What each job is called in the reports, which may be several things.
        progress: Where they are counted.
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
