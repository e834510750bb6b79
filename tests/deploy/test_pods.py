from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from manifests import DEPLOY
from wanimate_worker.cli import cli as worker_commands
from wanimate_worker.settings import WorkerSettings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from manifests import Manifest

#: Which secrets each of our processes reads, and no other.
SECRETS: Final = {
    "worker": {"wanimate_redis_url", "wanimate_api_key", "wanimate_callback_secret", "wanimate_webhook_secret"},
    "beat": {"wanimate_redis_url"},
    "callbacks": {"wanimate_redis_url", "wanimate_callback_secret"},
    "ops": {"wanimate_redis_url", "wanimate_ops_auth"},
    "flower": {"wanimate_redis_url", "wanimate_flower_auth"},
}


def workloads(overlay: list[Manifest]) -> Iterator[tuple[str, dict[str, Any]]]:
    for manifest in overlay:
        if manifest["kind"] in {"Deployment", "StatefulSet"}:
            yield manifest["metadata"]["name"], manifest["spec"]


def pods(overlay: list[Manifest]) -> dict[str, dict[str, Any]]:
    return {name: spec["template"]["spec"] for name, spec in workloads(overlay)}


def test_every_process_of_the_product_runs(overlay: list[Manifest]) -> None:
    assert set(SECRETS) <= set(pods(overlay))


def test_no_container_is_root_or_gains_rights_or_writes_to_its_root(overlay: list[Manifest]) -> None:
    for name, pod in pods(overlay).items():
        assert pod["securityContext"]["runAsNonRoot"] is True, name
        assert pod["securityContext"]["runAsUser"] > 0, name
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, name
        assert pod["automountServiceAccountToken"] is False, name
        for container in pod["containers"]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }, name


def test_our_processes_run_as_the_user_of_the_image(production: list[Manifest]) -> None:
    assert {pod["securityContext"]["runAsUser"] for pod in pods(production).values()} == {10001}


def test_every_container_has_requests_and_limits_and_tells_whether_it_is_well(overlay: list[Manifest]) -> None:
    for name, pod in pods(overlay).items():
        for container in pod["containers"]:
            for bound in ("requests", "limits"):
                assert set(container["resources"][bound]) == {"cpu", "memory"}, name
            assert "startupProbe" in container, name
            assert "livenessProbe" in container or name == "redis", name


def test_each_process_gets_the_secrets_it_needs_and_no_other_as_files(overlay: list[Manifest]) -> None:
    for name, wanted in SECRETS.items():
        pod = pods(overlay)[name]
        volumes = [volume["secret"] for volume in pod["volumes"] if "secret" in volume]
        assert {item["key"] for volume in volumes for item in volume["items"]} == wanted, name
        assert all(item["key"] == item["path"] for volume in volumes for item in volume["items"]), name
        for container in pod["containers"]:
            assert "env" not in container, name
            assert all("configMapRef" in source for source in container["envFrom"]), name


def test_the_dev_overlay_makes_every_secret_that_is_mounted(dev: list[Manifest]) -> None:
    made = {manifest["metadata"]["name"]: set(manifest["data"]) for manifest in dev if manifest["kind"] == "Secret"}
    for name, pod in pods(dev).items():
        for secret in (volume["secret"] for volume in pod["volumes"] if "secret" in volume):
            keys = {item["key"] for item in secret.get("items", [])}
            assert keys <= made[secret["secretName"]], name


def test_production_holds_no_secret(production: list[Manifest]) -> None:
    assert not [manifest for manifest in production if manifest["kind"] == "Secret"]


def test_every_setting_that_is_given_exists(overlay: list[Manifest]) -> None:
    known = {f"WANIMATE_{name.upper()}" for name in WorkerSettings.model_fields} | {"WANIMATE_SECRETS_DIR"}
    given = [set(manifest["data"]) for manifest in overlay if manifest["kind"] == "ConfigMap"]
    names = {name for data in given for name in data if not name.endswith(".json")}
    assert names
    assert names <= known


def test_the_address_of_callbacks_goes_only_where_their_secret_goes(overlay: list[Manifest]) -> None:
    with_address = {
        name
        for name, pod in pods(overlay).items()
        for container in pod["containers"]
        for source in container.get("envFrom", [])
        if source["configMapRef"]["name"].startswith("wanimate-callbacks")
    }
    assert with_address == {name for name, secrets in SECRETS.items() if "wanimate_callback_secret" in secrets}


def test_a_worker_is_given_longer_to_stop_than_a_submission_may_take(overlay: list[Manifest]) -> None:
    settings = WorkerSettings(redis_url="redis://127.0.0.1")
    longest_seconds = settings.ledger_limits().submit_lease_ms / 1000 - settings.lease_seconds
    assert pods(overlay)["worker"]["terminationGracePeriodSeconds"] > longest_seconds


def test_no_worker_is_killed_while_it_may_hold_an_answer_that_redis_does_not_take(overlay: list[Manifest]) -> None:
    """A liveness probe that pings through Redis fails while Redis is away."""
    (container,) = pods(overlay)["worker"]["containers"]
    probe = container["livenessProbe"]
    unknown_after = WorkerSettings.model_fields["unknown_after_seconds"].default
    assert probe["periodSeconds"] * (probe["failureThreshold"] - 1) > unknown_after


def test_a_rolling_update_never_leaves_fewer_than_there_were(overlay: list[Manifest]) -> None:
    for name, spec in workloads(overlay):
        if name in SECRETS:
            assert spec["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}, name


def test_what_more_than_one_of_runs_spreads_over_zones_and_nodes(production: list[Manifest]) -> None:
    for name in ("worker", "beat", "callbacks"):
        spread = pods(production)[name]["topologySpreadConstraints"]
        assert {rule["topologyKey"] for rule in spread} == {"topology.kubernetes.io/zone", "kubernetes.io/hostname"}


def test_every_command_and_health_check_is_in_the_image(overlay: list[Manifest]) -> None:
    image = (DEPLOY / "Dockerfile").read_text()
    for name in SECRETS:
        (container,) = pods(overlay)[name]["containers"]
        program, *words = container["command"]
        assert program == "celery" or words[0] in worker_commands.commands, name
        for probe in ("startupProbe", "livenessProbe"):
            if "exec" in container[probe]:
                (check,) = container[probe]["exec"]["command"]
                assert f"/bin/{check}\n" in image, name
