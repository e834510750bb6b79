from __future__ import annotations

import base64
import io
import json
import tarfile
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Any

import pytest
from composition import CAP, Composition, eventually
from eventful_run import JOBS, EventfulRun, Evidence

if TYPE_CHECKING:
    from pathlib import Path

    from ground_truth import Vendor

#: Where the engine puts the first process of a container with an init.
INIT = ("/sbin/docker-init", "/usr/sbin/docker-init")
#: Threads of the worker that is killed: so many submissions may be under way just then.
THREADS = 16


@pytest.fixture(scope="session")
def evidence(composition: Composition, vendor: Vendor, figures: dict[str, float | str]) -> Evidence:
    """What was seen while five hundred jobs ran and containers came and went."""
    composition.build_another_image()
    evidence = EventfulRun(composition, vendor).go()
    summary = vendor.summary()
    figures |= {f"{name}_seconds": seconds for name, seconds in evidence.seconds.items()}
    figures |= {
        name: summary[name] for name in ("makespan_seconds", "slot_use", "in_flight_max", "requests_window_max")
    }
    figures["unknown"] = sum(result.get("error") == "SubmissionUnknown" for result in evidence.results.values())
    figures["memory"] = composition.memory()
    return evidence


def answer(port: int, path: str, login: str = "") -> int:
    """Return the status of an HTTP answer on loopback."""
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}")
    if login:
        request.add_header("Authorization", f"Basic {base64.b64encode(login.encode()).decode()}")
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=10) as response:
            return int(response.status)
    except urllib.error.HTTPError as error:
        return error.code


def test_everything_happened_while_the_vendor_was_at_work(evidence: Evidence) -> None:
    assert len(evidence.in_flight_at) == 6
    assert all(evidence.in_flight_at.values()), evidence.in_flight_at
    assert evidence.restarts == 1
    assert len(evidence.images_side_by_side) == 2
    assert len(evidence.images_afterwards) == 1


def test_no_job_is_lost_and_each_caller_gets_the_result_of_its_own_job(evidence: Evidence, vendor: Vendor) -> None:
    assert set(evidence.results) == {f"job-{number}" for number in range(JOBS)}
    task_of = vendor.task_of()
    failed = {marker: told for marker, told in evidence.results.items() if told["state"] != "succeeded"}
    # Whoever was killed while it submitted left the truth with the vendor, which cannot be asked for it.
    assert {told["error"] for told in failed.values()} <= {"SubmissionUnknown"}
    assert len(failed) <= THREADS
    succeeded = evidence.results.keys() - failed.keys()
    assert {evidence.results[marker]["task_id"] == task_of[marker]["task_id"] for marker in succeeded} == {True}


def test_no_job_is_paid_twice(evidence: Evidence, vendor: Vendor) -> None:
    summary = vendor.summary()
    assert summary["duplicates"] == []
    assert JOBS - THREADS <= summary["accepted"] <= JOBS


def test_the_cap_is_held_whatever_the_number_of_workers(evidence: Evidence, vendor: Vendor) -> None:
    summary = vendor.summary()
    assert summary["in_flight_max"] <= CAP
    assert summary["violations_of_cap"] == 0


def test_nothing_is_left_in_slots_or_queues(evidence: Evidence, composition: Composition) -> None:
    worker = composition.containers("worker")[0]
    told = composition.run("sh", "-c", f"docker exec {worker} wanimate-worker doctor --no-vendor || true")
    assert f"slots: 0 of {CAP} in use" in told
    assert "fail" not in told.split(), told


def test_the_video_of_each_job_is_kept_in_the_volume(evidence: Evidence, composition: Composition) -> None:
    worker = composition.containers("worker")[0]
    succeeded = sum(told["state"] == "succeeded" for told in evidence.results.values())
    assert len(composition.run("docker", "exec", worker, "find", "/videos", "-name", "*.mp4").split()) == succeeded
    shown = composition.run("docker", "exec", worker, "wanimate-worker", "top", "--json")
    copies = json.loads(shown)["total"]["copies"]
    assert (copies["copied"], copies["lost"]) == (succeeded, 0)


def test_each_end_of_a_job_is_told_to_the_receiver(evidence: Evidence, composition: Composition) -> None:
    def told() -> set[str]:
        lines = composition.run("docker", "logs", composition.containers("receiver")[0]).splitlines()
        return {line.split()[1] for line in lines if line.endswith(" signed") and " not " not in line}

    eventually(lambda: len(told()) >= JOBS, "every webhook is delivered")
    assert len(told()) == JOBS


@pytest.mark.parametrize(
    ("service", "path", "open_path"),
    [("flower", "/tasks", "/healthcheck"), ("ops", "/", "/health"), ("ops", "/metrics", "/health")],
)
def test_what_operators_see_needs_a_password(composition: Composition, service: str, path: str, open_path: str) -> None:
    if not composition.containers(service):
        pytest.skip(f"the image has no {service} yet")
    port, login = composition.ports[service], composition.secret(f"wanimate_{service}_auth")

    assert answer(port, path) == 401
    assert answer(port, path, "admin:wrong") == 401
    assert answer(port, path, login) == 200
    assert answer(port, open_path) == 200


def test_what_is_published_is_on_loopback_only(composition: Composition) -> None:
    bindings = [
        binding["HostIp"]
        for container in composition.inspect(*composition.containers())
        for bound in container["NetworkSettings"]["Ports"].values()
        for binding in bound or []
    ]
    assert set(bindings) == {"127.0.0.1"}


def test_redis_is_reached_from_nowhere_else(composition: Composition) -> None:
    redis = composition.inspect(*composition.containers("redis"))[0]["NetworkSettings"]

    assert list(redis["Networks"]) == [f"{composition.project}_queue"]
    assert composition.inspect(f"{composition.project}_queue")[0]["Internal"]
    assert not any(redis["Ports"].values())


def test_no_process_is_root_or_may_become_more_than_it_is(composition: Composition) -> None:
    for container in composition.inspect(*composition.containers()):
        name, host = container["Name"], container["HostConfig"]
        users = composition.run("docker", "top", container["Id"], "-eo", "uid,pid").split()[2::2]
        assert users, name
        assert "0" not in users, f"{name} runs as root"
        assert host["CapDrop"] == ["ALL"], name
        assert host["CapAdd"] is None, name
        assert "no-new-privileges:true" in host["SecurityOpt"], name
        assert not host["Privileged"], name
        assert host["ReadonlyRootfs"], name
        assert host["Memory"] > 0, name
        assert host["PidsLimit"] > 0, name


def test_no_container_writes_outside_its_volumes(evidence: Evidence, composition: Composition) -> None:
    for container in composition.inspect(*composition.containers()):
        mounts = [*(mount["Destination"] for mount in container["Mounts"]), *container["HostConfig"]["Tmpfs"], *INIT]
        changed = [
            line.split(maxsplit=1)[1] for line in composition.run("docker", "diff", container["Id"]).splitlines()
        ]
        # The engine itself makes the places for mounts, and the folders above them.
        written = [path for path in changed if not any(f"{mount}/".startswith(f"{path}/") for mount in mounts)]
        assert not written, f"{container['Name']} wrote {written}"


def test_secrets_are_in_no_description_of_a_container_and_in_no_log(
    evidence: Evidence, composition: Composition
) -> None:
    shown = {
        "docker inspect": composition.run("docker", "inspect", *composition.all_containers(), *composition.images()),
        "logs": composition.compose("logs", "--no-color"),
        "docker history": "".join(
            composition.run("docker", "history", "--no-trunc", image) for image in composition.images()
        ),
        "docker top": "".join(composition.run("docker", "top", each) for each in composition.product_containers()),
    }
    assert "job-1" not in shown["logs"]
    assert found_in(shown, composition.secrets()) == []


def test_secrets_that_lie_beside_the_sources_are_in_no_layer_of_an_image(composition: Composition) -> None:
    shown = {}
    for image in composition.images():
        saved = composition.folder / "image.tar"
        composition.run("docker", "save", "--output", str(saved), image)
        shown[image] = "\n".join(files_of(saved))
        saved.unlink()
    assert all("wanimate" in text for text in shown.values())
    assert found_in(shown, composition.secrets()) == []


def found_in(shown: dict[str, str], secrets: dict[str, str]) -> list[str]:
    """Return which secret is where."""
    assert all(len(value) >= 24 for value in secrets.values())
    return [f"{name} in {where}" for where, text in shown.items() for name, value in secrets.items() if value in text]


def files_of(saved: Path) -> list[str]:
    """Return the names and contents of all files of all layers of a saved image."""
    texts = []
    with tarfile.open(saved) as image:
        for member in image:
            content = image.extractfile(member)
            if content is None:
                continue
            raw = content.read()
            try:
                with tarfile.open(fileobj=io.BytesIO(raw)) as layer:
                    texts += [text_of(layer, each) for each in layer if each.isfile()]
            except tarfile.ReadError:
                texts.append(raw.decode("latin-1"))
    return texts


def text_of(layer: tarfile.TarFile, member: tarfile.TarInfo) -> str:
    content: Any = layer.extractfile(member)
    return f"{member.name}\n{content.read().decode('latin-1')}"


def test_every_container_is_healthy_in_the_end(evidence: Evidence, composition: Composition) -> None:
    def unhealthy() -> list[str]:
        states = composition.inspect(*composition.containers())
        return [each["Name"] for each in states if each["State"].get("Health", {}).get("Status") != "healthy"]

    eventually(lambda: not unhealthy(), "every container is healthy")
