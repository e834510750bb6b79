"""What the vendor's 429s show: which limits would fit, where the plan is smaller than the limits that are set."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from math import inf
from typing import TYPE_CHECKING, Final, Self

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from .limits import AccountLimits

#: 429s that are older say nothing any more, in ms.
_REMEMBERED_MS: Final = 3_600_000
#: Without a 429 for so long the limits are kept, in ms: by then a lowered cap has grown back.
_RECENT_MS: Final = 900_000
#: Of the latest 429s so many are compared, and so many must show the same limit: one alone may be an accident.
_COMPARED: Final = 20
_ALIKE: Final = 3
#: They show the same if they are as near to each other as this share of the limit.
_NEAR_SHARE: Final = 0.1
#: So many times the limit in answers without a 429: it is not the vendor's.
_WELL_AGAIN: Final = 2

#: The vendor's documented plans: their names, tasks at once, and requests a minute.
PLANS: Final = (("free", 3, 10), ("pro", 10, 60), ("enterprise, as on the model's page", 1000, 10_000))


class RefusedBy(StrEnum):
    """The limit that a 429 speaks of."""

    TASKS = "tasks"
    REQUESTS = "requests"
    #: It does not say which.
    EITHER = "either"


@dataclass(frozen=True, slots=True)
class Tasks:
    """The tasks that the vendor had at a moment.

    Args:
        accepted: Those that it had accepted, as far as was recorded; some may have ended unnoticed.
        perhaps: These, and those whose submission was under way or lost. It had no more.
    """

    accepted: int
    perhaps: int


@dataclass(frozen=True, slots=True)
class Throttle:
    """One 429 that closed the gate.

    Args:
        refused_by: The limit that it speaks of.
        tasks: The tasks that the vendor had; None if that does not matter.
        requests: How many requests it had answered in the minute before.
        answered: How many it had answered in all.
    """

    at_ms: int
    refused_by: RefusedBy
    tasks: Tasks | None
    requests: int
    answered: int

    @classmethod
    def read(cls, stored: str) -> Self:
        """Build from what the script has stored."""
        at_ms, refused_by, accepted, perhaps, requests, answered = stored.split(",")
        tasks = Tasks(int(accepted), int(perhaps)) if accepted else None
        return cls(int(at_ms), RefusedBy(refused_by), tasks, int(requests), int(answered))


@dataclass(frozen=True, slots=True)
class Fitting:
    """The limits that would fit.

    Args:
        max_in_flight: Tasks at once; None where nothing shows that the limit is too large.
        requests_per_minute: Requests a minute, never more than the vendor allows; None likewise.
    """

    max_in_flight: int | None
    requests_per_minute: int | None

    @property
    def command(self) -> str:
        """What sets them."""
        tasks = "" if self.max_in_flight is None else f" --max-in-flight {self.max_in_flight}"
        requests = "" if self.requests_per_minute is None else f" --requests-per-minute {self.requests_per_minute}"
        return f"wanimate-worker limits{tasks}{requests}"

    @property
    def plan(self) -> str | None:
        """The documented plan that has these limits; None if none has."""
        for name, tasks, requests in PLANS:
            seen = self.requests_per_minute
            has_requests = seen is None or requests * (1 - _NEAR_SHARE) <= seen <= requests
            if self.max_in_flight in {None, tasks} and has_requests:
                return f"{name}: {tasks} tasks at once and {requests} requests a minute"
        return None

    @property
    def text(self) -> str:
        """The finding."""
        seen = []
        if self.max_in_flight is not None:
            seen.append(f"{self.max_in_flight} tasks at once")
        if self.requests_per_minute is not None:
            seen.append(f"{self.requests_per_minute} requests a minute")
        return f"the vendor answers 429 beyond {' and '.join(seen)}: its plan is smaller than the configured limits"

    @property
    def advice(self) -> str:
        """The advice."""
        plan = "" if self.plan is None else f" (the documented plan {self.plan})"
        return (
            f"each 429 pauses all requests for a while; no job is lost. Set limits that fit{plan}, or less if others "
            "use the key"
        )


class Throttles:
    """The 429s of the last hour.

    Args:
        throttles: Those that closed the gate, the newest first.
        answered: How many requests the vendor answered: in seconds of the last minute, and before.
        now_ms: The current time, in Redis time.
    """

    def __init__(self, throttles: Iterable[Throttle], answered: Mapping[str, str], now_ms: int) -> None:
        self._throttles = [each for each in throttles if now_ms - each.at_ms < _REMEMBERED_MS]
        self._answered = sum(map(int, answered.values()))
        self._now_ms = now_ms

    def fitting(self, limits: AccountLimits) -> Fitting | None:
        """Return the limits that would fit, where those that are set are larger; None where no 429 shows that.

        Args:
            limits: Those that are set.
        """
        requests = self._requests(limits.requests_per_minute)
        # A 429 that does not say which limit it means is first taken for the one that polls meet too.
        kinds = {RefusedBy.TASKS} if requests is not None else {RefusedBy.TASKS, RefusedBy.EITHER}
        tasks = self._tasks(kinds, limits.max_in_flight)
        return None if tasks is None and requests is None else Fitting(tasks, requests)

    def _requests(self, limit: int) -> int | None:
        """Return how many requests a minute the vendor allows: where it refuses more, it has answered just so many."""
        found = [each for each in self._throttles if each.refused_by is not RefusedBy.TASKS]
        most = _most_shown([each.requests for each in found])
        is_over = bool(found) and self._answered - found[0].answered > _WELL_AGAIN * most
        return most if 0 < most < limit and not is_over and self._is_recent(found) else None

    def _tasks(self, kinds: set[RefusedBy], limit: int) -> int | None:
        """Return how many tasks the vendor allows, which is never more than it may have had when it refused one."""
        found = [each for each in self._throttles if each.refused_by in kinds]
        seen = [each.tasks for each in found if each.tasks is not None]
        upper_bound = min((tasks.perhaps for tasks in seen), default=0)
        most = _most_shown([tasks.accepted for tasks in seen], upper_bound)
        return most if 0 < most < limit and self._is_recent(found) else None

    def _is_recent(self, found: Sequence[Throttle]) -> bool:
        return self._now_ms - found[0].at_ms < _RECENT_MS


def _most_shown(counts: Sequence[int], upper_bound: float = inf) -> int:
    """Return the count to which most are near, of equals the largest; 0 if there is none.

    One alone shows little: what had ended unnoticed is counted in it, or what was accepted just then is missed.
    """

    def likeness(most: int) -> float:
        near = _NEAR_SHARE * most
        apart = [abs(each - most) for each in counts[:_COMPARED] if abs(each - most) <= near]
        return sum(1 - each / (near + 1) for each in apart) if len(apart) >= _ALIKE else 0.0

    shown = [most for most in counts[:_COMPARED] if most <= upper_bound and likeness(most)]
    return max(shown, key=lambda most: (likeness(most), most), default=0)
