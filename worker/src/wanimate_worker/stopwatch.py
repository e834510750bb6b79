"""How long ago something was, counting the time in which this process or its machine stood still.

An answer of Redis is about the past: a process may be stopped (SIGSTOP, a debugger, a paused VM) after
the question, while the leases of the ledger run on. `time.monotonic` does not count a suspended machine on Linux.
"""

from __future__ import annotations

import sys
import time
from typing import Final

#: Linux: CLOCK_BOOTTIME counts suspended time. macOS: CLOCK_MONOTONIC does.
_CLOCK: Final = getattr(time, "CLOCK_BOOTTIME", None if sys.platform == "win32" else time.CLOCK_MONOTONIC)


class Stopwatch:
    """Starts when it is made; start it before the question whose answer is acted on."""

    __slots__ = ("_steady", "_wall")

    def __init__(self) -> None:
        self._steady, self._wall = _steady(), _wall()

    @property
    def seconds(self) -> float:
        """How long ago that was.

        The larger of two clocks: a paused VM may freeze the one that never jumps, and the other may be set back. An
        error makes it too long, and what is too old is only not acted on.
        """
        return max(_steady() - self._steady, _wall() - self._wall)


def _steady() -> float:
    return time.monotonic() if _CLOCK is None else time.clock_gettime(_CLOCK)


def _wall() -> float:
    return time.time()
