"""Secrets stay where they belong, and nothing but JSON is ever read, whoever writes into Redis."""

from __future__ import annotations

import base64
import json
import pickle
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from harness import PATIENCE_SECONDS, Vendor, eventually, fields_of, job, stack_settings
from pydantic import SecretStr
from secrets_in import dump, secrets_in, secrets_in_stack
from typed import run
from wanimate import AnimateJob, Client, JobFailed, Settings
from wanimate.contract import CONTROL_QUEUE, ENTRY_QUEUE, GENERATE_TASK, Keys
from wanimate_devstack import SIMULATOR_KEY, Stack, StackOptions, redis_of
from wanimate_worker.engine.signature import Signer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from redis import Redis

#: As in a signed URL of an object store; part of the URL of every job here.
SIGNED_QUERY = "X-Amz-Signature=5f1d"
KEYS = Keys("default")
AFTER_SUBMIT = {"unknown", "failed", "succeeded", "running"}


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    """Everything there is, and the worker says as much as it can."""
    options = StackOptions(
        has_callbacks=True,
        simulator={"cap": "5", "speed": "40"},
        settings=stack_settings(5, unknown_after_seconds="1"),
        worker_options=("--concurrency", "8", "--loglevel", "DEBUG"),
    )
    with Stack(options) as stack:
        yield stack
        assert stack.ended() is None, "a process of the stack ended by itself"


@pytest.fixture(scope="module")
def client(stack: Stack) -> Iterator[Client]:
    with Client(Settings(redis_url=SecretStr(stack.redis.url))) as client:
        yield client


@pytest.fixture(scope="module")
def redis(stack: Stack) -> Iterator[Redis]:
    with redis_of(stack) as redis:
        yield redis


def told_by(stack: Stack, program: str, *arguments: str) -> str:
    ended = run(program, *arguments, **stack.environment)
    return ended.stdout + ended.stderr


@pytest.mark.timeout(300)  # a dozen command lines, one after the other
def test_no_secret_is_in_any_log_event_output_or_page_whatever_goes_wrong(
    stack: Stack, client: Client, vendor: Vendor, redis: Redis
) -> None:
    # Every event and remote control message is published: this hears them all.
    with redis.pubsub() as channel:
        channel.psubscribe("*")
        ids = [handle.id for handle in run_every_kind_of_job(client, vendor)]
        send_foreign_job(redis)
        eventually(lambda: len(vendor.tasks()) >= 6, "the foreign job is accepted")
        told = [told_by(stack, "wanimate-worker", *words) for words in (["doctor", "--no-vendor"], ["jobs", "--json"])]
        told += [told_by(stack, "wanimate-worker", "show", job_id) for job_id in ids]
        told += [told_by(stack, "wanimate", "status", job_id) for job_id in ids]
        pages = flower_pages(stack, ids)
        events = "".join(str(message["data"]) for message in heard(channel))
    assert all(job_id in "".join(told) for job_id in ids), "the commands have told something"
    assert "task-received" in "".join(base64_bodies(events)), "events were heard"
    log = stack.log("worker1")
    assert '"level":"debug"' in log
    assert "answer to the submission lost" in log
    leaks = secrets_in_stack(stack, [SIGNED_QUERY], events=events, commands="".join(told), flower=pages)
    assert leaks == []
    assert SIGNED_QUERY in dump(stack.redis.url), "what is looked for is there to be found"
    eventually(lambda: redis.zcard(KEYS.slots) == 0, "all have ended")


def run_every_kind_of_job(client: Client, vendor: Vendor) -> list[Any]:
    """Run jobs that succeed, fail, are refused, whose answer is lost, and that meet a refused key."""

    def submit(marker: str, **fields: Any) -> Any:
        marked = {**fields_of(f"{marker}&{SIGNED_QUERY}"), **fields}
        return client.submit(AnimateJob(**marked))

    handles = [submit("good"), submit("bad", prompt="[violation] a secret prompt")]
    settle(handles)
    # Neither need end while its fault lasts: a task that a callback named is asked about until an answer can be read.
    for marker, fault in (("error", "bad_json_rate"), ("lost", "drop_answer_rate")):
        vendor.set_faults(**{fault: 1.0})
        handles.append(submit(marker))
        eventually(lambda: handles[-1].status().state.value in AFTER_SUBMIT, f"{marker} is sent")
    vendor.set_faults(revoked_keys=[SIMULATOR_KEY])
    handles.append(submit("refused"))
    eventually(lambda: handles[-1].status().state.value == "waiting", "it waits")
    vendor.set_faults()
    settle(handles)
    return handles


def settle(handles: list[Any]) -> None:
    for handle in handles:
        try:
            handle.wait(timeout=PATIENCE_SECONDS)
        except JobFailed:
            continue


def send_foreign_job(redis: Redis) -> None:
    """Send a job as other Celery code would: its representation shows the URL."""
    kwargs = {"type": "animate", **fields_of(f"foreign&{SIGNED_QUERY}")}
    put(redis, ENTRY_QUEUE, json.dumps([[], kwargs, {}]).encode(), "application/json", kwargsrepr=repr(kwargs))


def put(redis: Redis, queue: str, body: bytes, content_type: str, **headers: str) -> str:
    task_id = str(uuid.uuid4())
    is_text = content_type == "application/json"
    message = {
        "body": base64.b64encode(body).decode(),
        "content-encoding": "utf-8" if is_text else "binary",
        "content-type": content_type,
        "headers": {"task": GENERATE_TASK, "id": task_id, "lang": "py", "argsrepr": "", "kwargsrepr": "", **headers},
        "properties": {
            "delivery_tag": str(uuid.uuid4()),
            "delivery_info": {"exchange": "", "routing_key": queue},
            "correlation_id": task_id,
            "body_encoding": "base64",
            "delivery_mode": 2,
            "priority": 0,
        },
    }
    redis.lpush(queue, json.dumps(message))
    return task_id


def flower_pages(stack: Stack, ids: list[str]) -> str:
    with httpx.Client(base_url=stack.flower_url or "", trust_env=False, timeout=30) as http:
        pages = [http.get(path).text for path in ("/", "/tasks", "/broker")]
        pages += [http.get(f"/task/{job_id}").text for job_id in ids]
    assert any(GENERATE_TASK in page for page in pages), "Flower shows the jobs"
    return "".join(pages)


def heard(channel: Any) -> Iterator[Any]:
    while (message := channel.get_message(timeout=0.2)) is not None:
        yield message


def base64_bodies(text: str) -> Iterator[str]:
    decoder = json.JSONDecoder()
    start = 0
    while (start := text.find('{"body"', start)) >= 0:
        message, length = decoder.raw_decode(text[start:])
        yield base64.b64decode(message["body"]).decode()
        start += length


# -- nothing but JSON -----------------------------------------------------------------------------------------------


class Touch:
    """Creates a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


def contents(path: Path) -> dict[str, bytes]:
    return {
        "application/x-python-serialize": pickle.dumps([[], {"x": Touch(path)}, {}]),
        "application/x-yaml": f"!!python/object/apply:os.mknod ['{path}']".encode(),
    }


def test_the_payload_would_do_harm_if_it_were_read(tmp_path: Path) -> None:
    pickle.loads(contents(tmp_path / "harm")["application/x-python-serialize"])
    assert (tmp_path / "harm").exists()


@pytest.mark.parametrize("queue", [ENTRY_QUEUE, CONTROL_QUEUE])
@pytest.mark.parametrize("content_type", ["application/x-python-serialize", "application/x-yaml"])
def test_a_worker_buries_what_is_not_json_and_runs_nothing(
    redis: Redis, stack: Stack, tmp_path: Path, queue: str, content_type: str
) -> None:
    put(redis, queue, contents(tmp_path / "harm")[content_type], content_type)
    eventually(lambda: redis.llen(KEYS.dead) == 1, "it is kept as a dead letter")
    redis.delete(KEYS.dead)
    assert not (tmp_path / "harm").exists()
    assert stack.ended() is None


def test_workers_and_flower_ignore_pickled_remote_control_and_events(
    redis: Redis, client: Client, stack: Stack, vendor: Vendor, tmp_path: Path
) -> None:
    body = base64.b64encode(pickle.dumps({"method": "ping", "type": "task-received", "x": Touch(tmp_path / "harm")}))
    message = {
        "body": body.decode(),
        "content-encoding": "binary",
        "content-type": "application/x-python-serialize",
        "headers": {},
        "properties": {"delivery_tag": "1", "delivery_info": {"exchange": "", "routing_key": ""}}
        | {"body_encoding": "base64"},
    }
    eventually(lambda: redis.pubsub_numpat() > 1, "Flower and the worker listen, to patterns")
    channels = ["/0.celery.pidbox"]
    for name in [*channels, "/0.celeryev/task.received"]:
        redis.publish(name, json.dumps(message))
    assert client.submit(job("after-it")).wait(timeout=PATIENCE_SECONDS).urls
    assert not (tmp_path / "harm").exists()
    assert stack.ended() is None


def test_a_backend_does_not_unpickle_a_result(redis: Redis, client: Client, tmp_path: Path) -> None:
    job_id = str(uuid.uuid4())
    redis.set(f"celery-task-meta-{job_id}", contents(tmp_path / "harm")["application/x-python-serialize"], ex=60)
    with pytest.raises(JobFailed, match="unreadable"):
        client.job(job_id).wait(timeout=1)
    assert not (tmp_path / "harm").exists()


def test_the_receiver_reads_no_pickle(stack: Stack, tmp_path: Path) -> None:
    signer = Signer(SecretStr(stack.environment["WANIMATE_CALLBACK_SECRET"]))
    url = signer.url(stack.callbacks_url or "", "default", "no-such-job", "0" * 16)
    kinds = contents(tmp_path / "harm")
    for content_type, body in kinds.items():
        answer = httpx.post(url, content=body, headers={"Content-Type": content_type}, trust_env=False)
        assert answer.is_success
    assert not (tmp_path / "harm").exists()


def test_the_search_finds_secrets_also_in_base64_and_names_them_only() -> None:
    hidden = base64.b64encode(b'{"headers": {"authorization": "Bearer sk-1234567890"}}').decode()
    assert secrets_in({"a log": f"x {hidden} y"}, {"the key": "sk-1234567890"}) == ["a log: the key"]
    signed = f"POST /v1/callbacks/default/job/nonce/{'ab' * 32} 403"
    assert secrets_in({"a log": signed}, {}) == ["a log: a signed callback URL"]
