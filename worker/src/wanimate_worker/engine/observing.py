"""How long the vendor had a task that has ended, for those that plan polls and estimate ends."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from wanimate.contract.durations import kind_of

from ..ledger import Observation
from ..vendor import Failed, StatusAnswer, Succeeded

if TYPE_CHECKING:
    from ..ledger import JobFields

#: What the vendor says may be longer than what we saw by this, in seconds: requests take time, and clocks run unevenly.
_TOLERANCE_SECONDS: Final = 10.0
#: What the vendor says may be this many times shorter: Redis or the workers may have been away when the task ended. A
#: figure in another unit than the document's is a thousand times off.
_SHORTEST_SHARE: Final = 1 / 100


def observe(job: JobFields, answer: StatusAnswer, now_ms: int) -> Observation | None:
    """Return how long the vendor had a task; None if its end or its begin is not known.

    The vendor's own time stamps are exact, and do not depend on when we asked. Where they are missing or make no sense,
    the time from the acceptance to the answer stands in.

    Args:
        job: The job whose task was asked about.
        answer: What the vendor said.
        now_ms: When it said so, in Redis time.
    """
    match answer:
        case Succeeded(result):
            created_at, completed_at = result.created_at, result.completed_at
        case Failed(created_at=created_at, completed_at=completed_at):
            pass
        case _:
            return None
    if job.submitted_at_ms is None:
        return None
    kind = kind_of(job.request)
    seen_seconds = max(0, now_ms - job.submitted_at_ms) / 1000
    if created_at is not None and completed_at is not None:
        said_seconds = (completed_at - created_at).total_seconds()
        if seen_seconds * _SHORTEST_SHARE <= said_seconds <= seen_seconds + _TOLERANCE_SECONDS and said_seconds > 0:
            return Observation(kind, said_seconds, round(completed_at.timestamp() * 1000))
    return Observation(kind, seen_seconds)
