"""What polling can reach, computed: uniform, hazard-aware and the best of all schedules, at the vendor's limits.

1,000 slots, 10,000 requests a minute for submissions and polls together, a mean duration of 41 s, log-normal. Nothing
is run. Then what the worker's own pacer reaches, simulated, also where the vendor is ten times as fast or as slow as
expected. It prints tables, writes `build/reports/bench-planner.json` and draws `docs/images/polling.svg`; `lengths.py`
beside it has videos of different lengths.

Run it with `make bench-planner`; docs/polling.md has the derivation.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from itertools import islice
from math import log, sqrt
from pathlib import Path
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

import lengths
from bounds import Reach, best_schedule, by_hazard, cost, every, reach
from rich.console import Console
from rich.table import Table
from simulated import EXPECTED_SECONDS, Budget, Load, simulate
from svg import COLOURS, axis, how_late, line, text_at
from wanimate.contract.durations import BINS, EDGES, Durations

if TYPE_CHECKING:
    from collections.abc import Iterable

SLOTS = 1000
REQUESTS_PER_SECOND = 10_000 / 60
MEAN_SECONDS = 41.0
SIGMAS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8)
#: The one that is drawn.
SIGMA = 0.3
#: So many tasks were observed that the prior does not matter.
OBSERVED = 1e7
#: Slots, requests a minute and jobs of what is simulated.
SIMULATED = ((3, 10, 300), (10, 60, 500), (100, 1000, 1000), (1000, 10_000, 5000))
_CAPTION = "lateness in mean durations; 41.4 s are expected"
REPORT = Path("build/reports/bench-planner.json")
PLOT = Path("docs/images/polling.svg")
WAYS = ("uniform", "hazard-aware", "best of all")
_LABELS = (("uniform", 0.55, 0.2), ("hazard-aware", 0.42, -0.55), ("best of all", 0.42, -0.85))


def main() -> None:
    """Compute, print, write and draw."""
    console, table = (
        Console(width=160),
        Table("sigma", title="1,000 slots, 10,000 requests a minute, mean 41 s, backlog"),
    )
    for name in WAYS:
        table.add_column(f"{name}\nlate, s", justify="right")
        table.add_column("polls\na job", justify="right")
        table.add_column("slots\nin use", justify="right")
    reached = {sigma: _reach(log_normal(sigma)) for sigma in SIGMAS}
    for sigma, ways in reached.items():
        cells = (f"{way.lag_seconds:.2f} {way.polls:.2f} {way.slot_use:.3f}".split() for way in ways.values())
        table.add_row(f"{sigma}", *(cell for row in cells for cell in row))
    console.print(table)
    REPORT.parent.mkdir(parents=True, exist_ok=True)
    report: dict[Any, Any] = {
        sigma: {name: asdict(way) for name, way in ways.items()} for sigma, ways in reached.items()
    }
    by_length = lengths.reached()
    lengths.show(console, by_length)
    report["by length"] = {
        sigma: {name: asdict(way) for name, way in ways.items()} for sigma, ways in by_length.items()
    }
    report["simulated"] = show_simulated(console)
    REPORT.write_text(json.dumps(report, indent=2))
    PLOT.write_text(_plot(reached))
    lengths.draw(by_length)
    console.print(f"written to {REPORT}, {PLOT} and {lengths.PLOT}")


def show_simulated(console: Console) -> list[dict[str, Any]]:
    """Print and return what the worker's pacer reaches from its first task on.

    Where tasks take a tenth as long the account has ten times the requests, so that there are as many for each task.
    """
    table = Table("tasks/requests", "mean, s", title="simulated, sigma 0.3, from the first task on", caption=_CAPTION)
    for name in ("late: mean", "bound", "median", "p99", "polls\na job", "slots\nin use", "bound"):
        table.add_column(name, justify="right")
    rows, truth = [], log_normal(SIGMA)
    for slots, per_minute, jobs in SIMULATED:
        rate = Budget(slots, per_minute).per_second
        bound = reach(lambda stride: by_hazard(truth, stride), truth, slots, rate)
        for times in (1.0, 0.1, 10.0):
            load = Load(slots, round(per_minute / times), jobs, EXPECTED_SECONDS * times, SIGMA)
            seen = simulate(load)
            row: dict[str, Any] = {
                "load": asdict(load),
                "late": {"mean": seen.mean, "p50": seen.quantile(0.5), "p99": seen.quantile(0.99)},
                "bound": {"late": bound.lag_seconds / MEAN_SECONDS, "slot_use": bound.slot_use},
                "polls": seen.polls,
                "slot_use": seen.slot_use,
            }
            rows.append(row)
            late = (seen.mean, bound.lag_seconds / MEAN_SECONDS, seen.quantile(0.5), seen.quantile(0.99))
            cells = [*(f"{each:.3f}" for each in late), f"{seen.polls:.2f}"]
            cells += [f"{seen.slot_use:.3f}", f"{bound.slot_use:.3f}"]
            table.add_row(f"{slots}/{load.per_minute}", f"{load.mean_seconds:g}", *cells)
    console.print(table)
    return rows


def log_normal(sigma: float) -> Durations:
    """Return what is learnt from a great many tasks of a log-normal duration."""
    normal = NormalDist(log(MEAN_SECONDS) - sigma**2 / 2, sigma)
    cumulated = [0.0, *(normal.cdf(log(edge)) for edge in EDGES[1:-1]), 1.0]
    return Durations([OBSERVED * (cumulated[number + 1] - cumulated[number]) for number in range(BINS)])


def _reach(durations: Durations) -> dict[str, Reach]:
    return {
        "uniform": reach(every, durations, SLOTS, REQUESTS_PER_SECOND),
        "hazard-aware": reach(lambda stride: by_hazard(durations, stride), durations, SLOTS, REQUESTS_PER_SECOND),
        "best of all": _best(durations),
    }


def _best(durations: Durations) -> Reach:
    """Return what no schedule can surpass within the budget.

    The schedule that makes delay plus price times polls least, of cost C, gives a bound for all others: their delay is
    at least C minus the price of their polls, whatever the price (weak duality). The price with the highest bound, at
    which the best schedule uses just the budget, is searched.
    """
    mean = durations.mean_seconds
    grid = [_grid_seconds(durations) * step for step in range(1, 1600)]
    cheap, dear = 0.005, 5.0
    reached = Reach(0, 0, 0, 0)
    for _ in range(9):
        price = sqrt(cheap * dear)
        polls, lag = cost(best_schedule(durations, price, grid), durations)
        # The budget: (1 + polls) * SLOTS / (mean + lag) = REQUESTS_PER_SECOND.
        requests = REQUESTS_PER_SECOND / SLOTS
        least_lag = (lag + price * polls - price * (requests * mean - 1)) / (1 + price * requests)
        if least_lag > reached.lag_seconds:
            reached = Reach(price, requests * (mean + least_lag) - 1, least_lag, mean / (mean + least_lag))
        if SLOTS / (mean + lag) * (1 + polls) > REQUESTS_PER_SECOND:
            cheap = price
        else:
            dear = price
    return reached


def _grid_seconds(durations: Durations) -> float:
    """Return a step much shorter than any interval worth having."""
    return durations.remaining_seconds(durations.mean_seconds) / 70


# -- the plot ---------------------------------------------------------------------------------------------------------


def _plot(reached: dict[float, dict[str, Reach]]) -> str:
    """Return an SVG: when polls are made, and how late they notice the end."""
    parts = [
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 860 330" font-family="sans-serif" font-size="12">',
        '<rect width="860" height="330" fill="#ffffff"/>',
        *_when(reached[SIGMA]),
        *how_late(reached, 490, "How late an end is noticed, mean", _LABELS),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _when(ways: dict[str, Reach]) -> Iterable[str]:
    """Yield the left part: the density of durations, and the polls of one long task."""
    left, width, bottom, most_seconds = 50, 350, 180, 90
    durations = log_normal(SIGMA)

    def x(seconds: float) -> float:
        return left + seconds / most_seconds * width

    normal = NormalDist(log(MEAN_SECONDS) - SIGMA**2 / 2, SIGMA)
    density = [(second, normal.pdf(log(second)) / second) for second in range(1, most_seconds + 1)]
    top = max(value for _, value in density)
    yield text_at(left, 24, f"When a task is polled (sigma {SIGMA})", weight="bold")
    yield line([(x(at), bottom - 130 * value / top) for at, value in density], "#64748b")
    yield text_at(x(52), 90, "durations", colour="#64748b")
    schedules = {
        "uniform": every(ways["uniform"].scale),
        "hazard-aware": by_hazard(durations, ways["hazard-aware"].scale),
    }
    for row, (name, schedule) in enumerate(schedules.items()):
        y = bottom + 24 + 34 * row
        for at in islice(schedule, 100):
            if at > most_seconds:
                break
            yield f'<path d="M{x(at):.1f} {y - 8}v16" stroke="{COLOURS[name]}" stroke-width="2"/>'
        yield text_at(left, y + 21, name, colour=COLOURS[name])
    yield from axis(left, width, bottom + 90, [(x(at), f"{at}") for at in range(0, most_seconds + 1, 10)], "age, s")


if __name__ == "__main__":
    main()
