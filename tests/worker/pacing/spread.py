"""Distributions to plan with, and the vendor's tasks drawn from them."""

from __future__ import annotations

import random
from math import exp

from bounds import MEAN_SECONDS
from wanimate.contract.durations import BINS, Durations, Kinds, bin_of
from wanimate_worker.pacing import Mix


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
