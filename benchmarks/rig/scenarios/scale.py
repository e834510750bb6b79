"""`scale`: Wanimate at the vendor's own limits. `workers`: more processes on one ledger."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from rig import trial
from rig.bound import polling_bound
from rig.wanimate import Wanimate

if TYPE_CHECKING:
    from collections.abc import Callable

    from rig.profile import Profile


def run_scale(profile: Profile, tell: Callable[[str], None]) -> list[dict[str, Any]]:
    """Run with callbacks, then with polling only."""
    load = profile.scale
    bound = polling_bound(load.cap, load.rate / 60, load.mean_seconds, load.sigma)
    rows = []
    for has_callbacks in (True, False):
        contender = Wanimate(load, has_callbacks=has_callbacks)
        tell(contender.name)
        with contender:
            figures = trial.run(contender)
        # The bound is in simulated seconds.
        rows.append(
            {
                **figures,
                "has_callbacks": has_callbacks,
                "bound": asdict(bound),
                "lag_mean_bound_seconds": bound.lag_seconds / load.speed,
            }
        )
    return rows


def run_workers(profile: Profile, tell: Callable[[str], None]) -> list[dict[str, Any]]:
    """Run the same jobs with 1, 2 and 4 worker processes."""
    rows = []
    for workers in (1, 2, 4):
        load = replace(profile.workers, workers=workers)
        tell(f"{workers} worker processes")
        with Wanimate(load, has_callbacks=False) as contender:
            rows.append({"workers": workers, **trial.run(contender)})
    return rows
