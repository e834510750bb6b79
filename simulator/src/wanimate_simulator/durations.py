"""How long the vendor renders a task."""

from math import exp
from statistics import NormalDist

from .draws import uniform
from .videos import MEAN_VIDEO_SECONDS

#: Times as long as animate, by type. Assumed: the vendor publishes no such figure.
_TYPE_FACTORS = (("animate", 1.0), ("replace", 1.1))
#: Times as long as 480p, by resolution. Assumed as well.
_RESOLUTION_FACTORS = (("480p", 1.0), ("720p", 1.25))


class Durations:
    """Draws rendering times, log-normal around a mean that grows with the length of the video, one for each marker.

    Args:
        seed: the simulator's seed.
        mean_seconds: mean of animate at 480p over drawn lengths, in simulated seconds. Source: the vendor's example of
            41.388 s.
        sigma: standard deviation of the duration's natural logarithm, among videos of one length.
        length_share: share of the mean that is proportional to the length; at 0 the length does not matter.
    """

    def __init__(self, *, seed: int, mean_seconds: float, sigma: float, length_share: float) -> None:
        self._seed = seed
        self._normal = NormalDist()
        self._mean_seconds = mean_seconds
        self._sigma = sigma
        self._length_share = length_share
        self._type_factors = dict(_TYPE_FACTORS)
        self._resolution_factors = dict(_RESOLUTION_FACTORS)

    def seconds(self, marker: str, *, type_: str, resolution: str, video_seconds: float) -> float:
        """Return the simulated seconds a request takes to render, the same whenever it arrives."""
        deviation = self._normal.inv_cdf(uniform(self._seed, "duration", marker))
        # A log-normal's mean is exp(mu + sigma^2 / 2); the second term keeps the mean whatever the sigma.
        drawn = self._mean_seconds * exp(self._sigma * deviation - self._sigma**2 / 2)
        by_length = 1 + self._length_share * (video_seconds / MEAN_VIDEO_SECONDS - 1)
        return drawn * by_length * self._type_factors[type_] * self._resolution_factors[resolution]
