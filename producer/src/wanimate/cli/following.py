"""Waits for jobs and reports each as it ends."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any, Final

import click

from .. import operations
from ..errors import JobNotFound, WaitTimeout
from .exits import Exit, of_outcome, worst

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ..handle import JobHandle
    from .session import Session

#: Ids that fit into a command line that a person copies.
_SHOWN_IDS: Final = 20


def follow(
    session: Session, handles: Sequence[JobHandle], timeout: float | None, *, allow_expired: bool = False
) -> Exit:
    """Report each job as it ends; when interrupted or out of time, say how to pick the rest up again."""
    pending = {handle.id: None for handle in handles}
    codes: list[Exit] = []
    try:
        watched = operations.as_completed(list(pending), timeout, allow_expired=allow_expired)
        for event in session.client.stream(watched):
            if isinstance(event, operations.Ended):
                del pending[event.job_id]
                codes.append(of_outcome(event.outcome))
                session.output.ended(event.job_id, event.outcome)
            elif isinstance(event, operations.Missing):
                del pending[event.job_id]
                codes.append(Exit.NOT_FOUND)
                session.output.not_found(JobNotFound.of(event.job_id), event.job_id)
    except WaitTimeout:
        codes.append(Exit.TIMED_OUT)
        for job_id in pending:
            session.output.timed_out(job_id)
        session.output.note(pick_up(list(pending)))
    except KeyboardInterrupt:
        session.output.note(pick_up(list(pending)))
        return Exit.INTERRUPTED
    return worst(codes)


def allow_expired_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add --allow-expired."""
    option = click.option(
        "--allow-expired", is_flag=True, help="Print results whose URLs the vendor no longer serves, too."
    )
    return option(command)


def pick_up(job_ids: Sequence[str]) -> str:
    """Return how to go on waiting for these jobs."""
    more = " ..." if len(job_ids) > _SHOWN_IDS else ""
    return f"The jobs go on. Pick them up again with: wanimate wait {shlex.join(job_ids[:_SHOWN_IDS])}{more}"
