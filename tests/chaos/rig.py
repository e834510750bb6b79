"""The stack that a chaos run strikes, and the vendor's ground truth that judges it."""

from __future__ import annotations

import os
import random
import secrets
import shutil
import sys
import time
from base64 import b64encode
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import httpx
from outside import HANG_SECONDS, VideoStore, WebhookReceiver
from pydantic import SecretStr
from sentinels import ReplicatedRedis
from wanimate import Client, Settings
from wanimate.contract import Keys
from wanimate_devstack import Process, RedisServer, Stack, StackOptions

HERE = Path(__file__).parent
#: Tasks that the simulator lists in one go.
_PAGE = 5_000


@dataclass(frozen=True, slots=True)
class Profile:
    """How large a run is.

    Args:
        jobs: Jobs enqueued before the first fault; more follow as long as faults do.
        cap: Upstream slots.
        workers: Worker processes.
        strikes: Faults, one after the other.
        standstills: At how many steps of a submission a worker stands still in any case.
        freeze_seconds: How long a freeze of Redis lasts.
        longest_seconds: When the run is given up.
    """

    jobs: int
    cap: int
    workers: int
    strikes: int
    standstills: int
    freeze_seconds: float
    longest_seconds: float


SHORT = Profile(jobs=200, cap=40, workers=2, strikes=14, standstills=3, freeze_seconds=3.0, longest_seconds=300)
LONG = Profile(jobs=2_000, cap=100, workers=2, strikes=38, standstills=5, freeze_seconds=10.0, longest_seconds=1200)


class Rig:
    """A stack with workers that can be told to end at a point.

    Args:
        profile: How large the run is.
        seed: Of the simulator.
        has_callbacks: Whether the vendor reports the end of tasks.
        has_sentinel: Whether Redis is a master and a replica that Sentinels watch, instead of one server.
        old_source: A checkout of an earlier version; every other worker runs its code.
    """

    speed = 20
    submit_timeout_seconds = 2

    def __init__(
        self,
        profile: Profile,
        seed: int,
        *,
        has_callbacks: bool,
        has_sentinel: bool = False,
        old_source: Path | None = None,
    ) -> None:
        self.profile = profile
        self.window_requests = profile.cap * 10
        self.due_key = Keys("default").due
        self.has_sentinel = has_sentinel
        self._old_source = old_source
        self.has_old_workers = old_source is not None
        chance = random.Random(seed)
        self.store = VideoStore(chance)
        self._webhook_secret = f"whsec_{b64encode(secrets.token_bytes(32)).decode()}"
        #: Of the account, and of jobs that name one of their own.
        self.receivers = [WebhookReceiver(chance, self._webhook_secret) for _ in range(2)]
        self.stack = Stack(
            StackOptions(
                workers=0,
                worker_app="crashing_worker",
                has_flower=False,
                has_callbacks=has_callbacks,
                redis=ReplicatedRedis if has_sentinel else RedisServer,
                simulator={
                    "cap": str(profile.cap),
                    "speed": str(self.speed),
                    "seed": str(seed),
                    "rate": str(self.window_requests),
                },
                settings={
                    "PYTHONPATH": _python_path(),
                    "WANIMATE_MAX_IN_FLIGHT": str(profile.cap),
                    # The simulator's 60 s window is 3 s: 85 % of its limit leaves room for the burst in any of them.
                    "WANIMATE_REQUESTS_PER_MINUTE": str(int(self.window_requests * self.speed * 0.85)),
                    "WANIMATE_POLL_TICK_SECONDS": "0.2",
                    "WANIMATE_POLL_FLOOR_SECONDS": "0.3",
                    "WANIMATE_LEASE_SECONDS": "2",
                    "WANIMATE_UNKNOWN_AFTER_SECONDS": "15",
                    # Reached only by tasks that the vendor has forgotten: the others take 2 s.
                    "WANIMATE_RUN_DEADLINE_SECONDS": "60",
                    "WANIMATE_CONNECT_TIMEOUT_SECONDS": "1",
                    "WANIMATE_SUBMIT_TIMEOUT_SECONDS": str(self.submit_timeout_seconds),
                    "WANIMATE_POLL_TIMEOUT_SECONDS": "2",
                    "WANIMATE_PROBE_INTERVAL_SECONDS": "0.5",
                    "WANIMATE_REDIS_TIMEOUT_SECONDS": "3",
                    "WANIMATE_INTENT_TIMEOUT_SECONDS": "1",
                    # Without it a fail-over may forget that a request was sent, and send it again.
                    "WANIMATE_INTENT_REPLICAS": "1" if has_sentinel else "0",
                    # Workers of an earlier version neither copy videos nor tell of ends.
                    **({} if self.has_old_workers else self._output_settings()),
                },
            )
        )

    def _output_settings(self) -> dict[str, str]:
        return {
            **self.store.variables,
            "WANIMATE_KEEP_URL": self.store.keep_url,
            "WANIMATE_WEBHOOK_URL": f"{self.receivers[0].url}/account",
            "WANIMATE_WEBHOOK_SECRET": self._webhook_secret,
            "WANIMATE_WEBHOOK_NETWORKS": "127.0.0.0/8",
            "WANIMATE_WEBHOOK_TIMEOUT_SECONDS": str(HANG_SECONDS - 1),
        }

    def __enter__(self) -> Self:
        self.stack.start()
        self.start_consumer()
        self._vendor = httpx.Client(base_url=f"{self.stack.simulator_url}/simulator", trust_env=False, timeout=30)
        self.replace_dead()
        return self

    def __exit__(self, *_: object) -> None:
        self.consumer.stop()
        self.stack.stop()
        self._vendor.close()
        for server in (self.store, *self.receivers):
            server.__exit__()

    @property
    def environment(self) -> dict[str, str]:
        """What a process of the stack has in its environment."""
        return {**os.environ, **self.stack.environment}

    @property
    def events_path(self) -> Path:
        """Where the reader of events writes them down."""
        return self.stack.folder / "events.jsonl"

    def start_consumer(self) -> None:
        """Start the reader of events, which goes on after the last one that it has written down."""
        command = (sys.executable, str(HERE / "consumer.py"), str(self.events_path))
        self.consumer = Process("consumer", command, self.stack.folder / "consumer.log", self.stack.environment)

    def client(self) -> Client:
        """Return a client of the stack."""
        return Client(Settings(redis_url=SecretStr(self.stack.redis.url)))

    @property
    def replicated(self) -> ReplicatedRedis:
        """The servers of a run with Sentinels."""
        assert isinstance(self.stack.redis, ReplicatedRedis)
        return self.stack.redis

    @property
    def redis_server(self) -> RedisServer:
        """The one server."""
        assert isinstance(self.stack.redis, RedisServer)
        return self.stack.redis

    @property
    def redis_process(self) -> Process:
        """Its process."""
        assert self.redis_server.process is not None
        return self.redis_server.process

    # -- processes ----------------------------------------------------------------------------------------------

    @property
    def beat(self) -> Process:
        """The beat."""
        assert self.stack.beat is not None
        return self.stack.beat

    @property
    def receiver(self) -> Process:
        """The callback receiver."""
        assert self.stack.receiver is not None
        return self.stack.receiver

    def running_workers(self) -> list[Process]:
        """Return the workers that have not ended."""
        return [worker for worker in self.stack.workers if worker.is_running]

    def wait_until_ready(self) -> None:
        """Wait until every running worker takes messages."""
        for worker in self.running_workers():
            worker.wait_until(lambda worker=worker: " ready." in worker.log_path.read_text(), "ready")  # type: ignore[misc]

    def replace_dead(self) -> None:
        """Start workers until there are as many as the profile says, and whatever else has ended."""
        while len(self.running_workers()) < self.profile.workers:
            is_old = self._old_source is not None and len(self.stack.workers) % 2 == 1
            self.stack.start_worker({"PYTHONPATH": _python_path(self._old_source)} if is_old else None)
        if not self.beat.is_running:
            self.stack.start_beat()
        if self.stack.receiver is not None and not self.receiver.is_running:
            self.stack.start_receiver()

    def keep_logs(self, folder: Path) -> None:
        """Copy what the processes have written to a folder, for whoever wants to know why."""
        folder.mkdir(parents=True, exist_ok=True)
        for log in self.stack.folder.rglob("*.log"):
            shutil.copy(log, folder)

    # -- the vendor ---------------------------------------------------------------------------------------------

    def set_vendor_faults(self, **faults: Any) -> None:
        """Switch faults on; those not named are off."""
        deadline = time.monotonic() + 10
        while True:
            try:
                self._vendor.put("/faults", json=faults).raise_for_status()
            except httpx.TransportError:
                # It refuses all connections at the moment, for one of the faults.
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)
            else:
                return

    def summary(self) -> dict[str, Any]:
        """Return the vendor's totals."""
        return self._vendor.get("/summary").raise_for_status().json()  # type: ignore[no-any-return]

    def tasks(self) -> list[dict[str, Any]]:
        """Return every task that the vendor accepted, so billed."""
        return self._listed("tasks")

    def videos(self) -> dict[str, dict[str, Any]]:
        """Return what the copy of each video must be, by its task."""
        return {video["task_id"]: video for video in self._listed("videos")}

    def _listed(self, name: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        while True:
            page = self._vendor.get(f"/{name}", params={"offset": len(found), "limit": _PAGE}).raise_for_status().json()
            found += page[name]
            if len(found) >= page["total"]:
                return found

    def wait_for_callbacks(self, within_seconds: float) -> None:
        """Wait until the vendor has made or given up every callback."""
        deadline = time.monotonic() + within_seconds
        while _is_calling(self.summary()["callbacks"]) and time.monotonic() < deadline:
            time.sleep(0.1)


def _is_calling(callbacks: dict[str, Any]) -> bool:
    return bool(callbacks["waiting"] or callbacks["extras_waiting"])


def _python_path(source: Path | None = None) -> str:
    """Return where a process finds its code: the points to end at, then an earlier version, then what is installed."""
    old = [] if source is None else [source / "producer" / "src", source / "worker" / "src"]
    return os.pathsep.join([str(HERE), *map(str, old), *filter(None, sys.path)])
