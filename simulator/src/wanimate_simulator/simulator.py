"""A simulator: a sequence of runs, each with its own ground truth."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping

from .callbacks import Callbacks
from .clock import Clock
from .faults import FaultBoard, Faults
from .options import Options
from .truth import Truth
from .vendor import Vendor

#: Simulated seconds of the vendor's rate window. Source: the vendor's page, "Rate Limits".
_WINDOW_SECONDS = 60.0


class Simulator:
    """Holds the current run and starts a new one on reset.

    Args:
        options: the options at the start of every run; a reset may change some for the run that it starts.
        faults: the fault switches at the start of every run.
    """

    def __init__(self, options: Options, faults: Faults | None = None) -> None:
        self.options = self._initial_options = options
        self._initial_faults = faults if faults is not None else Faults()
        self._closing = asyncio.Event()
        #: Closes the listening socket for some real seconds; set by the server.
        self.refuse: Callable[[float], Awaitable[None]] | None = None
        self._begin()

    def _begin(self) -> None:
        options = self.options
        self.clock = Clock(options.speed)
        self.board = FaultBoard(seed=options.seed, current=self._initial_faults)
        truth = Truth(self.clock.real_seconds(_WINDOW_SECONDS))
        self._callbacks = Callbacks(
            self.clock,
            self.board,
            truth.callbacks,
            allow_non_loopback=options.allow_non_loopback,
        )
        self.vendor = Vendor(options, self.clock, self.board, truth, self._callbacks.schedule)
        self.set_faults(self._initial_faults)

    def set_faults(self, faults: Faults) -> None:
        """Put every fault switch into a position."""
        self.vendor.stall(stalled=faults.stalled)
        self.board.current = faults

    async def reset(self, changes: Mapping[str, object]) -> None:
        """Forget everything, and begin with the initial faults and options, of which some are changed.

        Raises:
            InvalidOptionsError: an option may not be changed or has a value it cannot take; nothing is forgotten.
        """
        self.options = self._initial_options.changed(changes)
        callbacks = self._callbacks
        self._begin()
        await callbacks.close()

    def summary(self) -> dict[str, object]:
        """Return the ground truth's totals, with the options they came about under."""
        return {
            **self.vendor.summary(),
            "elapsed_seconds": self.clock.now_seconds(),
            "rate": self.options.rate,
            "speed": self.options.speed,
            "seed": self.options.seed,
            "faults_struck": dict(self.board.struck),
        }

    async def hold_back(self, delay_seconds: float) -> None:
        """Wait before an answer, in real seconds, but no longer than the simulator lives."""
        if self.is_closing:
            return
        try:
            await asyncio.wait_for(self._closing.wait(), delay_seconds)
        except TimeoutError:
            return

    @property
    def is_closing(self) -> bool:
        """Whether the simulator is about to end."""
        return self._closing.is_set()

    def begin_closing(self) -> None:
        """Let every answer that is held back go out now."""
        self._closing.set()

    async def close(self) -> None:
        """Give up everything under way."""
        self.begin_closing()
        await self._callbacks.close()
