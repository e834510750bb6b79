"""Housekeeping: what no transition leaves behind, but a database edited by hand may."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..telemetry import get_logger

if TYPE_CHECKING:
    from .runtime import Runtime

log = get_logger(__name__)


def keep_house(runtime: Runtime) -> None:
    """Put stray slots back under the clock, hand out slots that are free, forget failures whose records are gone."""
    strays = runtime.ledger.polls.repair()
    if strays:
        log.error("slots had no due time; they are checked now", slots=strays)
    runtime.ledger.polls.trim()
    runtime.go_on(runtime.ledger.polls.grant())
