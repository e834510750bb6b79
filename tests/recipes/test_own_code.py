"""The pytest fixtures, used as their page shows it, in a pytest process of its own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib.metadata import entry_points
from typing import TYPE_CHECKING

import psutil
import pytest
from recipe import RECIPES
from wanimate import JobState, WaitTimeout

if TYPE_CHECKING:
    from pathlib import Path

    from wanimate import Client
    from wanimate_devstack import Simulator, Stack
    from wanimate_devstack.testing import InitialState

#: Its last block overrides the options of the stack.
PAGE = RECIPES.parent / "testing.md"
INPUT = {"image_url": "https://example.com/a.png", "video_url": "https://example.com/b.mp4"}


def pytest_of(folder: Path, *wrong: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run the page's test in a folder of its own.

    Args:
        folder: The folder, which is that of temporary files, too.
        wrong: Text of the code under test, and what stands in its place.
        variables: Of its environment.
    """
    blocks = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    (folder / "conftest.py").write_text(blocks[-1])
    for name in ("own_code.py", "test_own_code.py"):
        (folder / name).write_text((RECIPES / name).read_text())
    if wrong:
        code = (folder / "own_code.py").read_text()
        assert wrong[0] in code
        (folder / "own_code.py").write_text(code.replace(*wrong))
    environment = {**os.environ, "TMPDIR": str(folder), **variables}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_own_code.py"]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def leftovers(folder: Path) -> list[str]:
    """Return what a run has left: its processes, and its temporary folders."""
    running = [
        " ".join(process.info["cmdline"] or ())
        for process in psutil.process_iter(["cmdline", "environ"])
        if (process.info["environ"] or {}).get("TMPDIR") == str(folder)
    ]
    return running + [path.name for path in folder.glob("wanimate-*")]


def test_right_code_passes_whatever_the_shell_has_set(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("WANIMATE_ACCOUNT=production\nWANIMATE_KEEP_URL=s3://production\n")
    variables = {"WANIMATE_API_KEY": "production", "WANIMATE_WEBHOOK_URL": "https://backend.invalid/"}
    done = pytest_of(tmp_path, **variables, WANIMATE_REDIS_URL="redis://redis.invalid/0")
    assert "2 passed" in done.stdout, done.stdout
    assert not leftovers(tmp_path)


@pytest.mark.parametrize(
    ("wrong", "failure"),
    [
        ((', idempotency_key=f"order-{order}"', ""), "test_an_order_is_billed_once"),
        (("except ContentViolation", "except KeyError"), "test_refused_content_gives_no_video"),
    ],
)
def test_wrong_code_fails_and_leaves_nothing(tmp_path: Path, wrong: tuple[str, str], failure: str) -> None:
    done = pytest_of(tmp_path, *wrong)
    assert done.returncode == 1
    assert f"FAILED test_own_code.py::{failure}" in done.stdout
    assert "1 failed, 1 passed" in done.stdout
    assert not leftovers(tmp_path)


def test_a_pytest_that_uses_no_fixture_imports_no_stack() -> None:
    [plugin] = entry_points(group="pytest11", name="wanimate")
    code = f"import sys, {plugin.value}; print(*{{'wanimate', 'wanimate_worker', 'httpx', 'redis'}} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "\n"


def test_each_test_begins_without_jobs_events_webhooks_and_faults(
    wanimate_client: Client, wanimate_simulator: Simulator, request: pytest.FixtureRequest
) -> None:
    initial: InitialState = request.getfixturevalue("_wanimate_initial_state")
    wanimate_simulator.reset(failure_rate=1)
    failed = wanimate_client.animate(**INPUT, idempotency_key="same", webhook_url="http://127.0.0.1:9/nobody")
    wanimate_client.wait_all([failed], timeout=60)
    wanimate_simulator.set_faults(revoked_keys=["simulator-key"])
    waiting = wanimate_client.animate(**INPUT)
    with pytest.raises(WaitTimeout):
        waiting.wait(timeout=1)

    initial.restore()

    assert list(wanimate_client.events(timeout=0)) == []
    assert wanimate_simulator.billed_tasks == 0
    again = wanimate_client.animate(**INPUT, idempotency_key="same")
    again.wait(timeout=60)
    assert again.status().state is JobState.SUCCEEDED
    assert [event.job_id for event in wanimate_client.events(timeout=0)] == [again.id]
    assert wanimate_simulator.billed_tasks == 1


def test_a_test_has_the_stacks_settings(wanimate_environment: dict[str, str], wanimate_stack: Stack) -> None:
    ours = {name: value for name, value in os.environ.items() if name.startswith("WANIMATE_")}
    assert ours == wanimate_environment == wanimate_stack.environment
