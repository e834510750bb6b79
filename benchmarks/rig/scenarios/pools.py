"""`pools`: how many threads a worker has, and how many messages it takes in advance."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rig import gauge, trial
from rig.wanimate import Wanimate

if TYPE_CHECKING:
    from collections.abc import Callable

    from rig.profile import Profile

#: Celery's options of a worker.
CHOICES = {
    "4 threads": ("--concurrency", "4"),
    "8 threads": ("--concurrency", "8"),
    "16 threads (the default)": (),
    "32 threads": ("--concurrency", "32"),
    "16 threads, prefetch 4 each": ("--prefetch-multiplier", "4"),
}


def run_pools(profile: Profile, tell: Callable[[str], None]) -> list[dict[str, Any]]:
    """Run the load of the peers with workers of each kind, with callbacks."""
    rows = []
    for choice, options in CHOICES.items():
        tell(choice)
        with Wanimate(profile.peers, has_callbacks=True, worker_options=options) as contender:
            figures = trial.run(contender)
            resident = gauge.resident_bytes(contender.worker_pids()) / contender.load.workers
            rows.append({"choice": choice, "worker_mb": resident / 1e6, **figures})
    return rows
