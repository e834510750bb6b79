"""The durations of the vendor's tasks: a histogram in Redis, and estimates from it.

Workers count every ended task by kind (type, resolution and length of the video) and bin, and plan polls with it;
clients estimate when a job ends. A prior complements the data: for a length, the durations of all lengths of the type
and resolution; for these, the vendor's documented duration of the resolution.
"""

from __future__ import annotations

from bisect import bisect_right
from functools import cache
from itertools import accumulate, pairwise
from math import erf, exp, log, sqrt
from typing import TYPE_CHECKING, Any, Final, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

#: The lower end of the first bin, in seconds. Shorter durations are counted there.
SHORTEST_SECONDS: Final = 0.1
#: Each bin is 4.4 % longer than the one before: a tenth of the spread of the narrowest distribution worth planning for.
BINS_PER_DOUBLING: Final = 16
#: Up to 1.8 hours; longer durations are counted in the last bin.
BINS: Final = 256
#: The ends of the bins, in seconds.
EDGES: Final = tuple(SHORTEST_SECONDS * 2 ** (number / BINS_PER_DOUBLING) for number in range(BINS + 1))

#: How long a task is expected to take before one has ended, by resolution, in seconds. At 480p the only duration that
#: the vendor's page of this model shows (its example of a status answer, `costTime`). A page about a sibling model has
#: 40 to 60 s at 480p and 60 to 90 s at 720p, so 720p takes half as long again.
EXPECTED_SECONDS: Final = {"480p": 41.388, "720p": 62.0}
#: The spread of the prior, as the standard deviation of the logarithm: 18 s to 85 s hold nine of ten at 480p. A guess,
#: wide because one example says nothing about the spread.
EXPECTED_SIGMA: Final = 0.5
#: How much of the prior is spread over all durations, for the case that the example is not typical: evenly over the
#: logarithms of shorter ones, thinning out as 1/t over longer ones, so that the mean stays where it is.
SURPRISES: Final = 0.1
#: A prior counts as much as this many observed tasks: few, for it may be wrong by ten.
PRIOR_WEIGHT: Final = 4.0
#: The durations of all lengths count as much as this many tasks of one length.
LENGTHS_WEIGHT: Final = 4.0

#: The vendor's default (vendor document, "Tips").
DEFAULT_RESOLUTION: Final = "480p"
#: The longest video of each band of lengths, in seconds: the longer the video, the longer a task takes and the more it
#: costs. Each is twice the one before; the vendor bills 5 s at least and 120 s at most.
LENGTH_BANDS_SECONDS: Final = (5, 10, 20, 40, 80, 120)

#: Fields of the hash that are not counts of a bin.
TOTAL_FIELD: Final = "total"
CALLED_FIELD: Final = "called"


def kind_of(request: Mapping[str, Any]) -> str:
    """Return the kind of a job: jobs of one kind have similar durations."""
    kind = f"{request.get('type', '')}:{request.get('resolution') or DEFAULT_RESOLUTION}"
    video_seconds = request.get("video_seconds")
    if video_seconds is None:
        return kind
    longest = next((band for band in LENGTH_BANDS_SECONDS if video_seconds <= band), LENGTH_BANDS_SECONDS[-1])
    return f"{kind}:{longest}s"


def without_length(kind: str) -> str:
    """Return the kind of all lengths that a kind is part of."""
    return ":".join(kind.split(":")[:2])


def field_of(kind: str, seconds: float) -> str:
    """Return the field of the hash that counts tasks of a kind with this duration."""
    return f"{kind}:{bin_of(seconds)}"


def bin_of(seconds: float) -> int:
    """Return the bin of a duration."""
    return min(BINS - 1, max(0, bisect_right(EDGES, seconds) - 1))


class Durations:
    """The distribution of one kind's durations: a constant hazard in each bin, and beyond the last.

    Args:
        counts: How many tasks ended in each bin.
        prior: What is expected beside the counts: the shares of tasks that end in each bin, and beyond the last; None
            for what is expected of the default resolution.
        weight: How many tasks the prior counts as much as.
    """

    def __init__(
        self, counts: Sequence[float] = (), prior: Sequence[float] | None = None, weight: float = PRIOR_WEIGHT
    ) -> None:
        observed = _smoothed(counts) if counts else [0.0] * BINS
        shares = expected_shares(DEFAULT_RESOLUTION) if prior is None else prior
        weights = [seen + weight * share for seen, share in zip([*observed, 0.0], shares, strict=True)]
        left = [*accumulate(reversed(weights))][::-1]
        #: The chance that a task takes longer than each edge.
        self.survival: Final = tuple(value / left[0] for value in left)
        widths = [end - start for start, end in pairwise((0.0, *EDGES[1:]))]
        #: The chance to end in the next second, given that it has not ended yet, in each bin, per second.
        self.hazard: Final = tuple(
            log(here / there) / width for (here, there), width in zip(pairwise(self.survival), widths, strict=True)
        )
        areas = [
            alive * _area(hazard, width)
            for alive, hazard, width in zip(self.survival[:-1], self.hazard, widths, strict=True)
        ]
        beyond = self.survival[-1] / self.hazard[-1]
        #: The integral of the survival from each edge on, in seconds.
        self._rest_seconds = [*accumulate(reversed([*areas, beyond]))][::-1]
        #: How long a task takes on average.
        self.mean_seconds: Final = self._rest_seconds[0]

    @property
    def shares(self) -> list[float]:
        """The shares of tasks that end in each bin, and beyond the last."""
        return [*(here - there for here, there in pairwise(self.survival)), self.survival[-1]]

    @property
    def seconds_by_bin(self) -> list[float]:
        """How long a task is of an age in each bin, on average, in seconds; the last bin has all that is beyond it."""
        return [*(here - there for here, there in pairwise(self._rest_seconds[:-1])), self._rest_seconds[-2]]

    def survival_at(self, age_seconds: float) -> float:
        """Return the chance that a task takes longer than this."""
        number = bin_of(age_seconds)
        start = EDGES[number] if number else 0.0
        return self.survival[number] * exp(-self.hazard[number] * (age_seconds - start))

    def remaining_seconds(self, age_seconds: float) -> float:
        """Return how much longer a task of this age takes on average: its mean residual life."""
        if age_seconds >= EDGES[-1]:
            return 1 / self.hazard[-1]
        following = bin_of(age_seconds) + 1
        here = _area(self.hazard[following - 1], EDGES[following] - age_seconds)
        return here + self._rest_seconds[following] / self.survival_at(age_seconds)


class Kinds:
    """The durations of every kind: its own, those of all lengths, and the expected ones.

    Args:
        counts: For each kind that was observed, how many tasks ended in each bin.
        expected: Gives the prior of a resolution; `expected_shares` if not given.
    """

    def __init__(
        self, counts: Mapping[str, Sequence[float]], expected: Callable[[str], Sequence[float]] | None = None
    ) -> None:
        self._counts, self._expected = counts, expected or expected_shares
        self._of_all_lengths: dict[str, list[float]] = {}
        for kind, each in counts.items():
            known = self._of_all_lengths.get(without_length(kind), [0.0] * BINS)
            self._of_all_lengths[without_length(kind)] = [one + other for one, other in zip(known, each, strict=True)]
        self._known: dict[str, Durations] = {}
        #: How many tasks of each kind were observed.
        self.observed: Final = {kind: sum(each) for kind, each in counts.items()}

    @classmethod
    def read(cls, fields: Mapping[str, str], expected: Callable[[str], Sequence[float]] | None = None) -> Self:
        """Build from the hash of durations; see the class for `expected`."""
        counts: dict[str, list[float]] = {}
        for field, count in fields.items():
            kind, _, number = field.rpartition(":")
            if kind and number.isdecimal() and int(number) < BINS:
                counts.setdefault(kind, [0.0] * BINS)[int(number)] = float(count)
        return cls(counts, expected)

    def of(self, kind: str) -> Durations:
        """Return how long tasks of a kind take, observed or not."""
        if kind not in self._known:
            whole = without_length(kind)
            # Two threads may both compute it; both come to the same.
            self._known[kind] = (
                Durations(self._of_all_lengths.get(kind, ()), self._expected(kind.partition(":")[2]))
                if kind == whole
                else Durations(self._counts.get(kind, ()), self.of(whole).shares, LENGTHS_WEIGHT)
            )
        return self._known[kind]

    @property
    def mean_seconds(self) -> float:
        """How long a task takes on average, whatever its kind."""
        observed = {kind: sum(counts) for kind, counts in self._of_all_lengths.items()}
        total = sum(observed.values())
        if not total:
            return Durations().mean_seconds
        return sum(count * self.of(kind).mean_seconds for kind, count in observed.items()) / total


def seconds_until_slot(place: int, in_flight: int, mean_seconds: float) -> float | None:
    """Return the estimated seconds until a queue position (1 is next) gets a slot; None if no slot is in use."""
    return place * mean_seconds / in_flight if in_flight else None


def expected_shares(resolution: str) -> tuple[float, ...]:
    """Return the prior of a resolution: the shares of tasks that end in each bin, and beyond the last."""
    return shares_around(EXPECTED_SECONDS.get(resolution, EXPECTED_SECONDS[DEFAULT_RESOLUTION]))


@cache
def shares_around(mean_seconds: float) -> tuple[float, ...]:
    """Return the prior of tasks expected to take so long: the shares that end in each bin, and beyond the last."""
    cumulated = [0.0, *(_log_normal_cdf(edge, mean_seconds) for edge in EDGES[1:-1]), 1.0]
    typical = [above - below for below, above in pairwise(cumulated)]
    surprises = [min(1.0, mean_seconds / edge) for edge in EDGES[1:]]
    shares = [
        (1 - SURPRISES) * share + SURPRISES * surprise / sum(surprises)
        for share, surprise in zip(typical, surprises, strict=True)
    ]
    # The surprises extend beyond the last bin, so that no hazard is infinite: twice as long, half as many.
    return (*shares, shares[-1] * BINS_PER_DOUBLING)


def _log_normal_cdf(seconds: float, mean_seconds: float) -> float:
    # A log-normal's mean is exp(mu + sigma^2 / 2).
    mu = log(mean_seconds) - EXPECTED_SIGMA**2 / 2
    return (1 + erf((log(seconds) - mu) / (EXPECTED_SIGMA * sqrt(2)))) / 2


def _smoothed(counts: Sequence[float]) -> list[float]:
    """Return the counts with a quarter moved to either neighbour: what falls just beyond an edge is luck."""
    padded = [counts[0], *counts, counts[-1]]
    return [
        (before + 2 * here + after) / 4 for before, here, after in zip(padded, padded[1:], padded[2:], strict=False)
    ]


def _area(hazard: float, seconds: float) -> float:
    """Return the integral of exp(-hazard t) over so many seconds."""
    return (1 - exp(-hazard * seconds)) / hazard
