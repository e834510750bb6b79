"""Submissions refused for no reason of their own: neither a backlog nor an account is lost to them.

With `--log-cli-level=INFO` each test tells its figures.
"""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING

import pytest
from harness import Vendor, eventually, job, stack_settings
from pydantic import SecretStr
from wanimate import Client, InvalidRequest, Result, Settings, SubmissionUnknown
from wanimate_devstack import Stack, StackOptions, redis_of
from wanimate_worker.health.finding import BlockReason, Severity
from wanimate_worker.health.reading import Reader
from wanimate_worker.health.rules import blockers_of
from wanimate_worker.settings import WorkerSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from wanimate import JobFailed, JobHandle

log = logging.getLogger(__name__)

JOBS = 60
CAP = 5
#: Longer than any of these runs takes.
PATIENCE_SECONDS = 120.0


@pytest.fixture(scope="module")
def refused_stack() -> Iterator[Stack]:
    """A stack on which sixty jobs take about twelve seconds."""
    options = StackOptions(
        has_flower=False,
        simulator={"cap": str(CAP), "speed": "41"},
        settings=stack_settings(CAP, balance_interval_seconds="2"),
        worker_options=("--concurrency", "8"),
    )
    with Stack(options) as stack:
        yield stack


@pytest.fixture
def at_vendor(refused_stack: Stack) -> Iterator[Vendor]:
    assert refused_stack.simulator_url is not None
    vendor = Vendor(refused_stack.simulator_url)
    vendor.reset()
    yield vendor
    vendor.set_faults()
    vendor.close()


@pytest.fixture
def caller(refused_stack: Stack) -> Iterator[Client]:
    with Client(Settings(redis_url=SecretStr(refused_stack.redis.url))) as client:
        yield client


class Batch:
    """Sixty jobs, and what became of them."""

    def __init__(self, client: Client, prompts: dict[int, str] | None = None, name: str = "job") -> None:
        prompts = prompts or {}
        self._client, self._started = client, time.monotonic()
        jobs = (job(f"{name}-{i}", **({"prompt": prompts[i]} if i in prompts else {})) for i in range(JOBS))
        self.handles: list[JobHandle] = client.submit_many(jobs)
        self.poisoned = [self.handles[i] for i in prompts]
        self.seconds = 0.0

    def wait(self, handles: list[JobHandle] | None = None) -> list[Result | JobFailed]:
        """Return how jobs ended, in order; all of them unless some are named."""
        outcomes = self._client.wait_all(handles or self.handles, timeout=PATIENCE_SECONDS)
        self.seconds = time.monotonic() - self._started
        return list(outcomes)


def tell(figures: str) -> None:
    log.info("%s", figures)


def after(seconds: float, act: Callable[[], object]) -> threading.Timer:
    timer = threading.Timer(seconds, act)
    timer.start()
    return timer


def refused(vendor: Vendor) -> int:
    return sum(vendor.summary()["rejected_by_code"].values())


def test_poisoned_jobs_end_and_cost_the_others_nothing(caller: Client, at_vendor: Vendor) -> None:
    clean = Batch(caller, name="clean")
    assert all(isinstance(outcome, Result) for outcome in clean.wait())
    poisoned = Batch(caller, {3: "[waf]", 7: "[forbidden]"}, name="poisoned")
    others = [handle for handle in poisoned.handles if handle not in poisoned.poisoned]
    assert all(isinstance(outcome, Result) for outcome in poisoned.wait(others))
    seconds = poisoned.seconds
    tell(f"60 jobs: {clean.seconds:.1f} s; 58 beside 2 poisoned ones: {seconds:.1f} s")
    for error in poisoned.wait(poisoned.poisoned):
        assert isinstance(error, InvalidRequest)
        assert (error.code, error.task_id) == ("403", None)
        assert "while other jobs were accepted" in error.message
    tell(f"the 2 poisoned ones ended after {poisoned.seconds:.1f} s")
    assert seconds < 1.5 * clean.seconds + 2
    assert set(at_vendor.accepted().values()) == {1}


@pytest.mark.parametrize(
    "faults",
    [{"forbidden": True}, {"waf": True, "waf_status": 401}],
    ids=["403", "page 401"],
)
def test_an_account_that_is_refused_for_a_while_loses_no_job(
    refused_stack: Stack, caller: Client, at_vendor: Vendor, faults: dict[str, object]
) -> None:
    at_vendor.set_faults(**faults)
    batch = Batch(caller)
    with redis_of(refused_stack) as redis:
        reader = Reader(redis, WorkerSettings(_env_file=None, redis_url=SecretStr(refused_stack.redis.url)))
        blockers = eventually(lambda: blockers_of(reader.read()), "the breaker has opened")
    assert (blockers[0].reason, blockers[0].severity) == (BlockReason.REFUSED, Severity.FAIL)
    timer = after(10.0, at_vendor.set_faults)
    assert all(isinstance(outcome, Result) for outcome in batch.wait())
    timer.join()
    assert set(at_vendor.accepted().values()) == {1}
    count = refused(at_vendor)
    tell(f"{faults}: 60 jobs in {batch.seconds:.1f} s, {count} submissions refused")
    assert count <= CAP + 3 + 6, "those in flight, three in a row, and one for each trial"


def test_an_empty_account_burns_no_job(caller: Client, at_vendor: Vendor) -> None:
    at_vendor.set_faults(out_of_credit=True)
    batch = Batch(caller)
    timer = after(10.0, at_vendor.set_faults)
    assert all(isinstance(outcome, Result) for outcome in batch.wait())
    timer.join()
    assert set(at_vendor.accepted().values()) == {1}
    tell(f"out of credit: 60 jobs in {batch.seconds:.1f} s, {refused(at_vendor)} refused")


def test_tasks_that_fail_for_want_of_credit_run_again(caller: Client, at_vendor: Vendor) -> None:
    handle = caller.submit(job("poor", prompt="[code:INSUFFICIENT_CREDITS*1]"))
    assert isinstance(handle.wait(timeout=PATIENCE_SECONDS), Result)
    assert at_vendor.accepted()["poor"] == 2


def test_an_unavailable_vendor_gets_its_jobs_later_and_none_is_lost(caller: Client, at_vendor: Vendor) -> None:
    at_vendor.set_faults(unavailable_rate=0.05)
    batch = Batch(caller, name="unavailable")
    timer = after(4.0, lambda: at_vendor.set_faults(unavailable_rate=0.05, outage=True, outage_in_envelope=True))
    timers = [timer, after(8.0, lambda: at_vendor.set_faults(unavailable_rate=0.05))]
    outcomes = batch.wait()
    for each in timers:
        each.join()
    lost = sum(isinstance(outcome, SubmissionUnknown) for outcome in outcomes)
    tell(f"5 % unavailable and an outage: 60 jobs in {batch.seconds:.1f} s, {lost} SubmissionUnknown")
    assert lost == 0
    assert all(isinstance(outcome, Result) for outcome in outcomes)
    assert set(at_vendor.accepted().values()) == {1}
