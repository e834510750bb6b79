"""One run of a task in this process, on a real server."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import SecretStr
from redis import Redis
from typed import run as typed
from wanimate.contract import GENERATE_TASK, POLL_TASK, Keys, Stage
from wanimate_devstack import RedisServer
from wanimate_worker.app import create_app
from wanimate_worker.settings import WorkerSettings
from wanimate_worker.tasks import GenerateTask
from wanimate_worker.upstream import (
    Accepted,
    BalanceAnswer,
    MaySend,
    NoBalance,
    NotSent,
    Obstacle,
    Pending,
    StatusAnswer,
    SubmitAnswer,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from wanimate.contract import Job

JOB = {
    "type": "animate",
    "image_url": "https://example.com/c.png",
    "video_url": "https://example.com/m.mp4",
}


class Run:
    """A task that runs in this process, on a real server; the vendor answers as told."""

    def __init__(self, redis: Redis, task: GenerateTask) -> None:
        self.redis = redis
        self.task = task
        self.ledger = task.runtime.ledger
        self.answer: Callable[[], SubmitAnswer] = lambda: Accepted("task-a")
        #: What the stage of the job was whenever it was sent.
        self.sent: list[Stage | None] = []
        self.jobs: list[Job] = []
        self.asked: list[str] = []
        self.state: StatusAnswer = Pending("processing")
        self.credit: BalanceAnswer = NoBalance("HTTP 404")
        #: What happens while the vendor is asked.
        self.meanwhile: Callable[[], object] = lambda: None
        task.runtime.upstream = self  # type: ignore[assignment]

    def submit(self, job: Job, *_: Any, may_send: MaySend) -> SubmitAnswer:
        if why := may_send():
            return NotSent(why, Obstacle.STALE)
        self.jobs.append(job)
        self.sent.append(self.stage())
        return self.answer()

    def status(self, task_id: str, *_: Any, may_send: MaySend) -> StatusAnswer:
        if why := may_send():
            return NotSent(why, Obstacle.STALE)
        self.asked.append(task_id)
        self.meanwhile()
        return self.state

    def balance(self, *_: Any, may_send: MaySend) -> BalanceAnswer:
        assert not may_send()
        return self.credit

    def poll(self) -> None:
        """Look at the job, as if its time had come."""
        self.redis.zadd(Keys("default").due, {"a": 0})
        self.task.app.tasks[POLL_TASK].apply()

    def end_asking(self) -> None:
        """Wait until no thread asks the vendor any more."""
        pollers = self.task.runtime.__dict__.pop("pollers", None)
        if pollers is not None:
            pollers.shutdown()

    def stage(self) -> Stage | None:
        return self.ledger.read(["a"])[0].stage

    def has_slot(self) -> bool:
        return bool(self.redis.zscore(Keys("default").slots, "a"))

    def __call__(self) -> None:
        self.task.apply(kwargs=JOB, task_id="a")


def command(run: Run, *words: str) -> tuple[int, dict[str, Any]]:
    """Type a command of the operator, and return its exit code and what it says."""
    url = run.task.runtime.settings.redis_url.get_secret_value()
    done = typed("wanimate-worker", *words, "--json", WANIMATE_REDIS_URL=url, WANIMATE_API_KEY="sk-of-nobody")
    assert "Traceback" not in done.stderr
    return done.returncode, json.loads(done.stdout or "{}")


@pytest.fixture
def run() -> Iterator[Run]:
    with RedisServer(is_durable=False) as server, Redis.from_url(server.url, decode_responses=True) as redis:
        app = create_app(WorkerSettings(redis_url=SecretStr(server.url), api_key=SecretStr("sk-of-nobody")))
        task = app.tasks[GENERATE_TASK]
        assert isinstance(task, GenerateTask)
        run = Run(redis, task)
        yield run
        run.end_asking()
        app.backend.client.close()
        app.close()
