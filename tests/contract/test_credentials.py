"""Nothing that is shipped has a password in it, and nothing passes one on where others see it."""

from __future__ import annotations

import re
import stat
import subprocess
from pathlib import Path

import pytest
from pydantic import SecretStr
from wanimate_worker.settings import WorkerSettings

ROOT = Path(__file__).parents[2]
COMPOSE = (ROOT / "docker-compose.yml").read_text()
FILES = set(re.findall(r"^  ([a-z_]+): \{ file:", COMPOSE, re.MULTILINE))
SECRET_SETTINGS = {
    f"WANIMATE_{name.upper()}"
    for name, field in WorkerSettings.model_fields.items()
    if field.annotation in {SecretStr, SecretStr | None}
}


def test_the_example_environment_has_no_secret() -> None:
    given = re.findall(r"^#? ?([A-Z_]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE)

    assert "WANIMATE_API_BASE_URL" in given
    assert not [name for name in given if re.search(r"PASSWORD|SECRET$|TOKEN|AUTH|API_KEY|REDIS_URL", name)]


def test_compose_passes_every_setting_on_but_no_secret() -> None:
    passed = set(re.findall(r"^ +(WANIMATE_[A-Z0-9_]+):", COMPOSE, re.MULTILINE))
    settings = {f"WANIMATE_{name.upper()}" for name in WorkerSettings.model_fields}

    assert settings - SECRET_SETTINGS <= passed
    assert not SECRET_SETTINGS & passed
    assert not SECRET_SETTINGS & set(re.findall(r"\$\{([A-Z_]+)", COMPOSE))
    assert {name.lower() for name in SECRET_SETTINGS} <= set(
        re.findall(r"^  ([a-z_]+): \{ file:", COMPOSE, re.MULTILINE)
    )


@pytest.mark.parametrize("name", ["docker-compose.yml", "deploy/Dockerfile", "deploy/make-secrets.sh"])
def test_no_url_has_a_password(name: str) -> None:
    assert not re.findall(r"://[^/\s$@]*:[^/\s$@{]+@", (ROOT / name).read_text())


def test_each_one_makes_secrets_of_its_own_and_keeps_them(tmp_path: Path) -> None:
    def make(folder: Path) -> dict[str, str]:
        (folder / ".env.example").touch()
        told = subprocess.run(
            ["sh", ROOT / "deploy" / "make-secrets.sh"], cwd=folder, capture_output=True, text=True, check=True
        )
        made = {path.name: path.read_text().strip() for path in (folder / "secrets").iterdir()}
        assert not [value for name, value in made.items() if name != "wanimate_api_key" and value in told.stdout]
        return made

    folders = [tmp_path / "one", tmp_path / "two"]
    for folder in folders:
        folder.mkdir()
    first, second = make(folders[0]), make(folders[1])

    assert make(folders[0]) == first
    assert first.keys() == FILES
    # The simulator takes this key, and the vendor does not.
    assert first.pop("wanimate_api_key") == second.pop("wanimate_api_key") == "simulator-key"
    assert not set(first.values()) & set(second.values())
    # Users of containers must be able to read the files; the folder keeps everybody else of this machine out.
    assert stat.S_IMODE((folders[0] / "secrets").stat().st_mode) == 0o700
