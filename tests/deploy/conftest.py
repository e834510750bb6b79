from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from manifests import Manifest, build, copied_deploy

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="session")
def deploy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copied_deploy(tmp_path_factory.mktemp("deploy"))


@pytest.fixture(scope="session")
def dev(deploy: Path) -> list[Manifest]:
    return build(deploy / "kubernetes/overlays/dev")


@pytest.fixture(scope="session")
def production(deploy: Path) -> list[Manifest]:
    return build(deploy / "kubernetes/overlays/production")


@pytest.fixture(params=["dev", "production"])
def overlay(request: pytest.FixtureRequest) -> list[Manifest]:
    built: list[Manifest] = request.getfixturevalue(request.param)
    return built
