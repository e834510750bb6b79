from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import pytest
from manifests import Manifest, build, check

if TYPE_CHECKING:
    from pathlib import Path


def test_every_object_is_what_its_schema_allows_and_nothing_else(overlay: list[Manifest]) -> None:
    for manifest in overlay:
        check(manifest)


def test_the_folder_itself_is_production(deploy: Path, production: list[Manifest]) -> None:
    assert build(deploy / "kubernetes") == production


@pytest.mark.parametrize(
    ("kind", "path", "value"),
    [
        ("Deployment", "spec.template.spec.containers.0.imagePullPolice", "Always"),
        ("Deployment", "spec.template.spec.containers.0.ports", [{"containerPort": "http"}]),
        ("Deployment", "spec.template.spec.terminationGracePeriodSeconds", "120"),
        ("NetworkPolicy", "spec.policyType", ["Egress"]),
        ("PodDisruptionBudget", "spec.minAvailabel", 1),
        ("Ingress", "spec.rules.0.http.paths.0.backend.serviceName", "callbacks"),
        ("ScaledObject", "spec.triggers.0.metadata", "due"),
        ("ScaledObject", "spec.maxReplicas", 8),
        ("ServiceMonitor", "spec.endpoints.0.basicAuth.user", "admin"),
        ("PrometheusRule", "spec.groups.0.rules.0.expression", "1"),
    ],
)
def test_a_mistake_in_any_kind_of_object_is_found(
    production: list[Manifest], kind: str, path: str, value: object
) -> None:
    wrong = copy.deepcopy(next(manifest for manifest in production if manifest["kind"] == kind))
    *parents, last = path.split(".")
    inner: Any = wrong
    for step in parents:
        inner = inner[int(step) if step.isdigit() else step]
    inner[last] = value
    with pytest.raises((AssertionError, ValueError)):
        check(wrong)
