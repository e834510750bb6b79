"""How large the scenarios are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .load import Load

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True)
class Plan:
    """One of the vendor's plans, and how it is measured.

    Args:
        name: Tasks at once and requests a minute.
        load: The plan's limits.
        seconds: How long it is measured, after it has warmed up.
        runs: How many stacks are measured, so that there are enough tasks.
        is_small: Whether it needs so little of the machine that others may run beside it.
    """

    name: str
    load: Load
    seconds: float
    runs: int = 1
    is_small: bool = True


@dataclass(frozen=True, slots=True)
class Profile:
    """The sizes of one run of the benchmark.

    Args:
        name: `short` or `full`.
        peers: What every contender is given.
        faults: What every contender is given when something goes wrong in the middle.
        faults_at_once: How many contenders meet their fault beside each other; what is lost does not depend on it.
        patience_seconds: Without a new result for so long after a fault, jobs count as stranded.
        scale: The vendor's own limits, or a part of them.
        workers: What 1, 2 and 4 worker processes are given.
        throughput: A vendor that limits nothing.
        enqueue_single: Single calls.
        enqueue_many: Jobs of one `submit_many`.
        growth: The backlog, and the lengths it grows to.
        growth_seconds: How long each length is watched.
        plans: The vendor's plans.
    """

    name: str
    peers: Load
    faults: Load
    faults_at_once: int
    patience_seconds: float
    scale: Load
    workers: Load
    throughput: Load
    enqueue_single: int
    enqueue_many: int
    growth: Load
    growth_lengths: Sequence[int]
    growth_seconds: float
    plans: Sequence[Plan]


#: A higher speed would shorten what the product's own waits and margins are made for: a second of a minute.
_PLAN_SPEED = 4


def _plan(cap: int, rate: int, jobs: int, speed: float = _PLAN_SPEED) -> Load:
    return Load(jobs=jobs, cap=cap, rate=rate, speed=speed, is_mixed=False)


_GROWTH = Load(jobs=0, cap=100, rate=20_000, speed=10, is_mixed=False)

SHORT = Profile(
    name="short",
    peers=Load(jobs=600, cap=200, rate=2_000, speed=20),
    faults=Load(jobs=150, cap=60, rate=600, speed=20),
    faults_at_once=2,
    patience_seconds=8,
    scale=Load(jobs=500, cap=250, rate=2_500, speed=4, is_mixed=False),
    workers=Load(jobs=300, cap=100, rate=1_000, speed=20),
    throughput=Load(jobs=600, cap=20_000, rate=10_000_000, speed=400, workers=1),
    enqueue_single=1_500,
    enqueue_many=20_000,
    growth=_GROWTH,
    growth_lengths=(1_000, 10_000, 50_000),
    growth_seconds=8,
    plans=(
        Plan("3/10", _plan(3, 10, 200), seconds=160, runs=4),
        Plan("10/60", _plan(10, 60, 400), seconds=160),
        Plan("100/1000", _plan(100, 1_000, 3_500), seconds=160),
        # A quarter of it: the whole needs a machine of its own.
        Plan("1000/10000", _plan(250, 2_500, 2_500), seconds=45, is_small=False),
    ),
)

FULL = Profile(
    name="full",
    peers=Load(jobs=3_000, cap=200, rate=2_000, speed=20),
    faults=Load(jobs=1_000, cap=200, rate=2_000, speed=20),
    faults_at_once=1,
    patience_seconds=45,
    scale=Load(jobs=10_000, cap=1_000, rate=10_000, speed=1, is_mixed=False),
    workers=Load(jobs=2_000, cap=200, rate=2_000, speed=20),
    throughput=Load(jobs=10_000, cap=20_000, rate=10_000_000, speed=400, workers=1),
    enqueue_single=5_000,
    enqueue_many=100_000,
    growth=_GROWTH,
    growth_lengths=(1_000, 100_000, 1_000_000),
    growth_seconds=20,
    plans=(
        Plan("3/10", _plan(3, 10, 200, 1), seconds=1_200, runs=4),
        Plan("10/60", _plan(10, 60, 600, 1), seconds=1_200),
        Plan("100/1000", _plan(100, 1_000, 5_000, 1), seconds=1_200),
        Plan("1000/10000", _plan(1_000, 10_000, 12_000, 1), seconds=300, is_small=False),
    ),
)

PROFILES = {profile.name: profile for profile in (SHORT, FULL)}
