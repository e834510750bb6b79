"""Send a request only while its permit and lease still hold: the process may have been frozen since."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from ..settings import WorkerSettings
    from ..stopwatch import Stopwatch

#: A request permit is for now. The budget allows requests to arrive this much later than others (`RequestRate`, skew);
#: one that is sent later still falls into a window that other requests fill. In seconds.
PERMIT_SECONDS: Final = 1.0
#: Pause before something is tried again while Redis is away, in seconds.
AGAIN_SECONDS: Final = 0.5


@dataclass(frozen=True, slots=True)
class RightToSend:
    """Until when a request may be sent: returns why it no longer may, empty while it may.

    Both bounds leave time to get a connection. The lease of a submission ends later than the first by as long as the
    request and its answer may take, so an attempt that is sent within the bound is not given up before it is answered.

    Args:
        settings: The leases and time-outs.
        permitted: Since when the request permit may be counted.
        asked: Since when the lease of the attempt may run; None for a request that needs none.
    """

    settings: WorkerSettings
    permitted: Stopwatch
    asked: Stopwatch | None = None

    def __call__(self) -> str:
        """Return why the request may no longer be sent; empty while it may."""
        connecting_seconds = 2 * self.settings.connect_timeout_seconds
        if self.asked is not None and self.asked.seconds > self.settings.lease_seconds + connecting_seconds:
            return f"the worker was frozen for {self.asked.seconds:.0f} s before it could send"
        if self.permitted.seconds > PERMIT_SECONDS + connecting_seconds:
            return f"the worker was frozen for {self.permitted.seconds:.0f} s and its request permit expired"
        return ""


def seconds_between(begun_at_ms: int | None, ended_at_ms: int) -> float | None:
    """Return how long something took, in seconds; None if its begin is not known."""
    return None if begun_at_ms is None else round((ended_at_ms - begun_at_ms) / 1000, 3)
