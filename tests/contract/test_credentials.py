"""Nothing that is shipped has a password in it: who starts it must choose one."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SECRET_NAME = r"[A-Z_]*(?:PASSWORD|SECRET|TOKEN|BASIC_AUTH|API_KEY)"


def test_the_example_environment_leaves_every_secret_empty() -> None:
    given = dict(re.findall(rf"^({SECRET_NAME})=(.*)$", (ROOT / ".env.example").read_text(), re.MULTILINE))
    # The simulator takes any key, and the vendor does not take this one.
    assert given.pop("WANIMATE_API_KEY") == "simulator-key"
    assert set(given) == {"REDIS_PASSWORD", "FLOWER_BASIC_AUTH"}
    assert set(given.values()) == {""}


def test_compose_refuses_to_start_without_its_secrets() -> None:
    compose = (ROOT / "docker-compose.yml").read_text()
    uses = re.findall(rf"\$\{{({SECRET_NAME})([^}}]*)\}}", compose)
    assert {name for name, _ in uses} >= {"REDIS_PASSWORD", "FLOWER_BASIC_AUTH"}
    for name, rest in uses:
        assert rest.startswith(":?") or rest in {"", ":-"}, f"{name} has a default in docker-compose.yml"
    assert not re.findall(rf"^ *{SECRET_NAME}: *[^$\s]", compose, re.MULTILINE), "a secret is spelled out"


@pytest.mark.parametrize("name", ["docker-compose.yml", "deploy/Dockerfile"])
def test_no_url_has_a_password(name: str) -> None:
    assert not re.findall(r"://[^/\s$@]*:[^/\s$@{]+@", (ROOT / name).read_text())
