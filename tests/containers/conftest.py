"""One composition for all tests here: they read from top to bottom as one run, and what it made is removed."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from composition import Composition, eventually
from ground_truth import Vendor

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path(__file__).parent
_FIGURES: dict[str, float | str] = {}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.containers)
            # A build fetches everything on a new machine.
            item.add_marker(pytest.mark.timeout(900))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what was measured, or loudly that nothing was tested; what a fixture prints is not shown."""
    for name, value in _FIGURES.items():
        terminalreporter.write_line(f"{name}: {f'{value:.3g}' if isinstance(value, float) else value}")


@pytest.fixture(scope="session")
def _engine() -> None:
    """Skip loudly where there is no engine; `WANIMATE_REQUIRE_DOCKER=1` insists on one."""
    problem = engine_problem()
    if problem is None:
        return
    if os.environ.get("WANIMATE_REQUIRE_DOCKER") == "1":
        pytest.fail(f"WANIMATE_REQUIRE_DOCKER=1, and {problem}")
    _FIGURES["!!! containers: NOTHING IS TESTED"] = problem
    pytest.skip(f"!!! nothing is tested: {problem}")


def engine_problem() -> str | None:
    """Return why containers cannot run here, if they cannot."""
    if shutil.which("docker") is None:
        return "there is no docker on PATH"
    for command, needed in (
        ("info", "no Docker engine answers"),
        ("compose version --short", "there is no Compose v2"),
    ):
        ended = subprocess.run(["docker", *command.split()], capture_output=True, text=True, timeout=60, check=False)
        if ended.returncode != 0 or (command != "info" and ended.stdout.lstrip("v").startswith("1.")):
            return needed
    return None


@pytest.fixture(scope="session")
def figures() -> dict[str, float | str]:
    """What was measured, printed at the end."""
    return _FIGURES


@pytest.fixture(scope="session")
def composition(
    _engine: None, tmp_path_factory: pytest.TempPathFactory, figures: dict[str, float | str]
) -> Iterator[Composition]:
    """Everything that the three commands of the documentation start, with one worker."""
    # A stop from outside unwinds like Ctrl-C, so that everything is removed then, too.
    signal.signal(signal.SIGTERM, lambda *_: pytest.exit("stopped by SIGTERM", returncode=143))
    composition = Composition(tmp_path_factory.mktemp("composition"))
    composition.make()
    try:
        begun = time.monotonic()
        composition.compose("build", timeout_seconds=800)
        built = time.monotonic()
        composition.compose("up", "-d", "--no-build")
        for service in ("worker", "beat", "callbacks", "flower", "ops"):
            for container in composition.containers(service):
                eventually(lambda container=container: composition.answers(container), f"{service} answers")
        figures["build_seconds"] = built - begun
        figures["start_seconds"] = time.monotonic() - built
        yield composition
    except BaseException:
        # Shown by pytest with the error.
        sys.stderr.write(composition.compose("logs", "--tail", "20", "--no-color"))
        raise
    finally:
        composition.remove()


@pytest.fixture(scope="session")
def vendor(composition: Composition) -> Iterator[Vendor]:
    """The simulator's ground truth."""
    vendor = Vendor(f"http://127.0.0.1:{composition.port('simulator', 8900)}")
    yield vendor
    vendor.close()
