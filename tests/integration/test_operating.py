"""What an operator does at night, on a real stack, with the commands as they are typed."""

from __future__ import annotations

import base64
import json
import signal
from typing import TYPE_CHECKING, Any

import pytest
from harness import PATIENCE_SECONDS, Vendor, eventually, fields_of, job, stack_settings
from kombu import Connection
from other_app import worker_of_another_app
from pydantic import SecretStr
from typed import run
from wanimate import (
    CancelOutcome,
    Client,
    DeadlineExceeded,
    GenerationFailed,
    JobCancelled,
    JobState,
    Settings,
    SubmissionUnknown,
)
from wanimate.contract import CONTRACT_HEADER, CONTRACT_VERSION, ENTRY_QUEUE, GENERATE_TASK, Keys, Stage
from wanimate.redis.transport import celery_settings
from wanimate_devstack import SIMULATOR_KEY, Stack, StackOptions, redis_of

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Iterator

    from celery import Celery
    from redis import Redis
    from wanimate import JobHandle

CAP = 2
KEYS = Keys("default")


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    """Two slots, and lost submissions that stay undecided until a test decides them."""
    options = StackOptions(
        has_flower=False,
        simulator={"cap": str(CAP), "speed": "40"},
        settings=stack_settings(CAP),
        worker_options=("--concurrency", "8"),
    )
    with Stack(options) as stack:
        yield stack
        assert stack.ended() is None, "a process of the stack ended by itself"
        log = stack.log("worker1")
        assert SIMULATOR_KEY not in log
        assert "character.png" not in log, "a job's URL, which may be signed, is in the log"


@pytest.fixture(scope="module")
def client(stack: Stack) -> Iterator[Client]:
    with Client(Settings(redis_url=SecretStr(stack.redis.url))) as client:
        yield client


@pytest.fixture(scope="module")
def redis(stack: Stack) -> Iterator[Redis]:
    with redis_of(stack) as redis:
        yield redis


@pytest.fixture(scope="module")
def app(stack: Stack) -> Iterator[Celery]:
    """Any Celery app on the same broker, such as Flower's."""
    from celery import Celery

    app = Celery("anybody", set_as_current=False)
    app.conf.update(celery_settings(Settings(redis_url=SecretStr(stack.redis.url))))
    yield app
    app.close()


class Command:
    """`wanimate-worker …` as it is typed."""

    def __init__(self, stack: Stack) -> None:
        self.environment = stack.environment

    def __call__(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        ended = run("wanimate-worker", *arguments, **{**self.environment, **environment})
        assert "Traceback" not in ended.stderr, ended.stderr
        return ended

    def lines(self, *arguments: str, code: int = 0) -> list[dict[str, Any]]:
        ended = self(*arguments, "--json")
        assert ended.returncode == code, ended.stdout + ended.stderr
        return [json.loads(line) for line in ended.stdout.splitlines()]


@pytest.fixture(scope="module")
def command(stack: Stack) -> Command:
    return Command(stack)


def lose(client: Client, vendor: Vendor, marker: str, **faults: Any) -> tuple[JobHandle, str]:
    """Enqueue a job whose answer is lost, and return it with the task that the vendor made of it."""
    vendor.set_faults(**faults, drop_answer_rate=1.0)
    handle = client.submit(job(marker))
    eventually(lambda: handle.status().state is JobState.UNKNOWN, "its answer is lost")
    vendor.set_faults(**faults)
    task = vendor.task_of(marker)
    assert task is not None
    return handle, task["task_id"]


def give_up(redis: Redis, handle: JobHandle) -> None:
    """Let the bound of a lost submission pass."""
    redis.hset(KEYS.job(handle.id), "unknown_until_ms", 1)
    redis.zadd(KEYS.due, {handle.id: 1})
    with pytest.raises(SubmissionUnknown):
        handle.wait(timeout=PATIENCE_SECONDS)
    eventually(lambda: redis.hget(KEYS.job(handle.id), "stage") == "delivered", "its failure is delivered")


def fail_one(client: Client, vendor: Vendor, redis: Redis, marker: str, **fields: Any) -> JobHandle:
    """Bring a job to a failure of the vendor, delivered; the vendor is well again afterwards."""
    vendor.reset(failure_rate=1.0)
    handle = client.submit(job(marker, **fields))
    with pytest.raises(GenerationFailed):
        handle.wait(timeout=PATIENCE_SECONDS)
    eventually(lambda: redis.hget(KEYS.job(handle.id), "stage") == "delivered", "its failure is delivered")
    vendor.reset(failure_rate=0.0)
    return handle


# -- looking --------------------------------------------------------------------------------------------------------


def test_show_tells_a_jobs_fields_and_its_whole_history(client: Client, vendor: Vendor, command: Command) -> None:
    handle = client.submit(job("shown", labels={"customer": "seven"}))
    handle.wait(timeout=PATIENCE_SECONDS)
    eventually(lambda: handle.status().delivered_at, "it is delivered")
    [told] = command.lines("show", handle.id)
    task = vendor.task_of("shown")
    assert task is not None
    assert (told["state"], told["task_id"], told["labels"]) == ("succeeded", task["task_id"], {"customer": "seven"})
    steps = [(step["stage"], step["cause"]) for step in told["history"]]
    assert steps == [
        ("waiting", "recorded"),
        ("admitted", "slot"),
        ("submitting", "attempt 1"),
        ("running", task["task_id"]),
        ("settled", "succeeded"),
        ("delivered", "result stored"),
    ]
    shown = command("show", handle.id).stdout
    assert "attempt 1" in shown
    assert "example.com/character" not in shown
    assert command("show", "nobody").returncode == 1


def test_jobs_are_listed_by_state_age_and_label(client: Client, vendor: Vendor, command: Command) -> None:
    vendor.set_faults(stalled=True)
    running = client.submit_many(job(f"listed-{i}") for i in range(CAP))
    eventually(lambda: all(handle.status().state is JobState.RUNNING for handle in running), "they run")
    waiting = []
    for i in range(3):
        handle = client.submit(job(f"line-{i}", labels={"customer": str(i)}))
        # Its place in line is given to it by the worker that records it, and several record at the same time.
        eventually(lambda handle=handle: handle.status().state is JobState.WAITING, "it waits")  # type: ignore[misc]
        waiting.append(handle)
    assert {line["id"] for line in command.lines("jobs", "--state", "running")} == {handle.id for handle in running}
    assert [line["id"] for line in command.lines("jobs", "--state", "waiting")] == [handle.id for handle in waiting]
    assert [line["id"] for line in command.lines("jobs", "--label", "customer=1")] == [waiting[1].id]
    assert len(command.lines("jobs", "--limit", "4")) == 4
    assert command.lines("jobs", "--older-than", "1h") == []
    assert command("jobs", "--older-than", "soon").returncode == 2
    ended = command("cancel", *(handle.id for handle in waiting), running[0].id)
    assert ended.returncode == 1, "one was sent already"
    assert [handle.status().state for handle in waiting] == [JobState.CANCELLED] * 3
    vendor.set_faults()
    client.wait_all([*running, *waiting], timeout=PATIENCE_SECONDS)


# -- retry ----------------------------------------------------------------------------------------------------------


def test_a_retried_job_runs_again_and_its_result_replaces_the_failure(
    client: Client, vendor: Vendor, redis: Redis, command: Command
) -> None:
    handle = fail_one(client, vendor, redis, "again")
    assert [line["id"] for line in command.lines("jobs", "--state", "failed") if line["id"] == handle.id] == [handle.id]
    [told] = command.lines("retry", handle.id)
    assert told["outcome"] == "retried"
    assert "billed again" in told["message"]
    result = handle.wait(timeout=PATIENCE_SECONDS)
    assert vendor.accepted() == {"again": 1}
    assert result.task_id == vendor.tasks()[0]["task_id"]
    assert handle.status().attempts == 2
    eventually(lambda: redis.zscore(KEYS.failed, handle.id) is None, "it has not failed any more")
    assert command.lines("retry", handle.id, code=1)[0]["outcome"] == "unchanged"


def test_the_callbacks_of_a_retried_job_are_called_with_its_new_result(
    client: Client, vendor: Vendor, redis: Redis, app: Celery, command: Command
) -> None:
    vendor.reset(failure_rate=1.0)
    signature = app.signature(dict(job("linked").signature()))
    handle = client.job(signature.apply_async(link=app.signature("callers.publish", queue="callers")).id)
    with pytest.raises(GenerationFailed):
        handle.wait(timeout=PATIENCE_SECONDS)
    eventually(lambda: redis.hget(KEYS.job(handle.id), "stage") == "delivered", "its failure is delivered")
    assert redis.llen("callers") == 0
    vendor.reset(failure_rate=0.0)
    command.lines("retry", handle.id)
    task_id = handle.wait(timeout=PATIENCE_SECONDS).task_id
    eventually(lambda: redis.llen("callers") == 1, "its callback is sent")
    [[result], _, _] = json.loads(base64.b64decode(json.loads(str(redis.rpop("callers")))["body"]))
    assert result["task_id"] == task_id


def test_failed_jobs_are_retried_in_bulk_by_error_and_label_only_after_a_yes(
    client: Client, vendor: Vendor, redis: Redis, command: Command
) -> None:
    ours = fail_one(client, vendor, redis, "bulk", labels={"batch": "nine"})
    other = fail_one(client, vendor, redis, "other", labels={"batch": "ten"})
    choice = ("retry", "--all", "--error", "GenerationFailed", "--label", "batch=nine")
    asked = command(*choice)
    assert asked.returncode == 1
    assert "1 failed job found" in asked.stderr
    assert not vendor.tasks()
    assert [line["id"] for line in command.lines(*choice, "--yes")] == [ours.id]
    assert ours.wait(timeout=PATIENCE_SECONDS).urls
    assert other.status().state is JobState.FAILED
    assert command.lines(*choice, "--yes") == [], "safe to repeat"
    assert command("retry").returncode == command("retry", ours.id, "--all").returncode == 2


# -- resolve --------------------------------------------------------------------------------------------------------


def test_a_lost_submission_goes_on_with_the_task_that_was_found(
    client: Client, vendor: Vendor, command: Command
) -> None:
    handle, task_id = lose(client, vendor, "found")
    [told] = command.lines("jobs", "--state", "unknown")
    assert told["id"] == handle.id
    assert command.lines("resolve", handle.id, "--task-id", task_id)[0]["outcome"] == "resolved"
    assert command.lines("resolve", handle.id, "--task-id", task_id)[0]["outcome"] == "unchanged"
    assert handle.wait(timeout=PATIENCE_SECONDS).task_id == task_id
    assert vendor.accepted() == {"found": 1}


def test_the_outcome_of_a_found_task_replaces_the_failure_and_is_delivered(
    client: Client, vendor: Vendor, redis: Redis, command: Command
) -> None:
    handle, task_id = lose(client, vendor, "late")
    give_up(redis, handle)
    wrong = command.lines("resolve", handle.id, "--task-id", "task_nobody_has", code=1)
    assert "has no such task" in wrong[0]["message"]
    eventually(lambda: vendor.summary()["in_flight_now"] == 0, "the vendor has finished it")
    assert command.lines("resolve", handle.id, "--task-id", task_id)[0]["outcome"] == "resolved"
    assert handle.wait(timeout=PATIENCE_SECONDS).task_id == task_id
    assert command.lines("resolve", handle.id, "--task-id", task_id)[0]["outcome"] == "unchanged"
    assert vendor.accepted() == {"late": 1}


def test_a_found_task_that_is_still_rendered_needs_a_free_slot(
    client: Client, vendor: Vendor, redis: Redis, command: Command
) -> None:
    handle, task_id = lose(client, vendor, "rendered", stalled=True)
    give_up(redis, handle)
    # The vendor counts the lost task too, so no second job of ours may hold a slot while it is rendered.
    others = ["somebody", "else"]
    for other in others:  # a slot whose job has no record is soon taken back
        redis.hset(KEYS.job(other), "stage", Stage.RUNNING)
    redis.zadd(KEYS.slots, dict.fromkeys(others, 1))
    assert "no slot is free" in command.lines("resolve", handle.id, "--task-id", task_id, code=1)[0]["message"]
    redis.zrem(KEYS.slots, *others)
    redis.zrem(KEYS.due, *others)
    redis.delete(*map(KEYS.job, others))
    assert command.lines("resolve", handle.id, "--task-id", task_id)[0]["outcome"] == "resolved"
    assert handle.status().state is JobState.RUNNING
    vendor.set_faults()
    assert handle.wait(timeout=PATIENCE_SECONDS).task_id == task_id
    assert vendor.accepted() == {"rendered": 1}


# -- hold and drain -------------------------------------------------------------------------------------------------


def test_a_held_queue_delivers_what_runs_and_sends_nothing_new_until_it_is_resumed(
    client: Client, vendor: Vendor, redis: Redis, command: Command
) -> None:
    vendor.set_faults(stalled=True)
    running = client.submit(job("before"))
    eventually(lambda: running.status().state is JobState.RUNNING, "it runs")
    assert command.lines("pause", "--reason", "maintenance")[0]["was_held"] is False
    waiting = client.submit(job("after"))
    vendor.set_faults()
    assert running.wait(timeout=PATIENCE_SECONDS).urls
    # The vendor refuses the key and takes it again: that pause ends by itself, the hold does not.
    redis.hset(KEYS.account, mapping={"suspended": "401", "probe_at_ms": 1})
    eventually(lambda: not redis.hexists(KEYS.account, "suspended"), "the probe has ended the pause")
    assert waiting.status().state is JobState.WAITING
    assert vendor.accepted() == {"before": 1}
    assert command.lines("resume")[0]["was_held"] is True
    assert waiting.wait(timeout=PATIENCE_SECONDS).urls
    assert command.lines("resume")[0]["was_held"] is False


def test_drain_ends_when_nothing_is_in_flight_and_leaves_the_hold(
    client: Client, vendor: Vendor, command: Command
) -> None:
    vendor.set_faults(stalled=True)
    handles = client.submit_many(job(f"drained-{i}") for i in range(3))
    eventually(lambda: vendor.summary()["accepted"] == CAP, "they run")
    assert command.lines("drain", "--timeout", "0.1", code=4)[0]["in_flight"] == CAP
    vendor.set_faults()
    assert command.lines("drain")[0] == {"in_flight": 0, "undelivered": 0}
    assert sorted(handle.status().state for handle in handles) == ["succeeded", "succeeded", "waiting"]
    assert command("doctor", "--no-vendor").returncode == 1, "a hold is a warning"
    command.lines("resume")
    client.wait_all(handles, timeout=PATIENCE_SECONDS)


# -- doctor ---------------------------------------------------------------------------------------------------------


def test_doctor_finds_a_healthy_stack_healthy(vendor: Vendor, command: Command) -> None:
    command("dead", "--clear")
    found = {line["check"]: line for line in command.lines("doctor")}
    assert {line["severity"] for line in found.values()} <= {"ok", "info"}, found
    assert {"redis", "clock", "appendonly", "maxmemory-policy", "api key", "limits", "workers", "beat", "gate"} <= set(
        found
    )


def test_doctor_says_what_is_wrong_and_what_to_do_about_it(vendor: Vendor, redis: Redis, command: Command) -> None:
    vendor_tells = command("doctor", WANIMATE_API_KEY="wrong-key")
    assert vendor_tells.returncode == 2
    assert "set the right WANIMATE_API_KEY" in vendor_tells.stdout
    assert "wrong-key" not in vendor_tells.stdout
    nobody = command("doctor", "--no-vendor", WANIMATE_REDIS_URL="redis://127.0.0.1:1/0")
    assert nobody.returncode == 2
    assert "check WANIMATE_REDIS_URL" in nobody.stdout
    other = command("doctor", "--no-vendor", WANIMATE_MAX_IN_FLIGHT="20000")
    assert other.returncode == 1
    assert f"WANIMATE_MAX_IN_FLIGHT is 20000 here, the account's is {CAP}" in other.stdout
    redis.config_set("maxmemory-policy", "allkeys-lru")
    assert command("doctor", "--no-vendor").returncode == 2
    redis.config_set("maxmemory-policy", "noeviction")
    redis.acl_setuser(
        "guest", enabled=True, passwords=["+p"], keys=["*"], channels=["*"], commands=["+@all", "-config"]
    )
    guest = command(
        "doctor",
        "--no-vendor",
        WANIMATE_REDIS_URL=command.environment["WANIMATE_REDIS_URL"].replace("//", "//guest:p@"),
    )
    redis.acl_deluser("guest")
    assert guest.returncode == 1, guest.stdout
    assert "cannot be read (" in guest.stdout


def test_doctor_names_a_frozen_worker_among_others(stack: Stack, vendor: Vendor, command: Command) -> None:
    worker = stack.workers[0]
    with worker_of_another_app(stack.redis.url, stack.folder) as foreign:
        assert command("doctor").returncode == 0, "another app's worker is no worry"
        worker.signal(signal.SIGSTOP)
        try:
            ended = command("doctor", "--no-vendor", "--json")
        finally:
            worker.signal(signal.SIGCONT)
    assert ended.returncode == 2
    [found] = [line for line in map(json.loads, ended.stdout.splitlines()) if line["check"] == "workers"]
    assert (found["severity"], "worker1@" in found["text"]) == ("fail", True), found
    assert foreign not in ended.stdout


def test_commands_without_redis_end_with_one_line(command: Command) -> None:
    ended = command("jobs", WANIMATE_REDIS_URL="redis://127.0.0.1:1/0")
    assert ended.returncode == 3
    assert len(ended.stderr.splitlines()) == 1
    assert command("jobs", WANIMATE_MAX_IN_FLIGHT="many").returncode == 2


# -- revoking -------------------------------------------------------------------------------------------------------


def take_all_slots(client: Client, vendor: Vendor) -> list[JobHandle]:
    vendor.set_faults(stalled=True)
    running = client.submit_many(job(f"kept-{i}") for i in range(CAP))
    # Another thread might record the next one first.
    eventually(lambda: vendor.summary()["accepted"] == CAP, "all slots are taken")
    return list(running)


#: Every road of a revoke, given the app and the waiting job's id. The job has the stamp `of` with the road's name, for
#: workers remember stamps that were revoked.
REVOKES: dict[str, Callable[[Celery, str], object]] = {
    "revoke": lambda app, job_id: app.control.revoke(job_id),
    "revoke several": lambda app, job_id: app.control.revoke(["another", job_id]),
    "revoke and terminate": lambda app, job_id: app.control.revoke(job_id, terminate=True, signal="SIGKILL"),
    "terminate": lambda app, job_id: app.control.broadcast(
        "terminate", arguments={"signal": "SIGTERM", "task_id": [job_id]}
    ),
    "a result's revoke": lambda app, job_id: app.AsyncResult(job_id).revoke(terminate=True),
    "a stamp": lambda app, _: app.control.revoke_by_stamped_headers({"of": ["a stamp"]}, terminate=True),
    "a stamp typed": lambda app, _: app.control.broadcast(
        "revoke_by_stamped_headers", arguments={"headers": ["of=a stamp typed"]}
    ),
}


def send_stamped(app: Celery, marker: str, of: str) -> str:
    signature = app.signature(GENERATE_TASK, kwargs={"type": "animate", **fields_of(marker)}, queue=ENTRY_QUEUE)
    signature.stamp(of=of)
    return str(signature.apply_async().id)


@pytest.mark.parametrize("road", REVOKES)
def test_every_revoke_of_a_waiting_job_cancels_it_and_leaves_others_alone(
    client: Client, vendor: Vendor, app: Celery, road: str
) -> None:
    running = take_all_slots(client, vendor)
    revoked, other = client.job(send_stamped(app, "out", road)), client.job(send_stamped(app, "in", "kept"))
    eventually(lambda: {each.status().state for each in (revoked, other)} == {JobState.WAITING}, "both wait")
    REVOKES[road](app, revoked.id)
    with pytest.raises(JobCancelled):
        revoked.wait(timeout=PATIENCE_SECONDS)
    vendor.set_faults()
    client.wait_all([*running, other], timeout=PATIENCE_SECONDS)
    assert (vendor.accepted()["out"], vendor.accepted()["in"]) == (0, 1)


def test_revoking_a_submitted_job_leaves_it_alone_and_its_result_is_delivered(
    client: Client, vendor: Vendor, app: Celery
) -> None:
    vendor.set_faults(stalled=True)
    handle = client.submit(job("billed"))
    eventually(lambda: handle.status().state is JobState.RUNNING, "it runs")
    [reply] = app.control.revoke(handle.id, terminate=True, reply=True)
    assert CancelOutcome.BILLED.explanation in next(iter(reply.values()))["ok"]
    vendor.set_faults()
    assert handle.wait(timeout=PATIENCE_SECONDS).urls


def test_an_id_that_is_no_job_is_revoked_by_celery(app: Celery, stack: Stack) -> None:
    [reply] = app.control.revoke("no-job", reply=True)
    assert "flagged as revoked" in next(iter(reply.values()))["ok"]
    [told] = app.control.inspect().revoked().values()
    # Celery keeps ticks that expired unread there too.
    assert "no-job" in told


# -- dead letters ---------------------------------------------------------------------------------------------------


def send(stack: Stack, body: str | bytes, headers: dict[str, Any], queue: str = "wanimate") -> None:
    """Put a message of any form into a queue."""
    options = celery_settings(Settings(redis_url=SecretStr(stack.redis.url)))["broker_transport_options"]
    with Connection(stack.redis.url, transport_options=options) as connection, connection.Producer() as producer:
        producer.publish(
            body,
            exchange="",
            routing_key=queue,
            headers=headers,
            content_type="application/json",
            content_encoding="utf-8",
        )


def message_of(marker: str) -> str:
    return json.dumps(
        [[], {"type": "animate", **fields_of(marker)}, {"callbacks": None, "errbacks": None, "chain": None}]
    )


def test_unusable_messages_become_dead_letters_with_the_reason(
    client: Client, vendor: Vendor, redis: Redis, stack: Stack, command: Command
) -> None:
    command("dead", "--clear")
    known = {"task": "wanimate.generate", "id": "odd"}
    send(stack, message_of("x"), {"task": "nobody.knows", "id": "unknown"})
    for body in ("not json {", "5", "null", "[]", "[1]", "[[], [], {}]", '{"no": "task"}'):
        send(stack, body, known)
    send(stack, message_of("x"), {"task": "wanimate.generate"})
    send(stack, message_of("x"), {"task": ["wanimate.generate"], "id": "odd"})
    send(stack, '{"no": "task"}', {})
    send(stack, '{"task": ["a list"], "id": 5}', {})
    eventually(lambda: redis.llen(KEYS.dead) == 12, "all are kept")
    letters = command.lines("dead")
    assert [letter["number"] for letter in letters] == list(range(12, 0, -1))
    reasons = [letter["reason"] for letter in reversed(letters)]
    assert reasons[0] == "unknown task"
    assert set(reasons[1:10]) == {"unreadable"}
    assert reasons[10] == "no task"
    assert "character.png" not in command("dead").stdout
    assert client.submit(job("well")).wait(timeout=PATIENCE_SECONDS).urls, "the worker is well"
    assert command.lines("dead", "--clear") == [{"removed": 12}]


def test_a_job_of_a_newer_contract_is_kept_and_runs_when_it_is_replayed_after_the_upgrade(
    client: Client, vendor: Vendor, redis: Redis, stack: Stack, command: Command
) -> None:
    command("dead", "--clear")
    handle = client.job("job-of-the-future")
    newer = {"task": "wanimate.generate", "id": handle.id, CONTRACT_HEADER: CONTRACT_VERSION + 1}
    send(stack, message_of("future"), newer)
    eventually(lambda: redis.llen(KEYS.dead) == 1, "it is kept")
    assert handle.status().state is JobState.QUEUED, "it has not failed"
    assert command.lines("dead", "--replay") == [], "this version does not know it either"
    # The upgrade: the version that the message has is known by now.
    number, _, content = str(redis.lindex(KEYS.dead, 0)).partition(" ")
    letter = json.loads(content)
    assert b"future" in base64.b64decode(letter["body"])
    letter["headers"][CONTRACT_HEADER] = CONTRACT_VERSION
    redis.lset(KEYS.dead, 0, f"{number} {json.dumps(letter)}")
    assert [line["id"] for line in command.lines("dead", "--replay")] == [handle.id]
    assert handle.wait(timeout=PATIENCE_SECONDS).urls
    assert redis.llen(KEYS.dead) == 0
    assert vendor.accepted() == {"future": 1}


# -- deadlines ------------------------------------------------------------------------------------------------------


def test_a_job_that_waits_past_its_deadline_ends_unsent_and_one_that_runs_after_a_last_look(
    client: Client, vendor: Vendor, redis: Redis
) -> None:
    vendor.set_faults(stalled=True)
    patient = client.submit(job("patient", deadline_seconds=600))
    eventually(lambda: patient.status().state is JobState.RUNNING, "it runs")
    slow = client.submit(job("slow", deadline_seconds=600))
    eventually(lambda: slow.status().state is JobState.RUNNING, "it runs")
    hasty = client.submit(job("hasty", deadline_seconds=0.5))
    with pytest.raises(DeadlineExceeded, match="nothing is billed"):
        hasty.wait(timeout=PATIENCE_SECONDS)
    redis.hset(KEYS.job(slow.id), "deadline_at_ms", 1)
    redis.zadd(KEYS.due, {slow.id: 1})
    with pytest.raises(DeadlineExceeded, match="may still finish and be billed"):
        slow.wait(timeout=PATIENCE_SECONDS)
    assert vendor.accepted() == {"patient": 1, "slow": 1}
    vendor.set_faults()
    assert patient.wait(timeout=PATIENCE_SECONDS).urls
