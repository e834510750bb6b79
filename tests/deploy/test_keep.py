"""The component that copies videos in pods of their own, on top of the production overlay."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest
import yaml
from manifests import Manifest, build, check

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def kept(deploy: Path) -> dict[tuple[str, str], Manifest]:
    overlay = deploy / "kubernetes/overlays/kept"
    shutil.copytree(deploy / "kubernetes/overlays/production", overlay)
    file = overlay / "kustomization.yaml"
    kustomization = yaml.safe_load(file.read_text())
    kustomization["components"].append("../../components/keep")
    file.write_text(yaml.safe_dump(kustomization))
    return {(each["kind"], each["metadata"]["name"]): each for each in build(overlay)}


def test_keepers_run_as_the_others_do_and_have_no_api_key(kept: dict[tuple[str, str], Manifest]) -> None:
    keep, beat = (kept["Deployment", name]["spec"]["template"] for name in ("keep", "beat"))
    (container,) = keep["spec"]["containers"]
    assert container["command"] == ["wanimate-worker", "keep"]
    assert container["image"] == beat["spec"]["containers"][0]["image"]
    assert container["securityContext"] == beat["spec"]["containers"][0]["securityContext"]
    assert keep["spec"]["securityContext"] == beat["spec"]["securityContext"]
    (secrets,) = [volume["secret"] for volume in keep["spec"]["volumes"] if "secret" in volume]
    assert [item["key"] for item in secrets["items"]] == ["wanimate_redis_url"]
    for kind in ("Deployment", "NetworkPolicy", "PodDisruptionBudget"):
        check(kept[kind, "keep"])


def test_with_keepers_workers_copy_nothing(kept: dict[tuple[str, str], Manifest]) -> None:
    (container,) = kept["Deployment", "keep"]["spec"]["template"]["spec"]["containers"]
    name = container["envFrom"][0]["configMapRef"]["name"]
    assert kept["ConfigMap", name]["data"]["WANIMATE_KEEP_THREADS"] == "0"
    (worker,) = kept["Deployment", "worker"]["spec"]["template"]["spec"]["containers"]
    assert name in [source["configMapRef"]["name"] for source in worker["envFrom"]]


def test_keepers_reach_redis_and_public_addresses_and_none_inside(kept: dict[tuple[str, str], Manifest]) -> None:
    (rule,) = kept["NetworkPolicy", "redis-clients"]["spec"]["podSelector"]["matchExpressions"]
    assert "keep" in rule["values"]
    egress = kept["NetworkPolicy", "keep"]["spec"]["egress"]
    assert egress == kept["NetworkPolicy", "vendor"]["spec"]["egress"]
