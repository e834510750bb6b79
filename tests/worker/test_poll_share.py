"""Polls never take all threads of a worker, however few there are: new jobs are recorded and sent beside them."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest
from wanimate.contract import POLL_TASK
from wanimate_worker import poll_share
from wanimate_worker.poll_share import PollShare

if TYPE_CHECKING:
    from .conftest import Run


@pytest.mark.parametrize(("threads", "at_once"), [(1, 1), (2, 1), (3, 1), (16, 8), (256, 128)])
def test_half_of_the_threads_may_poll_at_once(monkeypatch: pytest.MonkeyPatch, threads: int, at_once: int) -> None:
    monkeypatch.setattr(poll_share, "monotonic", lambda: 100.0)
    share = PollShare(threads)
    with ExitStack() as runs:
        assert [runs.enter_context(share.take()) for _ in range(at_once + 2)] == [True] * at_once + [False] * 2
    with share.take() as is_free:
        assert is_free


def test_a_single_thread_rests_for_as_long_as_it_polled(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(poll_share, "monotonic", lambda: now)
    share = PollShare(1)

    def is_free() -> bool:
        with share.take() as answer:
            return answer

    with share.take():
        now += 3
    now += 2.9
    assert not is_free()
    now += 0.2
    assert is_free()


@pytest.mark.parametrize(("threads", "looks_again"), [(1, False), (2, True)])
def test_a_poll_lingers_only_where_another_thread_works(
    run: Run, monkeypatch: pytest.MonkeyPatch, threads: int, *, looks_again: bool
) -> None:
    run()
    run.task.runtime.threads = threads
    claim, looks = run.ledger.claim, 0

    def count(*arguments: Any) -> Any:
        nonlocal looks
        looks += 1
        return claim(*arguments)

    monkeypatch.setattr(run.ledger, "claim", count)
    run.task.app.tasks[POLL_TASK].apply(kwargs={"lingers": True})
    assert (looks > 1) is looks_again
