"""What it is worth to know how long videos are, computed for a mix of 5 to 120 s at the vendor's limits.

Lengths are spread evenly over their logarithms. As in the simulator, a fifth of a task's mean duration is the same for
all and four fifths grow with the length; among videos of one length durations are log-normal.
"""

from __future__ import annotations

from functools import cache
from math import log, sqrt
from pathlib import Path
from statistics import NormalDist, fmean
from typing import TYPE_CHECKING

from bounds import Reach, best_schedule, by_hazard, cost, every
from rich.table import Table
from svg import how_late
from wanimate.contract.durations import BINS, EDGES, Durations, Kinds, kind_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from rich.console import Console

SLOTS = 1000
REQUESTS_PER_SECOND = 10_000 / 60
MEAN_SECONDS = 41.0
LENGTH_SHARE = 0.8
SHORTEST_SECONDS, LONGEST_SECONDS = 5.0, 120.0
SIGMAS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6)
PLOT = Path("docs/images/polling-length.svg")
#: Lengths that stand for all of them.
_LENGTHS = tuple(SHORTEST_SECONDS * (LONGEST_SECONDS / SHORTEST_SECONDS) ** ((n + 0.5) / 48) for n in range(48))
#: So many tasks were observed that the prior does not matter; and so few that it does.
_MANY, _FEW = 1e7, 500.0
_LABELS = (
    ("uniform", 0.45, 0.15),
    ("without length", 0.2, 0.2),
    ("with length", 0.2, -0.4),
    ("best with length", 0.33, -0.55),
)


def reached() -> dict[float, dict[str, Reach]]:
    """Return what each way of polling reaches, by the spread of durations among videos of one length."""
    return {sigma: _ways(sigma) for sigma in SIGMAS}


def show(console: Console, found: Mapping[float, Mapping[str, Reach]]) -> None:
    """Print a table."""
    table = Table("sigma", title="the same for videos of 5 to 120 s")
    for name in next(iter(found.values())):
        table.add_column(f"{name}\nlate, s", justify="right")
        table.add_column("polls\na job", justify="right")
        table.add_column("slots\nin use", justify="right")
    for sigma, ways in found.items():
        cells = (f"{way.lag_seconds:.2f} {way.polls:.2f} {way.slot_use:.3f}".split() for way in ways.values())
        table.add_row(f"{sigma}", *(cell for row in cells for cell in row))
    console.print(table)


def draw(found: Mapping[float, Mapping[str, Reach]]) -> None:
    """Draw how late an end is noticed."""
    ways = {sigma: {name: way for name, way in of.items() if name != "after 500 tasks"} for sigma, of in found.items()}
    parts = [
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 430 330" font-family="sans-serif" font-size="12">',
        '<rect width="430" height="330" fill="#ffffff"/>',
        *how_late(ways, 60, "How late an end is noticed, videos of 5 to 120 s", _LABELS),
        "</svg>",
    ]
    PLOT.write_text("\n".join(parts) + "\n")


def _ways(sigma: float) -> dict[str, Reach]:
    kinds, bands = _kinds(sigma, _MANY), _bands()
    learnt = _kinds(sigma, _FEW)
    whole, own = kinds.of("animate:480p"), {band: kinds.of(band) for band in bands}
    few = {band: learnt.of(band) for band in bands}
    return {
        "uniform": _reach(lambda scale, _: every(scale), own),
        "without length": _reach(lambda scale, _: by_hazard(whole, scale), own),
        "with length": _reach(lambda scale, band: by_hazard(own[band], scale), own),
        "after 500 tasks": _reach(lambda scale, band: by_hazard(few[band], scale), own),
        "best with length": _best(own),
    }


@cache
def _bands() -> dict[str, float]:
    """Return the kinds of these lengths, and the share of tasks of each."""
    shares: dict[str, float] = {}
    for length in _LENGTHS:
        kind = kind_of("animate", "480p", length)
        shares[kind] = shares.get(kind, 0.0) + 1 / len(_LENGTHS)
    return shares


def _kinds(sigma: float, tasks: float) -> Kinds:
    """Return what is learnt from so many tasks."""
    counts: dict[str, list[float]] = {}
    mean_length = fmean(_LENGTHS)
    for length in _LENGTHS:
        mean = MEAN_SECONDS * (1 + LENGTH_SHARE * (length / mean_length - 1))
        normal = NormalDist(log(mean) - sigma**2 / 2, sigma)
        cumulated = [0.0, *(normal.cdf(log(edge)) for edge in EDGES[1:-1]), 1.0]
        known = counts.setdefault(kind_of("animate", "480p", length), [0.0] * BINS)
        for number in range(BINS):
            known[number] += tasks / len(_LENGTHS) * (cumulated[number + 1] - cumulated[number])
    return Kinds(counts)


def _mean(of: Mapping[str, tuple[float, float]]) -> tuple[float, float]:
    """Return the mean of polls and delay over all tasks."""
    shares = _bands()
    polls = sum(shares[band] * each[0] for band, each in of.items())
    return polls, sum(shares[band] * each[1] for band, each in of.items())


def _reach(schedule: Callable[[float, str], Iterable[float]], own: Mapping[str, Durations]) -> Reach:
    """Return what schedules of one scale reach when the whole budget is used; as `bounds.reach`, for several kinds."""
    fewest, most = MEAN_SECONDS * 100, 1e-4

    def at(scale: float) -> tuple[float, float]:
        return _mean({band: cost(schedule(scale, band), durations) for band, durations in own.items()})

    for _ in range(24):
        middle = sqrt(fewest * most)
        polls, lag = at(middle)
        is_too_much = SLOTS / (MEAN_SECONDS + lag) * (1 + polls) > REQUESTS_PER_SECOND
        fewest, most = (fewest, middle) if is_too_much else (middle, most)
    polls, lag = at(fewest)
    return Reach(fewest, polls, lag, MEAN_SECONDS / (MEAN_SECONDS + lag))


def _best(own: Mapping[str, Durations]) -> Reach:
    """Return what no schedules of these bands can surpass within the budget; as `planner._best`, for several kinds."""
    cheap, dear = 0.005, 5.0
    found = Reach(0, 0, 0, 0)
    requests = REQUESTS_PER_SECOND / SLOTS
    for _ in range(7):
        price = sqrt(cheap * dear)
        polls, lag = _mean({band: _best_cost(durations, price) for band, durations in own.items()})
        least_lag = (lag + price * polls - price * (requests * MEAN_SECONDS - 1)) / (1 + price * requests)
        if least_lag > found.lag_seconds:
            polls_then = requests * (MEAN_SECONDS + least_lag) - 1
            found = Reach(price, polls_then, least_lag, MEAN_SECONDS / (MEAN_SECONDS + least_lag))
        if SLOTS / (MEAN_SECONDS + lag) * (1 + polls) > REQUESTS_PER_SECOND:
            cheap = price
        else:
            dear = price
    return found


def _best_cost(durations: Durations, price: float) -> tuple[float, float]:
    step = durations.remaining_seconds(durations.mean_seconds) / 50
    return cost(best_schedule(durations, price, [step * number for number in range(1, 900)]), durations)
