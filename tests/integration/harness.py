"""What the integration tests share: waiting with a deadline, the vendor's ground truth, and the check for leftovers."""

from __future__ import annotations

import os
import sys
import time
from collections import Counter
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wanimate import AnimateJob
from wanimate.contract import UNACKED_KEY
from wanimate_devstack import Process, Simulator
from wanimate_worker.queues import queue_lengths

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import TypeVar

    from redis import Redis
    from wanimate_devstack import Stack

    T = TypeVar("T")

#: Longer than anything takes on a busy machine; nothing waits this long when all is well.
PATIENCE_SECONDS = 60.0
#: Where a process finds its code if its workers are to end where they are told: `worker_app="crashing_worker"`.
CRASHING_PATH = os.pathsep.join([str(Path(__file__).parents[1] / "chaos"), *filter(None, sys.path)])


def eventually(look: Callable[[], T], what: str, within_seconds: float = PATIENCE_SECONDS) -> T:
    """Look until the answer is true, and return it; fail when the deadline passes."""
    deadline = time.monotonic() + within_seconds
    while not (answer := look()):
        assert time.monotonic() < deadline, f"not within {within_seconds:.0f} s: {what}"
        time.sleep(0.05)
    return answer


def stack_settings(cap: int, **changed: str) -> dict[str, str]:
    """Return the settings of a stack whose times are short, so that recovery is seen.

    Args:
        cap: Upstream slots.
        changed: Settings by their names without `WANIMATE_`, in lower case.
    """
    settings = {
        "max_in_flight": str(cap),
        "poll_tick_seconds": "0.1",
        "poll_floor_seconds": "0.1",
        "lease_seconds": "3",
        "probe_interval_seconds": "0.2",
        "submit_timeout_seconds": "3",
        **changed,
    }
    return {f"WANIMATE_{name.upper()}": value for name, value in settings.items()}


class Vendor(Simulator):
    """The simulator's ground truth by the markers of jobs, and its fault switches."""

    def accepted(self) -> Counter[str]:
        """Return how often each marker was accepted, so billed."""
        return Counter(task["marker"] for task in self.tasks())

    def task_of(self, marker: str) -> dict[str, Any] | None:
        """Return the task accepted under a marker."""
        return next((task for task in self.tasks() if task["marker"] == marker), None)

    def result_url(self, task: dict[str, Any]) -> str:
        """Return where the result of a task is served."""
        return f"{self.url}/results/{task['task_id']}.mp4"

    def reset(self, **options: Any) -> None:
        """Forget everything and switch all faults off; the length of a video does not matter unless asked for."""
        super().reset(**{"mean_seconds": 41, "sigma": 0.3, "length_share": 0, **options})


@contextmanager
def worker_of_caller(stack: Stack) -> Iterator[Process]:
    """Run a worker of `caller_app`, the caller's own Celery app."""
    command = [sys.executable, "-m", "celery", "-A", "caller_app", "worker", "--loglevel", "INFO", "-n", "caller@%h"]
    environment = {**stack.environment, "PYTHONPATH": str(Path(__file__).parent)}
    process = Process("caller", command, stack.folder / "caller.log", environment)
    try:
        process.wait_until(lambda: " ready." in process.log_path.read_text(), "ready")
        yield process
    finally:
        process.stop()


def job(marker: str, **fields: Any) -> AnimateJob:
    """Return a job that the vendor's ground truth knows by a marker."""
    return AnimateJob(**fields_of(marker, **fields))


def fields_of(marker: str, **fields: Any) -> dict[str, Any]:
    """Return the fields of such a job."""
    return {
        "image_url": f"https://example.com/character.png?marker={marker}",
        "video_url": "https://example.com/motion.mp4",
        **fields,
    }


def is_recorded(redis: Redis) -> bool:
    """Whether every enqueued job is in the ledger: no message is queued, none is with a worker."""
    return not any(queue_lengths(redis).values()) and redis.hlen(UNACKED_KEY) == 0
