"""What Flower is told of jobs, what its pages take from the ledger, and whom it listens to."""

from __future__ import annotations

import base64
import json
import sys
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from celery.events.state import Task
from flower.utils.search import QuerySyntaxError
from pydantic import SecretStr
from redis import Redis
from wanimate.contract import ENQUEUE_TASK, GENERATE_TASK, Keys, Outcome
from wanimate.errors import GenerationFailed, SettingsError
from wanimate_devstack import Process, RedisServer, free_port
from wanimate_worker.bridge import admission
from wanimate_worker.bridge.app import create_app
from wanimate_worker.bridge.callers import CeleryCallers, unsigned
from wanimate_worker.bridge.flower.live import LiveView, row_formatter
from wanimate_worker.bridge.flower.search import JobSearch
from wanimate_worker.bridge.flower.server import secure
from wanimate_worker.database import open_database
from wanimate_worker.ledger import Entry, Ledger, Submit
from wanimate_worker.service_settings import FlowerSettings
from wanimate_worker.settings import WorkerSettings

from .conftest import message_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from celery import Celery

REQUEST = {"type": "animate", "image_url": "https://example.com/c.png", "video_url": "https://example.com/m.mp4"}
KEYS = Keys("default")

# -- whom it listens to -----------------------------------------------------------------------------------------------


def options(**given: Any) -> SimpleNamespace:
    nothing = {"address": "", "unix_socket": "", "basic_auth": None, "auth": "", "read_only": False}
    return SimpleNamespace(**{**nothing, **given})


@pytest.mark.parametrize("address", ["0.0.0.0", "::", "192.168.1.2", "flower.example.com", "127.0.0.1.example.com"])
def test_flower_refuses_an_address_that_strangers_reach_without_a_password(address: str) -> None:
    with pytest.raises(SettingsError, match="WANIMATE_FLOWER_AUTH=user:password"):
        secure(options(address=address), FlowerSettings())


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "localhost", "127.8.8.8", ""])
def test_flower_without_a_password_listens_to_this_machine_and_has_no_buttons(address: str) -> None:
    given = options(address=address)
    secure(given, FlowerSettings())
    assert (given.address, given.read_only) == (address or "127.0.0.1", True)


@pytest.mark.parametrize("login", [{"basic_auth": ["a:b"]}, {"auth": ".*@example.com"}])
def test_flower_with_a_login_listens_where_it_is_told_to_and_else_to_this_machine(login: dict[str, Any]) -> None:
    for address, expected in (("0.0.0.0", "0.0.0.0"), ("", "127.0.0.1")):
        given = options(address=address, **login)
        secure(given, FlowerSettings())
        assert (given.address, given.read_only) == (expected, False)


def test_the_password_of_the_settings_is_one_more_login() -> None:
    given = options(address="0.0.0.0", basic_auth=["a:b"])
    secure(given, FlowerSettings(flower_auth=SecretStr("me:secret,with:signs")))
    assert given.basic_auth == ["me:secret,with:signs", "a:b"]


def test_flower_refuses_to_open_its_api(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLOWER_UNAUTHENTICATED_API", "true")
    with pytest.raises(SettingsError, match="FLOWER_UNAUTHENTICATED_API"):
        secure(options(), FlowerSettings())


@pytest.mark.parametrize("login", ["hunter2", ":hunter2", "me:", "mé:hunter2"])
def test_a_login_without_user_or_password_is_refused_and_not_shown(login: str) -> None:
    with pytest.raises(SettingsError, match="WANIMATE_FLOWER_AUTH") as caught:
        FlowerSettings(flower_auth=SecretStr(login))
    assert login not in str(caught.value)


@pytest.mark.parametrize(
    "command", [("wanimate_worker.cli", "flower"), ("celery", "-q", "-A", "wanimate_worker", "flower")]
)
def test_without_a_password_flower_answers_to_names_of_this_machine_only(
    redis: Redis, tmp_path: Path, command: tuple[str, ...]
) -> None:
    url = f"http://127.0.0.1:{(port := free_port())}"
    variables = {"WANIMATE_REDIS_URL": redis.url}  # type: ignore[attr-defined]
    flower = Process("flower", (sys.executable, "-m", *command, f"--port={port}"), tmp_path / "log", variables)
    try:
        flower.wait_until(lambda: status(f"{url}/healthcheck") == 200, "ready")
        for host in ("127.0.0.1", "localhost:5555", "[::1]:5555"):
            assert status(f"{url}/tasks", host) == 200, host
        for host in ("rebound.example.com", "127.0.0.1.example.com", "192.168.1.2:5555", ""):
            for path in ("/", "/tasks", "/metrics", "/api/tasks", "/static/js/flower.js", "/nowhere"):
                assert status(url + path, host) == 403, (host, path)
    finally:
        flower.stop()


def status(url: str, host: str = "localhost") -> int:
    try:
        answer = httpx.get(url, headers={"Host": host}, trust_env=False, timeout=10)
    except httpx.ConnectError:
        return 0
    assert answer.headers["Content-Security-Policy"] == "frame-ancestors 'none'"
    return answer.status_code


# -- what it is told --------------------------------------------------------------------------------------------------


def test_urls_lose_their_signatures() -> None:
    told = "{'urls': ['https://r2.example.com/v.mp4?X-Sig=5f1d&e=1', \"http://h/#frag\"]} see https://h/v.mp4?s=1."
    assert unsigned(told) == "{'urls': ['https://r2.example.com/v.mp4?…', \"http://h/?…\"]} see https://h/v.mp4?…"
    assert unsigned("https://h/v.mp4 why?") == "https://h/v.mp4 why?"


@pytest.fixture
def redis() -> Iterator[Redis]:
    with RedisServer(is_durable=False) as server, Redis.from_url(server.url, decode_responses=True) as redis:
        redis.url = server.url  # type: ignore[attr-defined]
        yield redis


@pytest.fixture
def app(redis: Redis) -> Iterator[Celery]:
    app = create_app(settings_of(redis))
    yield app
    app.backend.client.close()
    app.close()


def settings_of(redis: Redis) -> WorkerSettings:
    return WorkerSettings(redis_url=SecretStr(redis.url), api_key=SecretStr("sk-of-nobody"))  # type: ignore[attr-defined]


def enqueue_while_listening(redis: Redis, app: Celery, job_ids: list[str]) -> list[list[dict[str, Any]]]:
    """Record a bulk message and return the event messages that it sent."""
    with redis.pubsub() as channel:
        channel.psubscribe("*celeryev*")
        assert channel.get_message(timeout=5)
        # The jobs have no slot: a job with one would be resumed, and nobody runs it here.
        redis.hset(KEYS.account, "paused", "a test")
        with (
            app.connection_for_write() as connection,
            app.events.Dispatcher(connection, hostname="worker@here", buffer_group={"task"}) as dispatcher,
        ):
            task = app.tasks[GENERATE_TASK]
            jobs = {"jobs": [[job_id, REQUEST] for job_id in job_ids]}
            recorder = admission.Recorder(task.runtime, CeleryCallers(task, lambda: dispatcher))
            recorder.record([message_of(app, ENQUEUE_TASK, "bulk", jobs, {})])
            dispatcher.flush()
        redis.publish("celeryev.end", "{}")
        messages = []
        while (message := channel.get_message(timeout=5)) and "body" in json.loads(message["data"] or "{}"):
            messages.append(json.loads(base64.b64decode(json.loads(message["data"])["body"])))
    return messages


def test_the_jobs_of_a_bulk_message_are_announced_in_one_message_by_their_worker(redis: Redis, app: Celery) -> None:
    [events] = enqueue_while_listening(redis, app, ["a", "b", "c"])
    assert [(event["type"], event["uuid"]) for event in events] == [("task-received", name) for name in "abc"]
    for event in events:
        assert event["name"] == GENERATE_TASK
        assert event["kwargs"] == "{'type': 'animate', 'resolution': '480p'}"
        assert event["result"] == "waiting for a slot"
        assert "example.com" not in json.dumps(event)
    assert json.loads(redis.hget(KEYS.job("a"), "message") or "")["seen"] is True


def test_a_bulk_message_that_comes_twice_is_announced_once(redis: Redis, app: Celery) -> None:
    enqueue_while_listening(redis, app, ["a"])
    assert enqueue_while_listening(redis, app, ["a"]) == []


def test_behind_a_long_line_jobs_are_announced_when_they_get_their_slots(
    redis: Redis, app: Celery, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(admission, "_MAX_SHOWN_BACKLOG", 2)
    assert len(enqueue_while_listening(redis, app, ["a", "b"])) == 1
    assert enqueue_while_listening(redis, app, ["c"]) == []
    assert "seen" not in json.loads(redis.hget(KEYS.job("c"), "message") or ""), "its first message will be an event"


# -- what its pages show ----------------------------------------------------------------------------------------------


@pytest.fixture
def ledger(redis: Redis) -> Iterator[Ledger]:
    settings = settings_of(redis)
    connection, ledger = open_database(settings)
    ledger.limits.fill(settings.account_limits())
    yield ledger
    connection.close()
    connection.connection_pool.disconnect()


def formatter(ledger: Ledger) -> Callable[[Task], Task]:
    return row_formatter(LiveView(ledger))


def row(job_id: str, state: str = "RECEIVED", **fields: Any) -> Task:
    kwargs = "{'type': 'animate', 'resolution': '480p', 'labels': {'order': '7'}}"
    return Task(uuid=job_id, name=GENERATE_TASK, state=state, kwargs=kwargs, **fields)


def admit(ledger: Ledger, *job_ids: str) -> None:
    ledger.jobs.admit([Entry(job_id, 5, {"argsrepr": "()"}, REQUEST) for job_id in job_ids])


def submit(ledger: Ledger, job_id: str) -> Submit:
    step = ledger.jobs.begin(job_id)
    assert isinstance(step, Submit)
    return step


def test_a_page_tells_what_a_job_does_now(redis: Redis, ledger: Ledger) -> None:
    shown = formatter(ledger)
    admit(ledger, "a")
    assert shown(row("a")).result == "has a slot; its submission is being sent"
    redis.hset(KEYS.account, "paused", "a test")
    admit(ledger, "b", "c")
    assert (shown(row("c")).state, shown(row("c")).result) == ("RECEIVED", "waiting for a slot, position 2")
    step = submit_held(redis, ledger, "a")
    ledger.jobs.mark_unknown("a", step.nonce, "reset")
    assert (shown(row("a")).state, "answer to its submission was lost" in shown(row("a")).result) == ("UNKNOWN", True)
    ledger.jobs.accept("a", step.nonce, task_id="task-1", first_poll_ms=1000, begun_at_ms=step.begun_at_ms)
    running = shown(row("a"))
    assert (running.state, running.result) == ("STARTED", "runs at the vendor as task-1")
    assert 0 <= running.runtime < 60
    assert running.kwargs == "animate 480p order=7"


def submit_held(redis: Redis, ledger: Ledger, job_id: str) -> Submit:
    redis.hdel(KEYS.account, "paused")
    step = submit(ledger, job_id)
    redis.hset(KEYS.account, "paused", "a test")
    return step


def test_a_page_shows_the_end_of_a_job_whose_events_flower_has_missed(ledger: Ledger) -> None:
    admit(ledger, "a")
    step = submit(ledger, "a")
    ledger.jobs.settle("a", step.nonce, Outcome.failure(GenerationFailed("no luck", "GENERATION_FAILED", "task-1")))
    failed = formatter(ledger)(row("a", "STARTED"))
    assert (failed.state, failed.result) == ("FAILURE", "no luck (code=GENERATION_FAILED, vendor task=task-1)")


def test_a_page_shows_a_failed_job_that_runs_again_as_waiting(redis: Redis, ledger: Ledger) -> None:
    redis.hset(KEYS.account, "paused", "a test")
    admit(ledger, "a")
    again = formatter(ledger)(row("a", "FAILURE", result="GenerationFailed: no luck", exception="…", runtime=41.0))
    assert (again.state, again.exception, again.runtime) == ("RECEIVED", None, None)


def test_a_page_keeps_to_what_events_have_told_of_others_and_while_redis_is_away(ledger: Ledger) -> None:
    shown = formatter(ledger)
    foreign = Task(uuid="x", name="their.task", state="STARTED", kwargs="{'url': 1}")
    assert shown(foreign).as_dict() == foreign.as_dict()
    assert shown(row("unheard-of")).state == "RECEIVED"
    broken = formatter(away())
    assert [broken(row(name, "STARTED", result="told")).result for name in "ab"] == ["told", "told"]


def test_a_video_that_is_being_copied_is_no_failure(redis: Redis, ledger: Ledger) -> None:
    admit(ledger, "a")
    step = submit(ledger, "a")
    ledger.jobs.accept("a", step.nonce, task_id="task-1", first_poll_ms=1000, begun_at_ms=step.begun_at_ms)
    redis.hset(KEYS.job("a"), "stage", "keeping")
    shown = formatter(ledger)(row("a", "STARTED"))
    assert (shown.state, shown.result) == ("STARTED", "rendered; its video is being copied")


def found(search: JobSearch, tasks: dict[str, Task], query: str) -> set[str]:
    return set(search.search(tasks, query).task_ids)


def test_a_search_finds_rows_by_the_text_of_any_cell(redis: Redis, ledger: Ledger) -> None:
    result = "https://results.example.com/v.mp4 (vendor task task-9, served until 2026-12-02 16:01+00:00)"
    error = "ContentViolation: No luck. (code=CONTENT_VIOLATION, vendor task=task-8)"
    tasks = {
        "waits": row("waits"),
        "runs": row("runs"),
        "lost": row("lost", "STARTED", result="runs at the vendor as task-7"),
        "done": row("done", "SUCCESS", result=result),
        "failed": row("failed", "FAILURE", result=error),
    }
    tasks["waits"].kwargs = "{'type': 'replace', 'resolution': '720p', 'labels': {'customer': 'acme', 'order': '1831'}}"
    search = JobSearch(LiveView(ledger))
    search.rebuild(tasks.items())
    admit(ledger, "runs", "lost")
    running, lost = submit(ledger, "runs"), submit(ledger, "lost")
    ledger.jobs.accept("runs", running.nonce, task_id="task-6", first_poll_ms=1000, begun_at_ms=running.begun_at_ms)
    ledger.jobs.mark_unknown("lost", lost.nonce, "reset")
    redis.hset(KEYS.account, "paused", "a test")
    admit(ledger, "waits")
    for query, expected in {
        "order=1831": {"waits"},
        "replace 720p customer=acme order=1831": {"waits"},
        "kwargs:customer=acme": {"waits"},
        "kwargs:type=replace": {"waits"},
        "waiting for a slot, position 1": {"waits"},
        "RECEIVED": {"waits"},
        "state:RECEIVED": {"waits"},
        "runs at the vendor as task-6": {"runs"},
        "state:STARTED": {"runs"},
        "UNKNOWN": {"lost"},
        "state:unknown": {"lost"},
        "may have accepted it": {"lost"},
        "state:SUCCESS": {"done"},
        result: {"done"},
        error: {"failed"},
        "ContentViolation": {"failed"},
        "CONTENT_VIOLATION": {"failed"},
        "nothing similar": set(),
    }.items():
        assert found(search, tasks, query) == expected, query
    with pytest.raises(QuerySyntaxError, match="at least 3 characters"):
        found(search, tasks, "qz")


def test_a_search_goes_on_with_the_last_events_while_redis_is_away() -> None:
    search = JobSearch(LiveView(away()))
    tasks = {"a": row("a", "STARTED", result="told")}
    search.upsert(tasks["a"])
    assert found(search, tasks, "order=7 told") == {"a"}


def away() -> Ledger:
    settings = WorkerSettings(redis_url=SecretStr("redis://127.0.0.1:1/0"), redis_timeout_seconds=0.5)
    return open_database(settings).ledger
