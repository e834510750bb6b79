"""`wanimate-worker cancel`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
from wanimate.contract import CancelOutcome
from wanimate.errors import JobNotFound

from .exits import EXIT_CODES, Exit
from .session import with_session

if TYPE_CHECKING:
    from .session import Session


@click.command(epilog=EXIT_CODES)
@click.argument("job_ids", metavar="ID...", nargs=-1, required=True)
@with_session
def cancel(session: Session, job_ids: tuple[str, ...]) -> Exit:
    """Cancel jobs that were not sent to the vendor yet; exit code 1 if one was too late or is not known.

    Works without a worker.
    """
    from ..engine.cancelling import cancel_job  # Celery: a quarter of a second

    code = Exit.OK
    for job_id in job_ids:
        try:
            outcome = cancel_job(session.runtime, job_id)
        except JobNotFound as error:
            session.output.line(f"{job_id}  not_found  {error}", id=job_id, outcome="not_found", message=str(error))
            code = Exit.REFUSED
            continue
        session.output.line(
            f"{job_id}  {outcome.value}  {outcome.explanation}",
            id=job_id,
            outcome=outcome.value,
            message=outcome.explanation,
        )
        if outcome is not CancelOutcome.CANCELLED:
            code = Exit.REFUSED
    return code
