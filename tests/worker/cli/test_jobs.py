"""Jobs that succeeded, as `jobs` and `show` print them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from typed import run as typed
from wanimate.contract import Keys, Outcome, Result
from wanimate.errors import GenerationFailed
from wanimate_worker.ledger import Entry, Submit

if TYPE_CHECKING:
    from subprocess import CompletedProcess

    from ..conftest import Run


def submit(run: Run, job_id: str, **labels: str) -> str:
    """Have the vendor accept a job, and return the nonce of its submission."""
    run.ledger.jobs.admit([Entry(job_id, 5, {"seen": True}, {"type": "animate", "labels": labels})])
    step = run.ledger.jobs.begin(job_id)
    assert isinstance(step, Submit)
    run.ledger.jobs.accept(job_id, step.nonce, task_id="t", first_poll_ms=60_000, begun_at_ms=0)
    return step.nonce


def succeed(run: Run, job_id: str, **labels: str) -> str:
    """Have a job succeed, and return its URL."""
    nonce = submit(run, job_id, **labels)
    url = f"https://vendor.example/{job_id}.mp4"
    assert run.ledger.jobs.settle(job_id, nonce, Outcome.success(Result(urls=(url,), task_id="t")))
    return url


def jobs(run: Run, *words: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in typed_words(run, "jobs", *words, "--json").splitlines()]


def typed_words(run: Run, *words: str) -> str:
    return command(run, *words).stdout


def command(run: Run, *words: str) -> CompletedProcess[str]:
    url = run.task.runtime.settings.redis_url.get_secret_value()
    done = typed("wanimate-worker", *words, WANIMATE_REDIS_URL=url)
    assert done.returncode == 0, done.stderr
    return done


def test_succeeded_jobs_are_listed_with_their_urls_the_newest_first(run: Run) -> None:
    first, second = succeed(run, "a", team="x"), succeed(run, "b")

    told = jobs(run, "--state", "succeeded")

    assert [(job["id"], job["urls"]) for job in told] == [("b", [second]), ("a", [first])]
    assert [job["id"] for job in jobs(run, "--state", "succeeded", "--label", "team=x")] == ["a"]
    assert [job["id"] for job in jobs(run, "--state", "succeeded", "--limit", "1")] == ["b"]
    assert first in typed_words(run, "jobs", "--state", "succeeded")


def test_succeeded_jobs_are_listed_on_request_only(run: Run) -> None:
    succeed(run, "a")

    assert jobs(run) == []


def test_a_job_whose_record_has_expired_is_not_listed(run: Run) -> None:
    succeed(run, "a")
    run.redis.delete(Keys("default").job("a"))

    assert jobs(run, "--state", "succeeded") == []


def test_a_succeeded_job_is_shown_with_its_url(run: Run) -> None:
    url = succeed(run, "a")

    assert f"urls               {url}" in typed_words(run, "show", "a").splitlines()
    assert json.loads(typed_words(run, "show", "a", "--json"))["urls"] == [url]


def test_a_failed_job_is_shown_with_the_command_that_retries_it(run: Run) -> None:
    assert run.ledger.jobs.settle("a", submit(run, "a"), Outcome.failure(GenerationFailed("no", None, "t")))

    shown = command(run, "show", "a")

    assert "wanimate-worker retry a" in shown.stderr
    assert "wanimate-worker" not in shown.stdout


def test_an_unknown_job_is_shown_with_the_commands_that_decide_it(run: Run) -> None:
    run.ledger.jobs.admit([Entry("a", 5, {"seen": True}, {"type": "animate"})])
    step = run.ledger.jobs.begin("a")
    assert isinstance(step, Submit)
    assert run.ledger.jobs.mark_unknown("a", step.nonce, "ReadTimeout")

    told = command(run, "show", "a").stderr

    assert "wanimate-worker resolve a --task-id" in told
    assert "wanimate-worker retry a" in told
