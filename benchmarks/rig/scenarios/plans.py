"""`plans`: slots, lateness and 429s at the limits of the vendor's plans, beside the computed bound of each."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from statistics import fmean
from typing import TYPE_CHECKING, Any

from rig import truth
from rig.bound import Bound, polling_bound
from rig.gauge import Sampler, wait_until
from rig.wanimate import Wanimate

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rig.load import Load
    from rig.profile import Plan, Profile

#: Figures begin after so many tasks of each slot, so that the first durations are learnt and tasks are of all ages.
_WARM_UP_TURNS = 3
#: How often the number of accepted tasks is checked, in seconds.
_CHECK_SECONDS = 0.5


def run_plans(profile: Profile, tell: Callable[[str], None]) -> list[dict[str, Any]]:
    """Run each plan with polling and with callbacks, small ones beside each other."""

    def measure(plan: Plan, has_callbacks: bool, number: int) -> dict[str, Any]:  # noqa: FBT001
        tell(f"{plan.name}, {'callbacks' if has_callbacks else 'polling'}, run {number + 1} of {plan.runs}")
        return _measure(plan.load, plan.seconds, has_callbacks=has_callbacks, seed=number)

    figures: dict[tuple[Plan, bool], list[dict[str, Any]]] = {}
    small = [plan for plan in profile.plans if plan.is_small]
    # Nothing runs beside a plan that needs the machine.
    for plans, at_once in ((small, 16), ([plan for plan in profile.plans if not plan.is_small], 1)):
        with ThreadPoolExecutor(at_once) as threads:
            runs = [
                (plan, has_callbacks, threads.submit(measure, plan, has_callbacks, number))
                for plan in plans
                for has_callbacks in (False, True)
                for number in range(plan.runs)
            ]
            for plan, has_callbacks, run in runs:
                figures.setdefault((plan, has_callbacks), []).append(run.result())
    return [
        _row(plan, has_callbacks, figures[plan, has_callbacks])
        for plan in profile.plans
        for has_callbacks in (False, True)
    ]


def _measure(load: Load, seconds: float, *, has_callbacks: bool, seed: int) -> dict[str, Any]:
    """Run one stack with a backlog for so long, and return what its vendor saw."""
    contender = Wanimate(load, has_callbacks=has_callbacks, simulator_options={"seed": str(seed)})
    with contender, Sampler(contender.redis_url) as sampler:
        contender.enqueue()
        warm = min(_WARM_UP_TURNS * load.cap, load.jobs // 3)
        wait_until(
            lambda: truth.summary(contender.simulator_url)["accepted"] >= warm,
            _WARM_UP_TURNS * 3 * load.mean_seconds / load.speed + 60,
            f"{warm} tasks accepted",
        )
        began_ms = time.time() * 1000
        time.sleep(seconds)
        ended_ms = time.time() * 1000
        summary, tasks = truth.summary(contender.simulator_url), truth.tasks(contender.simulator_url)
        if summary["accepted"] >= load.jobs:
            raise RuntimeError(f"the backlog of {load.jobs} jobs was too short for {seconds:.0f} s")
    completed = [task for task in tasks if began_ms <= (task["completed_at_ms"] or 0) < ended_ms]
    told = [task for task in completed if task["first_told_at_ms"] is not None]
    work_ms = sum(
        max(
            0.0,
            min(ended_ms, task["accepted_at_ms"] + task["duration_seconds"] / load.speed * 1000)
            - max(began_ms, task["accepted_at_ms"]),
        )
        for task in tasks
    )
    return {
        "slot_use": work_ms / (load.cap * (ended_ms - began_ms)),
        "lags": [(task["first_told_at_ms"] - task["completed_at_ms"]) / 1000 * load.speed for task in told],
        "polls": [task["polls"] for task in told],
        "count_429": sum(summary["count_429"].values()),
        "above_cap": summary["violations_of_cap"],
        "requests_window_max": summary["requests_window_max"],
        "machine_load": sampler.machine_load,
    }


def _row(plan: Plan, has_callbacks: bool, runs: Sequence[dict[str, Any]]) -> dict[str, Any]:  # noqa: FBT001
    load = plan.load
    lags = sorted(lag / load.mean_seconds for run in runs for lag in run["lags"])
    bound = (
        callback_bound(load)
        if has_callbacks
        else polling_bound(load.cap, load.rate / 60, load.mean_seconds, load.sigma)
    )
    return {
        "plan": plan.name,
        "mode": "callbacks" if has_callbacks else "polling",
        "jobs": len(lags),
        "slot_use": fmean(run["slot_use"] for run in runs),
        "slot_use_bound": bound.slot_use,
        "lag_mean_share": fmean(lags),
        "lag_mean_bound_share": bound.lag_seconds / load.mean_seconds,
        "lag_median_share": lags[len(lags) // 2],
        "lag_p99_share": lags[int(len(lags) * 0.99)],
        "polls_per_job": fmean(polls for run in runs for polls in run["polls"]),
        "polls_bound": bound.polls,
        "count_429": sum(run["count_429"] for run in runs),
        "above_cap": sum(run["above_cap"] for run in runs),
        "requests_window_max": max(run["requests_window_max"] for run in runs),
        "rate": load.rate,
        "speed": load.speed,
        "machine_load": max((run["machine_load"] or 0.0) for run in runs),
    }


def callback_bound(load: Load) -> Bound:
    """Return what the best use of callbacks would do: one submission and one poll that confirms, which the rate allows.

    Args:
        load: The plan's load.
    """
    lag_seconds = max(0.0, 2 * load.cap / (load.rate / 60) - load.mean_seconds)
    return Bound(lag_seconds, load.mean_seconds / (load.mean_seconds + lag_seconds), 1.0)
