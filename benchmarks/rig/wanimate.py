"""Wanimate as a contender."""

from __future__ import annotations

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
from wanimate_worker.settings import WorkerSettings

from .contender import CeleryArrivals, Contender
from .load import marker

if TYPE_CHECKING:
    from collections.abc import Mapping

    from wanimate import JobHandle
    from wanimate_devstack import Process

    from .load import Load

#: How much later than another a request may reach the simulator on this machine, in seconds.
_SKEW_SECONDS = 0.25


class Wanimate(Contender):
    """Wanimate, with its own `Stack`.

    Args:
        load: What it is given to do.
        has_callbacks: Whether the vendor calls back.
        simulator_options: Further options of the simulator.
    """

    def __init__(
        self,
        load: Load,
        *,
        has_callbacks: bool,
        simulator_options: Mapping[str, str] | None = None,
    ) -> None:
        name = f"Wanimate, {'callbacks' if has_callbacks else 'polling'}"
        settings, app = settings_for(load), "wanimate_worker"
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
            simulator={**load.simulator_options(), **(simulator_options or {})},
            settings=settings,
        )
        super().__init__(name, load, Stack(options))
        self.handles: list[JobHandle] = []

    def client(self) -> Client:
        """Return a client of the stack."""
        return Client(Settings(redis_url=SecretStr(self.redis_url)))

    def enqueue(self) -> None:
        """Enqueue everything with one `submit_many`."""
        with self.client() as client:
            self.handles = client.submit_many(self.load.job(number) for number in range(self.load.jobs))

    def arrivals(self) -> CeleryArrivals:
        """Return a caller on Celery's result channel."""
        return CeleryArrivals(self.redis_url)

    def workers(self) -> list[Process]:
        """Return the workers."""
        return self.stack.workers

    def tend(self) -> None:
        """Start workers, or beat, in place of those that have ended."""
        for _ in range(self.missing_workers(self.load.workers)):
            self.stack.start_worker()
        if self.stack.beat is not None and not self.stack.beat.is_running:
            self.stack.start_beat()

    def late_results(self) -> set[str]:
        """Ask for the result of every job, as a caller does that has lost its connection."""
        found: set[str] = set()
        with self.client() as client:
            try:
                for _, outcome in client.as_completed(self.handles, timeout=0.5):
                    if isinstance(outcome, Result):
                        found.add(outcome.task_id)
            except WaitTimeout:
                pass
        return found

    def unknown(self, markers: set[str]) -> set[str]:
        """Read which jobs have an intent to submit and no answer: those of the dead worker."""
        keys = Keys("default")
        with Redis.from_url(self.redis_url, decode_responses=True) as redis:
            stages = {
                marker(number): redis.hget(keys.job(handle.id), "stage")
                for number, handle in enumerate(self.handles)
                if marker(number) in markers
            }
        return {each for each, stage in stages.items() if stage in {Stage.SUBMITTING, Stage.UNKNOWN}}


def settings_for(load: Load) -> dict[str, str]:
    """Return the settings that an operator would choose for the load's vendor.

    At speed 1 they are Wanimate's own defaults but for the vendor's limits. At a higher speed the waits are divided by
    it, as the peers' are, but not below what a busy machine needs.
    """
    settings = {
        "WANIMATE_MAX_IN_FLIGHT": str(load.cap),
        "WANIMATE_REQUESTS_PER_MINUTE": str(requests_per_minute(load)),
    }
    if load.speed > 1:
        settings |= {
            "WANIMATE_POLL_FLOOR_SECONDS": f"{max(0.5 / load.speed, 0.1):g}",
            # After these other workers take over what a dead worker had in hand.
            "WANIMATE_LEASE_SECONDS": f"{max(15 / load.speed, 2):g}",
            "WANIMATE_CONNECT_TIMEOUT_SECONDS": f"{max(5 / load.speed, 1):g}",
            "WANIMATE_POLL_TIMEOUT_SECONDS": f"{max(10 / load.speed, 2):g}",
            "WANIMATE_SUBMIT_TIMEOUT_SECONDS": f"{max(30 / load.speed, 2):g}",
        }
    return settings


def poll_lease_seconds(load: Load) -> float:
    """Return after how long a job is checked again whose poll died."""
    fields = {name.removeprefix("WANIMATE_").lower(): value for name, value in settings_for(load).items()}
    settings = WorkerSettings.model_validate({"redis_url": "redis://localhost", **fields})
    return settings.ledger_limits().poll_lease_ms / 1000


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
