"""The engine in this process, step by step, on a real server."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from kombu import Message
from pydantic import SecretStr
from redis import Redis
from typed import run as typed
from wanimate.contract import GENERATE_TASK, Keys, Stage, parse_job
from wanimate_devstack import RedisServer
from wanimate_worker.bridge.admission import Recorder, entry_of
from wanimate_worker.bridge.app import create_app
from wanimate_worker.bridge.callers import CeleryCallers, GenerateTask
from wanimate_worker.engine.engine import Engine
from wanimate_worker.settings import WorkerSettings
from wanimate_worker.vendor import (
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

    from celery import Celery
    from wanimate.contract import Job

JOB = {
    "type": "animate",
    "image_url": "https://example.com/c.png",
    "video_url": "https://example.com/m.mp4",
}


class Run:
    """An engine without threads of its own, on a real server; the vendor answers as told."""

    def __init__(self, redis: Redis, task: GenerateTask) -> None:
        self.redis = redis
        self.task = task
        self.runtime = task.runtime
        self.ledger = task.runtime.ledger
        #: What Flower is told through.
        self.dispatcher: Any = None
        callers = CeleryCallers(task, lambda: self.dispatcher)
        self.recorder = Recorder(task.runtime, callers)
        self.engine = Engine(task.runtime, callers, submissions=1)
        #: What became of the messages that were taken: "acknowledged" or "given back", by delivery tag.
        self.settled: dict[str, str] = {}
        self.answer: Callable[[], SubmitAnswer] = lambda: Accepted("task-a")
        #: What the stage of the job was whenever it was sent.
        self.sent: list[Stage | None] = []
        self.jobs: list[Job] = []
        self.asked: list[str] = []
        self.state: StatusAnswer = Pending("processing")
        self.credit: BalanceAnswer = NoBalance("HTTP 404")
        #: What happens while the vendor is asked.
        self.meanwhile: Callable[[], object] = lambda: None
        task.runtime.vendor = self  # type: ignore[assignment]

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
        self.engine.tick()
        self.engine.poller.poll_due()
        self.end_asking()

    def end_asking(self) -> None:
        """Wait until no thread asks the vendor any more, and write down what came of it."""
        threads = self.runtime.settings.poll_concurrency
        assert self.engine.poller.askers.wait_for_room(threads, 30) == threads
        self.engine.poller.write_news()

    def stage(self) -> Stage | None:
        return self.ledger.records.read(["a"])[0].stage

    def has_slot(self) -> bool:
        return bool(self.redis.zscore(Keys("default").slots, "a"))

    def __call__(self, **fields: Any) -> None:
        """Record the job unless it is on record, and bring it one step further."""
        request = {**JOB, **fields}
        self.ledger.jobs.admit([entry_of("a", parse_job(request), {}, request)])
        self.advance()

    def take(self, task_id: str = "a", request: Any = None, **headers: Any) -> None:
        """Take the message of a job as a worker does, and bring the job one step further if it has a slot."""
        self.record(task_id, request, **headers)
        self.engine.submitter.advance(task_id)

    def record(self, task_id: str = "a", request: Any = None, **headers: Any) -> None:
        """Take the message of a job as a worker does."""
        self.recorder.record([self.message(task_id, request, **headers)])

    def message(self, task_id: str, request: Any = None, **headers: Any) -> Message:
        """Return the message of a job."""
        return self.message_of(self.task.name, task_id, JOB if request is None else request, **headers)

    def message_of(self, name: str, task_id: str, kwargs: Any, **headers: Any) -> Message:
        """Return the message of any task."""
        return message_of(self.task.app, name, task_id, kwargs, self.settled, **headers)

    def advance(self) -> None:
        """Bring the job one step further."""
        self.engine.submitter.advance("a")

    def result(self) -> Any:
        """Return what the job's caller gets, or None while there is nothing."""
        meta = self.task.backend.get_task_meta("a")
        return meta["result"] if meta["status"] in {"SUCCESS", "FAILURE"} else None


def message_of(app: Celery, name: str, task_id: str, kwargs: Any, settled: dict[str, str], **headers: Any) -> Message:
    """Return the message of a task; what becomes of it is noted in `settled`, by its delivery tag."""
    made = app.amqp.create_task_message(task_id, name, (), kwargs)
    channel = SimpleNamespace(
        basic_ack=lambda tag, **_: settled.update({tag: "acknowledged"}),
        basic_reject=lambda tag, **_: settled.update({tag: "given back"}),
        no_ack_consumers=None,
    )
    return Message(
        body=json.dumps(made.body),
        delivery_tag=f"tag-{task_id}",
        content_type="application/json",
        content_encoding="utf-8",
        delivery_info={"exchange": "", "routing_key": "wanimate"},
        headers={**made.headers, **headers},
        properties={**made.properties, "delivery_tag": f"tag-{task_id}"},
        channel=channel,
        accept={"application/json"},
    )


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
        run.engine.stop()
        app.backend.client.close()
        app.close()
