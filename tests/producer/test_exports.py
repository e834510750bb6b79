from __future__ import annotations

import subprocess
import sys

import pytest
import wanimate
from wanimate.contract import JobFields

FORBIDDEN = ("httpx", "flower", "tornado", "starlette", "uvicorn", "wanimate_worker", "wanimate_simulator")


def test_everything_public_is_exported_by_name() -> None:
    assert len(set(wanimate.__all__)) == len(wanimate.__all__)
    assert all(hasattr(wanimate, name) for name in wanimate.__all__)


def test_the_typed_arguments_are_the_fields_of_a_job() -> None:
    assert set(JobFields.__annotations__) == set(wanimate.AnimateJob.model_fields)


@pytest.mark.parametrize("module", ["wanimate", "wanimate.cli", "wanimate.redis.store"])
def test_importing_the_producer_brings_in_no_http_client_no_server_and_no_worker(module: str) -> None:
    code = f"import sys, {module}; print([m for m in {FORBIDDEN!r} if m in sys.modules])"

    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"


@pytest.mark.parametrize(
    ("code", "unused"),
    [
        ("import wanimate", ("celery", "kombu", "redis", "click", "rich")),
        ("import wanimate; wanimate.Client(); wanimate.AsyncClient()", ("celery", "kombu", "click", "rich")),
        ("import wanimate.cli", ("celery", "kombu", "redis", "rich")),
    ],
)
def test_nothing_is_loaded_before_it_is_needed(code: str, unused: tuple[str, ...]) -> None:
    code = f"import sys; {code}; print([m for m in {unused!r} if m in sys.modules])"

    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"
