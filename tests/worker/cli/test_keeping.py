"""What an operator sees of jobs whose videos are copied, and how one is ended."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from typed import run as typed
from wanimate.contract import Keys, Outcome, Result, Stage
from wanimate.contract.record import read_outcome
from wanimate_worker.ledger import Entry, Submit

from ..conftest import command

if TYPE_CHECKING:
    from ..conftest import Run


@pytest.fixture
def keeping(run: Run) -> Run:
    """Return an account with a job whose video is to be copied."""
    ledger = run.ledger
    limits = ledger.limits.read()
    assert limits
    assert ledger.limits.set(replace(limits, keep_url="file:///videos"))
    ledger.jobs.admit([Entry("a", 5, {"seen": True}, {"type": "animate"})])
    step = ledger.jobs.begin("a")
    assert isinstance(step, Submit)
    ledger.jobs.accept("a", step.nonce, task_id="t", first_poll_ms=60_000, begun_at_ms=0)
    outcome = Outcome.success(Result(urls=("https://vendor.example/v.mp4",), task_id="t"))
    assert ledger.jobs.settle("a", step.nonce, outcome)
    assert run.stage() is Stage.KEEPING
    return run


def told(run: Run, *words: str) -> list[dict[str, Any]]:
    url = run.task.runtime.settings.redis_url.get_secret_value()
    done = typed("wanimate-worker", *words, "--json", WANIMATE_REDIS_URL=url)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_jobs_whose_videos_are_copied_are_listed_with_what_failed(keeping: Run) -> None:
    [first] = told(keeping, "jobs", "--state", "keeping")
    assert (first["id"], first["state"], first["copies_failed"]) == ("a", "keeping", 0)
    assert first["expires_in_seconds"] > 80_000
    [keep] = keeping.ledger.keeps.claim(1)
    assert keeping.ledger.keeps.postpone(keep, "the store is full", 60_000)
    for words in (("jobs",), ("show", "a")):
        [again] = told(keeping, *words)
        assert (again["copies_failed"], again["copy_failed_why"]) == (1, "the store is full")
    url = keeping.task.runtime.settings.redis_url.get_secret_value()
    assert (
        "1 copy failed (the store is full), the vendor's URL expires in"
        in typed("wanimate-worker", "jobs", WANIMATE_REDIS_URL=url).stdout
    )


def test_a_job_that_is_ended_while_its_video_is_copied_succeeds_with_the_vendors_url(keeping: Run) -> None:
    code, line = command(keeping, "end", "a")
    assert (code, line["outcome"]) == (0, "ended")
    assert keeping.stage() is Stage.SETTLED
    [record] = keeping.ledger.records.whole(["a"])
    outcome = read_outcome(record.fields)
    assert outcome
    assert outcome.result
    assert (outcome.result.urls, outcome.result.kept) == (("https://vendor.example/v.mp4",), False)
    assert keeping.redis.lrange(Keys("default").ready, 0, -1) == ["a"], "its outcome is delivered at once"
    assert keeping.ledger.keeps.waiting() == 0
    assert command(keeping, "end", "a")[0] == 1


def test_a_job_whose_video_is_copied_is_not_run_again(keeping: Run) -> None:
    code, line = command(keeping, "retry", "a")
    assert (code, line["outcome"]) == (0, "unchanged")


def test_a_drain_waits_for_copies(keeping: Run) -> None:
    url = keeping.task.runtime.settings.redis_url.get_secret_value()
    done = typed("wanimate-worker", "drain", "--timeout", "0.1", WANIMATE_REDIS_URL=url)
    assert done.returncode == 4
    assert "1 undelivered" in done.stdout
