"""What Flower shows of jobs on a real stack by HTTP, and whom it shows it to."""

from __future__ import annotations

import os
import re
import signal
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from celery import Celery
from flower_stack import LOGIN, SIGNED_QUERY, flower_stack
from harness import Vendor, eventually, fields_of
from other_app import worker_of_another_app
from pydantic import SecretStr
from wanimate import AnimateJob, Client, JobFailed, ReplaceJob, Settings
from wanimate.contract import CONTROL_QUEUE, ENTRY_QUEUE, GENERATE_TASK
from wanimate_devstack import Stack, leftovers, redis_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from redis import Redis
    from wanimate import JobHandle
    from wanimate.contract import Job

CAP = 2
PROMPT = "a prompt that nobody but the vendor reads"


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    with flower_stack(CAP) as stack:
        yield stack


@pytest.fixture(scope="module")
def client(stack: Stack) -> Iterator[Client]:
    with Client(Settings(redis_url=SecretStr(stack.redis.url))) as client:
        yield client


@pytest.fixture(scope="module")
def redis(stack: Stack) -> Iterator[Redis]:
    with redis_of(stack) as redis:
        yield redis


@pytest.fixture(scope="module")
def flower(stack: Stack) -> Iterator[Flower]:
    flower = Flower(stack.flower_url or "")
    eventually(lambda: flower.metric("flower_worker_online"), "Flower has heard of the worker")
    yield flower
    flower.http.close()


@pytest.fixture
def vendor(stack: Stack, redis: Redis) -> Iterator[Vendor]:
    vendor = Vendor(stack.simulator_url or "")
    vendor.reset()
    yield vendor
    vendor.close()
    eventually(lambda: not leftovers(stack), "nothing is left behind")


class Flower:
    """Flower, by HTTP."""

    def __init__(self, url: str) -> None:
        self.http = httpx.Client(base_url=url, auth=tuple(LOGIN.split(":")), trust_env=False, timeout=20)  # type: ignore[arg-type]

    def task(self, job_id: str) -> dict[str, Any]:
        answer = self.http.get(f"/api/task/info/{job_id}")
        return answer.json() if answer.is_success else {"state": None}  # type: ignore[no-any-return]

    def page(self, path: str) -> str:
        return self.http.get(path).raise_for_status().text

    def metric(self, name: str) -> dict[str, float]:
        """Return the values of a metric by their labels."""
        lines = re.findall(rf"^{name}(\{{.*\}}) (\S+)$", self.page("/metrics"), re.MULTILINE)
        return {labels: float(value) for labels, value in lines}

    def revoke(self, job_id: str, **options: str) -> httpx.Response:
        return self.http.post(f"/api/task/revoke/{job_id}", params=options)


def jobs(*markers: str, **fields: Any) -> list[Job]:
    kinds: list[type[AnimateJob | ReplaceJob]] = [AnimateJob, AnimateJob, ReplaceJob]
    return [
        kinds[number % 3](
            **fields_of(
                f"{marker}&{SIGNED_QUERY}",
                prompt=PROMPT,
                resolution="720p" if number % 2 else "480p",
                labels={"order": marker},
                **fields,
            )
        )
        for number, marker in enumerate(markers)
    ]


def end(handle: JobHandle) -> None:
    try:
        handle.wait(timeout=60)
    except JobFailed:
        return


def test_a_job_is_one_row_from_its_wait_to_its_end_with_the_duration_of_the_remote_job(
    client: Client, flower: Flower, vendor: Vendor
) -> None:
    vendor.set_faults(stalled=True)
    before = flower.metric("flower_events_total")
    handles = list(client.submit_many(jobs(*(f"row-{number}" for number in range(CAP + 2)))))
    first, last = handles[0], handles[-1]
    waiting = eventually(
        lambda: (task := flower.task(last.id))["state"] == "RECEIVED" and task, "it is seen while it waits"
    )
    assert waiting["kwargs"] == "{'type': 'animate', 'resolution': '720p', 'labels': {'order': 'row-3'}}"
    assert waiting["result"] == "waiting for a slot"
    assert waiting["started"] is None
    running = eventually(lambda: (task := flower.task(first.id))["state"] == "STARTED" and task, "it runs")
    assert running["result"].startswith("runs at the vendor as task_")
    vendor.set_faults()
    for handle in handles:
        end(handle)
    ended = eventually(lambda: (task := flower.task(last.id))["state"] == "SUCCESS" and task, "it has ended")
    task = vendor.task_of(f"row-{CAP + 1}")
    assert task is not None
    told = f"{vendor.result_url(task)} (vendor task {task['task_id']}, served until "
    assert ended["result"].startswith(told)
    assert ended["received"] == waiting["received"], "its wait is not forgotten when it is resumed"
    assert ended["received"] < ended["started"] < ended["succeeded"]
    assert abs(ended["runtime"] - (ended["succeeded"] - ended["started"])) < 1.0
    assert ended["runtime"] > 0.5, "not that of the last run"
    counted = {
        kind: sum(value - before.get(labels, 0) for labels, value in after.items() if f'type="{kind}"' in labels)
        for after in [flower.metric("flower_events_total")]
        for kind in ("task-received", "task-started", "task-succeeded", "task-retried", "task-failed")
    }
    seen = len(handles)
    assert counted == {
        "task-received": seen,
        "task-started": seen,
        "task-succeeded": seen,
        "task-retried": 0,
        "task-failed": 0,
    }


def test_a_failure_shows_the_vendors_code_and_no_traceback(client: Client, flower: Flower, vendor: Vendor) -> None:
    [handle] = client.submit_many([AnimateJob(**fields_of("bad", prompt="[violation]"))])
    end(handle)
    failed = eventually(lambda: (task := flower.task(handle.id))["state"] == "FAILURE" and task, "it failed")
    assert re.fullmatch(r"ContentViolation: .* \(code=CONTENT_VIOLATION, vendor task=task_\w+\)", failed["result"]), (
        failed["result"]
    )
    assert failed["exception"].startswith("ContentViolation(")
    assert failed["traceback"] is None
    assert failed["runtime"] > 0.5


def test_revoking_a_job_that_waits_cancels_it_for_free_and_one_at_the_vendor_goes_on_and_says_so(
    client: Client, flower: Flower, vendor: Vendor
) -> None:
    vendor.set_faults(stalled=True)
    handles = list(client.submit_many(jobs(*(f"revoke-{number}" for number in range(CAP + 1)))))
    eventually(lambda: flower.task(handles[0].id)["state"] == "STARTED", "one runs")
    waits = next(handle for handle in handles if handle.status().state.value == "waiting")
    answer = flower.revoke(waits.id)
    assert answer.json() == {"message": f"Job {waits.id}: cancelled before it was submitted; nothing more is billed."}
    refused = flower.revoke(handles[0].id, terminate="true")
    assert (refused.status_code, "the job continues, is billed" in refused.text) == (409, True)
    revoked = eventually(lambda: (task := flower.task(waits.id))["state"] == "REVOKED" and task, "it is cancelled")
    assert revoked["result"].startswith("JobCancelled: ")
    assert revoked["runtime"] is None
    vendor.set_faults()
    for handle in handles:
        end(handle)
    eventually(lambda: flower.task(handles[0].id)["state"] == "SUCCESS", "the other went on")
    again = flower.revoke(handles[0].id)
    assert (again.status_code, "already ended" in again.text) == (409, True)
    assert vendor.summary()["accepted"] == CAP


def test_only_jobs_and_real_workers_are_seen_and_the_runtime_histogram_is_that_of_remote_jobs(
    client: Client, flower: Flower, vendor: Vendor, stack: Stack
) -> None:
    end(client.submit(jobs("metrics")[0]))
    listed = flower.http.get("/api/tasks").json()
    assert {task["name"] for task in listed.values()} == {GENERATE_TASK}
    events = flower.metric("flower_events_total")
    names = {re.sub(r".*task=\"([^\"]*)\".*", r"\1", labels) for labels in events}
    assert names == {GENERATE_TASK}, "polls, housekeeping and bulk messages say nothing"
    workers = {re.sub(r".*worker=\"([^\"]*)\".*", r"\1", labels) for labels in events}
    assert len(workers) == 1, "whoever sends events for a job is a worker"
    assert workers == set(flower.http.get("/api/workers", params={"refresh": "1"}).json())
    [mean] = [
        total / flower.metric("flower_task_runtime_seconds_count")[labels]
        for labels, total in flower.metric("flower_task_runtime_seconds_sum").items()
    ]
    assert 0.5 < mean < 60, "a remote job takes seconds here, a run of its task milliseconds"
    # Polls did run meanwhile.
    assert vendor.summary()["requests_total"] > 2
    assert stack.ended() is None


def test_the_broker_page_shows_how_long_the_queues_are_with_all_priorities(
    client: Client, flower: Flower, vendor: Vendor, stack: Stack
) -> None:
    assert all(queue in flower.page("/broker") for queue in (ENTRY_QUEUE, CONTROL_QUEUE))
    worker = stack.workers[0]
    os.kill(worker.pid, signal.SIGSTOP)
    try:
        handles = [client.submit(jobs(f"queue-{priority}", priority=priority)[0]) for priority in (0, 4, 5, 9)]
        lengths = {
            queue["name"]: queue["messages"] for queue in flower.http.get("/api/queues/length").json()["active_queues"]
        }
        # The worker may hold one that it was taking when it stopped.
        assert lengths[ENTRY_QUEUE] in {3, 4}
        page = re.sub(r"<[^>]+>|\s+", " ", flower.page("/broker"))
        assert re.search(rf"\b{re.escape(ENTRY_QUEUE)}\s+{lengths[ENTRY_QUEUE]}\b", page), page
    finally:
        os.kill(worker.pid, signal.SIGCONT)
    for handle in handles:
        end(handle)


@pytest.mark.parametrize("login", [None, ("operator", "wrong")])
def test_strangers_see_nothing(flower: Flower, login: tuple[str, str] | None) -> None:
    with httpx.Client(base_url=flower.http.base_url, trust_env=False, auth=login) as stranger:
        for path in ("/", "/workers", "/tasks", "/task/x", "/broker", "/metrics", "/api/tasks", "/api/workers"):
            assert stranger.get(path).status_code == 401, path
        assert stranger.post("/api/task/revoke/x").status_code == 401
        assert stranger.post("/api/worker/shutdown/x").status_code == 401
        assert stranger.get("/healthcheck").status_code == 200


@pytest.fixture
def foreign_worker(stack: Stack) -> Iterator[str]:
    with worker_of_another_app(stack.redis.url, stack.folder) as name:
        yield name


def test_the_api_controls_nothing_of_other_apps(
    foreign_worker: str, flower: Flower, stack: Stack, redis: Redis, vendor: Vendor
) -> None:
    workers = flower.http.get("/api/workers", params={"refresh": "1"}).json()
    assert workers
    assert foreign_worker not in workers
    ours = next(iter(workers))
    for path in (
        "/api/task/send-task/shop.pay",
        "/api/task/async-apply/shop.pay",
        "/api/task/async-apply/celery.backend_cleanup",
        "/api/task/apply/shop.pay",
        "/api/task/abort/somebodys-task",
        f"/api/task/apply/{GENERATE_TASK}",
        f"/api/worker/queue/add-consumer/{ours}?queue=celery",
    ):
        assert flower.http.post(path, json={}).status_code == 403, path
    smuggled = {"kwargs": fields_of("smuggled"), "queue": "celery"}
    for path in ("send-task", "async-apply"):
        assert flower.http.post(f"/api/task/{path}/{GENERATE_TASK}", json=smuggled).status_code == 400, path
    for command in ("shutdown", "pool/grow", "pool/restart", "queue/cancel-consumer"):
        answer = flower.http.post(f"/api/worker/{command}/{foreign_worker}", params={"queue": "celery"})
        assert answer.status_code == 404, command
    assert flower.revoke("somebodys-task", terminate="true").is_success
    with Celery("looker", broker=stack.redis.url) as looker:
        assert looker.control.inspect([foreign_worker], timeout=2).revoked() == {foreign_worker: []}
    assert redis.llen("celery") == 0
    assert not vendor.tasks()


def test_the_api_enqueues_a_job(client: Client, flower: Flower, vendor: Vendor) -> None:
    body = {"kwargs": {"type": "animate", **fields_of("by-flower")}}
    answer = flower.http.post(f"/api/task/async-apply/{GENERATE_TASK}", json=body).raise_for_status()
    end(client.job(answer.json()["task-id"]))
    assert vendor.accepted() == {"by-flower": 1}


@pytest.mark.parametrize("path", ["/tasks", "/nowhere", "/api/workers", "/static/js/flower.js", "/healthcheck"])
def test_no_page_is_shown_in_a_frame_of_another(flower: Flower, path: str) -> None:
    headers = flower.http.get(path).headers
    assert (headers["content-security-policy"], headers["x-frame-options"]) == ("frame-ancestors 'none'", "DENY")
