"""`wanimate status`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from .exits import EXIT_CODES, Exit
from .session import with_session

if TYPE_CHECKING:
    from .session import Session


@click.command(epilog=EXIT_CODES)
@click.argument("job_ids", metavar="ID...", nargs=-1, required=True)
@with_session
def status(session: Session, job_ids: tuple[str, ...]) -> Exit:
    """Print where jobs stand: their place in line and an estimate of the seconds until they end among it.

    A job that no worker has recorded yet, or nobody knows, reads `queued`.
    """
    for job_id in job_ids:
        session.output.status(session.client.job(job_id).status())
    return Exit.OK
