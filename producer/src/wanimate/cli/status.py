"""`wanimate status`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ..errors import JobNotFound
from .exits import EXIT_CODES, Exit
from .session import with_session

if TYPE_CHECKING:
    from .session import Session


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
