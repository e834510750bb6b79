"""Server, simulator, workers, beat and Flower on loopback."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import sys
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING, Final, Self

import httpx
from pydantic import SecretStr
from redis import Redis
from wanimate import Settings
from wanimate.contract import UNACKED_KEY
from wanimate.redis.transport import connection_pool
from wanimate_worker.queues import queue_lengths

from .processes import Process, ReservedPort, free_port
from .redis_server import RedisServer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .redis_server import LocalServers

SIMULATOR_KEY: Final = "simulator-key"
#: The fields of the account's hash that exist only while submissions are blocked.
CLOSED_GATE: Final = frozenset(
    {
        *("suspended", "suspended_for", "probe_at_ms", "paused"),
        *("closed_until_ms", "closed_at_ms", "failures", "reason"),
        *("unsafe", "unsafe_until_ms", "limited_until_ms", "limited_need_ms", "limited_need_micro_usd"),
        *("low_balance_need", "breaker_next_ms", "breaker_attempt", "breaker_failures", "breaker_for"),
    }
)
_WORKER_COMMAND: Final = (sys.executable, "-m", "wanimate_worker.cli")


@dataclass(frozen=True, slots=True)
class StackOptions:
    """The processes of a stack and their settings.

    Args:
        workers: Number of worker processes.
        has_beat: Whether beat runs.
        has_flower: Whether Flower runs.
        has_callbacks: Whether the callback receiver runs and workers request callbacks.
        has_ops: Whether the limits page and the metrics are served.
        has_store: Whether videos are copied to a folder `videos`, in the stack's folder or beside `data_folder`.
        keepers: Number of `wanimate-worker keep` processes, which copy videos.
        redis: Makes the server from the folder for its data; the stack starts and stops it.
        simulator: Options of `wanimate-simulator`; None to use the vendor with `WANIMATE_API_KEY`.
        settings: `WANIMATE_*` variables for every process.
        data_folder: For the data of Redis; default: a temporary one, removed at the end.
        worker_options: Options of `celery worker`.
        worker_app: The Celery app that workers load.
        is_isolated: Whether its processes read neither the `WANIMATE_*` variables of this process nor its `.env`.
    """

    workers: int = 1
    has_beat: bool = True
    has_flower: bool = True
    has_callbacks: bool = False
    has_ops: bool = False
    has_store: bool = False
    keepers: int = 0
    redis: Callable[[Path], LocalServers] = RedisServer
    simulator: Mapping[str, str] | None = field(default_factory=dict)
    settings: Mapping[str, str] = field(default_factory=dict)
    data_folder: Path | None = None
    worker_options: tuple[str, ...] = ()
    worker_app: str = "wanimate_worker"
    is_isolated: bool = False


class Stack:
    """All processes of Wanimate on one machine; they stop when the `with` block ends.

    Args:
        options: The processes and their settings.
    """

    def __init__(self, options: StackOptions | None = None) -> None:
        self.options = options or StackOptions()
        self.folder = Path(mkdtemp(prefix="wanimate-"))
        data_folder = self.options.data_folder or self.folder / "redis"
        data_folder.mkdir(parents=True, exist_ok=True)
        self.redis = self.options.redis(data_folder)
        self.simulator_url: str | None = None
        self.flower_url: str | None = None
        self.callbacks_url: str | None = None
        self.ops_url: str | None = None
        self._callback_secret = secrets.token_hex(32)
        self.workers: list[Process] = []
        self.beat: Process | None = None
        self.receiver: Process | None = None
        self.ops: Process | None = None
        self.keepers: list[Process] = []
        self._processes: list[Process] = []
        self._ports: dict[str, ReservedPort] = {}

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def videos_folder(self) -> Path:
        """The folder of copied videos."""
        data_folder = self.options.data_folder
        return (self.folder if data_folder is None else data_folder.parent) / "videos"

    @property
    def environment(self) -> dict[str, str]:
        """The variables for every process of the stack and for its clients."""
        variables = {"WANIMATE_REDIS_URL": self.redis.url, **self.options.settings}
        if self.options.has_store:
            variables["WANIMATE_KEEP_URL"] = self.videos_folder.as_uri()
        if self.simulator_url is not None:
            variables |= {"WANIMATE_API_BASE_URL": self.simulator_url, "WANIMATE_API_KEY": SIMULATOR_KEY}
        if self.callbacks_url is not None:
            variables |= {
                "WANIMATE_CALLBACK_BASE_URL": self.callbacks_url,
                "WANIMATE_CALLBACK_SECRET": self._callback_secret,
            }
        return variables

    def reserve_addresses(self) -> None:
        """Choose the address of every process now, so that it is known before `start`."""
        options = self.options
        self.simulator_url = self.simulator_url or self._reserve("simulator", wanted=options.simulator is not None)
        self.callbacks_url = self.callbacks_url or self._reserve("callbacks", wanted=options.has_callbacks)
        self.flower_url = self.flower_url or self._reserve("flower", wanted=options.has_flower)
        self.ops_url = self.ops_url or self._reserve("ops", wanted=options.has_ops)

    def _reserve(self, name: str, *, wanted: bool) -> str | None:
        if not wanted:
            return None
        port = self._ports[name] = ReservedPort()
        return f"http://127.0.0.1:{port.number}"

    def start(self) -> None:
        """Start all processes and wait until they are ready; on an error, stop those that run."""
        self.reserve_addresses()
        try:
            self._start_all()
        except BaseException:
            self.stop()
            raise

    def _start_all(self) -> None:
        self.redis.start()
        if self.options.simulator is not None and self.simulator_url is not None:
            arguments = [part for name, value in self.options.simulator.items() for part in (f"--{name}", value)]
            command = (sys.executable, "-m", "wanimate_simulator", *arguments)
            self._serve("simulator", self.simulator_url, "/simulator/health", *command)
        if self.options.has_callbacks:
            self.start_receiver()
        for _ in range(self.options.workers):
            self.start_worker()
        for _ in range(self.options.keepers):
            self.start_keeper()
        if self.options.has_beat:
            self.start_beat()
        if self.flower_url is not None:
            self._serve("flower", self.flower_url, "/healthcheck", *_WORKER_COMMAND, "flower")
        if self.ops_url is not None:
            self.ops = self._serve("ops", self.ops_url, "/health", *_WORKER_COMMAND, "ops")
        for number, worker in enumerate(self.workers, start=1):
            worker.wait_until(lambda worker=worker: " ready." in worker.log_path.read_text(), f"ready ({number})")  # type: ignore[misc]

    def stop(self) -> None:
        """Stop all processes, Redis last, and remove temporary files."""
        for process in reversed(self._processes):
            process.signal(signal.SIGTERM)
        for process in reversed(self._processes):
            process.stop()
        self._processes.clear()
        while self._ports:
            self._ports.popitem()[1].release()
        self.redis.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def ended(self) -> Process | None:
        """Return a process that exited unexpectedly, or None."""
        return next((process for process in self._processes if not process.is_running), None)

    def start_worker(self, environment: Mapping[str, str] | None = None) -> Process:
        """Start a worker process.

        Args:
            environment: Variables for this worker only.
        """
        name = f"worker{len(self.workers) + 1}"
        command = ("worker", "--loglevel", "INFO", "--hostname", f"{name}@%h", *self.options.worker_options)
        worker = self._start(name, *_celery(self.options.worker_app), *command, environment=environment)
        self.workers.append(worker)
        return worker

    def start_keeper(self) -> Process:
        """Start a process that copies videos."""
        keeper = self._start(f"keeper{len(self.keepers) + 1}", *_WORKER_COMMAND, "keep")
        self.keepers.append(keeper)
        return keeper

    def start_beat(self) -> Process:
        """Start beat."""
        self.beat = self._start("beat", *_celery("wanimate_worker"), "beat", "--loglevel", "INFO", "--pidfile=")
        return self.beat

    def start_receiver(self) -> Process:
        """Start the callback receiver; a restart uses the same address."""
        # Chosen before it starts: it reads its own address.
        self.callbacks_url = self.callbacks_url or _free_url()
        self.receiver = self._serve("callbacks", self.callbacks_url, "/health", *_WORKER_COMMAND, "callbacks")
        return self.receiver

    def log(self, name: str) -> str:
        """Return the output of a process."""
        return (self.folder / f"{name}.log").read_text(errors="replace")

    def _serve(self, name: str, url: str, health: str, *command: str) -> Process:
        """Start a process that listens at a URL and wait until it responds."""
        if name in self._ports:
            self._ports.pop(name).release()
        process = self._start(name, *command, "--port", url.rpartition(":")[2])
        process.wait_until(lambda: _responds(url + health), "ready")
        return process

    def _start(self, name: str, *command: str, environment: Mapping[str, str] | None = None) -> Process:
        variables: dict[str, str | None] = {**self.environment, **(environment or {})}
        if self.options.is_isolated:
            variables = {**dict.fromkeys(foreign_variables()), **variables}
        folder = self.folder if self.options.is_isolated else None
        process = Process(name, command, self.folder / f"{name}.log", variables, folder)
        self._processes.append(process)
        return process


def foreign_variables() -> list[str]:
    """Return the names of the variables of this process that could change what a stack does."""
    return [name for name in os.environ if name.startswith(("WANIMATE_", "CELERY_", "FLOWER_"))]


def redis_of(stack: Stack) -> Redis:
    """Return a client of the stack's Redis that decodes responses."""
    return Redis.from_pool(connection_pool(Settings(redis_url=SecretStr(stack.redis.url))))


def leftovers(stack: Stack) -> list[str]:
    """Return what should not exist after every job has ended: slots in use, keys without a TTL, messages."""
    with redis_of(stack) as redis:
        kept = [key for key in redis.scan_iter("wanimate:*", count=1000) if redis.ttl(key) == -1]
        # The state of the account stays: its limits, its balance and its bounded events. The next submission clears
        # fields that block submissions.
        kept = [key for key in kept if not key.endswith((":balance", ":events"))]
        kept = [key for key in kept if not key.endswith(":account") or CLOSED_GATE & set(redis.hkeys(key))]
        queued = [f"{queue} ({length})" for queue, length in queue_lengths(redis).items() if length]
        dead = [f"dead letters ({redis.llen(key)})" for key in redis.scan_iter("wanimate:*:dead", count=1000)]
        unacked = redis.hlen(UNACKED_KEY)
    return [*kept, *queued, *dead, *([f"{unacked} unacked"] if unacked else [])]


def _celery(app: str) -> tuple[str, ...]:
    return (sys.executable, "-m", "celery", "-q", "-A", app)


def _free_url() -> str:
    return f"http://127.0.0.1:{free_port()}"


def _responds(url: str) -> bool:
    try:
        return httpx.get(url, timeout=2, trust_env=False).is_success
    except httpx.HTTPError:
        return False
