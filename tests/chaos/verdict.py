"""What must be zero, from the vendor's ground truth and what the callers were told."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from wanimate import JobFailed, Result, SubmissionUnknown
from wanimate_worker.local.stack import leftovers

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rig import Rig

Outcome = Result | JobFailed | None


@dataclass(frozen=True, slots=True)
class Verdict:
    """Counts of what must not be; all zero when the queue kept its word.

    Args:
        lost: Jobs without a final result.
        mixed_up: Jobs with another job's result.
        paid_twice: Jobs that the vendor accepted more than once.
        over_limit: Tasks above the cap and requests above the budget of a window.
        leaked: Slots, ledger entries and messages left at the end.
        slandered: Jobs reported as failed that the vendor made.
        unknown_unrecovered: Jobs that ended as `SubmissionUnknown`.
        unknown_without_cause: Of these, jobs whose answer cannot have been lost, for the vendor never had them.
    """

    lost: int
    mixed_up: int
    paid_twice: int
    over_limit: int
    leaked: int
    slandered: int
    unknown_unrecovered: int
    unknown_without_cause: int

    @property
    def is_clean(self) -> bool:
        """Whether all that must be zero is."""
        return not any((self.lost, self.mixed_up, self.paid_twice, self.over_limit, self.leaked, self.slandered))


def judge(rig: Rig, outcomes: Sequence[Outcome]) -> Verdict:
    """Compare what callers were told with what the vendor knows.

    Args:
        rig: The stack, idle again.
        outcomes: How each job ended, in the order they were enqueued; None for one that did not.
    """
    tasks, summary = rig.tasks(), rig.summary()
    accepted = Counter(task["marker"] for task in tasks)
    outcome_of_marker = {task["marker"]: task["outcome"] for task in tasks}
    marker_of_task = {task["task_id"]: task["marker"] for task in tasks}
    lost = mixed_up = slandered = unknown = without_cause = 0
    for number, outcome in enumerate(outcomes):
        marker = f"job-{number}"
        match outcome:
            case None:
                lost += 1
            case Result():
                mixed_up += marker_of_task.get(outcome.task_id) != marker
            case SubmissionUnknown():
                unknown += 1
                without_cause += marker not in accepted
            case _:
                slandered += outcome_of_marker.get(marker) == "success"
    over_cap = max(0, summary["in_flight_max"] - rig.profile.cap)
    over_budget = max(0, summary["requests_window_max"] - rig.window_requests)
    return Verdict(
        lost=lost,
        mixed_up=mixed_up,
        paid_twice=sum(count > 1 for count in accepted.values()),
        over_limit=over_cap + over_budget,
        leaked=len(leftovers(rig.stack)),
        slandered=slandered,
        unknown_unrecovered=unknown,
        unknown_without_cause=without_cause,
    )
