"""What jobs will probably cost, for whoever enqueues them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..contract.cost import Prices, billed_seconds, format_usd
from ..effects import ReadPrices
from ..errors import QueueUnavailable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..contract import Job
    from ..effects import Operation
    from .session import Session


def note_cost(session: Session, jobs: Sequence[Job]) -> None:
    """Say what jobs will probably cost, where the operator has set their prices.

    Args:
        session: The command's.
        jobs: Those that were enqueued, each once.
    """
    try:
        prices = session.client.run(_prices())
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


def _prices() -> Operation[Prices]:
    prices: Prices = yield ReadPrices()
    return prices
