"""`wanimate cancel`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ..contract import CancelOutcome
from ..errors import JobNotFound
from ..program import SECONDS
from .exits import EXIT_CODES, Exit, worst
from .session import with_session

if TYPE_CHECKING:
    from .session import Session


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
