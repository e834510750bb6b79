"""When to poll a task: often when its end is likely, seldom when it is not. docs/polling.md derives it.

With the hazard h(t), the interval that makes the mean delay shortest for a given number of polls is
tau(t) = sqrt(2c / h(t)) (J. B. Keller, "Optimum Checking Schedules for Systems Subject to Random Failure", Management
Science 21, 1974). With the stride s = sqrt(2c) and the progress G(t), the integral of sqrt(h), the polls of a task are
one stride apart in G. So one number, the stride, says how often all tasks are polled, and it is the sum of sqrt(h) over
the tasks in flight divided by the polls per second there shall be.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from itertools import accumulate
from math import inf, sqrt
from typing import TYPE_CHECKING, Final, NamedTuple

from wanimate.contract.durations import BINS, EDGES, bin_of, kind_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wanimate.contract.durations import Durations, Kinds

#: The first poll comes after this many strides, a little later than the others: the formula holds for short intervals,
#: and the first is long. Found by comparison with the exact optimum, which is then less than 3 % better.
FIRST_STRIDES: Final = 1.25
#: A stride varies by this share to either side, so that tasks submitted together are not polled together for ever.
JITTER: Final = 0.1
#: A task is polled after this at the latest, in seconds, for the distribution may be wrong about it; or after so many
#: times the interval that all tasks would have if the whole budget were spread evenly over them.
MAX_SECONDS: Final = 60.0
MAX_EVEN_INTERVALS: Final = 4.0
#: An interval is at most so long that of the tasks which may end in it this share is noticed later than this share of
#: the mean duration. The square root of the hazard makes the mean delay shortest, at the price of a long tail.
TAIL_SHARE: Final = 0.01
MAX_LATE_SHARE: Final = 0.25
#: With fewer requests for each task it is longer, by the square: then the mean is all that there are polls for.
TAIL_REQUESTS: Final = 3.0
#: Polls get at least this share of the budget: without them no slot becomes free, and submissions stop too.
MIN_POLL_SHARE: Final = 0.1
#: Polls that are late, and submissions for slots that are free, are made up for within this time, in seconds. What is
#: left of the budget is used up in the same.
CATCH_UP_SECONDS: Final = 2.0
#: It is the time of so many requests at least: a plan of ten requests a minute makes up for one in two minutes, for all
#: polls that are planned meanwhile come so much later.
CATCH_UP_REQUESTS: Final = 20
#: So many tasks are of all ages. Fewer are planned as if they were, the more so the fewer they are: else each would be
#: polled rarely while the others are of an age at which most end, and often when they are not.
MANY_TASKS: Final = 100
#: Late polls take at most this share of the others. They are a moment's; a stride that is far too long lasts as long as
#: the intervals that are planned with it.
MAX_LATE_POLLS_SHARE: Final = 0.3
#: A poll planned now is made this share of a task's mean duration later, when all tasks are older: half an interval in
#: the ages at which most of them end. It matters when many tasks are of one age, as after a start. Found by simulation.
LOOK_AHEAD: Final = 0.04
#: While callbacks keep coming, polls are at least this share of what they would be without.
MIN_FALLBACK_SHARE: Final = 0.05

#: What a submission counts as, in requests. Tasks in flight are counted as polled from the start, a quarter stride more
#: than they are (FIRST_STRIDES).
_SUBMISSION: Final = 1 - (FIRST_STRIDES - 1)


class Bounds(NamedTuple):
    """How long an interval may be.

    Args:
        max_seconds: At most.
        max_late_seconds: So many seconds after the first few tasks have ended, at most.
    """

    max_seconds: float
    max_late_seconds: float

    @classmethod
    def of(cls, requests_per_second: float, in_flight: int, mean_seconds: float, share: float = 1.0) -> Bounds:
        """Return the bounds that the budget allows.

        Args:
            requests_per_second: The request budget.
            in_flight: Tasks in flight.
            mean_seconds: How long a task takes on average.
            share: The share of polls that callbacks leave to make.
        """
        even_seconds = max(1, in_flight) / requests_per_second
        wanting = max(1.0, TAIL_REQUESTS * even_seconds / (share * mean_seconds))
        return cls(max(MAX_SECONDS, MAX_EVEN_INTERVALS * even_seconds), MAX_LATE_SHARE * mean_seconds * wanting**2)


NO_BOUNDS: Final = Bounds(inf, inf)


class Urgency:
    """How urgent a poll of a task of a certain age is: sqrt(h) and its integral."""

    __slots__ = ("_gone", "_progress", "_roots", "durations")

    def __init__(self, durations: Durations) -> None:
        self.durations = durations
        self._roots: Final = [sqrt(hazard) for hazard in durations.hazard]
        starts = (0.0, *EDGES[1:-1])
        steps = (root * (end - start) for root, start, end in zip(self._roots, starts, EDGES[1:], strict=True))
        self._progress: Final = [0.0, *accumulate(steps)]
        #: What rises with the age, to search in.
        self._gone: Final = [-left for left in durations.survival]

    @property
    def over_life(self) -> float:
        """The sum of sqrt(h) over a task's life, on average: its polls at a stride of 1."""
        return sum(root * seconds for root, seconds in zip(self._roots, self.durations.seconds_by_bin, strict=True))

    def at(self, age_seconds: float) -> float:
        """Return sqrt(h) at an age: polls per second and stride."""
        return self._roots[bin_of(age_seconds)]

    def progress(self, age_seconds: float) -> float:
        """Return G, the integral of sqrt(h) up to an age."""
        number = bin_of(age_seconds)
        start = EDGES[number] if number else 0.0
        return self._progress[number] + self._roots[number] * (age_seconds - start)

    def age_at(self, progress: float) -> float:
        """Return the age at which G has this value."""
        number = min(BINS - 1, bisect_right(self._progress, progress) - 1)
        start = EDGES[number] if number else 0.0
        return start + (progress - self._progress[number]) / self._roots[number]

    def tail_at(self, age_seconds: float) -> float:
        """Return the age by which few of the tasks have ended that have not ended yet: `TAIL_SHARE` of them."""
        left = self.durations.survival_at(age_seconds) * (1 - TAIL_SHARE)
        return max(age_seconds, EDGES[min(BINS, bisect_left(self._gone, -left))])

    def next_poll_seconds(
        self,
        age_seconds: float,
        stride: float,
        floor_seconds: float,
        uniform_random_01: float,
        bounds: Bounds = NO_BOUNDS,
    ) -> float:
        """Return in how many seconds to poll a task; the first time if it is new.

        Args:
            age_seconds: How long the vendor has had it; 0 if it was just accepted.
            stride: How far apart polls are.
            floor_seconds: The shortest interval.
            uniform_random_01: A random number in [0, 1).
            bounds: The longest interval.
        """
        age = max(0.0, age_seconds)
        strides = (1.0 if age > 0 else FIRST_STRIDES) * (1 - JITTER + 2 * JITTER * uniform_random_01)
        interval = self.age_at(self.progress(age) + strides * stride) - age
        longest = min(bounds.max_seconds, self.tail_at(age) - age + bounds.max_late_seconds)
        return max(min(interval, longest), floor_seconds)


class Mix:
    """The kinds of tasks there are, by how often they were observed.

    Args:
        kinds: What is known of each kind.
    """

    def __init__(self, kinds: Kinds) -> None:
        self._kinds = kinds
        self._urgencies: dict[str, Urgency] = {}
        observed = sum(kinds.observed.values())
        self._shares = (
            [(count / observed, self.of(kind)) for kind, count in kinds.observed.items()]
            if observed > 0
            else [(1.0, self.of(kind_of({})))]
        )
        #: How long a task takes on average.
        self.mean_seconds: Final = sum(share * each.durations.mean_seconds for share, each in self._shares)
        #: The sum of sqrt(h) over a task's life, on average.
        self.over_life: Final = sum(share * each.over_life for share, each in self._shares)

    def of(self, kind: str) -> Urgency:
        """Return the urgency of a kind, observed or not."""
        found = self._urgencies.get(kind)
        if found is None:
            found = self._urgencies[kind] = Urgency(self._kinds.of(kind))
        return found

    def at(self, age_seconds: float) -> float:
        """Return the mean of sqrt(h) over the kinds that tasks of this age are of."""
        weights = [share * each.durations.survival_at(age_seconds) for share, each in self._shares]
        total = sum(weights)
        if total <= 0:
            return self.of(kind_of({})).at(age_seconds)
        return (
            sum(weight * each.at(age_seconds) for weight, (_, each) in zip(weights, self._shares, strict=True)) / total
        )

    def urgency(self, in_flight_by_age: Sequence[tuple[float, int]]) -> float:
        """Return the sum of sqrt(h) over the tasks in flight, when polls that are planned now are made.

        Args:
            in_flight_by_age: Pairs of an age in seconds and how many tasks have it.
        """
        ahead = LOOK_AHEAD * self.mean_seconds
        now = sum(count * self.at(age + ahead) for age, count in in_flight_by_age)
        tasks = sum(count for _, count in in_flight_by_age)
        of_all_ages = tasks * self.over_life / self.mean_seconds
        return (tasks * now + MANY_TASKS * of_all_ages) / (tasks + MANY_TASKS)

    def lag_seconds(self, requests_per_second: float, in_flight: int) -> float:
        """Return how late ends are noticed with so many tasks of all ages when the whole budget is used.

        A task makes over_life / stride polls and its end is noticed stride * over_life / 2 late, so the requests of a
        task are what the budget has for it in the time it holds its slot, a quadratic equation for the stride:
        _SUBMISSION + over_life / stride = requests_per_second / in_flight * (mean_seconds + stride * over_life / 2).
        """
        if not in_flight:
            return 0.0
        each = requests_per_second / in_flight
        polls = each * self.mean_seconds - _SUBMISSION
        return (sqrt(polls * polls + 2 * each * self.over_life**2) - polls) / (2 * each)


def polls_per_second(
    requests_per_second: float,
    in_flight: int,
    mean_seconds: float,
    *,
    lag_seconds: float = 0.0,
    free_and_wanted: int = 0,
    late: int = 0,
    spare: int = 0,
) -> float:
    """Return how many polls a second there are to be had: what submissions and late polls leave of the budget.

    Late polls and spare permits close the loop from either side: what the model does not know makes one or the other.

    Args:
        requests_per_second: The request budget.
        in_flight: Tasks in flight. As many as end are submitted anew.
        mean_seconds: How long a task takes on average.
        lag_seconds: How late its end is noticed.
        free_and_wanted: Slots that are free while jobs wait for them.
        late: Polls whose time has passed and that were not made yet.
        spare: Permits that polls could take now and that are unused.
    """
    catch_up_seconds = max(CATCH_UP_SECONDS, CATCH_UP_REQUESTS / requests_per_second)
    # Each task is polled once at least, so no more than half of all requests are submissions for long.
    ends = min(in_flight / (mean_seconds + lag_seconds), requests_per_second / 2)
    submits = ends * _SUBMISSION + free_and_wanted / catch_up_seconds
    left = requests_per_second - submits + spare / catch_up_seconds
    # One late poll is chance, and with few requests a second it is there most of the time.
    left -= min(max(0, late - 1) / catch_up_seconds, left * MAX_LATE_POLLS_SHARE)
    return min(max(left, requests_per_second * MIN_POLL_SHARE), requests_per_second)


def fallback_share(called_share: float) -> float:
    """Return the share of polls that callbacks leave to make.

    Args:
        called_share: Of the tasks that ended recently, the share whose callbacks came.
    """
    return min(1.0, max(1 - called_share, MIN_FALLBACK_SHARE))


def stride_of(urgency: float, polls_per_second: float, mean_seconds: float, floor_seconds: float) -> float:
    """Return the stride with which tasks are polled as often as the budget allows, but not without need.

    It is at least so large that a task whose end is no more likely than on average is polled at the floor.

    Args:
        urgency: The sum of sqrt(h) over the tasks in flight.
        polls_per_second: How many polls there are to be had.
        mean_seconds: How long a task takes on average.
        floor_seconds: The shortest interval.

    Raises:
        ValueError: There are no polls to be had.
    """
    if polls_per_second <= 0:
        raise ValueError("polls_per_second must be positive; polls_per_second() never gives less")
    return max(urgency / polls_per_second, floor_seconds / sqrt(mean_seconds))
