"""The vendor's ground truth, and what would have been ideal."""

from __future__ import annotations

import heapq
from statistics import fmean
from typing import Any

import httpx

_PAGE = 10_000


def summary(simulator_url: str) -> dict[str, Any]:
    """Return the totals."""
    answer = httpx.get(f"{simulator_url}/simulator/summary", trust_env=False, timeout=60)
    return answer.raise_for_status().json()  # type: ignore[no-any-return]


def tasks(simulator_url: str, offset: int = 0) -> list[dict[str, Any]]:
    """Return every accepted task from the offset on, in order of acceptance."""
    found: list[dict[str, Any]] = []
    while True:
        page = httpx.get(
            f"{simulator_url}/simulator/tasks",
            params={"offset": offset + len(found), "limit": _PAGE},
            trust_env=False,
            timeout=60,
        ).json()
        found += page["tasks"]
        if not page["tasks"] or offset + len(found) >= page["total"]:
            return found


def ideal_makespan_seconds(accepted: list[dict[str, Any]], cap: int, speed: float) -> float:
    """Return the makespan of list scheduling: each job starts, in order, the moment a slot is free.

    Args:
        accepted: The tasks, in order of acceptance.
        cap: Slots.
        speed: Simulated seconds in a second.
    """
    free_at = [0.0] * min(cap, max(len(accepted), 1))
    for task in accepted:
        heapq.heapreplace(free_at, free_at[0] + task["duration_seconds"] / speed)
    return max(free_at)


def mean_duration_seconds(accepted: list[dict[str, Any]], speed: float) -> float:
    """Return the mean real duration of the tasks."""
    return fmean(task["duration_seconds"] for task in accepted) / speed
