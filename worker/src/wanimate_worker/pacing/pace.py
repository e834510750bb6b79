"""How fast the vendor works, compared with what is expected: learned from tasks that ended and tasks that still run.

What is expected before a task has ended is based on one example of the vendor's page, and may be wrong by ten. So it is
a mixture of the same distribution at many paces. Each pace weighs as much as it is likely, given what was seen (Bayes):
the densities of the durations of ended tasks, times the survivals of the ages of running ones (censored observations).
"""

from __future__ import annotations

from functools import cache
from itertools import accumulate
from math import exp, log
from typing import TYPE_CHECKING, Final

from wanimate.contract.durations import (
    BINS,
    DEFAULT_RESOLUTION,
    EXPECTED_SECONDS,
    bin_of,
    shares_around,
    without_length,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

#: How much longer than expected tasks may take: from a sixteenth to sixteen times, in steps of the square root of two.
PACES: Final = tuple(2 ** (number / 2) for number in range(-8, 9))
#: Before anything was seen, what is expected is right by this chance, and every other pace as likely as the next.
CHANCE_OF_RIGHT: Final = 0.5
#: Tasks that ended say as much as this many at most, and those that run as much as this many: they are not independent,
#: and none of the distributions is quite the true one.
MAX_ENDED_WEIGHT: Final = 50.0
MAX_RUNNING_WEIGHT: Final = 10.0
#: A task surely ran until its last poll, at this share of its age at least. It may have ended since.
KNOWN_AGE_SHARE: Final = 0.7
#: Weights that differ by less make the same plan.
_SAME: Final = 0.03
_NEGLIGIBLE: Final = 1e-4


class Pace:
    """How likely each of the paces is."""

    def __init__(self, weights: Sequence[float]) -> None:
        self.weights: Final = tuple(weights)

    @classmethod
    def learn(cls, counts: Mapping[str, str], running_by_age: Sequence[tuple[float, int]]) -> Pace:
        """Return the pace that tasks show.

        Args:
            counts: The hash of durations.
            running_by_age: Pairs of an age in seconds and how many tasks have it.
        """
        ended = [(resolution, number, count) for resolution, number, count in map(_read, counts.items()) if count]
        running = [(bin_of(age * KNOWN_AGE_SHARE), count) for age, count in running_by_age]
        of_ended = min(1.0, MAX_ENDED_WEIGHT / max(1.0, sum(count for *_, count in ended)))
        of_running = min(1.0, MAX_RUNNING_WEIGHT / max(1, sum(count for _, count in running)))
        logs = []
        for pace in PACES:
            before = CHANCE_OF_RIGHT if pace == 1 else (1 - CHANCE_OF_RIGHT) / (len(PACES) - 1)
            survival = _logs(DEFAULT_RESOLUTION, pace)[1]
            logs.append(
                log(before)
                + of_ended * sum(count * _logs(resolution, pace)[0][number] for resolution, number, count in ended)
                + of_running * sum(count * survival[number] for number, count in running)
            )
        most = max(logs)
        likely = [exp(each - most) for each in logs]
        total = sum(likely)
        return cls([each / total for each in likely])

    def is_like(self, other: Pace) -> bool:
        """Return whether another pace makes the same plan."""
        return all(abs(here - there) < _SAME for here, there in zip(self.weights, other.weights, strict=True))

    def expected_shares(self, resolution: str) -> tuple[float, ...]:
        """Return what is expected of a resolution: the shares of tasks that end in each bin, and beyond the last."""
        mixed = [
            (weight, _shares(resolution, pace))
            for weight, pace in zip(self.weights, PACES, strict=True)
            if weight > _NEGLIGIBLE
        ]
        return tuple(sum(weight * shares[number] for weight, shares in mixed) for number in range(BINS + 1))


def _read(field: tuple[str, str]) -> tuple[str, int, float]:
    """Return the resolution, the bin and the count of a field of the hash; a count of 0 if it is of another kind."""
    kind, _, number = field[0].rpartition(":")
    if not kind or not number.isdecimal() or int(number) >= BINS:
        return "", 0, 0.0
    return without_length(kind).partition(":")[2], int(number), float(field[1])


def _shares(resolution: str, pace: float) -> tuple[float, ...]:
    return shares_around(pace * EXPECTED_SECONDS.get(resolution, EXPECTED_SECONDS[DEFAULT_RESOLUTION]))


@cache
def _logs(resolution: str, pace: float) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return the logarithms of the shares, and of the survival at the lower edges of the bins."""
    shares = _shares(resolution, pace)
    left = [*accumulate(reversed(shares))][::-1]
    return tuple(map(log, shares)), tuple(map(log, left))
