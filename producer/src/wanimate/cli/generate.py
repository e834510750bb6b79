"""`wanimate animate` and `wanimate replace`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, get_args

import click

from ..contract import AnimateJob, OnUnknown, Provider, ReplaceJob, Resolution
from ..program import SECONDS, read_label
from ..waiting import Wait
from .jobs import EXPIRED_OPTION, TIMEOUT_OPTION, follow, note_cost
from .session import WAITING, Exit, Session, command

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..contract import Job


def job_options(function: Callable[..., Exit]) -> Callable[..., Exit]:
    """Add an option for each field of a job, and those for waiting."""
    for option in reversed(
        (
            click.option("--image", "image_url", metavar="URL", required=True, help="Character image."),
            click.option("--video", "video_url", metavar="URL", required=True, help="Motion reference video."),
            click.option("--prompt", metavar="TEXT", help="Text prompt for the model."),
            click.option(
                "--resolution", type=click.Choice(get_args(Resolution)), help="Of the video.  [default: 480p]"
            ),
            click.option("--seed", type=int, metavar="N", help="0 to 2147483647, or -1 for random.  [default: -1]"),
            click.option("--provider", type=click.Choice(get_args(Provider)), help="Vendor routing.  [default: auto]"),
            click.option("--priority", type=int, metavar="N", help="0 (most urgent) to 9.  [default: 5]"),
            click.option(
                "--label",
                "labels",
                type=read_label,
                metavar="K=V",
                multiple=True,
                help="Label, shown in status and Flower; repeatable.",
            ),
            click.option("--idempotency-key", metavar="KEY", help="One job per key: repeating it is not billed again."),
            click.option(
                "--on-unknown",
                type=click.Choice(get_args(OnUnknown)),
                help="If the vendor's response is lost: fail, or submit again, which may be billed twice.  "
                "[default: the worker's setting]",
            ),
            click.option(
                "--retry-transient",
                type=int,
                metavar="N",
                help="Retries after transient failures, 0 to 10. Each may be billed.  [default: the account's setting]",
            ),
            click.option(
                "--deadline",
                "deadline_seconds",
                type=SECONDS,
                help="End the job as failed after this time. A job that was not submitted is not billed.",
            ),
            click.option("--video-seconds", type=SECONDS, help="Length of the motion video, to estimate the cost."),
            click.option("--webhook-url", metavar="URL", help="Send a signed webhook to this URL when the job ends."),
            click.option(
                "--wait/--no-wait", default=True, help="Wait for the result, or only enqueue.  [default: wait]"
            ),
            TIMEOUT_OPTION,
            EXPIRED_OPTION,
        )
    ):
        function = option(function)
    return function


def _example(name: str) -> str:
    return (
        f"wanimate {name} --image https://example.com/hero.png \\\n"
        "    --video https://example.com/dance.mp4 --resolution 720p"
    )


@command(_example("animate"), *WAITING)
@job_options
def animate(session: Session, **options: Any) -> Exit:
    """Animate the character of an image with the motion of a video."""
    return generate(session, AnimateJob, **options)


@command(_example("replace"), *WAITING)
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
    """Enqueue one job and wait for its result unless `wait` is false."""
    given = {name: value for name, value in fields.items() if value is not None}
    if labels:
        given["labels"] = dict(labels)
    job = kind(**given)
    handle = session.client.submit(job)
    note_cost(session, [job])
    if not wait:
        session.output.queued(handle.id)
        return Exit.OK
    session.output.note(f"Enqueued job {handle.id}; waiting for its result.")
    return follow(session, Wait([handle.id], timeout, allow_expired=allow_expired))
