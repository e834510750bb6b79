"""Builds the Kubernetes overlays as `kubectl apply -k` does, and reads them by the schemas of the cluster."""

from __future__ import annotations

import importlib
import os
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

DEPLOY: Final = Path(__file__).parents[2] / "deploy"

#: Models made from the OpenAPI document of Kubernetes and the CRDs of the two operators.
_SCHEMAS: Final = {
    "v1": "kubernetes.core.v1",
    "apps/v1": "kubernetes.apps.v1",
    "networking.k8s.io/v1": "kubernetes.networking.v1",
    "policy/v1": "kubernetes.policy.v1",
    "keda.sh/v1alpha1": "keda.v1alpha1",
    "monitoring.coreos.com/v1": "prometheus_operator.v1",
}

Manifest = dict[str, Any]


def build(folder: Path) -> list[Manifest]:
    """Return the objects of an overlay; skip the test where no kustomize is installed.

    Args:
        folder: Where its kustomization.yaml is.
    """
    if shutil.which("kustomize"):
        command = ["kustomize", "build"]
    elif shutil.which("kubectl"):
        command = ["kubectl", "kustomize"]
    elif os.environ.get("WANIMATE_REQUIRE_KUSTOMIZE") == "1":
        pytest.fail("neither kustomize nor kubectl is on PATH, and WANIMATE_REQUIRE_KUSTOMIZE=1 insists")
    else:
        pytest.skip("NOT CHECKED: the Kubernetes overlays; install kubectl or kustomize")
    done = subprocess.run([*command, str(folder)], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return [manifest for manifest in yaml.safe_load_all(done.stdout) if manifest]


def check(manifest: Manifest) -> None:
    """Fail unless an object is exactly what its schema allows.

    What the schema does not know, or reads as something else, does not come back out of it.

    Args:
        manifest: The object.
    """
    model = getattr(_module(manifest["apiVersion"]), manifest["kind"])
    read = model.model_validate(manifest).model_dump(mode="json", by_alias=True, exclude_unset=True)
    assert read == manifest, f"{manifest['kind']} {manifest['metadata']['name']} has what its schema does not know"


@cache
def _module(api_version: str) -> Any:
    return importlib.import_module(f"cloudcoil.models.{_SCHEMAS[api_version]}")


def copied_deploy(folder: Path) -> Path:
    """Return a copy of deploy/ with the secrets of the dev overlay made as its README says.

    Args:
        folder: Where to put it.
    """
    copy = folder / "deploy"
    shutil.copytree(DEPLOY, copy, ignore=shutil.ignore_patterns("secrets"))
    script = copy / "kubernetes/overlays/dev/secrets.sh"
    subprocess.run(["sh", str(script)], check=True, capture_output=True, timeout=60)
    return copy
