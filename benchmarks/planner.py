"""What polling can reach, computed: uniform, hazard-aware and the best of all schedules, at the vendor's limits.

Nothing is run. Then what the worker's own pacer reaches, simulated, also where the vendor is ten times as fast or as
slow as expected. `make bench-planner` prints the tables of docs/polling.md.
"""

from __future__ import annotations

from statistics import fmean
from typing import TYPE_CHECKING, Any

from bounds import (
    MEAN_SECONDS,
    REQUESTS_PER_SECOND,
    SLOTS,
    best,
    by_hazard,
    cheapest,
    cost,
    counts,
    every,
    log_normal,
    polling_bound,
    reach,
    spend,
)
from rig.tables import markdown
from simulated import EXPECTED_SECONDS, Budget, Load, simulate
from wanimate.contract.durations import BINS, Kinds, kind_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from bounds import Reach
    from wanimate.contract.durations import Durations

#: The spread that is simulated.
SIGMA = 0.3
#: Slots, requests a minute and jobs of what is simulated.
SIMULATED = ((3, 10, 300), (10, 60, 500), (100, 1000, 1000), (1000, 10_000, 5000))
#: In a mix of lengths, the share of a task's mean duration that grows with the length, as in the simulator; and 48
#: videos of 5 to 120 s that stand for all, evenly spread over their logarithms.
LENGTH_SHARE = 0.8
LENGTHS_SECONDS = [5 * 24 ** ((number + 0.5) / 48) for number in range(48)]


def main() -> None:
    """Compute and print."""
    for title, of in (
        ("videos of one length", {sigma: one_length(sigma) for sigma in (0.1, 0.2, 0.3, 0.5, 0.8)}),
        ("videos of 5 to 120 s", {sigma: all_lengths(sigma) for sigma in (0.1, 0.2, 0.3, 0.5)}),
    ):
        rows = (
            [sigma, *(f"{way.lag_seconds:.2f} s, {way.polls:.2f}, {way.slot_use:.3f}" for way in ways.values())]
            for sigma, ways in of.items()
        )
        print(f"\n{title}: late, polls a job, slots in use\n")
        print(markdown(["sigma", *of[SIGMA]], rows))
    simulated = [row for load in SIMULATED for row in from_the_first_task(*load)]
    print("\nsimulated from the first task on, 41.4 s are expected: late in mean durations\n")
    print(markdown(simulated[0], (row.values() for row in simulated)))


def one_length(sigma: float) -> dict[str, Reach]:
    """Return what each way of polling reaches if all videos are of one length."""
    truth = log_normal(sigma)
    return {
        "uniform": reach(every, truth, SLOTS, REQUESTS_PER_SECOND),
        "hazard-aware": reach(lambda stride: by_hazard(truth, stride), truth, SLOTS, REQUESTS_PER_SECOND),
        "best of all": polling_bound(SLOTS, REQUESTS_PER_SECOND, MEAN_SECONDS, sigma),
    }


def all_lengths(sigma: float) -> dict[str, Reach]:
    """Return what each way of polling reaches for a mix of lengths; sigma is the spread among videos of one length."""
    bands = [kind_of({"type": "animate", "video_seconds": length}) for length in LENGTHS_SECONDS]
    many, few = _learnt(bands, sigma, 1e7), _learnt(bands, sigma, 500)
    whole, own = many.of("animate:480p"), {band: many.of(band) for band in bands}

    def mean(costs: Callable[[str, Durations], tuple[float, float]]) -> tuple[float, float]:
        of = {band: costs(band, durations) for band, durations in own.items()}
        return fmean(of[band][0] for band in bands), fmean(of[band][1] for band in bands)

    def reached(schedule: Callable[[float, str], Iterable[float]]) -> Reach:
        return spend(
            lambda scale: mean(lambda band, durations: cost(schedule(scale, band), durations)),
            MEAN_SECONDS,
            REQUESTS_PER_SECOND / SLOTS,
        )

    return {
        "uniform": reached(lambda scale, _: every(scale)),
        "without length": reached(lambda scale, _: by_hazard(whole, scale)),
        "with length": reached(lambda scale, band: by_hazard(own[band], scale)),
        "after 500 tasks": reached(lambda scale, band: by_hazard(few.of(band), scale)),
        "best with these bands": best(
            lambda price: mean(lambda _, durations: cheapest(durations, price)),
            MEAN_SECONDS,
            REQUESTS_PER_SECOND / SLOTS,
        ),
    }


def _learnt(bands: Iterable[str], sigma: float, tasks: float) -> Kinds:
    """Return what so many tasks teach, spread evenly over the lengths, of which each is in a band."""
    seen: dict[str, list[float]] = {}
    mean_length = fmean(LENGTHS_SECONDS)
    for band, length in zip(bands, LENGTHS_SECONDS, strict=True):
        seconds = MEAN_SECONDS * (1 + LENGTH_SHARE * (length / mean_length - 1))
        ended = counts(sigma, seconds, tasks / len(LENGTHS_SECONDS))
        seen[band] = [sum(pair) for pair in zip(seen.get(band, [0.0] * BINS), ended, strict=True)]
    return Kinds(seen)


def from_the_first_task(slots: int, per_minute: int, jobs: int) -> Iterable[dict[str, Any]]:
    """Yield what the worker's pacer reaches from its first task on, with durations as expected and wrong by ten.

    Where tasks take a tenth as long the account has ten times the requests, so that there are as many for each task.
    """
    truth = log_normal(SIGMA)
    bound = reach(lambda stride: by_hazard(truth, stride), truth, slots, Budget(slots, per_minute).per_second)
    for times in (1.0, 0.1, 10.0):
        load = Load(slots, round(per_minute / times), jobs, EXPECTED_SECONDS * times, SIGMA)
        seen = simulate(load)
        yield {
            "tasks/requests": f"{slots}/{load.per_minute}",
            "jobs": jobs,
            "mean duration, s": load.mean_seconds,
            "late: mean": seen.mean,
            "late: bound": bound.lag_seconds / MEAN_SECONDS,
            "median": seen.quantile(0.5),
            "p99": seen.quantile(0.99),
            "polls a job": seen.polls,
            "slots in use": seen.slot_use,
            "slots: bound": bound.slot_use,
        }


if __name__ == "__main__":
    main()
