"""How long the vendor's tasks take: a histogram in Redis, and what it says about a task that runs or waits.

Workers count every ended task by kind (type and resolution) and bin, and plan their polls from it; callers estimate
when a job will end. Before there is data, and beside it, a prior stands in.
"""

from __future__ import annotations

from bisect import bisect_right
from itertools import accumulate, pairwise
from math import erf, exp, log, log2, sqrt
from typing import TYPE_CHECKING, Final, Self

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

#: The lower end of the first bin, in seconds. Shorter durations are counted there.
SHORTEST_SECONDS: Final = 0.1
#: Each bin is 4.4 % longer than the one before: a tenth of the spread of the narrowest distribution worth planning for.
BINS_PER_DOUBLING: Final = 16
#: Up to 1.8 hours; longer durations are counted in the last bin.
BINS: Final = 256
#: The ends of the bins, in seconds.
EDGES: Final = tuple(SHORTEST_SECONDS * 2 ** (number / BINS_PER_DOUBLING) for number in range(BINS + 1))

#: The only duration that the vendor's document shows (its example of a status answer, `costTime`), in seconds.
EXPECTED_SECONDS: Final = 41.388
#: The spread of the prior, as the standard deviation of the logarithm: 18 s to 85 s hold nine of ten. A guess, wide
#: because one example says nothing about the spread.
EXPECTED_SIGMA: Final = 0.5
#: How much of the prior is spread over all durations, for the case that the example is not typical: evenly over the
#: logarithms of shorter ones, thinning out as 1/t over longer ones, so that the mean stays where it is.
SURPRISES: Final = 0.1
#: The prior counts as much as this many observed tasks.
PRIOR_WEIGHT: Final = 10.0

#: Fields of the hash that are no counts of a bin.
TOTAL_FIELD: Final = "total"
CALLED_FIELD: Final = "called"


def kind_of(type_: str, resolution: str | None) -> str:
    """Return the kind of a job: jobs of one kind take about as long as each other.

    Args:
        type_: `animate` or `replace`.
        resolution: `480p`, `720p`, or None for the vendor's default (vendor document, "Tips": 480p).
    """
    return f"{type_}:{resolution or '480p'}"


def field_of(kind: str, seconds: float) -> str:
    """Return the field of the hash that counts a task.

    Args:
        kind: The kind of its job.
        seconds: How long the vendor had it.
    """
    return f"{kind}:{bin_of(seconds)}"


def bin_of(seconds: float) -> int:
    """Return the bin of a duration."""
    if seconds <= SHORTEST_SECONDS:
        return 0
    return min(BINS - 1, int(BINS_PER_DOUBLING * log2(seconds / SHORTEST_SECONDS)))


class Durations:
    """The distribution of one kind's durations: a constant hazard in each bin, and beyond the last.

    Args:
        counts: How many tasks ended in each bin.
    """

    def __init__(self, counts: Sequence[float] = ()) -> None:
        self._rest: tuple[float, ...] | None = None
        observed = _smoothed(counts) if counts else [0.0] * BINS
        #: How many tasks were observed.
        self.observed: Final = sum(counts)
        weights = [seen + PRIOR_WEIGHT * expected for seen, expected in zip(observed, _PRIOR, strict=True)]
        # The surprises go on beyond the last bin, so that no hazard is infinite: twice as long, half as many.
        beyond = PRIOR_WEIGHT * _PRIOR[-1] * BINS_PER_DOUBLING
        left = [*accumulate(reversed([*weights, beyond]))][::-1]
        #: The chance that a task takes longer than each edge.
        self.survival: Final = tuple(value / left[0] for value in left)
        #: The chance to end in the next second, given that it has not ended yet, in each bin, per second.
        self.hazard: Final = (
            *(
                log(here / there) / (end - start)
                for here, there, start, end in zip(
                    self.survival, self.survival[1:], (0.0, *EDGES[1:]), EDGES[1:], strict=False
                )
            ),
        )

    @classmethod
    def read(cls, fields: Mapping[str, str]) -> dict[str, Self]:
        """Return the distribution of each kind that was observed.

        Args:
            fields: The hash of durations.
        """
        counts: dict[str, list[float]] = {}
        for field, count in fields.items():
            kind, _, number = field.rpartition(":")
            if kind and number.isdecimal() and int(number) < BINS:
                counts.setdefault(kind, [0.0] * BINS)[int(number)] = float(count)
        return {kind: cls(each) for kind, each in counts.items()}

    def hazard_at(self, age_seconds: float) -> float:
        """Return the chance to end in the next second, given that a task of this age has not, per second."""
        return self.hazard[min(BINS - 1, max(0, bisect_right(EDGES, age_seconds) - 1))]

    def survival_at(self, age_seconds: float) -> float:
        """Return the chance that a task takes longer than this."""
        number = min(BINS - 1, max(0, bisect_right(EDGES, age_seconds) - 1))
        start = EDGES[number] if number else 0.0
        return self.survival[number] * exp(-self.hazard[number] * (age_seconds - start))

    @property
    def _rest_seconds(self) -> tuple[float, ...]:
        """The integral of the survival from each edge on, in seconds; it is needed for few of them."""
        # No cached_property: before Python 3.12 it has a lock, which a forked process may find taken.
        if self._rest is None:
            self._rest = self._integrals()
        return self._rest

    def _integrals(self) -> tuple[float, ...]:
        starts = (0.0, *EDGES[1:-1])
        areas = [
            self.survival[number] * _area(self.hazard[number], EDGES[number + 1] - start)
            for number, start in enumerate(starts)
        ]
        beyond = self.survival[BINS] / self.hazard[-1]
        return (*accumulate(reversed([*areas, beyond])),)[::-1]

    @property
    def mean_seconds(self) -> float:
        """How long a task takes on average."""
        return self._rest_seconds[0]

    def remaining_seconds(self, age_seconds: float) -> float:
        """Return how much longer a task of this age takes on average: its mean residual life."""
        if age_seconds >= EDGES[-1]:
            return 1 / self.hazard[-1]
        number = max(0, bisect_right(EDGES, age_seconds) - 1)
        rest = self._rest_seconds[number + 1]
        until = EDGES[number + 1] - age_seconds
        here = self.survival_at(age_seconds)
        return _area(self.hazard[number], until) + rest / here


def _area(hazard: float, seconds: float) -> float:
    """Return the integral of exp(-hazard t) over so many seconds."""
    return (1 - exp(-hazard * seconds)) / hazard


def _smoothed(counts: Sequence[float]) -> list[float]:
    """Return the counts with a quarter moved to either neighbour: what falls just beyond an edge is luck."""
    padded = [counts[0], *counts, counts[-1]]
    return [
        (before + 2 * here + after) / 4 for before, here, after in zip(padded, padded[1:], padded[2:], strict=False)
    ]


def _log_normal_cdf(seconds: float) -> float:
    # A log-normal's mean is exp(mu + sigma^2 / 2).
    mu = log(EXPECTED_SECONDS) - EXPECTED_SIGMA**2 / 2
    return (1 + erf((log(seconds) - mu) / (EXPECTED_SIGMA * sqrt(2)))) / 2


def _prior() -> tuple[float, ...]:
    cumulated = [0.0, *(_log_normal_cdf(edge) for edge in EDGES[1:-1]), 1.0]
    typical = [above - below for below, above in pairwise(cumulated)]
    surprises = [min(1.0, EXPECTED_SECONDS / edge) for edge in EDGES[1:]]
    return tuple(
        (1 - SURPRISES) * share + SURPRISES * surprise / sum(surprises)
        for share, surprise in zip(typical, surprises, strict=True)
    )


_PRIOR: Final = _prior()
