"""When to ask about a task: evenly, as often as the request budget allows."""

from __future__ import annotations

from typing import Final

#: Polls get at least this share of the budget: without them no slot becomes free, and submissions stop too.
LEAST_POLL_SHARE: Final = 0.1
#: An interval varies by this share to either side, so that tasks submitted together are not polled together for ever.
JITTER: Final = 0.1


def polls_per_second(requests_per_minute: float, submits_per_second: float) -> float:
    """Return how many polls a second submissions leave (vendor document, "Rate Limits").

    Args:
        requests_per_minute: The request budget of the account.
        submits_per_second: The rate of submissions to leave room for.
    """
    budget = requests_per_minute / 60
    return max(budget - submits_per_second, budget * LEAST_POLL_SHARE)


def next_poll_seconds(in_flight: int, polls_per_second: float, floor_seconds: float, uniform_random_01: float) -> float:
    """Return in how many seconds to ask about a task again: each task in flight gets the same share of the polls.

    Args:
        in_flight: Tasks that share the polls, this one included.
        polls_per_second: What they share.
        floor_seconds: The shortest interval, however few they are; before jitter.
        uniform_random_01: A random number in [0, 1).

    Raises:
        ValueError: There are no polls to share.
    """
    if polls_per_second <= 0:
        raise ValueError("polls_per_second must be positive; polls_per_second() never gives less")
    interval = max(floor_seconds, in_flight / polls_per_second)
    return interval * (1 - JITTER + 2 * JITTER * uniform_random_01)
