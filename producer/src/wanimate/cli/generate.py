"""`wanimate animate` and `wanimate replace`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, get_args

import click

from ..contract import AnimateJob, OnUnknown, Provider, ReplaceJob, Resolution
from ..program import SECONDS, read_label
from ..waiting import Wait
from .jobs import EXPIRED_OPTION, TIMEOUT_OPTION, follow, note_cost
from .session import Exit, Session, command

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..contract import Job


def job_options(function: Callable[..., Exit]) -> Callable[..., Exit]:
    """Add one option for each field of a job, and how to wait for it."""
    for option in reversed(
        (
            click.option("--image", "image_url", metavar="URL", required=True, help="The character image."),
            click.option("--video", "video_url", metavar="URL", required=True, help="The motion reference video."),
            click.option("--prompt", metavar="TEXT", help="Guidance for the vendor's model."),
            click.option("--resolution", type=click.Choice(get_args(Resolution)), help="480p, unless given."),
            click.option("--seed", type=int, metavar="N", help="-1 (any) or 0 to 2147483647, for reproducible runs."),
            click.option("--provider", type=click.Choice(get_args(Provider)), help="The vendor's routing."),
            click.option("--priority", type=int, metavar="N", help="0 (most urgent) to 9; 5, unless given."),
            click.option(
                "--label",
                "labels",
                type=read_label,
                metavar="K=V",
                multiple=True,
                help="Shown in status and Flower; repeatable.",
            ),
            click.option("--idempotency-key", metavar="KEY", help="The same key gives the same job: paid once."),
            click.option(
                "--on-unknown",
                type=click.Choice(get_args(OnUnknown)),
                help="When the vendor's answer was lost: never pay twice, or try again.",
            ),
            click.option(
                "--retry-transient",
                type=int,
                metavar="N",
                help="Send it again so often after transient failures, 0 to 10; each time may be billed.",
            ),
            click.option(
                "--deadline",
                "deadline_seconds",
                type=SECONDS,
                help="End the job after this; for free while it waits.",
            ),
            click.option(
                "--video-seconds", type=SECONDS, help="Length of the motion video, for the estimate of billed seconds."
            ),
            click.option("--webhook-url", metavar="URL", help="Where a signed webhook tells the end of the job."),
            click.option("--wait/--no-wait", default=True, help="Wait for the result (the default), or only enqueue."),
            TIMEOUT_OPTION,
            EXPIRED_OPTION,
        )
    ):
        function = option(function)
    return function


@command
@job_options
def animate(session: Session, **options: Any) -> Exit:
    """Bring the character of an image to life with the motion of a video."""
    return generate(session, AnimateJob, **options)


@command
@job_options
def replace(session: Session, **options: Any) -> Exit:
    """Replace the person in a video with the character of an image."""
    return generate(session, ReplaceJob, **options)


def generate(
    session: Session,
    kind: type[Job],
    *,
    wait: bool,
    timeout: float | None,
    allow_expired: bool,
    labels: tuple[tuple[str, str], ...],
    **fields: Any,
) -> Exit:
    """Enqueue one job and, if asked to, wait for it."""
    given = {name: value for name, value in fields.items() if value is not None}
    if labels:
        given["labels"] = dict(labels)
    job = kind(**given)
    handle = session.client.submit(job)
    note_cost(session, [job])
    if not wait:
        session.output.queued(handle.id)
        return Exit.OK
    session.output.note(f"Job {handle.id} is in the queue; waiting for its result.")
    return follow(session, Wait([handle.id], timeout, allow_expired=allow_expired))
