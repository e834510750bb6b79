"""Real time, and how simulated durations map onto it."""

import time
from collections.abc import Callable


class Clock:
    """Counts real seconds since it was made and shortens simulated durations by `speed`.

    Args:
        speed: simulated seconds that pass in one real second.
        monotonic: source of real seconds that never go back.
        unix: source of Unix time in seconds, read once.
    """

    def __init__(
        self,
        speed: float,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        unix: Callable[[], float] = time.time,
    ) -> None:
        self.speed = speed
        self._monotonic = monotonic
        self._origin_seconds = monotonic()
        self._origin_unix_ms = unix() * 1000

    def now_seconds(self) -> float:
        """Return the real seconds since this clock was made."""
        return self._monotonic() - self._origin_seconds

    def unix_ms(self, at_seconds: float) -> int:
        """Return the wall-clock Unix milliseconds of a moment given in seconds of this clock."""
        return round(self._origin_unix_ms + at_seconds * 1000)

    def real_seconds(self, simulated_seconds: float) -> float:
        """Return how many real seconds a simulated duration takes."""
        return simulated_seconds / self.speed
