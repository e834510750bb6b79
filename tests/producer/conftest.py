"""A real Redis server, clients of it, and a small real Celery worker with stand-in tasks."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import redis
from wanimate import Client, Result, Settings
from wanimate.contract import Keys
from wanimate_devstack import find_redis_server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

HERE = Path(__file__).parent
IMAGE = "https://example.com/character.png"
VIDEO = "https://example.com/motion.mp4"
FIELDS: dict[str, Any] = {"image_url": IMAGE, "video_url": VIDEO}
RESULT = Result(urls=("https://example.com/v.mp4",), task_id="task_1", cost_time_ms=41388)

#: Messages in their queues, kombu's list of queues, and the requests remembered for idempotency keys.
MAY_STAY = ("wanimate\x06\x16", "wanimate.control", "_kombu.binding.", "_kombu.binding_permanent.", "wanimate:{")


def eventually(condition: Callable[[], Any], timeout: float = 15.0) -> Any:
    """Return what the condition gives once it is true; fail after the deadline."""
    deadline = time.monotonic() + timeout
    while not (value := condition()):
        assert time.monotonic() < deadline, "not within the deadline"
        time.sleep(0.02)
    return value


class Server:
    """A server process on a free port of the loopback address."""

    def __init__(self, directory: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        self._directory = directory
        self.socket = directory / "redis.sock"
        self._process: subprocess.Popen[bytes] | None = None

    def url(self, database: int = 0) -> str:
        return f"redis://127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        command = [
            find_redis_server(),
            "--port",
            str(self.port),
            "--bind",
            "127.0.0.1",
            "--unixsocket",
            self.socket.name,
            "--save",
            "",
            "--appendonly",
            "no",
        ]
        self._process = subprocess.Popen(
            command, cwd=self._directory, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        eventually(self._answers)

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(10)
            self._process = None

    @contextlib.contextmanager
    def silent(self) -> Iterator[None]:
        """Stand still: connections are kept, and nothing is answered."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._process.send_signal(signal.SIGCONT)

    def _answers(self) -> bool:
        with redis.Redis(port=self.port) as probe:
            try:
                return bool(probe.ping())
            except redis.RedisError:
                return False


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("redis"))
    server.start()
    yield server
    server.stop()


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[Server]:
    """A server for the tests that stop it."""
    server = Server(tmp_path)
    server.start()
    yield server
    server.stop()


class Database:
    """A look into Redis from beside the client."""

    def __init__(self, url: str) -> None:
        self.redis: Any = redis.Redis.from_url(url, decode_responses=True)
        self._stored: set[str] = set()

    def messages(self, queue: str = "wanimate") -> list[dict[str, Any]]:
        """The messages of a queue, the most urgent and oldest first."""
        keys = [queue] + [f"{queue}\x06\x16{step}" for step in (3, 6, 9)]
        return [json.loads(text) for key in keys for text in reversed(self.redis.lrange(key, 0, -1))]

    def store(self, job_id: str, status: str, result: Any) -> None:
        """Store a Celery result as a worker would."""
        self.store_raw(
            job_id, json.dumps({"task_id": job_id, "status": status, "result": result, "traceback": None}).encode()
        )

    def store_raw(self, job_id: str, content: bytes) -> None:
        """Store where a result would be whatever somebody else might write there."""
        key = f"celery-task-meta-{job_id}"
        self._stored.add(key)
        self.redis.set(key, content)

    def enqueue(self, *job_ids: str) -> None:
        """Note jobs as enqueued, as the library does together with their messages."""
        self.redis.zadd(Keys("default").enqueued, dict.fromkeys(job_ids, time.time() * 1000))

    def succeed(self, job_id: str) -> None:
        self.store(job_id, "SUCCESS", RESULT.to_json())

    def record(self, job_id: str, **fields: str) -> None:
        """Write a job's hash as the ledger would."""
        key = Keys("default").job(job_id)
        self._stored.add(key)
        self.redis.hset(key, mapping=fields)

    def leaked(self) -> list[str]:
        return [
            key
            for key in self.redis.keys("*")
            if key not in {"wanimate", *self._stored} and not key.startswith(MAY_STAY)
        ]


@pytest.fixture
def url(server: Server) -> str:
    return server.url(1)


@pytest.fixture
def database(url: str) -> Iterator[Database]:
    """A look into the tests' database; it starts empty, and a test that leaves an unexpected key behind fails."""
    database = Database(url)
    database.redis.flushdb()
    yield database
    leaked = database.leaked()
    database.redis.flushdb()
    database.redis.close()
    assert not leaked, f"left behind: {leaked}"


@pytest.fixture
def settings(url: str) -> Settings:
    return Settings(redis_url=url)


@pytest.fixture
def client(settings: Settings, database: Database) -> Iterator[Client]:
    with Client(settings) as client:
        yield client


@pytest.fixture(scope="session")
def stand_in_url(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a queue that a worker of stand-in tasks reads."""
    url = server.url(2)
    log = tmp_path_factory.mktemp("worker") / "log"
    command = [sys.executable, "-m", "celery", "-A", "stand_in", "worker", "-P", "threads", "-c", "4", "-l", "INFO"]
    command += ["-Q", "wanimate.control,wanimate", "--without-gossip", "--without-mingle", "--without-heartbeat"]
    with log.open("wb") as output:
        worker = subprocess.Popen(
            command,
            cwd=HERE,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, "WANIMATE_REDIS_URL": url, "PYTHONPATH": str(HERE)},
        )
    try:
        eventually(lambda: b" ready." in log.read_bytes() or worker.poll() is not None, 30)
        assert worker.poll() is None, log.read_text()
        yield url
    finally:
        worker.terminate()
        worker.wait(20)


#: What the stand-in worker answers is the id of the job that is to be cancelled.
STAND_INS = ("cancelled", "billed", "unknown", "finished", "nobody", "postponed")


def enqueue_stand_ins(url: str) -> None:
    beside = Database(url)
    beside.enqueue(*STAND_INS)
    beside.redis.close()


@pytest.fixture
def working_client(stand_in_url: str) -> Iterator[Client]:
    """A client whose jobs a stand-in worker carries out."""
    enqueue_stand_ins(stand_in_url)
    with Client(Settings(redis_url=stand_in_url)) as client:
        yield client
