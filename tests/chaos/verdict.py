"""What must be zero, from the vendor's ground truth and what the callers were told."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rig import Rig
from secrets_in import secrets_in_stack
from traffic import RETRIED_CODE, SIGNED
from wanimate import (
    ContentViolation,
    DeadlineExceeded,
    GenerationFailed,
    InvalidRequest,
    Result,
    SubmissionUnknown,
)

if TYPE_CHECKING:
    from told import Told
    from traffic import Traffic

#: What the ledger says of a submission whose worker did not live to see the answer.
_DIED = "the worker died while submitting"


@dataclass(frozen=True, slots=True)
class Verdict:
    """Counts of what must not be; all zero when the queue kept its word.

    Args:
        lost: Jobs without a final result.
        mixed_up: Jobs with another job's result.
        paid_twice: Jobs that the vendor accepted more than once, but for retries of what had failed.
        over_limit: Tasks above the cap and requests above the budget of a window.
        leaked: Slots, ledger entries and messages left at the end.
        slandered: Jobs reported as failed in a way that the vendor knows nothing of.
        unknown_without_cause: Jobs reported as `SubmissionUnknown` whose answer reached a worker that lived.
        unknown_unrecovered: Jobs reported as `SubmissionUnknown` although the vendor's callback had arrived.
        exposed: Secrets found in logs, in Redis or in what callers were told.
        corrupt: Videos whose copy is not what the vendor has, or is not as the result says.
        not_told: Ends that no event, no webhook or no reader of events told of.
        told_wrongly: Events and webhooks that say something else than the outcome, or came out of order.
    """

    lost: int
    mixed_up: int
    paid_twice: int
    over_limit: int
    leaked: int
    slandered: int
    unknown_without_cause: int
    unknown_unrecovered: int
    exposed: int
    corrupt: int
    not_told: int
    told_wrongly: int

    @property
    def is_clean(self) -> bool:
        """Whether all that must be zero is."""
        return not any(getattr(self, name) for name in self.__slots__)


def judge(
    rig: Rig, traffic: Traffic, left: list[str], told: Told, retried: Counter[int]
) -> tuple[Verdict, dict[str, int]]:
    """Compare what callers were told with what the vendor knows.

    Args:
        rig: The stack, idle again.
        traffic: What the callers enqueued and were told.
        left: What was left behind, however long was waited for it.
        told: What became of events, webhooks and videos.
        retried: How often jobs were run again by hand.

    Returns:
        The verdict, and how many jobs ended in which way.
    """
    tasks, summary = rig.tasks(), rig.summary()
    # A retry is a task of its own, after one that has failed.
    accepted = Counter(task["marker"] for task in tasks if not _is_retried(task))
    by_hand = Counter({f"job-{number}": count for number, count in retried.items()})
    task_of = {task["marker"]: task for task in tasks}
    endings: Counter[str] = Counter()
    mixed_up = slandered = without_cause = unrecovered = 0
    for number in range(traffic.enqueued):
        outcome, task = traffic.outcomes.get(number), task_of.get(f"job-{number}")
        endings[type(outcome).__name__] += 1
        match outcome:
            case None:
                pass
            case Result():
                mixed_up += task is None or outcome.task_id != task["task_id"]
            case SubmissionUnknown():
                # Of a retry that did not reach the vendor there is but the task before it.
                sent = None if task is None or _is_retried(task) else task
                without_cause += not _was_answer_lost(outcome, sent)
                unrecovered += sent is not None and sent["callback_state"] == "ok"
            case DeadlineExceeded():
                slandered += task is not None and not task["forgotten"]
            case GenerationFailed() if outcome.code == RETRIED_CODE:
                slandered += 1
            case ContentViolation() | InvalidRequest() | GenerationFailed():
                slandered += task is None or task["outcome"] != outcome.code
            case _:
                slandered += 1
    over_cap = max(0, summary["in_flight_max"] - rig.profile.cap) + summary["violations_of_cap"]
    over_budget = max(0, summary["requests_window_max"] - rig.window_requests)
    verdict = Verdict(
        lost=endings.pop("NoneType", 0),
        mixed_up=mixed_up,
        paid_twice=sum(count > 1 for count in (accepted - by_hand).values()),
        over_limit=over_cap + over_budget,
        leaked=len(left),
        slandered=slandered,
        unknown_without_cause=without_cause,
        unknown_unrecovered=unrecovered,
        exposed=len(secrets_in_stack(rig.stack, [SIGNED], outcomes=repr(traffic.outcomes))),
        corrupt=told.corrupt,
        not_told=told.not_told,
        told_wrongly=told.told_wrongly,
    )
    return verdict, dict(endings)


def _is_retried(task: dict[str, Any]) -> bool:
    """Whether a task is one that its job was to be sent again after; the next one succeeds."""
    return bool(task["outcome"] == RETRIED_CODE)


def _was_answer_lost(outcome: SubmissionUnknown, task: dict[str, Any] | None) -> bool:
    """Whether nobody could know the answer: the worker died, or the vendor's side lost the answer or the request."""
    if _DIED in str(outcome) or task is None:
        return True
    return bool(task["answer_lost"]) or task["answer_delay_seconds"] >= Rig.submit_timeout_seconds
