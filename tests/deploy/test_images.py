"""What the images say about themselves."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[2]
DOCKERFILE: Final = (ROOT / "deploy/Dockerfile").read_text()


@pytest.mark.parametrize(("stage", "title"), [("worker", "wanimate"), ("simulator", "wanimate-simulator")])
def test_images_have_the_labels_of_the_oci_specification(stage: str, title: str) -> None:
    (text,) = re.findall(rf"^FROM runtime AS {stage}$(.*?)(?=^FROM |\Z)", DOCKERFILE, re.MULTILINE | re.DOTALL)
    labels = dict(re.findall(r'org\.opencontainers\.image\.(\w+)="([^"]*)"', text))
    arguments = dict(re.findall(r"^ARG (\w+)=(.*)$", text, re.MULTILINE))
    description = labels.pop("description")

    assert description
    assert labels == {
        "title": title,
        "version": "${VERSION}",
        "revision": "${REVISION}",
        "created": "${CREATED}",
        "licenses": "Apache-2.0",
    }
    assert arguments == {
        "VERSION": tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"],
        "REVISION": "",
        "CREATED": "",
    }
