"""What the rig tells every peer, the waits they share, and the vendor's API.

Every wait is divided by the simulator's speed, so a peer behaves towards the simulated vendor as it would towards the
real one.
"""

from __future__ import annotations

import json
import os
import random
from pathlib import Path
from typing import Any

#: What the peer is called in the report.
CONTENDER = os.environ["BENCH_CONTENDER"]
REDIS_URL = os.environ["BENCH_REDIS_URL"]
VENDOR_URL = os.environ["BENCH_VENDOR_URL"]
VENDOR_KEY = os.environ["BENCH_VENDOR_KEY"]
SPEED = float(os.environ["BENCH_SPEED"])
CAP = int(os.environ["BENCH_CAP"])
PROCESSES = int(os.environ["BENCH_PROCESSES"])
JOBS = Path(os.environ["BENCH_JOBS"])
RESULTS = Path(os.environ["BENCH_RESULTS"])

SUBMIT, STATUS = "/api/v1/generateTask/wan-2-2-animate", "/api/v1/statusTask/wan-2-2-animate"
#: Where a finished job's result goes: the caller waits on this list, so it has the result as soon as it is pushed.
DONE = "bench:done"
#: The vendor's page: "Wait and retry". How often a task is polled, in real seconds of this run.
POLL_SECONDS = 5 / SPEED
#: One job may take this long before its library gives it up or hands it to another worker, in real seconds.
JOB_TIMEOUT_SECONDS = max(600 / SPEED, 10)


class Throttled(Exception):
    """The vendor answered 429."""


def backoff_seconds(attempt: int) -> float:
    """Return capped exponential back-off with full jitter: up to 1, 2, 4, … 60 s."""
    return random.random() * min(60, 2 ** min(attempt, 6)) / SPEED


def jobs() -> list[dict[str, Any]]:
    """Return the jobs to enqueue: a marker, and the body of the request."""
    return json.loads(JOBS.read_text())  # type: ignore[no-any-return]


def done(marker: str, status: dict[str, Any]) -> str:
    """Return what the caller gets for a finished job."""
    return json.dumps({"marker": marker, "task_id": status["taskId"], "state": status["state"]})
