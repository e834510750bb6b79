"""What the integration tests share: waiting with a deadline, the vendor's ground truth, and the check for leftovers."""

from __future__ import annotations

import os
import sys
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
from wanimate import AnimateJob
from wanimate.contract import UNACKED_KEY
from wanimate_worker.queues import queue_lengths

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar

    from redis import Redis

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


class Vendor:
    """The simulator's ground truth and its fault switches."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._http = httpx.Client(base_url=f"{url}/simulator", trust_env=False, timeout=10)

    def summary(self) -> dict[str, Any]:
        """Return the totals since the last reset."""
        return self._http.get("/summary").raise_for_status().json()  # type: ignore[no-any-return]

    def tasks(self) -> list[dict[str, Any]]:
        """Return every accepted task."""
        return self._http.get("/tasks", params={"limit": 10_000}).raise_for_status().json()["tasks"]  # type: ignore[no-any-return]

    def videos(self) -> list[dict[str, Any]]:
        """Return what the copy of each video must be."""
        return self._http.get("/videos", params={"limit": 10_000}).raise_for_status().json()["videos"]  # type: ignore[no-any-return]

    def accepted(self) -> Counter[str]:
        """Return how often each marker was accepted, so billed."""
        return Counter(task["marker"] for task in self.tasks())

    def task_of(self, marker: str) -> dict[str, Any] | None:
        """Return the task accepted under a marker."""
        return next((task for task in self.tasks() if task["marker"] == marker), None)

    def result_url(self, task: dict[str, Any]) -> str:
        """Return where the result of a task is served."""
        return f"{self._url}/results/{task['task_id']}.mp4"

    def set_faults(self, **faults: Any) -> None:
        """Switch faults on; those not named are off."""
        self._http.put("/faults", json=faults).raise_for_status()

    def reset(self, **options: Any) -> None:
        """Forget everything and switch all faults off; the length of a video does not matter unless asked for."""
        self._http.post(
            "/reset", json={"mean_seconds": 41, "sigma": 0.3, "length_share": 0, **options}
        ).raise_for_status()
        self.set_faults()

    def close(self) -> None:
        """Close the connection."""
        self._http.close()


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
