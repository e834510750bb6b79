"""`wanimate.housekeeping`: what no transition leaves behind, but a database edited by hand may."""

from __future__ import annotations

from wanimate.contract import HOUSEKEEPING_TASK

from ..observability import get_logger
from .base import InternalTask

log = get_logger(__name__)


class HousekeepingTask(InternalTask):
    """Puts stray slots back under the clock, hands out slots that are free, forgets failures whose records are gone."""

    name = HOUSEKEEPING_TASK

    def run(self) -> None:
        """Repair once."""
        strays = self.runtime.ledger.repair()
        if strays:
            log.error("slots had no due time; they are looked at now", slots=strays)
        self.runtime.ledger.trim()
        self.runtime.resume(self.runtime.ledger.grant())
