"""Distributions to plan with, and the vendor's tasks drawn from them."""

from __future__ import annotations

import random
from math import exp, log
from statistics import NormalDist

from wanimate.contract.durations import BINS, EDGES, Durations, Kinds, bin_of
from wanimate_worker.pacing import Mix

MEAN_SECONDS = 41.0


def log_normal(sigma: float, mean_seconds: float = MEAN_SECONDS) -> Durations:
    """Return what would be learnt from a great many tasks."""
    return Durations(counts(sigma, mean_seconds))


def counts(sigma: float, mean_seconds: float = MEAN_SECONDS, tasks: float = 1e7) -> list[float]:
    """Return how many of so many tasks end in each bin."""
    normal = NormalDist(log(mean_seconds) - sigma**2 / 2, sigma)
    cumulated = [0.0, *(normal.cdf(log(edge)) for edge in EDGES[1:-1]), 1.0]
    return [tasks * (cumulated[number + 1] - cumulated[number]) for number in range(BINS)]


def mix_of(**kinds: list[float]) -> Mix:
    """Return a mix of kinds; `animate_480p` is `animate:480p`."""
    return Mix(Kinds({kind.replace("_", ":"): each for kind, each in kinds.items()}))


def drawn(sigma: float, count: int, seed: int, mean_seconds: float = MEAN_SECONDS) -> list[float]:
    """Return the durations of so many tasks."""
    generator = random.Random(seed)
    return [mean_seconds * exp(generator.gauss(0, sigma) - sigma**2 / 2) for _ in range(count)]


def learnt(durations: list[float]) -> Durations:
    """Return what is learnt from these tasks."""
    counts = [0.0] * BINS
    for seconds in durations:
        counts[bin_of(seconds)] += 1
    return Durations(counts)
