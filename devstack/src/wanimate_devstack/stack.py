"""Server, simulator, workers, beat and Flower on loopback."""

from __future__ import annotations

import secrets
import shutil
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

from .processes import Process, ProcessGroup, free_port
from .redis_server import RedisServer
from .sentinels import ReplicatedRedis

if TYPE_CHECKING:
    from collections.abc import Mapping

SIMULATOR_KEY: Final = "simulator-key"
#: The fields of the account's hash of which none is left once its gate is open.
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
    """What a stack is made of.

    Args:
        workers: Worker processes.
        has_beat: Whether beat runs.
        has_flower: Whether Flower runs.
        has_callbacks: Whether the callback receiver runs, and workers ask the vendor for callbacks.
        has_ops: Whether the limits page and the metrics are served.
        has_sentinel: Whether Redis is a master, a replica and sentinels; `Stack.replicated` can then fail over.
        redis: The server to use, which the stack starts and stops; one of its own if not given.
        simulator: Options of `wanimate-simulator`; None to use the vendor, with `WANIMATE_API_KEY`.
        settings: `WANIMATE_*` variables for every process.
        data_folder: Where Redis keeps its data; a temporary folder, removed afterwards, if not given.
        worker_options: Options of `celery worker`.
        worker_app: The Celery app that workers load.
    """

    workers: int = 1
    has_beat: bool = True
    has_flower: bool = True
    has_callbacks: bool = False
    has_ops: bool = False
    has_sentinel: bool = False
    redis: RedisServer | None = None
    simulator: Mapping[str, str] | None = field(default_factory=dict)
    settings: Mapping[str, str] = field(default_factory=dict)
    data_folder: Path | None = None
    worker_options: tuple[str, ...] = ()
    worker_app: str = "wanimate_worker"


class Stack:
    """The whole product on one machine, stopped again when its `with` block ends.

    Args:
        options: What it is made of.
    """

    def __init__(self, options: StackOptions | None = None) -> None:
        self.options = options or StackOptions()
        self.folder = Path(mkdtemp(prefix="wanimate-"))
        self.redis = self._redis()
        self.simulator_url: str | None = None
        self.flower_url: str | None = None
        self.callbacks_url: str | None = None
        self.ops_url: str | None = None
        self._callback_secret = secrets.token_hex(32)
        self.workers: list[Process] = []
        self.beat: Process | None = None
        self.receiver: Process | None = None
        self.ops: Process | None = None
        self._processes = ProcessGroup()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def environment(self) -> dict[str, str]:
        """The variables that every process of the stack, and a client of it, reads."""
        variables = {"WANIMATE_REDIS_URL": self.redis.url, **self.options.settings}
        if self.simulator_url is not None:
            variables |= {"WANIMATE_API_BASE_URL": self.simulator_url, "WANIMATE_API_KEY": SIMULATOR_KEY}
        if self.callbacks_url is not None:
            variables |= {
                "WANIMATE_CALLBACK_BASE_URL": self.callbacks_url,
                "WANIMATE_CALLBACK_SECRET": self._callback_secret,
            }
        return variables

    def start(self) -> None:
        """Start everything and wait until it is ready; what cannot become ready leaves nothing running."""
        try:
            self._start_all()
        except BaseException:
            self.stop()
            raise

    def _start_all(self) -> None:
        self.redis.start()
        if self.options.simulator is not None:
            self._start_simulator(self.options.simulator)
        if self.options.has_callbacks:
            self.start_receiver()
        for _ in range(self.options.workers):
            self.start_worker()
        if self.options.has_beat:
            self.start_beat()
        if self.options.has_flower:
            self._start_flower()
        if self.options.has_ops:
            self._start_ops()
        for number, worker in enumerate(self.workers, start=1):
            worker.wait_until(lambda worker=worker: " ready." in worker.log_path.read_text(), f"ready ({number})")  # type: ignore[misc]

    def stop(self) -> None:
        """Stop everything, the server last, and remove what was temporary."""
        self._processes.stop()
        self.redis.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def ended(self) -> Process | None:
        """Return a process that has ended by itself, if there is one."""
        return self._processes.ended()

    def start_worker(self, environment: Mapping[str, str] | None = None) -> Process:
        """Start one more worker process.

        Args:
            environment: Variables for this one only.
        """
        name = f"worker{len(self.workers) + 1}"
        command = ["worker", "--loglevel", "INFO", "--hostname", f"{name}@%h", *self.options.worker_options]
        celery = (sys.executable, "-m", "celery", "-q", "-A", self.options.worker_app)
        worker = self._start(name, *celery, *command, environment=environment)
        self.workers.append(worker)
        return worker

    def start_beat(self) -> Process:
        """Start beat."""
        self.beat = self._celery("beat", "beat", "--loglevel", "INFO", "--pidfile=")
        return self.beat

    def log(self, name: str) -> str:
        """Return what a process has written."""
        return (self.folder / f"{name}.log").read_text(errors="replace")

    def _start_simulator(self, options: Mapping[str, str]) -> None:
        port = free_port()
        arguments = [part for name, value in options.items() for part in (f"--{name}", value)]
        simulator = self._start(
            "simulator", sys.executable, "-m", "wanimate_simulator", "--port", str(port), *arguments
        )
        self.simulator_url = f"http://127.0.0.1:{port}"
        simulator.wait_until(lambda: _answers(f"{self.simulator_url}/simulator/health"), "ready")

    def start_receiver(self) -> Process:
        """Start the callback receiver, always at the same address."""
        # Before it starts: it reads its own address.
        self.callbacks_url = self.callbacks_url or f"http://127.0.0.1:{free_port()}"
        port = self.callbacks_url.rpartition(":")[2]
        self.receiver = self._start("callbacks", *_WORKER_COMMAND, "callbacks", "--port", port)
        self.receiver.wait_until(lambda: _answers(f"{self.callbacks_url}/health"), "ready")
        return self.receiver

    def _start_flower(self) -> None:
        port = free_port()
        flower = self._start("flower", *_WORKER_COMMAND, "flower", "--port", str(port))
        self.flower_url = f"http://127.0.0.1:{port}"
        flower.wait_until(lambda: _answers(f"{self.flower_url}/healthcheck"), "ready")

    def _start_ops(self) -> None:
        port = free_port()
        self.ops = self._start("ops", *_WORKER_COMMAND, "ops", "--port", str(port))
        self.ops_url = f"http://127.0.0.1:{port}"
        self.ops.wait_until(lambda: _answers(f"{self.ops_url}/health"), "ready")

    def _celery(self, name: str, *arguments: str) -> Process:
        return self._start(name, sys.executable, "-m", "celery", "-q", "-A", "wanimate_worker", *arguments)

    def _start(self, name: str, *command: str, environment: Mapping[str, str] | None = None) -> Process:
        variables = {**self.environment, **(environment or {})}
        return self._processes.add(Process(name, command, self.folder / f"{name}.log", variables))

    @property
    def replicated(self) -> ReplicatedRedis:
        """The servers and sentinels of a stack with `has_sentinel`, to make them fail over."""
        if not isinstance(self.redis, ReplicatedRedis):
            raise TypeError("this stack has no sentinels: StackOptions(has_sentinel=True)")
        return self.redis

    def _redis(self) -> RedisServer | ReplicatedRedis:
        if self.options.redis is not None:
            return self.options.redis
        return (ReplicatedRedis if self.options.has_sentinel else RedisServer)(self._data_folder())

    def _data_folder(self) -> Path:
        folder = self.options.data_folder or self.folder / "redis"
        folder.mkdir(parents=True, exist_ok=True)
        return folder


def redis_of(stack: Stack) -> Redis:
    """Return a connection to the stack's server that decodes responses."""
    return Redis.from_pool(connection_pool(Settings(redis_url=SecretStr(stack.redis.url))))


def leftovers(stack: Stack) -> list[str]:
    """Return whatever should be gone once every job has ended: held slots, keys without a TTL, messages, leases."""
    with redis_of(stack) as redis:
        kept = [key for key in redis.scan_iter("wanimate:*", count=1000) if redis.ttl(key) == -1]
        # The account's own state: its limits and its balance stay, and the next submission clears its gate.
        kept = [key for key in kept if not key.endswith(":balance")]
        kept = [key for key in kept if not key.endswith(":account") or CLOSED_GATE & set(redis.hkeys(key))]
        queued = [f"{queue} ({length})" for queue, length in queue_lengths(redis).items() if length]
        dead = [f"dead letters ({redis.llen(key)})" for key in redis.scan_iter("wanimate:*:dead", count=1000)]
        unacked = redis.hlen(UNACKED_KEY)
    return [*kept, *queued, *dead, *([f"{unacked} unacked"] if unacked else [])]


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=2, trust_env=False).is_success
    except httpx.HTTPError:
        return False
