"""`wanimate wait`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ..program import SECONDS
from .exits import EXIT_CODES, Exit
from .following import allow_expired_option, follow
from .session import with_session

if TYPE_CHECKING:
    from .session import Session


@click.command(epilog=EXIT_CODES)
@click.argument("job_ids", metavar="ID...", nargs=-1, required=True)
@click.option("--timeout", type=SECONDS, metavar="SECONDS", help="How long to wait; for ever, unless given.")
@allow_expired_option
@with_session
def wait(session: Session, job_ids: tuple[str, ...], *, timeout: float | None, allow_expired: bool) -> Exit:
    """Wait for jobs and print each result as it comes in."""
    handles = [session.client.job(job_id) for job_id in dict.fromkeys(job_ids)]
    return follow(session, handles, timeout, allow_expired=allow_expired)
