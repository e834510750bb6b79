"""Options of `celery worker` and remote commands that would stop a worker or lose jobs are refused in one line."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from celery.worker.control import Panel
from typed import run as run_typed
from wanimate_devstack import RedisServer
from wanimate_worker.bridge import control  # noqa: F401 - a worker's app imports it

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    with RedisServer(is_durable=False) as server:
        yield server


@pytest.mark.slow
@pytest.mark.parametrize(
    "option",
    [
        "--autoscale=16,2",
        "--pool=solo",
        "--pool=processes",
        "--concurrency=1000",
        "--purge",
        "--queues=celery",
    ],
)
def test_a_worker_refuses_what_would_break_it(server: RedisServer, option: str) -> None:
    variables = {"WANIMATE_REDIS_URL": server.url, "WANIMATE_API_KEY": "sk-of-nobody"}
    ended = run_typed("celery", "-q", "-A", "wanimate_worker", "worker", option, **variables)
    assert ended.returncode == 1
    # Before it Celery may say that root should not run it.
    *_, line = ended.stderr.splitlines()
    assert "Traceback" not in ended.stderr
    assert line.startswith(f"wanimate-worker: {option.partition('=')[0]}: ")


@pytest.mark.parametrize(
    ("command", "arguments"),
    [
        ("add_consumer", {"queue": "celery"}),
        ("pool_grow", {"n": 3}),
        ("pool_shrink", {"n": 3}),
        ("pool_restart", {}),
        ("autoscale", {"max": 3, "min": 1}),
        ("rate_limit", {"task_name": "wanimate.generate", "rate_limit": "1/m"}),
    ],
)
def test_remote_commands_that_do_not_fit_change_nothing(command: str, arguments: dict[str, Any]) -> None:
    # A worker without anything to change.
    assert Panel.data[command](SimpleNamespace(), **arguments)["error"]
