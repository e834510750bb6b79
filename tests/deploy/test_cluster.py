from __future__ import annotations

from typing import TYPE_CHECKING, Any

from promql_parser import parse

if TYPE_CHECKING:
    from manifests import Manifest


def of_kind(overlay: list[Manifest], kind: str) -> dict[str, dict[str, Any]]:
    return {manifest["metadata"]["name"]: manifest["spec"] for manifest in overlay if manifest["kind"] == kind}


def templates(overlay: list[Manifest]) -> list[dict[str, Any]]:
    specs = {**of_kind(overlay, "Deployment"), **of_kind(overlay, "StatefulSet")}
    return [spec["template"] for spec in specs.values()]


def selects(selector: dict[str, Any], labels: dict[str, str]) -> bool:
    if any(labels.get(key) != value for key, value in selector.get("matchLabels", {}).items()):
        return False
    rules = selector.get("matchExpressions", [])
    assert all(rule["operator"] == "In" for rule in rules), "this test knows no other operator"
    return all(labels.get(rule["key"]) in rule["values"] for rule in rules)


def selected(overlay: list[Manifest], selector: dict[str, Any]) -> list[dict[str, Any]]:
    return [pod for pod in templates(overlay) if selects(selector, pod["metadata"]["labels"])]


def test_what_is_not_allowed_is_denied_in_both_directions(overlay: list[Manifest]) -> None:
    policy = of_kind(overlay, "NetworkPolicy")["default-deny"]
    assert policy == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}


def test_every_policy_speaks_of_pods_that_exist(overlay: list[Manifest]) -> None:
    for name, policy in of_kind(overlay, "NetworkPolicy").items():
        assert selected(overlay, policy["podSelector"]), name
        for rule in [*policy.get("ingress", []), *policy.get("egress", [])]:
            for peer in rule["to"] if "to" in rule else rule["from"]:
                assert "podSelector" not in peer or selected(overlay, peer["podSelector"]), name


def test_every_policy_names_ports_and_peers(overlay: list[Manifest]) -> None:
    for name, policy in of_kind(overlay, "NetworkPolicy").items():
        for rule in [*policy.get("ingress", []), *policy.get("egress", [])]:
            assert rule["ports"], name
            assert rule.get("to") or rule.get("from"), name


def test_only_workers_reach_the_internet_and_no_address_inside_by_that(production: list[Manifest]) -> None:
    for name, policy in of_kind(production, "NetworkPolicy").items():
        for rule in policy.get("egress", []):
            for peer in rule["to"]:
                if peer.get("ipBlock", {}).get("cidr") == "0.0.0.0/0":
                    assert name == "vendor"
                    assert {"10.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16"} <= set(
                        peer["ipBlock"]["except"]
                    )
                    assert rule["ports"] == [{"protocol": "TCP", "port": 443}]
    (worker,) = selected(production, of_kind(production, "NetworkPolicy")["vendor"]["podSelector"])
    assert worker["metadata"]["labels"]["app.kubernetes.io/component"] == "worker"


def test_nothing_in_the_dev_overlay_reaches_the_vendor(dev: list[Manifest]) -> None:
    for name, policy in of_kind(dev, "NetworkPolicy").items():
        for rule in policy.get("egress", []):
            assert not [peer for peer in rule["to"] if "ipBlock" in peer], name


def test_every_service_leads_to_one_kind_of_pod_at_a_port_it_has(overlay: list[Manifest]) -> None:
    for name, service in of_kind(overlay, "Service").items():
        (pod,) = selected(overlay, {"matchLabels": service["selector"]})
        ports = {port["name"] for container in pod["spec"]["containers"] for port in container["ports"]}
        assert {port["targetPort"] for port in service["ports"]} <= ports, name


def test_only_callbacks_are_open_to_the_world(production: list[Manifest]) -> None:
    assert {service.get("type", "ClusterIP") for service in of_kind(production, "Service").values()} == {"ClusterIP"}
    (ingress,) = of_kind(production, "Ingress").values()
    (rule,) = ingress["rules"]
    (path,) = rule["http"]["paths"]
    assert path["path"] == "/v1/callbacks/"
    assert path["backend"]["service"]["name"] == "callbacks"
    assert ingress["tls"][0]["hosts"] == [rule["host"]]
    (address,) = [
        manifest["data"]["WANIMATE_CALLBACK_BASE_URL"]
        for manifest in production
        if manifest["kind"] == "ConfigMap" and "WANIMATE_CALLBACK_BASE_URL" in manifest["data"]
    ]
    assert address == f"https://{rule['host']}"


def test_no_budget_stops_a_node_from_being_drained(production: list[Manifest]) -> None:
    replicas = {name: spec.get("replicas", 2) for name, spec in of_kind(production, "Deployment").items()}
    budgets = of_kind(production, "PodDisruptionBudget")
    assert set(budgets) == {"worker", "beat", "callbacks"}
    for name, budget in budgets.items():
        assert len(selected(production, budget["selector"])) == 1
        assert budget["maxUnavailable"] == 1
        assert replicas[name] > 1


def test_workers_are_scaled_on_what_they_are_late_with_and_on_messages_they_hold_too(
    production: list[Manifest],
) -> None:
    (scaled,) = of_kind(production, "ScaledObject").values()
    assert scaled["scaleTargetRef"] == {"name": "worker"}
    assert "replicas" not in of_kind(production, "Deployment")["worker"], "an apply would fight with the autoscaler"
    rules = of_kind(production, "PrometheusRule")["wanimate"]["groups"]
    recorded = {rule["record"] for group in rules for rule in group["rules"] if "record" in rule}
    names = set()
    for trigger in scaled["triggers"]:
        query = parse(trigger["metadata"]["query"]).expr
        names.add(query.name)
    assert names == {"wanimate:worker_lag_seconds", "wanimate:backlog_messages"}
    assert names <= recorded


def test_prometheus_finds_the_exporter_and_calls_it_as_the_rules_do(production: list[Manifest]) -> None:
    monitor = of_kind(production, "ServiceMonitor")["wanimate"]
    (service,) = [
        manifest
        for manifest in production
        if manifest["kind"] == "Service" and selects(monitor["selector"], manifest["metadata"]["labels"])
    ]
    (endpoint,) = monitor["endpoints"]
    assert endpoint["port"] in {port["name"] for port in service["spec"]["ports"]}
    assert service["metadata"]["labels"][monitor["jobLabel"]] == "wanimate"
