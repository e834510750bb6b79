"""Whether a task id that was named is the job's: decided from the vendor's own answer to a status request.

An odd answer to the submission may show one, and a callback may name one. For the latter, only those who know the
signed URL can do so: the vendor, or a reader of its logs. The URL belongs to one attempt of one job, so the vendor
itself would have to mix up its callbacks to name a wrong task. A reader of logs could name another task of the same
account, which the vendor knows too; that it is older than the attempt gives most of those away. See
docs/decisions/0017-callback-hints.md.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import TYPE_CHECKING, Final

from ..vendor import Failed, Pending, StatusAnswer, Succeeded, TaskNotFound

if TYPE_CHECKING:
    from ..ledger import JobFields

#: The vendor's clock may be behind Redis's by this much, in milliseconds.
CLOCK_TOLERANCE_MS: Final = 60_000
#: A task that was just accepted may not be known everywhere at the vendor at once, in milliseconds.
SETTLING_MS: Final = 30_000
#: The words of a task that is at work (vendor document, "Status Response Fields"); another may mean "no such task".
AT_WORK: Final = frozenset({"pending", "processing"})


class HintVerdict(Enum):
    """What a status answer says of a task id that was named."""

    #: The task exists and may be the job's.
    RIGHT = auto()
    #: The vendor does not know it, or made it before the job was sent.
    WRONG = auto()
    #: The answer does not tell: ask again.
    UNDECIDED = auto()


def check_hint(job: JobFields, answer: StatusAnswer, now_ms: int) -> HintVerdict:
    """Return whether the task that was asked about is the job's.

    Args:
        job: A job whose submission was lost.
        answer: What the vendor said about the task that was named.
        now_ms: The current time, in Redis time.
    """
    match answer:
        case TaskNotFound():
            is_new = job.hint_by == "answer" and now_ms < (job.begun_at_ms or 0) + SETTLING_MS
            return HintVerdict.UNDECIDED if is_new else HintVerdict.WRONG
        case Pending(state, created_at) if state in AT_WORK:
            pass
        case Failed(created_at=created_at):
            pass
        case Succeeded(result):
            created_at = result.created_at
        case _:
            return HintVerdict.UNDECIDED
    if created_at is None or job.begun_at_ms is None:
        return HintVerdict.RIGHT
    is_older = created_at.timestamp() * 1000 < job.begun_at_ms - CLOCK_TOLERANCE_MS
    return HintVerdict.WRONG if is_older else HintVerdict.RIGHT
