"""An exact sliding window of moments."""

from collections import deque


class SlidingWindow:
    """Counts moments in the half-open window `(now - length, now]` and remembers the fullest one.

    Moments must be recorded in order. Since the count only rises when a moment is recorded, the
    fullest window of all is one that ends at a recorded moment, so `maximum` is exact.

    Args:
        length_seconds: length of the window, in the unit of the moments.
    """

    def __init__(self, length_seconds: float) -> None:
        self.length_seconds = length_seconds
        self.maximum = 0
        self._moments: deque[float] = deque()

    def count(self, now_seconds: float) -> int:
        """Return how many recorded moments the window ending now still holds."""
        oldest = now_seconds - self.length_seconds
        moments = self._moments
        while moments and moments[0] <= oldest:
            moments.popleft()
        return len(moments)

    def record(self, now_seconds: float) -> None:
        """Add a moment to the window."""
        self._moments.append(now_seconds)
        held = self.count(now_seconds)
        self.maximum = max(self.maximum, held)

    def withdraw(self) -> None:
        """Take the latest recorded moment back, as if it had not happened; `maximum` stays."""
        self._moments.pop()
