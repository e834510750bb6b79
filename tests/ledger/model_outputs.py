"""What the ledger must do at the end of a job: copy its video, write its event, and have it told."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections import Counter

    from .model_jobs import Life

#: The most webhooks that are sent to one endpoint at once.
CONNECTIONS = 2


@dataclass(eq=False)
class End:
    """One end of a job, which is told as one event."""

    job_id: str
    outcome: str
    #: Where its webhook goes; None for nowhere.
    endpoint: str | None
    #: The end before, while its webhook must be delivered, or given up, before this one is sent.
    waits_for: End | None = None
    event_id: str = ""
    is_delivered: bool = False
    is_given_up: bool = False
    #: It was claimed, and the lease has not ended.
    is_sending: bool = False

    @property
    def is_pending(self) -> bool:
        return self.endpoint is not None and not self.is_delivered


class OutputModel:
    """Videos that are copied, events, and webhooks."""

    counters: Counter[str]

    def __init__(self) -> None:
        self.keeps_videos = False
        #: Every end, in order.
        self.ends: list[End] = []

    @property
    def pending(self) -> list[End]:
        return [end for end in self.ends if end.is_pending]

    def sending_to(self, endpoint: str) -> list[End]:
        return [end for end in self.ends if end.endpoint == endpoint and end.is_sending]

    def write_event(self, job_id: str, life: Life) -> None:
        before = life.ends[-1] if life.ends else None
        is_waited_for = before is not None and before.is_pending and not before.is_given_up
        life.ends.append(End(job_id, life.outcome, life.endpoint, before if is_waited_for else None))
        self.ends.append(life.ends[-1])

    def finish_webhook(self, end: End) -> bool:
        self._release_successor(end)
        if not end.is_pending:
            return False
        end.is_delivered, end.is_sending, end.is_given_up = True, False, False
        self.counters["webhooks:delivered"] += 1
        return True

    def fail_webhook(self, end: End, *, is_given_up: bool) -> bool:
        end.is_sending = False
        if not end.is_pending:
            return False
        if is_given_up:
            end.is_given_up = True
            self._release_successor(end)
        self.counters["webhooks:given_up" if is_given_up else "webhooks:failed"] += 1
        return True

    def replay_webhook(self, end: End) -> None:
        """Have it sent, whatever is before it."""
        end.is_delivered, end.is_given_up, end.waits_for = False, False, None

    def _release_successor(self, end: End) -> None:
        for each in self.ends:
            if each.waits_for is end:
                each.waits_for = None
