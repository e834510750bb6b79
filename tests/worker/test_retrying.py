"""Jobs whose task failed with a transient code: sent again as often as wanted, each time counted, and never else."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from typed import run as type_command
from wanimate.contract import CancelOutcome, JobState, JobStatus, Keys, Stage
from wanimate.contract.record import read_outcome
from wanimate.errors import (
    ContentViolation,
    DeadlineExceeded,
    GenerationFailed,
    InvalidRequest,
    JobCancelled,
    SubmissionUnknown,
)
from wanimate_worker.cli.selection import View
from wanimate_worker.engine.cancelling import cancel_job
from wanimate_worker.engine.verdicts import retry_delay_ms
from wanimate_worker.ledger import read_history
from wanimate_worker.vendor import Accepted, Failed, Pending, TaskNotFound, Unknown, Unreadable

from .conftest import Run, command

if TYPE_CHECKING:
    import subprocess

    from wanimate.errors import JobFailed
    from wanimate_worker.ledger import AccountLimits

KEYS = Keys("default")


def limits_of(run: Run) -> AccountLimits:
    limits = run.ledger.limits.read()
    assert limits is not None
    return limits


def allow(run: Run, retries: int) -> None:
    """Let the account send jobs again so often."""
    assert run.ledger.limits.set(replace(limits_of(run), retry_transient=retries))


def start(run: Run, **fields: Any) -> None:
    """Bring the job to where the vendor has its first task."""
    run(**fields)
    assert run.stage() is Stage.RUNNING


def fail(run: Run, code: str | None = "PROCESSING_TIMEOUT") -> None:
    """Let the vendor say that the job's task has failed."""
    run.state = Failed(code, "no")
    run.poll()
    run.state = Pending("processing")


def go_on(run: Run, task_id: str = "task-b") -> None:
    """Let the delay of a job pass, and send it again."""
    run.answer = lambda: Accepted(task_id)
    run.poll()
    assert run.has_slot()
    run()


def typed(run: Run, *words: str) -> subprocess.CompletedProcess[str]:
    url = run.task.runtime.settings.redis_url.get_secret_value()
    done: subprocess.CompletedProcess[str] = type_command("wanimate-worker", *words, WANIMATE_REDIS_URL=url)
    return done


def ending(run: Run) -> JobFailed:
    [record] = run.ledger.records.whole(["a"])
    outcome = read_outcome(record.fields)
    assert outcome is not None
    return outcome.exception()


def status(run: Run) -> JobStatus:
    [record] = run.ledger.records.whole(["a"])
    return JobStatus.from_hash("a", record.fields, record.rank, has_slot=False)


def test_by_default_a_transient_failure_is_the_end(run: Run) -> None:
    start(run)
    fail(run)
    assert (type(ending(run)), ending(run).message) == (GenerationFailed, "no")
    assert (len(run.sent), limits_of(run).retry_transient) == (1, 0)


@pytest.mark.parametrize("code", ["PROCESSING_TIMEOUT", "MODEL_UNAVAILABLE", "ModelUnavailable", "processing-timeout"])
def test_a_transient_failure_is_sent_again_in_each_spelling(run: Run, code: str) -> None:
    start(run, retry_transient=1)
    first_nonce = run.ledger.records.read(["a"])[0].nonce
    before_ms = time.time() * 1000
    fail(run, code)
    assert (run.stage(), run.has_slot()) == (Stage.WAITING, False)
    [record] = run.ledger.records.whole(["a"])
    assert record.parked_until_ms is not None
    assert 9_000 < record.parked_until_ms - before_ms < 20_000
    assert read_history(record.fields)[-1].cause.startswith(f"{code}; retry 1 of 1 in 1")
    assert run.ledger.polls.grant() == [], "nothing is sent before the delay has passed"
    assert len(run.sent) == 1
    go_on(run)
    assert (run.sent, run.stage()) == (2 * [Stage.SUBMITTING], Stage.RUNNING)
    assert run.ledger.records.read(["a"])[0].nonce != first_nonce


def test_each_attempt_is_counted_and_billed(run: Run) -> None:
    start(run, retry_transient=2, video_seconds=30)
    fail(run)
    go_on(run)
    fail(run, "MODEL_UNAVAILABLE")
    told = status(run)
    assert (told.state, told.attempts, told.retries) == (JobState.WAITING, 2, 2)
    assert (told.transient_code, told.task_id) == ("MODEL_UNAVAILABLE", None)
    counters = run.redis.hgetall(KEYS.counters)
    assert (counters["retries"], counters["submits"], counters["billed_ms"]) == ("2", "2", "60000")
    assert not any(name.startswith("ended:") for name in counters)
    today = max(field for field in run.redis.hgetall(KEYS.billed) if field.isdigit())
    assert run.redis.hget(KEYS.billed, today) == "60000"
    [record] = run.ledger.records.whole(["a"])
    view = View.of(record)
    facts = view.facts(run.ledger.records.now_ms())
    assert (facts["retries"], facts["transient_code"]) == (2, "MODEL_UNAVAILABLE")
    assert "MODEL_UNAVAILABLE; retry 2 of 2" in view.line(run.ledger.records.now_ms())


def test_the_last_failure_is_the_end_when_the_retries_are_used_up(run: Run) -> None:
    allow(run, 1)
    start(run)
    fail(run, "MODEL_UNAVAILABLE")
    go_on(run)
    fail(run, "PROCESSING_TIMEOUT")
    error = ending(run)
    assert isinstance(error, GenerationFailed)
    assert (error.code, error.task_id, error.message) == ("PROCESSING_TIMEOUT", "task-b", "no (after 1 retry)")
    assert len(run.sent) == 2


@pytest.mark.parametrize(("account", "own", "tasks"), [(0, 1, 2), (5, 0, 1), (1, None, 2)])
def test_what_the_job_says_comes_before_what_the_account_says(
    run: Run, account: int, own: int | None, tasks: int
) -> None:
    allow(run, account)
    start(run, **({} if own is None else {"retry_transient": own}))
    fail(run)
    if tasks > 1:
        go_on(run)
        fail(run)
    assert isinstance(ending(run), GenerationFailed)
    assert len(run.sent) == tasks


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("GENERATION_FAILED", GenerationFailed),
        ("CONTENT_VIOLATION", ContentViolation),
        ("IMAGE_DOWNLOAD_FAILED", InvalidRequest),
        ("INVALID_PROMPT", InvalidRequest),
        ("SomethingNew", GenerationFailed),
        (None, GenerationFailed),
    ],
)
def test_nothing_but_a_transient_failure_is_sent_again(run: Run, code: str | None, error: type) -> None:
    allow(run, 10)
    start(run)
    fail(run, code)
    assert type(ending(run)) is error
    assert len(run.sent) == 1


def test_a_task_that_says_nothing_of_its_end_is_not_sent_again(run: Run) -> None:
    allow(run, 10)
    start(run)
    for answer in (TaskNotFound("no such task"), Unreadable("HTTP 500"), Pending("PROCESSING_TIMEOUT")):
        run.state = answer
        run.poll()
    assert (run.stage(), len(run.sent)) == (Stage.RUNNING, 1)


def test_a_lost_answer_is_no_transient_failure(run: Run) -> None:
    allow(run, 10)
    run.answer = lambda: Unknown("read timeout")
    run()
    assert run.stage() is Stage.UNKNOWN
    run.redis.hset(KEYS.job("a"), "unknown_until_ms", 1)
    run.poll()
    assert isinstance(ending(run), SubmissionUnknown)
    assert len(run.sent) == 1


def test_no_retry_that_could_not_begin_before_the_deadline(run: Run) -> None:
    start(run, retry_transient=3, deadline_seconds=8.0)
    fail(run)
    error = ending(run)
    assert isinstance(error, GenerationFailed)
    assert error.message == "no (not retried: the deadline comes before the next attempt)"
    assert len(run.sent) == 1


def test_a_deadline_that_passes_while_a_retry_waits_says_what_may_be_billed(run: Run) -> None:
    start(run, retry_transient=3, deadline_seconds=600.0)
    fail(run)
    run.redis.hset(KEYS.job("a"), "deadline_at_ms", 1)
    run.poll()
    error = ending(run)
    assert isinstance(error, DeadlineExceeded)
    assert (error.code, error.task_id) == ("PROCESSING_TIMEOUT", "task-a")
    assert "may be billed" in error.message


def test_a_parked_retry_can_be_cancelled_and_says_what_may_be_billed(run: Run) -> None:
    start(run, retry_transient=3)
    fail(run)
    assert cancel_job(run.task.runtime, "a") is CancelOutcome.CANCELLED
    error = ending(run)
    assert isinstance(error, JobCancelled)
    assert "earlier tasks failed there and may be billed" in error.message
    assert run.redis.zcard(KEYS.parked) == 0
    run()
    assert len(run.sent) == 1


def test_the_daily_limit_holds_a_retry_back(run: Run) -> None:
    assert run.ledger.limits.set(replace(limits_of(run), retry_transient=1, daily_billed_ms=120_000))
    start(run)
    fail(run)
    run.poll()
    run()
    assert (run.stage(), len(run.sent)) == (Stage.WAITING, 1)
    assert run.ledger.gate.read().limited_until_ms > 0


def test_news_of_the_task_that_failed_changes_nothing(run: Run) -> None:
    start(run, retry_transient=1)
    old = run.ledger.records.read(["a"])[0]
    fail(run)
    before = run.redis.hgetall(KEYS.job("a"))
    assert run.ledger.durable.callback("a", old.nonce, "task-a") == "stale"
    assert not run.ledger.jobs.accept("a", old.nonce, task_id="task-a", first_poll_ms=0, begun_at_ms=0)
    assert run.ledger.jobs.release("a", old.nonce, "again", has_run=True, may_be_billed=True) is None
    assert run.redis.hgetall(KEYS.job("a")) == before
    go_on(run)
    assert run.ledger.durable.callback("a", old.nonce, "task-a") == "stale"
    run.poll()
    assert run.asked[-1] == "task-b"


def test_a_job_that_an_operator_runs_again_has_all_its_retries_again(run: Run) -> None:
    allow(run, 1)
    start(run)
    fail(run)
    go_on(run)
    fail(run)
    assert run.stage() is Stage.DELIVERED
    run.ledger.gate.pause("so that it is not sent")
    run.ledger.failed.retry("a", priority=5, deadline_ms=None, result_key="none")
    job = run.ledger.records.read(["a"])[0]
    assert (job.stage, job.retries, job.transient_code, job.transient_task) == (Stage.WAITING, 0, None, None)


def test_delays_double_with_jitter_up_to_five_minutes() -> None:
    assert [retry_delay_ms(retries, 0.0) for retries in range(7)] == [
        *(10_000, 20_000, 40_000, 80_000, 160_000, 300_000, 300_000)
    ]
    assert [retry_delay_ms(retries, 0.9) for retries in (0, 4, 5)] == [14_500, 232_000, 300_000]


def test_the_command_limits_says_and_changes_how_often(run: Run) -> None:
    code, told = command(run, "limits", "--retry-transient", "3")
    assert (code, told["retry_transient"]) == (0, 3)
    assert limits_of(run).retry_transient == 3
    assert told["disagreements"] == ["WANIMATE_RETRY_TRANSIENT is 0 here, the account's is 3"]
    assert command(run, "limits", "--max-in-flight", "9")[1]["retry_transient"] == 3, "the others stay"
    assert typed(run, "limits", "--retry-transient", "11").returncode == 2
    assert "retry transient       3" in typed(run, "limits").stdout


def test_an_account_whose_limits_an_older_version_filled_retries_nothing(run: Run) -> None:
    start(run)
    run.redis.hdel(KEYS.account, "retry_transient")
    assert limits_of(run).retry_transient == 0
    fail(run)
    assert isinstance(ending(run), GenerationFailed)
