"""The stack that a chaos run strikes, and the vendor's ground truth that judges it."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from faults import vendor_http
from pydantic import SecretStr
from wanimate import AnimateJob, Client, ReplaceJob, Settings
from wanimate_worker.local.stack import Stack, StackOptions

if TYPE_CHECKING:
    from collections.abc import Iterator

    from wanimate.contract import Job
    from wanimate_worker.local.processes import Process

HERE = Path(__file__).parent
SPEED = 20


@dataclass(frozen=True, slots=True)
class Profile:
    """How large a run is.

    Args:
        jobs: Jobs enqueued.
        cap: Upstream slots.
        workers: Worker processes.
        strikes: Faults, one after the other.
        freeze_seconds: How long a freeze of Redis lasts.
        longest_seconds: When the run is given up.
    """

    jobs: int
    cap: int
    workers: int
    strikes: int
    freeze_seconds: float
    longest_seconds: float


SHORT = Profile(jobs=400, cap=40, workers=2, strikes=12, freeze_seconds=3.0, longest_seconds=200)
LONG = Profile(jobs=2_000, cap=100, workers=2, strikes=40, freeze_seconds=10.0, longest_seconds=540)


class Rig:
    """A stack with workers that can be told to die at a point.

    Args:
        profile: How large the run is.
        seed: Of the simulator.
        has_callbacks: Whether the vendor reports the end of tasks.
    """

    def __init__(self, profile: Profile, seed: int, *, has_callbacks: bool) -> None:
        self.profile = profile
        window_requests = profile.cap * 10
        self.window_requests = window_requests
        self.stack = Stack(
            StackOptions(
                workers=0,
                worker_app="crashing_worker",
                has_flower=False,
                has_callbacks=has_callbacks,
                simulator={
                    "cap": str(profile.cap),
                    "speed": str(SPEED),
                    "seed": str(seed),
                    "rate": str(window_requests),
                },
                settings={
                    "PYTHONPATH": os.pathsep.join([str(HERE), *filter(None, sys.path)]),
                    "WANIMATE_MAX_IN_FLIGHT": str(profile.cap),
                    # The simulator's 60 s window is 3 s: 85 % of its limit leaves room for the burst in any of them.
                    "WANIMATE_REQUESTS_PER_MINUTE": str(int(window_requests * SPEED * 0.85)),
                    "WANIMATE_POLL_TICK_SECONDS": "0.2",
                    "WANIMATE_POLL_FLOOR_SECONDS": "0.3",
                    "WANIMATE_LEASE_SECONDS": "2",
                    "WANIMATE_UNKNOWN_AFTER_SECONDS": "15",
                    "WANIMATE_CONNECT_TIMEOUT_SECONDS": "1",
                    "WANIMATE_SUBMIT_TIMEOUT_SECONDS": "2",
                    "WANIMATE_POLL_TIMEOUT_SECONDS": "2",
                    "WANIMATE_PROBE_INTERVAL_SECONDS": "0.5",
                    "WANIMATE_REDIS_TIMEOUT_SECONDS": "3",
                },
            )
        )

    def __enter__(self) -> Self:
        self.stack.start()
        assert self.stack.simulator_url is not None
        self._vendor = vendor_http(self.stack.simulator_url)
        self.replace_dead_workers()
        return self

    def __exit__(self, *_: object) -> None:
        self.stack.stop()
        self._vendor.close()

    def client(self) -> Client:
        """Return a client of the stack."""
        return Client(Settings(redis_url=SecretStr(self.stack.redis.url)))

    def jobs(self) -> Iterator[Job]:
        """Yield the jobs of the run, each known to the vendor by its marker."""
        for number in range(self.profile.jobs):
            kind = ReplaceJob if number % 3 == 0 else AnimateJob
            yield kind(
                image_url=f"https://example.com/{number}.png?marker=job-{number}",
                video_url="https://example.com/motion.mp4",
                prompt="[violation]" if number % 50 == 49 else None,
            )

    def running_workers(self) -> list[Process]:
        """Return the workers that have not ended."""
        return [worker for worker in self.stack.workers if worker.is_running]

    def replace_dead_workers(self) -> None:
        """Start workers until there are as many as the profile says."""
        while len(self.running_workers()) < self.profile.workers:
            self.stack.start_worker()

    def set_vendor_faults(self, **faults: Any) -> None:
        """Switch faults on; those not named are off."""
        self._vendor.put("/faults", json=faults).raise_for_status()

    def summary(self) -> dict[str, Any]:
        """Return the vendor's totals."""
        return self._vendor.get("/summary").raise_for_status().json()  # type: ignore[no-any-return]

    def tasks(self) -> list[dict[str, Any]]:
        """Return every task that the vendor accepted, so billed."""
        return self._vendor.get("/tasks", params={"limit": 10_000}).raise_for_status().json()["tasks"]  # type: ignore[no-any-return]
