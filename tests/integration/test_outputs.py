"""The end of a job on the real stack: its video is kept, then its callers, its webhook and its event tell the same."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from urllib.request import url2pathname

import pytest
from celery import Celery, chain
from harness import CRASHING_PATH, PATIENCE_SECONDS, Vendor, eventually, job, stack_settings, worker_of_caller
from pydantic import SecretStr
from typed import run
from wanimate import Client, JobState, Result, Settings
from wanimate.contract import Event, Keys
from wanimate_devstack import Stack, StackOptions, leftovers, redis_of
from webhook_receiver import NETWORKS, SECRET, Receiver

if TYPE_CHECKING:
    from collections.abc import Iterator

    from redis import Redis

CAP = 5
KEYS = Keys("default")


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    yield receiver
    receiver.stop()


@pytest.fixture(scope="module")
def stack(receiver: Receiver) -> Iterator[Stack]:
    """Two workers that copy videos to a folder, and tell one receiver of every end."""
    options = StackOptions(
        workers=2,
        has_flower=False,
        has_store=True,
        worker_app="crashing_worker",
        simulator={"cap": str(CAP), "speed": "40"},
        settings=stack_settings(
            CAP,
            webhook_url=receiver.url("/ends"),
            webhook_secret=SECRET,
            webhook_networks=NETWORKS,
        )
        | {"PYTHONPATH": CRASHING_PATH},
    )
    with Stack(options) as stack:
        yield stack
        eventually(lambda: not leftovers(stack), f"nothing left behind, but there is {leftovers(stack)}")


@pytest.fixture
def client(stack: Stack) -> Iterator[Client]:
    with Client(Settings(redis_url=SecretStr(stack.redis.url))) as client:
        yield client


@pytest.fixture
def redis(stack: Stack) -> Iterator[Redis]:
    with redis_of(stack) as redis:
        yield redis


@pytest.fixture
def caller(stack: Stack) -> Iterator[Celery]:
    """The caller's own app, which this process uses with this stack alone, and a worker of it."""
    with worker_of_caller(stack), Celery("caller", broker=stack.redis.url, backend=stack.redis.url) as app:
        app.set_current()
        yield app


def told_of(receiver: Receiver, job_id: str) -> Event:
    """Return what the first webhook of a job tells, once it has come; its signature is right."""

    def look() -> list[Event]:
        events = [Event.from_webhook(each.body, each.headers, SECRET) for each in list(receiver.received)]
        return [event for event in events if event.job_id == job_id]

    return eventually(look, f"a webhook tells of {job_id}")[0]


def read_event(client: Client, job_id: str) -> Event:
    """Return the event of a job, once it can be read."""
    return next(event for event in client.events(timeout=PATIENCE_SECONDS) if event.job_id == job_id)


def kept_file(url: str) -> Path:
    return Path(url2pathname(urlsplit(url).path))


def is_kept(result: Result, vendor: Vendor, marker: str) -> bool:
    """Whether a result names a copy, which is what the vendor has."""
    task = vendor.task_of(marker)
    assert task is not None
    [video] = [each for each in vendor.videos() if each["task_id"] == task["task_id"]]
    [file], [url] = result.files, result.urls
    content = kept_file(url).read_bytes()
    assert (file.url, file.source_url, result.source_urls) == (url, video["url"], (video["url"],))
    assert (file.size_bytes, file.sha256, file.content_type) == (video["size_bytes"], video["sha256"], "video/mp4")
    assert hashlib.sha256(content).hexdigest() == video["sha256"]
    return result.kept is True and result.urls_expire_at is None


def test_caller_webhook_and_event_tell_the_same_of_a_kept_video(
    client: Client, receiver: Receiver, vendor: Vendor
) -> None:
    handle = client.submit(job("kept", labels={"customer": "42"}))
    result = handle.wait(timeout=PATIENCE_SECONDS)
    assert is_kept(result, vendor, "kept")
    assert handle.status().state is JobState.SUCCEEDED
    event = told_of(receiver, handle.id)
    assert (event.state, event.result, event.labels) == (JobState.SUCCEEDED, result, {"customer": "42"})
    assert read_event(client, handle.id) == event


def test_a_kept_video_is_downloaded_by_a_command(stack: Stack, client: Client, vendor: Vendor, tmp_path: Path) -> None:
    handle = client.submit(job("downloaded"))
    assert is_kept(handle.wait(timeout=PATIENCE_SECONDS), vendor, "downloaded")
    ended = run("wanimate", "download", handle.id, "--to", str(tmp_path), **stack.environment)
    assert ended.returncode == 0, ended.stderr
    [video] = [each for each in vendor.videos() if each["marker"] == "downloaded"]
    assert hashlib.sha256((tmp_path / f"{handle.id}.mp4").read_bytes()).hexdigest() == video["sha256"]


def test_a_chain_and_a_link_get_the_kept_video(
    stack: Stack, redis: Redis, caller: Celery, client: Client, vendor: Vendor
) -> None:
    linked = job("chained").signature()
    linked.link(caller.signature("caller.note", args=("notes",)))
    url = chain(linked, caller.signature("caller.first_url")).apply_async().get(timeout=PATIENCE_SECONDS)
    assert kept_file(url).is_relative_to(stack.videos_folder)
    eventually(lambda: redis.llen("notes"), "the link was called")
    [noted] = redis.lrange("notes", 0, -1)
    assert url in noted
    redis.delete("notes")


def test_a_cancelled_job_is_told(client: Client, receiver: Receiver, vendor: Vendor) -> None:
    vendor.set_faults(stalled=True)
    others = client.submit_many(job(f"runs-{number}") for number in range(CAP))
    eventually(lambda: vendor.summary()["accepted"] == CAP, "all slots are taken")
    handle = client.submit(job("cancelled"))
    eventually(lambda: handle.status().state is JobState.WAITING, "it waits")
    handle.cancel()
    vendor.set_faults()
    client.wait_all(others, timeout=PATIENCE_SECONDS)
    event = told_of(receiver, handle.id)
    assert (event.state, event.error and event.error.type) == (JobState.CANCELLED, "JobCancelled")
    assert read_event(client, handle.id) == event


def test_a_receiver_that_was_away_is_told_later(client: Client, receiver: Receiver, vendor: Vendor) -> None:
    before, receiver.answer = len(receiver.received), receiver.answers(503)
    handle = client.submit(job("away"))
    handle.wait(timeout=PATIENCE_SECONDS)
    eventually(lambda: len(receiver.received) > before, "the first try")
    receiver.answer = receiver.answers(200)
    eventually(lambda: len(receiver.received) > before + 1, "the next try")
    tries = receiver.received[before:]
    assert len({each.event_id for each in tries}) == 1
    assert len({each.body for each in tries}) == 1
    assert told_of(receiver, handle.id).state is JobState.SUCCEEDED


def test_another_worker_copies_the_video_of_one_that_was_killed(
    stack: Stack, redis: Redis, client: Client, receiver: Receiver, vendor: Vendor
) -> None:
    running = [worker for worker in stack.workers if worker.is_running]
    redis.rpush("chaos:SIGKILL:middle-of-copy", 1)
    handle = client.submit(job("killed"))
    eventually(lambda: not all(worker.is_running for worker in running), "a worker died in the middle of a copy")
    assert handle.status().state is JobState.KEEPING
    # As if the lease had ended.
    for member in redis.zrange(KEYS.keeping_later, 0, -1):
        redis.zadd(KEYS.keeping_later, {member: 1})
    result = handle.wait(timeout=PATIENCE_SECONDS)
    assert is_kept(result, vendor, "killed")
    assert told_of(receiver, handle.id).result == result
    ends = [event for event in client.events(timeout=0) if event.job_id == handle.id]
    assert len(ends) == 1
    assert vendor.accepted()["killed"] == 1
    stack.start_worker()


def test_a_store_that_was_away_delays_results_and_no_slot(stack: Stack, client: Client, vendor: Vendor) -> None:
    folder, aside = stack.videos_folder, stack.folder / "aside"
    eventually(folder.exists, "the store is there")
    folder.rename(aside)
    folder.write_text("no folder")
    handles = client.submit_many(job(f"stored-{number}") for number in range(2 * CAP))
    eventually(
        lambda: all(handle.status().state is JobState.KEEPING for handle in handles), "all are rendered, none is told"
    )
    folder.unlink()
    aside.rename(folder)
    for number, handle in enumerate(handles):
        assert is_kept(handle.wait(timeout=PATIENCE_SECONDS), vendor, f"stored-{number}")
