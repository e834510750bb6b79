"""Celery's tracer runs endings only: a run that suspends never gets there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from celery import Celery
from celery.app.trace import build_tracer
from wanimate_worker.suspension import ENDING_HEADER, Ending, SuspendableTask, Suspended, quick_tracer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


class Steps(SuspendableTask):
    """A task that goes as far as it is told to."""

    name = "steps"
    ignore_result = True

    def __init__(self) -> None:
        self.advanced: list[tuple[str, Mapping[str, Any]]] = []
        self.traced: list[str] = []

    def advance(self, _args: object, kwargs: Mapping[str, Any]) -> str:
        self.advanced.append((self.request.id, kwargs))
        if kwargs["to"] == "wait":
            raise Suspended(started="somewhere")
        if kwargs["to"] == "fail":
            raise ValueError("a defect")
        return str(kwargs["to"])

    def end(self, ending: str | Exception) -> str:
        if isinstance(ending, Exception):
            raise ending
        return f"ended as {ending}"


@pytest.fixture
def task() -> Steps:
    registered = Celery(broker="memory://").register_task(Steps())
    assert isinstance(registered, Steps)
    return registered


def run(task: Steps, to: str, **headers: Any) -> Any:
    celerys: Callable[..., Any] = build_tracer(task.name, task, app=task.app)

    def watched(task_id: str, *rest: Any) -> Any:
        task.traced.append(task_id)
        return celerys(task_id, *rest)

    request = {"id": "a", "is_eager": False, "delivery_info": {}, **headers}
    return quick_tracer(task, watched)("a", (), {"to": to}, request)


def test_a_run_that_suspends_is_ignored_and_celerys_tracer_never_sees_it(task: Steps) -> None:
    answer = run(task, "wait")
    assert isinstance(answer.retval.exception, Suspended)
    assert answer.retval.exception.started == "somewhere"
    assert answer.info
    assert task.advanced == [("a", {"to": "wait"})]
    assert task.traced == []
    assert task.request.id is None, "the run's request is gone"


def test_a_run_that_gets_to_the_end_is_advanced_once_and_ended_by_celery(task: Steps) -> None:
    answer = run(task, "success")
    assert answer.retval == "ended as success"
    assert not answer.info
    assert (len(task.advanced), task.traced) == (1, ["a"])


def test_a_defect_is_celerys_to_report_and_nothing_is_done_twice(task: Steps) -> None:
    answer = run(task, "fail")
    assert answer.info.state == "FAILURE"
    assert isinstance(answer.info.retval, ValueError)
    assert "in advance" in answer.retval.traceback
    assert (len(task.advanced), task.traced) == (1, ["a"])


def test_an_ending_that_is_known_is_not_looked_for(task: Steps) -> None:
    answer = run(task, "wait", **{ENDING_HEADER: Ending("told")})
    assert answer.retval == "ended as told"
    assert (task.advanced, task.traced) == ([], ["a"])


def test_a_message_cannot_say_how_its_task_ends(task: Steps) -> None:
    answer = run(task, "wait", **{ENDING_HEADER: {"how": "success"}})
    assert isinstance(answer.retval.exception, Suspended)
    assert len(task.advanced) == 1
