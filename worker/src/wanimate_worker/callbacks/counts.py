"""How many callbacks came, and what became of them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Counts:
    """Callbacks since the start of this process, by what they did.

    Args:
        due: Made a job due now.
        noted: Left a note; the job is checked later.
        checking: Named another task than the one that is being checked; the vendor is told to call again.
        stale: Belonged to an attempt that is no longer the job's.
        ended: Came for a job that has ended, or has no record.
        forged: Had no valid signature.
        too_large: Had a body over the limit; these are counted by their effect too.
        unavailable: Could not be noted, because Redis did not answer in time; the vendor is told to call again.
    """

    due: int = 0
    noted: int = 0
    checking: int = 0
    stale: int = 0
    ended: int = 0
    forged: int = 0
    too_large: int = 0
    unavailable: int = 0
