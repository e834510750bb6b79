"""A process that stood still after it asked the ledger acts on nothing that may have passed to others since."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from wanimate.contract import Outcome, Result, Stage
from wanimate_worker import stopwatch
from wanimate_worker.ledger import Claim, Deliver, Submit, WaitForPermit

if TYPE_CHECKING:
    from .conftest import Run


class Clocks:
    """The clocks of a process that stands still: both of them, or only one."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, which: str) -> None:
        self._seconds = 0.0
        steady, wall = stopwatch._steady, stopwatch._wall
        if which != "the wall clock":
            monkeypatch.setattr(stopwatch, "_steady", lambda: steady() + self._seconds)
        if which != "the steady clock":
            monkeypatch.setattr(stopwatch, "_wall", lambda: wall() + self._seconds)

    def stand_still(self, seconds: float) -> None:
        self._seconds += seconds


@pytest.fixture(params=["both clocks", "the steady clock", "the wall clock"])
def clocks(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Clocks:
    return Clocks(monkeypatch, request.param)


@pytest.mark.parametrize("step", ["begin", "confirm"])
def test_a_worker_that_stood_still_since_it_asked_sends_nothing(
    run: Run, clocks: Clocks, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    # The attempt may be given up by then, and its caller told so.
    part = run.ledger.jobs if step == "begin" else run.ledger.durable
    original = getattr(part, step)

    def stand_still(*args: Any, **options: Any) -> Any:
        answer = original(*args, **options)
        clocks.stand_still(run.task.runtime.settings.lease_seconds + 11)
        # So that it gets no other slot at once.
        run.ledger.gate.pause("for a look at it")
        return answer

    monkeypatch.setattr(part, step, stand_still)
    run()
    assert run.sent == []
    assert (run.stage(), run.has_slot()) == (Stage.WAITING, False)
    assert run.ledger.gate.read().failures == 0, "it says nothing about the vendor"


@pytest.mark.parametrize("is_free", [True, False], ids=["another is free", "none is free"])
def test_a_request_permit_that_went_stale_is_not_used(
    run: Run, clocks: Clocks, monkeypatch: pytest.MonkeyPatch, *, is_free: bool
) -> None:
    taken: list[int] = []
    original = run.ledger.jobs.begin

    def stand_still(*args: Any, **options: Any) -> Any:
        answer = original(*args, **options)
        if isinstance(answer, Submit):
            clocks.stand_still(3)
            run.ledger.gate.pause("for a look at it")
        return answer

    monkeypatch.setattr(run.ledger.jobs, "begin", stand_still)
    monkeypatch.setattr(run.ledger.polls, "permit", lambda count: taken.append(count) or count * is_free)
    run()
    assert taken == [1]
    assert len(run.sent) == is_free
    assert run.stage() is (Stage.RUNNING if is_free else Stage.WAITING)


def test_a_reserved_permit_whose_time_passed_is_asked_for_anew(
    run: Run, clocks: Clocks, monkeypatch: pytest.MonkeyPatch
) -> None:
    held: list[bool] = []
    original = run.ledger.jobs.begin

    def reserve(*args: Any, holds_permit: bool = False, **options: Any) -> Any:
        if not held:
            held.append(holds_permit)
            reserved = WaitForPermit(10)
            clocks.stand_still(3)
            return reserved
        held.append(holds_permit)
        return original(*args, holds_permit=holds_permit, **options)

    monkeypatch.setattr(run.ledger.jobs, "begin", reserve)
    run()
    assert held == [False, False]


def test_a_poll_that_stood_still_with_its_permit_asks_nothing(
    run: Run, clocks: Clocks, monkeypatch: pytest.MonkeyPatch
) -> None:
    run()
    original = run.ledger.polls.claim

    def stand_still(*args: Any, **options: Any) -> Claim:
        claim = original(*args, **options)
        clocks.stand_still(30)
        return claim

    monkeypatch.setattr(run.ledger.polls, "claim", stand_still)
    run.poll()
    assert run.asked == []
    assert run.stage() is Stage.RUNNING
    assert run.ledger.gate.read().failures == 0, "it says nothing about the vendor"


def test_an_outcome_is_not_delivered_after_the_lease_of_its_delivery(run: Run, clocks: Clocks) -> None:
    # Another run has delivered it by then, and an operator may have let the job run again.
    run()
    run.ledger.jobs.settle(
        "a", run.ledger.records.read(["a"])[0].nonce, Outcome.success(Result(urls=("u",), task_id="task-a"))
    )
    step = run.ledger.jobs.begin("a")
    assert isinstance(step, Deliver)
    clocks.stand_still(run.task.runtime.settings.lease_seconds + 1)
    run.engine.deliverer.deliver(step)
    assert (run.result(), run.stage()) == (None, Stage.SETTLED)
