"""The product's Celery app, expecting other durations than the vendor's: `celery -A rig.worker_with_prior worker`."""

from __future__ import annotations

import os

from wanimate.contract.durations import EXPECTED_SECONDS
from wanimate_worker import celery

__all__ = ["celery"]

_SCALE = float(os.environ["BENCH_PRIOR"])
# Read when the first task is planned, after this.
EXPECTED_SECONDS.update({name: seconds * _SCALE for name, seconds in EXPECTED_SECONDS.items()})
