"""The wheel, alone in a clean environment: what a backend installs."""

from __future__ import annotations

import shutil
import subprocess
import sys
import venv
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from .conftest import FIELDS, Database

if TYPE_CHECKING:
    from collections.abc import Iterator

PRODUCER = Path(__file__).parents[2] / "producer"
SCRIPT = f"""
import wanimate
from wanimate import AnimateJob, Client, InvalidRequest, Settings
try:
    AnimateJob(image_url="nonsense", video_url="nonsense")
except InvalidRequest as error:
    print(error.field)
with Client() as client:
    print(client.animate(**{FIELDS!r}).id)
"""


def run(*command: str | Path, **variables: str) -> str:
    done = subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, check=False, env=variables or None
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("wheel")
    uv = find_uv()
    if uv is not None:
        run(uv, "build", "--wheel", "--out-dir", directory, PRODUCER)
    else:
        run(base_python(), "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", directory, PRODUCER)
    (built,) = directory.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def clean_python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The Python of an environment that holds the wheel, what it depends on, and nothing else."""
    directory = tmp_path_factory.mktemp("clean") / "venv"
    uv = find_uv()
    if uv is not None:
        run(uv, "venv", "--quiet", "--python", sys.executable, directory)
        run(uv, "pip", "install", "--quiet", "--python", directory / "bin" / "python", wheel)
    else:
        venv.create(directory, with_pip=False)
        site = next((directory / "lib").glob("python*/site-packages"))
        run(base_python(), "-m", "pip", "install", "--quiet", "--target", site, wheel)
    yield directory / "bin" / "python"
    shutil.rmtree(directory)


def find_uv() -> str | None:
    beside = Path(sys.executable).with_name("uv")
    return str(beside) if beside.exists() else shutil.which("uv")


def base_python() -> str:
    return str(Path(sys.base_prefix) / "bin" / f"python3.{sys.version_info.minor}")


def test_the_wheel_holds_its_types_and_one_package(wheel: Path) -> None:
    names = run(sys.executable, "-m", "zipfile", "--list", wheel)
    packages = {line.split("/")[0] for line in names.splitlines()[1:] if not line.startswith("wanimate-")}

    assert "wanimate/py.typed" in names
    assert packages == {"wanimate"}


def test_the_wheel_validates_and_enqueues_from_a_clean_environment(
    clean_python: Path, url: str, database: Database
) -> None:
    field, job_id = run(clean_python, "-W", "error", "-c", SCRIPT, WANIMATE_REDIS_URL=url).split()

    assert field == "image_url"
    assert [message["headers"]["id"] for message in database.messages()] == [job_id]


def test_the_wheel_brings_neither_celery_nor_an_http_client_nor_a_web_server(clean_python: Path) -> None:
    code = "import importlib.metadata as m; print(*sorted(d.metadata['Name'].lower() for d in m.distributions()))"
    installed = set(run(clean_python, "-c", code).split())

    assert "redis" in installed
    assert installed.isdisjoint(
        {"celery", "kombu", "httpx", "flower", "tornado", "starlette", "uvicorn", "wanimate-worker", "hiredis"}
    )


def test_the_command_of_the_wheel_runs(clean_python: Path) -> None:
    code = "from wanimate.cli import main; main()"

    assert "batch" in run(clean_python, "-W", "error", "-c", code, "--help")
