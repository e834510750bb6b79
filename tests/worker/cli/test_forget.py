"""Everything that is stored about one customer's jobs is deleted, and nothing else."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from typed import run as typed
from wanimate.contract import KeptFile, Keys, Outcome, Result
from wanimate_worker.ledger import Entry, Follower, Submit

if TYPE_CHECKING:
    from pathlib import Path

    from ..conftest import Run

KEYS = Keys("default")
URL = "https://backend.example/ends"
PROMPT = "a-prompt-of-the-customer"


def forget(run: Run, label: str, *words: str, code: int = 0) -> tuple[list[dict[str, Any]], str]:
    url = run.task.runtime.settings.redis_url.get_secret_value()
    done = typed("wanimate-worker", "forget", "--label", label, *words, "--json", WANIMATE_REDIS_URL=url)
    assert "Traceback" not in done.stderr, done.stderr
    assert done.returncode == code, done.stdout + done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()], done.stderr


def begin(run: Run, job_id: str, customer: str) -> Submit:
    request = {"type": "animate", "prompt": PROMPT, "labels": {"customer": customer}, "webhook_url": URL}
    run.ledger.jobs.admit([Entry(job_id, 5, {"seen": True}, request, fingerprint="f", has_key=True)])
    step = run.ledger.jobs.begin(job_id)
    assert isinstance(step, Submit)
    run.ledger.jobs.accept(job_id, step.nonce, task_id=f"t-{job_id}", first_poll_ms=60_000, begun_at_ms=0)
    return step


def finish(run: Run, job_id: str, customer: str, folder: Path) -> Path:
    """Have a job succeed with a copied video, and return that."""
    limits = run.ledger.limits.read()
    assert limits
    run.ledger.limits.set(replace(limits, keep_url=f"file://{folder}"))
    submit, video = begin(run, job_id, customer), folder / "2026-12-01" / f"{job_id}.mp4"
    video.parent.mkdir(exist_ok=True)
    video.write_bytes(b"video")
    vendors = Outcome.success(Result(urls=("https://vendor.example/v.mp4",), task_id=f"t-{job_id}"))
    assert run.ledger.jobs.settle(job_id, submit.nonce, vendors)
    [keep] = run.ledger.keeps.claim(9)
    file = KeptFile(url=f"file://{video}", source_url="s", size_bytes=5, sha256="0", content_type="video/mp4")
    kept = Result(urls=(file.url,), task_id="t", kept=True, files=(file,))
    assert run.ledger.keeps.finish(keep, Outcome.success(kept))
    deliver(run, job_id)
    return video


def deliver(run: Run, job_id: str) -> None:
    key = f"celery-task-meta-{job_id}"
    run.redis.set(key, json.dumps({"status": "SUCCESS", "result": f"of {job_id}"}))
    assert run.ledger.jobs.mark_delivered(job_id, key) is not None


def everything(run: Run) -> str:
    """Return all keys and values of the database, but for what is counted by label."""
    dump = []
    for key in sorted(run.redis.keys("*")):
        if key in {KEYS.billed, KEYS.spent}:
            continue
        reads = {
            "hash": run.redis.hgetall,
            "zset": lambda key: run.redis.zrange(key, 0, -1),
            "list": lambda key: run.redis.lrange(key, 0, -1),
            "set": run.redis.smembers,
            "stream": run.redis.xrange,
            "string": run.redis.get,
        }
        dump.append(f"{key} {reads[run.redis.type(key)](key)}")
    return "\n".join(dump)


def test_nothing_of_a_customers_jobs_is_left_and_those_of_others_stay(run: Run, tmp_path: Path) -> None:
    theirs, other = finish(run, "theirs", "42", tmp_path), finish(run, "other", "7", tmp_path)
    caller = Follower("caller", "celery-id", "theirs", {"seen": True}, {"type": "animate"}, "f", "c")
    run.ledger.followers.add(caller)
    run.redis.hset(KEYS.job("caller"), "stage", "delivered")
    run.redis.set("celery-task-meta-celery-id", "result of theirs")
    run.ledger.dead_letters.add({"id": "theirs", "reason": "conflict"})
    run.ledger.dead_letters.add({"id": "other", "reason": "conflict"})
    told, notes = forget(run, "customer=42", "--yes")
    assert sorted((line["id"], line["outcome"]) for line in told) == [("caller", "forgotten"), ("theirs", "forgotten")]
    assert not theirs.exists()
    assert other.exists()
    left = everything(run)
    assert "theirs" not in left
    assert left.count(PROMPT) == 1
    assert run.redis.xlen(KEYS.events) == 1
    assert [each.job_id for each in run.ledger.outbox.undelivered()] == ["other"]
    assert len(run.ledger.dead_letters.read()) == 1
    assert "webhooks:delivered" not in run.redis.hgetall(KEYS.counters)
    assert "Backups" in notes
    assert forget(run, "customer=42", "--yes")[0] == []


def test_it_says_what_it_would_delete_and_deletes_nothing_unasked(run: Run, tmp_path: Path) -> None:
    video = finish(run, "a", "42", tmp_path)
    before = everything(run)
    _, notes = forget(run, "customer=42", code=1)
    assert "1 job, 1 copied video, 1 event, 1 undelivered webhook, 0 dead letters: a" in notes
    assert "--yes" in notes
    assert everything(run) == before
    assert video.exists()


def test_jobs_that_have_not_ended_are_left_and_named(run: Run, tmp_path: Path) -> None:
    finish(run, "ended", "42", tmp_path)
    begin(run, "running", "42")
    told, _ = forget(run, "customer=42", "--yes", code=1)
    assert {line["id"]: line["outcome"] for line in told} == {"running": "left", "ended": "forgotten"}
    assert run.redis.exists(KEYS.job("running"))
    assert not run.redis.exists(KEYS.job("ended"))


def test_a_second_run_finishes_what_a_crash_has_left(run: Run, tmp_path: Path) -> None:
    video = finish(run, "a", "42", tmp_path)
    video.unlink()
    run.redis.delete("celery-task-meta-a", KEYS.deliveries)
    told, _ = forget(run, "customer=42", "--yes")
    assert [line["outcome"] for line in told] == ["forgotten"]
    assert not run.redis.exists(KEYS.job("a"))
    assert run.redis.xlen(KEYS.events) == 0


def test_a_job_whose_record_has_expired_is_found_by_its_event(run: Run, tmp_path: Path) -> None:
    video = finish(run, "a", "42", tmp_path)
    run.redis.delete(KEYS.job("a"))
    told, _ = forget(run, "customer=42", "--yes")
    assert [(line["id"], line["videos"]) for line in told] == [("a", 1)]
    assert not video.exists()
    assert run.redis.xlen(KEYS.events) == 0


def test_a_store_that_does_not_answer_leaves_the_record(run: Run, tmp_path: Path) -> None:
    finish(run, "a", "42", tmp_path)
    limits = run.ledger.limits.read()
    assert limits
    run.ledger.limits.set(replace(limits, keep_url="file:///proc/nowhere"))
    outcome = run.redis.hget(KEYS.job("a"), "outcome") or ""
    run.redis.hset(KEYS.job("a"), "outcome", outcome.replace(str(tmp_path), "/proc/nowhere"))
    told, _ = forget(run, "customer=42", "--yes", code=3)
    assert told[0]["outcome"] == "left"
    assert run.redis.exists(KEYS.job("a"))
