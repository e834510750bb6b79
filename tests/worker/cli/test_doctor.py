"""What doctor makes of settings and of the vendor's answers."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import SecretStr
from wanimate_worker.app import create_app
from wanimate_worker.doctor import Level, check_limits, check_transport, check_vendor, check_workers
from wanimate_worker.runtime import Runtime
from wanimate_worker.settings import WorkerSettings
from wanimate_worker.upstream import Forgotten, NotSent, Pending, Throttled, Unauthorised, Unreadable

if TYPE_CHECKING:
    from wanimate_worker.upstream import StatusAnswer


def settings(**values: Any) -> WorkerSettings:
    return WorkerSettings(_env_file=None, api_key=SecretStr("key"), **values)


@pytest.mark.parametrize(
    ("answer", "level"),
    [
        (Forgotten("no such task"), Level.OK),
        (Pending("processing"), Level.OK),
        (Unauthorised(401, "bad key"), Level.FAIL),
        (Unauthorised(402, "no credit"), Level.FAIL),
        (NotSent("no route"), Level.FAIL),
        (Throttled(None, "slow down", None), Level.WARN),
        (Unreadable("503"), Level.WARN),
    ],
)
def test_the_key_is_judged_by_the_answer_to_one_status_request(answer: StatusAnswer, level: Level) -> None:
    upstream = SimpleNamespace(status=lambda _: answer)
    [finding] = check_vendor(SimpleNamespace(upstream=upstream, settings=settings()))  # type: ignore[arg-type]
    assert finding.level is level
    assert bool(finding.advice) is (level is not Level.OK)


def test_a_missing_key_is_a_failure_that_names_the_variable() -> None:
    app = create_app(WorkerSettings(_env_file=None))  # type: ignore[call-arg]
    [finding] = check_vendor(Runtime(app, WorkerSettings(_env_file=None)))  # type: ignore[call-arg]
    assert finding.level is Level.FAIL
    assert "WANIMATE_API_KEY" in finding.advice


def test_a_proxy_that_cannot_be_used_is_a_finding_and_no_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "nonsense://127.0.0.1")
    trusting = settings(trust_env=True)
    [finding] = check_vendor(Runtime(create_app(trusting), trusting))
    assert (finding.name, finding.level) == ("vendor", Level.FAIL)
    assert "HTTPS_PROXY" in finding.text


@pytest.mark.parametrize(
    ("slots", "requests", "level"),
    [(1000, 10_000, Level.OK), (1000, 1999, Level.WARN), (1000, 1000, Level.WARN), (1000, 999, Level.FAIL)],
)
def test_the_budget_must_allow_a_poll_a_minute_for_each_slot(slots: int, requests: int, level: Level) -> None:
    [finding] = check_limits(settings(max_in_flight=slots, requests_per_minute=requests))
    assert finding.level is level


@pytest.mark.parametrize(("visibility", "level"), [(5, Level.OK), (50, Level.OK), (3600, Level.WARN)])
def test_messages_of_dead_workers_must_come_back_in_a_sensible_time(visibility: float, level: Level) -> None:
    conf = SimpleNamespace(broker_transport_options={"visibility_timeout": visibility})
    [finding] = check_transport(SimpleNamespace(conf=conf))  # type: ignore[arg-type]
    assert finding.level is level


@pytest.mark.parametrize(
    ("answering", "level"), [(["celerybeat@a", "celery@b"], Level.OK), (["celerybeat@a", "celerybeat@b"], Level.FAIL)]
)
def test_a_beat_that_answers_is_no_worker(answering: list[str], level: Level) -> None:
    control = SimpleNamespace(ping=lambda **_: [{name: {"ok": "pong"}} for name in answering])
    none: Any = None
    finding = next(check_workers(SimpleNamespace(control=control), none, none, settings()))  # type: ignore[arg-type]
    assert finding.level is level
