"""Wanimate as a contender."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import TYPE_CHECKING

from bounds import Reach, polling_bound
from pydantic import SecretStr
from redis import Redis
from wanimate import Client, Result, WaitTimeout
from wanimate.contract import Keys, Stage
from wanimate.contract.durations import DEFAULT_RESOLUTION, EXPECTED_SECONDS
from wanimate.settings import Settings
from wanimate_devstack import Stack, StackOptions
from wanimate_worker.pacing import RequestRate

from .contender import Contender
from .load import marker

if TYPE_CHECKING:
    from collections.abc import Iterator

    from wanimate import JobHandle

    from .load import Load

#: How much later than another a request may reach the simulator on this machine, in seconds.
_SKEW_SECONDS = 0.25


class Wanimate(Contender):
    """Wanimate, with callbacks or by polling.

    Args:
        video_bytes: The size of the videos that one process more copies to a folder; None if none are copied.
    """

    def __init__(self, load: Load, *, has_callbacks: bool, video_bytes: int | None = None) -> None:
        name = f"Wanimate, {'callbacks' if has_callbacks else 'polling'}"
        settings, app = settings_for(load), "wanimate_worker"
        simulator, keeps = load.simulator_options(), video_bytes is not None
        if video_bytes is not None:
            name += ", copies"
            simulator["video-bytes"] = str(video_bytes)
            settings["WANIMATE_KEEP_THREADS"] = "0"
        if load.prior is not None:
            name += f", prior x {load.prior:g}"
            expected = load.prior * load.mean_seconds / load.speed
            settings["BENCH_PRIOR"] = str(expected / EXPECTED_SECONDS[DEFAULT_RESOLUTION])
            settings["PYTHONPATH"] = str(Path(__file__).parents[1])
            app = "rig.worker_with_prior"
        options = StackOptions(
            workers=load.workers,
            worker_app=app,
            has_flower=False,
            has_callbacks=has_callbacks,
            has_store=keeps,
            keepers=1 if keeps else 0,
            simulator=simulator,
            settings=settings,
        )
        super().__init__(name, load, Stack(options), load.workers)
        self.handles: list[JobHandle] = []

    def client(self) -> Client:
        """Return a client of the stack."""
        return Client(Settings(redis_url=SecretStr(self.redis_url)))

    def enqueue(self) -> None:
        """Enqueue everything with one `submit_many`."""
        with self.client() as client:
            self.handles = client.submit_many(self.load.job(number) for number in range(self.load.jobs))

    def results(self) -> Iterator[str | None]:
        """Yield what Celery's result backend publishes, as `AsyncResult.get()` hears it."""
        with Redis.from_url(self.redis_url) as redis, redis.pubsub(ignore_subscribe_messages=True) as channel:
            channel.psubscribe("celery-task-meta-*")
            while True:
                message = channel.get_message(timeout=0.2)
                meta = json.loads(message["data"]) if message is not None else {}
                yield (meta.get("result") or {}).get("task_id") if meta.get("status") == "SUCCESS" else None

    def start_worker(self) -> object:
        """Start one more worker process."""
        return self.stack.start_worker()

    def late_results(self) -> set[str]:
        """Ask for the result of every job, as a caller does that has lost its connection."""
        found: set[str] = set()
        with self.client() as client, contextlib.suppress(WaitTimeout):
            for _, outcome in client.as_completed(self.handles, timeout=0.5):
                if isinstance(outcome, Result):
                    found.add(outcome.task_id)
        return found

    def unknown(self, markers: set[str]) -> set[str]:
        """Read which jobs have an intent to submit and no answer: those of the dead worker."""
        keys = Keys("default")
        handles = {marker(number): handle for number, handle in enumerate(self.handles)}
        with Redis.from_url(self.redis_url, decode_responses=True) as redis:
            stages = {each: redis.hget(keys.job(handles[each].id), "stage") for each in markers}
        return {each for each, stage in stages.items() if stage in {Stage.SUBMITTING, Stage.UNKNOWN}}


def settings_for(load: Load) -> dict[str, str]:
    """Return the settings that an operator would choose for the load's vendor.

    At speed 1 they are Wanimate's own defaults but for the vendor's limits. At a higher speed the waits are divided by
    it, as the peers' are, but not below what a busy machine needs.
    """
    waits = {
        "POLL_FLOOR_SECONDS": (0.5, 0.1),
        # After these other workers take over what a dead worker had in hand.
        "LEASE_SECONDS": (15, 2),
        "CONNECT_TIMEOUT_SECONDS": (5, 1),
        "POLL_TIMEOUT_SECONDS": (10, 2),
        "SUBMIT_TIMEOUT_SECONDS": (30, 2),
    }
    return {
        "WANIMATE_MAX_IN_FLIGHT": str(load.cap),
        "WANIMATE_REQUESTS_PER_MINUTE": str(requests_per_minute(load)),
    } | {
        f"WANIMATE_{name}": f"{max(seconds / load.speed, least):g}"
        for name, (seconds, least) in waits.items()
        if load.speed > 1
    }


def reachable(load: Load, mean_seconds: float) -> Reach:
    """Return what polling can reach within the budget that the workers are given, in simulated seconds."""
    return polling_bound(load.cap, requests_per_minute(load) / 60 / load.speed, round(mean_seconds, 1), load.sigma)


def requests_per_minute(load: Load) -> int:
    """Return the largest budget, per real minute, that keeps the simulator's shorter window.

    `RequestRate` keeps `burst + floor(window / T)` within the limit of a real minute; here the window is a minute
    divided by the speed.
    """
    if load.speed == 1:
        return load.rate
    budget = min(round(load.rate * load.speed), 10_000_000)
    window_us = round((60 / load.speed + _SKEW_SECONDS) * 1e6)
    while budget > 1:
        rate = RequestRate(budget)
        if rate.burst + window_us // rate.emission_interval_us <= load.rate:
            return budget
        budget -= max(1, budget // 200)
    return budget
