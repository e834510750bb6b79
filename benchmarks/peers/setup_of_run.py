"""What the rig tells every peer, and the waits they share.

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
CONTENDER = os.environ.get("BENCH_CONTENDER", "")
REDIS_URL = os.environ.get("BENCH_REDIS_URL", "redis://127.0.0.1:6379/0")
VENDOR_URL = os.environ.get("BENCH_VENDOR_URL", "http://127.0.0.1:8900")
VENDOR_KEY = os.environ.get("BENCH_VENDOR_KEY", "simulator-key")
SPEED = float(os.environ.get("BENCH_SPEED", "1"))
CAP = int(os.environ.get("BENCH_CAP", "1000"))
PROCESSES = int(os.environ.get("BENCH_PROCESSES", "2"))
JOBS = Path(os.environ.get("BENCH_JOBS", "jobs.json"))
RESULTS = Path(os.environ.get("BENCH_RESULTS", "results.jsonl"))

#: Where a finished job's result goes: the caller waits on this list, so it has the result as soon as it is pushed.
DONE = "bench:done"
#: The vendor's page: "Wait and retry". How often a task is looked at, in real seconds of this run.
POLL_SECONDS = 5 / SPEED
#: One job may take this long before its library gives it up or hands it to another worker, in real seconds.
JOB_TIMEOUT_SECONDS = max(600 / SPEED, 10)


def backoff_seconds(attempt: int) -> float:
    """Return capped exponential back-off with full jitter: up to 1, 2, 4, … 60 s."""
    return random.random() * min(60, 2 ** min(attempt, 6)) / SPEED


def jobs() -> list[dict[str, Any]]:
    """Return the jobs to enqueue: a marker, and the input for the vendor."""
    return json.loads(JOBS.read_text())  # type: ignore[no-any-return]


def done(marker: str, status: dict[str, Any]) -> str:
    """Return what the caller gets for a finished job."""
    return json.dumps({"marker": marker, "task_id": status["taskId"], "state": status["state"]})
