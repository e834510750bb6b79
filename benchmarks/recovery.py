"""How long after the SIGKILL of a worker another one goes on with what it held, with the times a worker has by default.

Each line kills one of two workers at a point named for the two steps it lies between, and waits for the next step of
the job. Run it with `python benchmarks/recovery.py`; it takes about three minutes.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import SecretStr
from rich.console import Console
from rich.table import Table
from wanimate import Client, Settings
from wanimate.contract import Keys
from wanimate_worker.local.stack import Stack, StackOptions, redis_of

if TYPE_CHECKING:
    from redis import Redis

CHAOS = Path(__file__).parents[1] / "tests" / "chaos"
PATIENCE_SECONDS = 180.0
#: Where a worker dies, what its going on looks like, and the stages of the job that show it; none: the record is gone.
POINTS = (
    ("take-and-run", "its new job is recorded", {"waiting", "submitting", "running", "settled", "delivered"}),
    ("claim-and-poll", "the job has ended", {"settled", "delivered"}),
    ("settle-and-delivery", "the result is delivered", {"delivered"}),
    ("during-delivery", "the result is delivered", {"delivered"}),
    ("intent-and-post", "the submission is known as lost", {"unknown"}),
)


def main() -> None:
    """Kill a worker at each point and print how long it took."""
    options = StackOptions(
        workers=2,
        has_flower=False,
        worker_app="crashing_worker",
        simulator={"speed": "20"},
        settings={"PYTHONPATH": os.pathsep.join([str(CHAOS), *filter(None, sys.path)])},
    )
    table = Table("killed between", "goes on when", "seconds")
    with Stack(options) as stack, Client(Settings(redis_url=SecretStr(stack.redis.url))) as client:
        for point, what, stages in POINTS:
            with redis_of(stack) as redis:
                seconds = _measure(stack, client, redis, point, stages)
            table.add_row(point, what, f"{seconds:.1f}")
    Console().print(table)


def _measure(stack: Stack, client: Client, redis: Redis, point: str, stages: set[str]) -> float:
    if point == "take-and-run" and stack.beat:
        stack.beat.stop()  # its ticks would come to that point first
        time.sleep(1)
    redis.lpush(f"chaos:kill:{point}", "die")
    job = client.animate(image_url="https://example.com/a.png", video_url="https://example.com/b.mp4")
    began = time.monotonic()
    while sum(worker.is_running for worker in stack.workers) == 2:
        _check(began, f"no worker came to {point}")
    died = time.monotonic()
    while redis.hget(Keys("default").job(job.id), "stage") not in stages:
        _check(died, f"nobody went on after {point}")
    seconds = time.monotonic() - died
    # The name of a worker comes from their number, so the dead one stays in the list.
    worker = stack.start_worker()
    worker.wait_until(lambda: f"{worker.name}@" in worker.log_path.read_text(), "started")
    if point == "take-and-run":
        stack.start_beat()
    return seconds


def _check(since: float, problem: str) -> None:
    if time.monotonic() - since > PATIENCE_SECONDS:
        sys.exit(problem)
    time.sleep(0.02)


if __name__ == "__main__":
    main()
